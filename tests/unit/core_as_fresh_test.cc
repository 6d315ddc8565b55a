// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Objects of the core that are used again: after reset(), stop(), clear() or when they are empty
// again they behave as new ones. How that is compared is in as_fresh.h.
#include "tests/unit/as_fresh.h"

#include <vector>

#include "engine/core/compress_gauge.h"
#include "engine/core/deadline_heap.h"
#include "engine/core/link.h"
#include "engine/core/mtu_search.h"
#include "engine/core/reassembly.h"
#include "engine/core/run_queue.h"
#include "engine/core/seen_window.h"
#include "engine/core/send_window.h"
#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

std::int64_t count_of(Instant at) {
  return at.time_since_epoch().count();
}

// The round trip is kept by a reset, so it is the same all the time.
struct WindowPlayer {
  explicit WindowPlayer(Instant start) : now(start) {
    window.set_limit(512 * 1024);
    window.on_pong(now, now - kRoundTrip);
  }
  void reset() {
    window.reset();
    marks.clear();
  }
  std::string play(Random& random) {
    switch (random.below(8)) {
      case 0:
        now += kRoundTrip;
        break;
      case 1:
        now = std::max(now, std::min(window.deadline(), now + 200ms));
        if (window.deadline() <= now)
          marks.clear();
        window.on_timeout(now);
        break;
      case 2:
        answer(random.below(marks.size() + 1), kRoundTrip);
        break;
      case 3:
        // An answer that comes very late says that the receiver is behind.
        answer(random.below(marks.size() + 1), 90ms);
        break;
      default:
        for (std::uint64_t left = random.below(40); left > 0 && window.open(); --left) {
          if (window.on_data(1446 * 8, 8, 1)) {
            now += 1us;
            window.on_mark(now);
            marks.push_back(now);
          }
        }
        break;
    }
    return seen_as(window.open(), window.size(), count_of(window.deadline()));
  }
  // Answers for marks only: any other answer would measure the path anew.
  void answer(std::size_t which, Duration after) {
    if (which >= marks.size())
      return;
    now = std::max(now, marks[which] + after);
    window.on_pong(marks[which] + after, marks[which]);
    marks.erase(marks.begin(), marks.begin() + static_cast<std::ptrdiff_t>(which) + 1);
  }

  static constexpr Duration kRoundTrip = 4ms;
  SendWindow window;
  std::vector<Instant> marks;
  Instant now;
};

struct SearchPlayer {
  explicit SearchPlayer(Instant start) : now(start) {
    search.configure({}, Address::Family::kIpv4);
    search.set_interval(now, 3s);
  }
  void reset() {
    search.stop();
    started = false;
  }
  std::string play(Random& random) {
    MtuSearch::Step step;
    const std::uint64_t kind = random.below(10);
    if (!started) {
      // After a stop nothing is under way, and what the last search was asked is forgotten.
      started = true;
      search.on_data(now, 1500);
      step = search.start(now, kGap);
      path = static_cast<std::uint32_t>(random.between(600, 9000));
      loss = random.chance(0.5) ? 0.6 : 0.0;
    } else if (kind < 7) {
      now = std::min(search.deadline(), now + 4s);
      step = search.on_timeout(now);
    } else if (kind == 7) {
      search.on_data(now, 1500);
    } else if (kind == 8) {
      search.on_pong();
    } else {
      const auto limit = static_cast<std::uint32_t>(random.between(600, 9000));
      step = search.on_kernel_limit(now, random.chance(0.5) ? limit : 0, search.candidate());
    }
    std::string seen;
    for (;;) {
      if (step.ping && !random.chance(loss / 2))
        search.on_pong();
      seen +=
          seen_as(step.probe, step.ping, step.settled, step.black_hole,
                  static_cast<int>(search.phase()), count_of(search.deadline()), search.proven());
      if (!step.probe || search.candidate() > path || random.chance(loss))
        break;
      step = {};
      search.on_reply(now, static_cast<std::uint16_t>(search.candidate()), step);
    }
    return seen;
  }

  static constexpr Duration kGap = 40ms;
  MtuSearch search;
  bool started = false;
  std::uint32_t path = 1500;
  double loss = 0;
  Instant now;
};

struct SeenPlayer {
  explicit SeenPlayer(Instant start) : now(start) {}
  void reset() {
    window.reset();
    at = 1000;
  }
  std::string play(Random& random) {
    // Near enough to each other for marks to meet again, and now and then far away.
    const auto near = static_cast<std::uint16_t>(at + random.below(400) - 200);
    const MessageSeq seq{random.chance(0.02) ? static_cast<std::uint16_t>(random.next()) : near};
    const std::string before = seen_as(window.started(), window.covers(seq), window.seen(seq));
    if (random.chance(0.7)) {
      window.advance(seq);
      at = seq.value;
    }
    if (random.chance(0.7))
      window.mark(seq);
    return before + seen_as(window.seen(seq), window.started() ? window.head().value : 0);
  }

  SeenWindow window;
  std::uint16_t at = 1000;
  Instant now;
};

// A process that ended left a PING; whatever was before it makes no difference.
struct SequencePlayer {
  explicit SequencePlayer(Instant start) : now(start) { last_ping(); }
  void last_ping() {
    sequence.on_ping(now, ping(MessageSeq{500}), kTrust);
    sequence.reset();
  }
  void reset() {
    now += 1s;
    sent = 1000;
    last_ping();
  }
  PingPacket ping(MessageSeq seq) const {
    return {.type = PacketType::kPing, .stamp = stamp_of(now), .seq = seq, .timed = true};
  }
  std::string play(Random& random) {
    now += Duration(static_cast<std::int64_t>(random.below(300'000'000)));
    const auto behind = static_cast<std::uint16_t>(random.below(4));
    const MessageSeq seq{static_cast<std::uint16_t>(sent - behind)};
    const std::uint64_t kind = random.below(20);
    if (kind == 0) {
      const auto meaning = sequence.on_ping(now, ping(MessageSeq{}), kTrust);
      return seen_as(static_cast<int>(meaning));
    }
    if (kind < 5) {
      PingPacket packet = ping(seq);
      packet.timed = kind != 1;
      if (kind == 2)
        packet.stamp.fill(std::byte{0xee});  // a challenge: no clock to be read
      return seen_as(static_cast<int>(sequence.on_ping(now, packet, kTrust)));
    }
    const auto place = sequence.place(now, seq, PacketAge::kUnknown);
    const bool seen = place.kind != PeerSequence::Place::Kind::kNew;
    if (!seen) {
      sequence.on_data(now, place);
      sequence.done(place.position);
    }
    sent = static_cast<std::uint16_t>(sent + random.below(3));
    return seen_as(seen);
  }

  static constexpr PeerSequence::PingTrust kTrust{.slack = 10ms, .quiet = 500ms};
  PeerSequence sequence;
  std::uint16_t sent = 1000;
  Instant now;
};

struct GaugePlayer {
  explicit GaugePlayer(Instant start) : now(start) {}
  void reset() { gauge.shrank(); }
  std::string play(Random& random) {
    const bool tries = gauge.worth_trying();
    if (tries && random.chance(0.01)) {
      gauge.shrank();
    } else if (tries) {
      gauge.failed();
    }
    return seen_as(tries);
  }

  CompressGauge gauge;
  Instant now;
};

struct HeapPlayer {
  explicit HeapPlayer(Instant start) : now(start) {}
  void reset() {
    while (!heap.empty())
      heap.remove(heap.front());
  }
  std::string play(Random& random) {
    DeadlineNode& node = nodes[random.below(nodes.size())];
    const Instant at{Duration(static_cast<std::int64_t>(random.below(100)))};
    heap.set(node, random.chance(0.3) ? kNever : at);
    return seen_as(heap.empty(), count_of(heap.next()));
  }

  DeadlineHeap heap;
  std::array<DeadlineNode, 40> nodes;
  Instant now;
};

struct ReassemblyPlayer {
  explicit ReassemblyPlayer(Instant start) : now(start) {}
  void reset() {
    reassembly.clear();
    CHECK(reassembly.empty());
    CHECK(pool.in_use() == 0);
  }
  std::string play(Random& random) {
    now += 1ms;
    DataPacket packet;
    packet.header.seq = MessageSeq{static_cast<std::uint16_t>(random.between(1, 45))};
    packet.header.fragment_count = static_cast<std::uint8_t>(2 + packet.header.seq.value % 3);
    packet.header.fragment_index =
        static_cast<std::uint8_t>(random.between(1, packet.header.fragment_count));
    const bool last = packet.header.fragment_index == packet.header.fragment_count;
    packet.payload = ConstBytes(payload).first(last ? 100 : random.chance(0.9) ? 1000 : 900);
    const Reassembly::Outcome outcome = reassembly.add(now, packet, packet.header.seq.value, 65536);
    if (const auto* complete = std::get_if<Reassembly::Complete>(&outcome)) {
      pool.give_back(complete->buffer);
      return seen_as(1, complete->size, pool.in_use());
    }
    if (const auto* pending = std::get_if<Reassembly::Pending>(&outcome))
      return seen_as(2, pending->evicted, pool.in_use());
    return seen_as(3, static_cast<int>(std::get<Drop>(outcome)), pool.in_use());
  }

  MessagePool pool{1000};
  Reassembly reassembly{pool};
  Bytes payload = pattern(1000);
  Instant now;
};

// A queue that was emptied, and its slabs with it.
struct RunsPlayer {
  explicit RunsPlayer(Instant start) : now(start) { queue.grow(8); }
  void reset() {
    RunQueue::Item item;
    while (queue.pop(item))
      arena.release(item.run.piece.slab);
    // Each use keeps the slab it writes to.
    CHECK(arena.free_slabs() + 1 >= kSlabs);
  }
  std::string play(Random& random) {
    if (random.chance(0.4)) {
      RunQueue::Item item;
      if (!queue.pop(item))
        return "nothing";
      const std::string seen =
          seen_as(item.run.piece.size, item.run.segment_size, raw(item.target.host), item.rerouted);
      if (!item.rerouted && random.chance(0.1) && queue.push_retry(item.run, item.target)) {
        arena.release(item.run.piece.slab);
        return seen + "again";
      }
      arena.release(item.run.piece.slab);
      return seen;
    }
    const bool whole = random.chance(0.7);
    const std::size_t segment = 100 * random.between(1, 3);
    const std::size_t packets = whole ? 1 : random.between(2, 60);
    const auto channel = Channel(random.below(4));
    const std::size_t links = random.between(1, 3);
    if (!queue.has_room(links) || !arena.has_room(segment * packets))
      return "no room";
    const auto piece = arena.allocate(TransmitArena::Use::kData, segment * packets);
    const RunRef run{*piece, static_cast<std::uint32_t>(segment), 100};
    std::vector<LinkRef> targets;
    for (unsigned link = 0; link < links; ++link)
      targets.push_back({host_id(2 + link), link_id(0), 1});
    queue.push(run, targets, channel, whole);
    return seen_as(queue.empty());
  }

  static constexpr std::size_t kSlabs = 40;
  TransmitArena arena{kSlabs};
  RunQueue queue{arena};
  Instant now;
};

// A link that went down. Its peer answers after one round trip, always the same, which is kept.
struct LinkPlayer {
  explicit LinkPlayer(Instant start) : now(start) {
    link.set_timers(now, {.interval = 20ms, .timeout = 80ms, .precision = 1});
    link.set_enabled(now, true);
    link.on_pong(now, now - kRoundTrip);
    link.down(now);
    link.wake(now);
  }
  void reset() {
    link.down(now);
    // What was asked or refused before belongs to a PING that is over, and the next one is due.
    now += 1s;
    link.on_timeout(now);
    link.wake(now);
    pongs.clear();
    marks.clear();
  }
  std::string play(Random& random) {
    std::string seen;
    const std::uint64_t kind = random.below(12);
    if (kind == 0) {
      seen = seen_as(static_cast<int>(link.on_trouble(now, random.chance(0.5))));
    } else if (kind == 1) {
      link.ask(now);
    } else if (kind == 2 && link.connected()) {
      for (int packets = 0; packets < 200 && link.window.open(); ++packets) {
        if (link.window.on_data(1446 * 8, 8, 1)) {
          now += 1us;
          link.window.on_mark(now);
          marks.push_back(now);
        }
      }
    } else if (kind == 3 && !marks.empty()) {
      link.on_pong(marks.back() + kRoundTrip, marks.back());
      now = std::max(now, marks.back() + kRoundTrip);
    } else {
      seen = time_goes_by(random);
    }
    const Instant deadline = link.next_deadline();
    return seen + seen_as(link.connected(), link.suspect(), link.answered(), link.window.open(),
                          link.window.size(), count_of(deadline), count_of(link.last_pong()),
                          static_cast<int>(link.mtu.phase()));
  }
  std::string time_goes_by(Random& random) {
    const Instant pong = pongs.empty() ? kNever : pongs.front();
    now = std::max(now, std::min({pong, link.next_deadline(), now + 100ms}));
    if (pong <= now) {
      pongs.erase(pongs.begin());
      if (link.on_pong(now, now - kRoundTrip)) {
        link.up(now);
        link.mtu.start(now, 40ms);
      }
    }
    const Link::Due due = link.on_timeout(now);
    if (due.silent)
      link.down(now);
    if (due.ping && !random.chance(0.3))
      pongs.push_back(now + kRoundTrip);
    return seen_as(due.ping, due.silent, due.overdue, due.mtu.probe, due.mtu.settled);
  }

  static constexpr Duration kRoundTrip = 2ms;
  Link link{LinkRef{host_id(2), link_id(0), 1},
            LinkConfig{.local = address_of(1, 0), .remote = address_of(2, 0)}, Envelope{}, 60s};
  std::vector<Instant> pongs;
  std::vector<Instant> marks;
  Instant now;
};

}  // namespace

TEST_CASE("as fresh: a send window that was reset") {
  check_as_fresh<WindowPlayer>();
}

TEST_CASE("as fresh: an MTU search that was stopped") {
  check_as_fresh<SearchPlayer>();
}

TEST_CASE("as fresh: a window of seen messages that was reset") {
  check_as_fresh<SeenPlayer>();
}

TEST_CASE("as fresh: a peer's sequence that was reset") {
  check_as_fresh<SequencePlayer>();
}

TEST_CASE("as fresh: a compress gauge after something shrank") {
  check_as_fresh<GaugePlayer>(50, 2000);
}

TEST_CASE("as fresh: a heap of deadlines that was emptied") {
  check_as_fresh<HeapPlayer>();
}

TEST_CASE("as fresh: a reassembly that was cleared") {
  check_as_fresh<ReassemblyPlayer>();
}

TEST_CASE("as fresh: a queue of runs that was emptied") {
  check_as_fresh<RunsPlayer>();
}

TEST_CASE("as fresh: a link that went down") {
  check_as_fresh<LinkPlayer>();
}

}  // namespace ringknet::test
