// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Numbers that come late, early, or from somebody else: what the fabric believes of a sender's
// progress, and that no number it is not sure of costs a message.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

const Bytes kPayload = text_bytes("hello");

// Node 2 talks to node 1, and every message says which one it is.
class Talk {
 public:
  explicit Talk(Cluster& cluster) : cluster_(cluster) {}

  // `count` messages, one in `every` of which takes four packets (none if 0).
  void send(unsigned count, unsigned every, Duration gap = 50us) {
    for (unsigned i = 0; i < count; ++i) {
      hand_over(every != 0 && i % every == 0);
      cluster_.run_for(gap);
    }
    cluster_.run_for(20ms);
    collect();
  }
  void send_burst(unsigned count, unsigned every) {
    for (unsigned i = 0; i < count && cluster_.fabric(2).can_send(); ++i)
      hand_over(every != 0 && i % every == 0);
  }
  void collect() {
    auto& received = cluster_.node(1).received;
    times_.resize(sent_);
    for (const Received& message : received) {
      std::uint32_t number = 0;
      if (message.bytes.size() < sizeof number)
        continue;  // made up
      std::memcpy(&number, message.bytes.data(), sizeof number);
      if (number < sent_)
        ++times_[number];
    }
    received.clear();
  }
  unsigned sent() const { return sent_; }
  // Of the messages from that one on.
  std::ptrdiff_t missing(unsigned from = 0) const {
    return std::count(times_.begin() + from, times_.end(), 0u);
  }
  std::ptrdiff_t twice() const {
    return std::ranges::count_if(times_, [](unsigned times) { return times > 1; });
  }

 private:
  void hand_over(bool large) {
    Bytes message = pattern(large ? 5000 : 50, sent_);
    std::memcpy(message.data(), &sent_, sizeof sent_);
    REQUIRE(cluster_.send(2, message).error == Error::kNone);
    ++sent_;
  }

  Cluster& cluster_;
  std::uint32_t sent_ = 0;
  std::vector<unsigned> times_;
};

unsigned ahead(Cluster& cluster, unsigned by) {
  return (cluster.node(2).inspect.last_seq().value + by) & 0xffff;
}

}  // namespace

// All PONGs of link 1 were lost so far, so nothing is known of its delay.
TEST_CASE("fabric sequence: a late PING over a link that was never measured is no restart") {
  Cluster cluster({.links = 2});
  cluster.cut(1, 2, 1);
  REQUIRE(
      cluster.run_until([&] { return cluster.connected(1, 2, 0) && cluster.connected(2, 1, 0); }));
  Bytes ping = ping_packet({.host = 2, .link = 1, .clock = cluster.now, .seq = 0});
  std::fill(ping.begin() + 7, ping.begin() + 23, std::byte{0xff});  // no clock that can be read
  Bytes same_over_link_0 = ping;
  same_over_link_0[6] = std::byte{0};
  cluster.inject(1, 2, 0, same_over_link_0);
  cluster.run_for(2ms);
  REQUIRE(cluster.send(2, kPayload).error == Error::kNone);
  cluster.run_for(13ms);
  REQUIRE(cluster.node(1).received.size() == 1);
  cluster.inject(1, 2, 1, ping);
  CHECK(cluster.node(1).count(Event::Kind::kPeerRestarted) == 0);
}

TEST_CASE("fabric sequence: one made-up number far ahead costs no message") {
  for (const unsigned by : {16385u, 20000u, 32767u, 32768u, 40000u}) {
    for (const unsigned kind : {0u, 1u, 2u, 3u}) {
      CAPTURE(by);
      CAPTURE(kind);
      Cluster cluster;
      REQUIRE(cluster.connect());
      Talk talk(cluster);
      talk.send(100, 2, 1ms);
      const unsigned seq = ahead(cluster, by);
      Bytes forged;
      switch (kind) {
        case 0:
          forged = data_packet({.host = 2, .seq = seq}, text_bytes("x"));
          break;
        case 1:
          forged = data_packet({.host = 2, .seq = seq, .count = 3, .index = 1}, pattern(1000));
          break;
        case 2:
          forged = ping_packet({.host = 2, .clock = cluster.now, .seq = seq, .timed = 0});
          break;
        case 3:
          forged = ping_packet({.host = 2, .clock = cluster.now + 1h, .seq = seq});
          break;
      }
      cluster.inject(1, 2, 0, forged);
      CHECK(cluster.node(1).drops(Drop::kSequenceStale) == (kind < 2 && by <= 32768 ? 1 : 0));
      talk.send(400, 2, 1ms);
      CHECK(talk.missing() == 0);
      CHECK(talk.twice() == 0);
      CHECK(cluster.connected(1, 2, 0));
      if (by <= 32768)
        CHECK(cluster.node(1).inspect.buffers_in_use() == 0);
    }
  }
}

// A process that was stopped reads old messages from its sockets, and then one of what its peer has
// come to meanwhile. That it has just heard the peer says nothing.
TEST_CASE("fabric sequence: after this process did not run, numbers far ahead are believed") {
  for (const bool stopped : {false, true}) {
    CAPTURE(stopped);
    Cluster cluster;
    REQUIRE(cluster.connect());
    Talk talk(cluster);
    talk.send(100, 2, 1ms);
    REQUIRE(cluster.send(2, kPayload).error == Error::kNone);
    cluster.run_for(1ms);
    cluster.node(1).received.clear();
    const unsigned next = ahead(cluster, 1);
    const unsigned far = ahead(cluster, 20000);
    if (stopped)
      cluster.now += 3s;
    cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = next}, text_bytes("next")));
    cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = far}, text_bytes("far")));
    CHECK(cluster.node(1).received.size() == (stopped ? 2 : 1));
    CHECK(cluster.node(1).drops(Drop::kSequenceStale) == (stopped ? 0 : 1));
  }
}

// The same after a silence, when a jump of the sender would be nothing special.
TEST_CASE(
    "fabric sequence: a made-up number that was believed for want of another costs no message") {
  for (const unsigned by : {16385u, 32768u}) {
    CAPTURE(by);
    Cluster cluster;
    REQUIRE(cluster.connect());
    Talk talk(cluster);
    talk.send(100, 2, 1ms);
    cluster.run_for(550ms);
    cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = ahead(cluster, by)}, text_bytes("x")));
    talk.send(200, 2, 1ms);
    CHECK(talk.missing() == 0);
    CHECK(talk.twice() == 0);
  }
}

TEST_CASE("fabric sequence: a sender that jumps far ahead is followed without a loss") {
  for (const unsigned by : {16385u, 20000u, 32000u}) {
    for (const Duration silence : {Duration(110ms), Duration(300ms)}) {
      CAPTURE(by);
      Cluster cluster;
      REQUIRE(cluster.connect());
      Talk talk(cluster);
      talk.send(100, 2, 1ms);
      // It talks to others, and what it announces meanwhile is lost.
      bool losing = true;
      cluster.tap = [&](const Packet& packet) {
        return !losing || packet.from != 2 || packet.type() != 0x81;
      };
      cluster.run_for(silence);
      cluster.node(2).inspect.set_last_seq(seq(ahead(cluster, by)));
      talk.send(1, 0, 1ms);
      losing = false;
      talk.send(400, 2, 1ms);
      CHECK(talk.missing() == 0);
      CHECK(talk.twice() == 0);
      CHECK(cluster.node(1).inspect.host(2).sequence.newest() ==
            cluster.node(2).inspect.last_seq());
    }
  }
}

// What a link held back comes when the numbers have gone on by more than half of their space: on
// its own it cannot be told from a jump ahead.
TEST_CASE("fabric sequence: a link that releases what it held for 40,000 messages costs none") {
  for (const Policy policy : {Policy::kPassive, Policy::kActive}) {
    for (const bool idle : {false, true}) {
      CAPTURE(idle);
      Cluster cluster({.links = 2, .policy = policy});
      REQUIRE(cluster.connect());
      Talk talk(cluster);
      talk.send(1000, 100);
      std::vector<Packet> stalled;
      bool stalling = true;
      cluster.tap = [&](const Packet& packet) {
        if (packet.link != 0 || !stalling)
          return true;
        if (packet.from == 2 && stalled.size() < 500)
          stalled.push_back(packet);
        return false;
      };
      talk.send(400, 0);
      REQUIRE(cluster.run_until(
          [&] { return !cluster.connected(1, 2, 0) && !cluster.connected(2, 1, 0); }));
      talk.send(40000, 100, 20us);
      if (idle)
        cluster.run_for(1s);
      stalling = false;
      const unsigned before = talk.sent();
      for (const Packet& packet : stalled)
        cluster.inject(1, 2, 0, packet.bytes);
      talk.send(40000, 100, 20us);
      CHECK(talk.missing(before) == 0);
      if (policy == Policy::kPassive || !idle)
        CHECK(talk.twice() == 0);
    }
  }
}

// A fragment of a message that is 32,767 behind belongs to that message still.
TEST_CASE("fabric sequence: a message is completed as long as its number tells it") {
  for (const unsigned by : {16385u, 32767u}) {
    CAPTURE(by);
    Cluster cluster;
    REQUIRE(cluster.connect());
    Packet held;
    cluster.tap = [&](const Packet& packet) {
      if (!held.bytes.empty() || packet.type() != 0 || packet.bytes[12] != std::byte{2})
        return true;
      held = packet;
      return false;
    };
    const Bytes message = pattern(2500, 1);
    cluster.send(2, message);
    for (unsigned i = 0; i < by; ++i) {
      cluster.send(2, kPayload);
      if (i % 64 == 0)
        cluster.run_for(1ms);
    }
    cluster.run_for(2ms);
    cluster.node(1).received.clear();
    cluster.inject(1, 2, 0, held.bytes);
    REQUIRE(cluster.node(1).received.size() == 1);
    CHECK(same(cluster.node(1).received[0].bytes, message));
  }
}

// At 75,000 messages a second, 7,500 of them pass while one is on its way over the long link.
TEST_CASE("fabric sequence: RR over links of which one is much longer loses nothing") {
  for (const unsigned links : {2u, 8u}) {
    CAPTURE(links);
    Cluster cluster({.links = links, .policy = Policy::kRoundRobin});
    cluster.both_ways(1, 2, links - 1, [](Path& path) { path.delay = 101ms; });
    REQUIRE(cluster.connect());
    cluster.run_for(500ms);
    Talk talk(cluster);
    for (int i = 0; i < 400; ++i) {
      talk.send_burst(100, 25);
      cluster.run_for(1ms);
    }
    cluster.run_for(2s);
    talk.collect();
    CHECK(talk.missing() == 0);
    CHECK(talk.twice() == 0);
    CHECK(cluster.node(1).fabric.drops().total() == 0);
  }
}

// Each of eight long links has room for more than that by itself.
TEST_CASE("fabric sequence: no more is under way to a host than numbers can tell apart") {
  Cluster cluster({.links = 8,
                   .timers = {.interval = 500ms, .timeout = 5s, .precision = 2048},
                   .policy = Policy::kRoundRobin});
  for (unsigned link = 0; link < 8; ++link)
    cluster.both_ways(1, 2, link, [](Path& path) { path.delay = 200ms; });
  REQUIRE(cluster.connect());
  cluster.run_for(3s);
  std::size_t left = 0;
  cluster.tap = [&](const Packet& packet) {
    left += packet.from == 2 && packet.type() == 0 ? 1 : 0;
    return true;
  };
  Talk talk(cluster);
  std::size_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    talk.send_burst(150, 0);
    cluster.run_for(1ms);
    most = std::max(most, left - cluster.node(1).received.size());
  }
  CHECK(most > 16000);
  CHECK(most <= 16384 + 64);
  cluster.run_for(5s);
  talk.collect();
  CHECK(talk.missing() == 0);
}

// Node 3 had one message, and nothing since by which to tell that it has it.
TEST_CASE("fabric sequence: a host that gets little waits for nobody") {
  for (const bool announcements_lost : {false, true}) {
    CAPTURE(announcements_lost);
    Cluster cluster({.nodes = 3, .timers = {.interval = 5s, .timeout = 20s, .precision = 2048}});
    REQUIRE(cluster.connect());
    const std::array to_2{host_id(2)};
    const std::array to_3{host_id(3)};
    cluster.tap = [&](const Packet& packet) {
      const bool forced = packet.type() == 0x81 && packet.bytes[25] == std::byte{0};
      return !forced || packet.to != 3 || !announcements_lost;
    };
    REQUIRE(cluster.send(1, kPayload, Destinations::to(to_3)).error == Error::kNone);
    for (int i = 0; i < 17000; ++i) {
      REQUIRE(cluster.send(1, kPayload, Destinations::to(to_2)).error == Error::kNone);
      if (i % 64 == 0)
        cluster.run_for(500us);
    }
    REQUIRE(cluster.send(1, kPayload, Destinations::to(to_3)).error == Error::kNone);
    // The announcements were marks as well: those that were lost are waited for.
    cluster.run_for(announcements_lost ? Duration(SendWindow::kPatience + 5ms) : Duration(5ms));
    CHECK(cluster.node(3).received.size() == 2);
    CHECK(cluster.node(2).received.size() == 17000);
  }
}

}  // namespace ringknet::test
