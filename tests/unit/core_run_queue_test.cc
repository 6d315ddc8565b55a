// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Data runs: what may join, who holds the memory, and that every link gets every byte in order.
#include "engine/core/run_queue.h"

#include <doctest/doctest.h>

#include <map>

#include "engine/core/transmit.h"
#include "tests/unit/bytes_kit.h"

namespace ringknet::test {
namespace {

LinkRef target(unsigned host, unsigned link = 0) {
  return {host_id(host), link_id(link), 1};
}

struct Fixture {
  TransmitArena arena{8};
  RunQueue queue{arena};

  // One packet, the way send() queues it.
  RunRef push(std::size_t size, const std::vector<LinkRef>& targets, Channel channel = {}) {
    const auto piece = arena.allocate(TransmitArena::Use::kData, size);
    REQUIRE(piece);
    const RunRef run{*piece, static_cast<std::uint32_t>(size), static_cast<std::uint32_t>(size)};
    queue.push(run, targets, channel, true);
    return run;
  }
  // A message of so many packets.
  void push_long(std::size_t packet, std::size_t count, Channel channel = {}) {
    const auto piece = arena.allocate(TransmitArena::Use::kData, packet * count);
    REQUIRE(piece);
    queue.push({*piece, static_cast<std::uint32_t>(packet), static_cast<std::uint32_t>(packet)},
               {{target(2)}}, channel, false);
  }
  std::optional<RunQueue::Item> pop() {
    RunQueue::Item item;
    if (!queue.pop(item))
      return std::nullopt;
    return item;
  }
  void end(const RunQueue::Item& item) { arena.release(item.run.piece.slab); }
};

const std::vector<LinkRef> kOne = {target(2)};
const std::vector<LinkRef> kTwo = {target(2), target(3)};

}  // namespace

TEST_CASE("run queue: empty it gives nothing") {
  Fixture fixture;
  CHECK(fixture.queue.empty());
  CHECK_FALSE(fixture.pop());
}

TEST_CASE("run queue: a run goes to each of its links") {
  Fixture fixture;
  fixture.push(100, kTwo);
  const auto first = fixture.pop();
  const auto second = fixture.pop();
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->target == target(2));
  CHECK(second->target == target(3));
  CHECK(first->run.piece.offset == second->run.piece.offset);
  CHECK_FALSE(first->rerouted);
  CHECK(fixture.queue.empty());
}

TEST_CASE("run queue: packets of one size to the same links join and a shorter one ends the run") {
  Fixture fixture;
  fixture.push(100, kTwo);
  fixture.push(100, kTwo);
  fixture.push(60, kTwo);
  fixture.push(60, kTwo);
  const auto joined = fixture.pop();
  REQUIRE(joined);
  CHECK(joined->run.piece.size == 260);
  CHECK(joined->run.segment_size == 100);
  fixture.pop();
  const auto rest = fixture.pop();
  REQUIRE(rest);
  CHECK(rest->run.piece.size == 60);
  CHECK(rest->run.segment_size == 60);
}

TEST_CASE("run queue: a larger packet does not join") {
  Fixture fixture;
  fixture.push(100, kOne);
  fixture.push(101, kOne);
  CHECK(fixture.pop()->run.piece.size == 100);
  CHECK(fixture.pop()->run.piece.size == 101);
}

TEST_CASE("run queue: several shorter packets do not end a run") {
  Fixture fixture;
  fixture.push(100, kOne);
  // A run of two packets of 60 bytes: only one shorter packet may end a run.
  const auto piece = fixture.arena.allocate(TransmitArena::Use::kData, 120);
  REQUIRE(piece);
  fixture.queue.push({*piece, 60, 60}, kOne, Channel{}, true);
  CHECK(fixture.pop()->run.piece.size == 100);
  CHECK(fixture.pop()->run.piece.size == 120);
}

TEST_CASE("run queue: other links do not join") {
  Fixture fixture;
  fixture.push(100, kOne);
  fixture.push(100, kTwo);
  fixture.push(100, {target(3), target(2)});
  fixture.push(100, {target(2, 1)});
  std::size_t count = 0;
  while (const auto item = fixture.pop()) {
    CHECK(item->run.piece.size == 100);
    ++count;
  }
  CHECK(count == 6);
}

TEST_CASE("run queue: a run that one of its links has takes no more for that link") {
  Fixture fixture;
  fixture.push(100, kTwo);
  CHECK(fixture.pop()->run.piece.size == 100);
  fixture.push(100, kTwo);
  CHECK(fixture.pop()->run.piece.size == 100);
  CHECK(fixture.pop()->run.piece.size == 100);
  CHECK(fixture.pop()->run.piece.size == 100);
  CHECK_FALSE(fixture.pop());
  // What is for the other link only goes with it.
  fixture.push(100, kTwo);
  CHECK(fixture.pop()->run.piece.size == 100);
  fixture.push(100, {target(3)});
  const auto rest = fixture.pop();
  REQUIRE(rest);
  CHECK(rest->target == target(3));
  CHECK(rest->run.piece.size == 200);
  CHECK_FALSE(fixture.pop());
}

TEST_CASE("run queue: a run has no more segments and bytes than the kernel takes") {
  Fixture small;
  for (std::size_t i = 0; i < kRunSegmentsMax + 1; ++i)
    small.push(20, kOne);
  CHECK(small.pop()->run.piece.size == 20 * kRunSegmentsMax);
  CHECK(small.pop()->run.piece.size == 20);
  Fixture large;
  for (int i = 0; i < 5; ++i)
    large.push(20000, kOne);
  CHECK(large.pop()->run.piece.size == 60000);
  CHECK(large.pop()->run.piece.size == 40000);
}

TEST_CASE("run queue: memory is held until the last link is done with it") {
  Fixture fixture;
  const std::size_t before = fixture.arena.free_slabs();
  // Fill a slab and leave it, so that only the run refers to it.
  const RunRef run = fixture.push(TransmitArena::kSlabSize, kTwo);
  fixture.push(100, kOne);
  CHECK(fixture.arena.free_slabs() == before - 2);
  const auto first = fixture.pop();
  const auto second = fixture.pop();
  CHECK(first->run.piece.slab == run.piece.slab);
  fixture.end(*first);
  CHECK(fixture.arena.free_slabs() == before - 2);
  fixture.end(*second);
  CHECK(fixture.arena.free_slabs() == before - 1);
}

TEST_CASE("run queue: a second try goes first and holds its memory") {
  Fixture fixture;
  fixture.push(TransmitArena::kSlabSize, kOne);
  fixture.push(100, kOne);
  const std::size_t before = fixture.arena.free_slabs();
  const auto failed = fixture.pop();
  CHECK(fixture.queue.push_retry(failed->run, target(2, 1)));
  fixture.end(*failed);
  CHECK(fixture.arena.free_slabs() == before);
  const auto again = fixture.pop();
  REQUIRE(again);
  CHECK(again->rerouted);
  CHECK(again->target == target(2, 1));
  CHECK(again->run.piece.offset == failed->run.piece.offset);
  fixture.end(*again);
  CHECK(fixture.arena.free_slabs() == before + 1);
}

TEST_CASE("run queue: second tries are bounded") {
  Fixture fixture;
  fixture.push(100, kOne);
  const auto failed = fixture.pop();
  std::size_t taken = 0;
  while (taken < 100000 && fixture.queue.push_retry(failed->run, target(2, 1)))
    ++taken;
  CHECK(taken > 0);
  CHECK(taken < 100000);
}

TEST_CASE("run queue: room for whole messages to every link or none") {
  Fixture fixture;
  fixture.queue.grow(10);
  const std::vector<LinkRef> ten(10, target(2));
  std::size_t messages = 0;
  while (fixture.queue.has_room(10)) {
    // Sizes that never join: each run is one on its own.
    for (std::size_t i = 0; i < RunQueue::kRunsPerMessage; ++i)
      fixture.push(20 + messages * RunQueue::kRunsPerMessage + i, ten);
    ++messages;
    REQUIRE(messages < 1000);
  }
  CHECK(messages >= 4);
  CHECK(fixture.queue.has_room(1));
  while (const auto item = fixture.pop())
    fixture.end(*item);
  CHECK(fixture.queue.has_room(10));
}

TEST_CASE("run queue: a short message overtakes long ones of other channels") {
  Fixture fixture;
  fixture.push_long(1000, 40, Channel{1});
  fixture.push_long(1000, 40, Channel{1});
  fixture.push(100, kOne, Channel{2});
  fixture.push(90, kOne, Channel{3});
  CHECK(fixture.pop()->run.piece.size == 190);
  CHECK(fixture.pop()->run.piece.size == 40000);
  fixture.push(80, kOne, Channel{2});
  CHECK(fixture.pop()->run.piece.size == 80);
  CHECK(fixture.pop()->run.piece.size == 40000);
  CHECK_FALSE(fixture.pop());
}

TEST_CASE("run queue: no message overtakes one of its own channel") {
  Fixture fixture;
  fixture.push_long(1000, 40, Channel{1});
  fixture.push(100, kOne, Channel{1});
  CHECK(fixture.pop()->run.piece.size == 40100);
  CHECK_FALSE(fixture.pop());
  // Nor a long one a short one, however many others have gone before it.
  for (int i = 0; i < 4; ++i)
    fixture.push(20000, kOne, Channel{2});
  fixture.push(30000, kOne, Channel{3});
  fixture.push_long(1000, 50, Channel{3});
  CHECK(fixture.pop()->run.piece.size + fixture.pop()->run.piece.size == 80000);
  CHECK(fixture.pop()->run.piece.size == 30000);
  CHECK(fixture.pop()->run.piece.size == 50000);
  CHECK_FALSE(fixture.pop());
}

TEST_CASE("run queue: a long message has its turn, however many short ones come") {
  Fixture fixture;
  fixture.push_long(1000, 40, Channel{1});
  std::size_t overtook = 0;
  for (int i = 0; i < 1000; ++i) {
    fixture.push(1000, kOne, Channel{2});
    const auto item = fixture.pop();
    REQUIRE(item);
    fixture.end(*item);
    if (item->run.piece.size == 40000)
      break;
    overtook += item->run.piece.size;
  }
  CHECK(overtook >= kRunBytesMax - 1000);
  CHECK(overtook <= kRunBytesMax + 1000);
}

TEST_CASE("run queue: every link gets the packets of a channel in order, and all of them") {
  constexpr std::uint64_t kSeed = 61;
  CAPTURE(kSeed);
  Random random(kSeed);
  Fixture fixture;
  // The packets' numbers by host and channel, which a number ends with.
  std::map<std::pair<unsigned, unsigned>, std::vector<unsigned>> sent;
  std::map<std::pair<unsigned, unsigned>, std::vector<unsigned>> received;
  unsigned number = 0;
  for (int step = 0; step < 20000; ++step) {
    CAPTURE(step);
    if (random.chance(0.5) && fixture.queue.has_room(4) &&
        fixture.arena.has_room(TransmitArena::kSlabSize)) {
      std::vector<LinkRef> targets;
      for (unsigned host = 1; host <= 4; ++host) {
        if (random.chance(0.7))
          targets.push_back(target(host));
      }
      if (targets.empty())
        continue;
      const std::size_t size = 8 + 4 * random.below(3);
      const auto piece = fixture.arena.allocate(TransmitArena::Use::kData, size);
      REQUIRE(piece);
      const MutableBytes bytes = fixture.arena.bytes(*piece);
      const unsigned channel = random.below(4);
      number = (number / 4 + 1) * 4 + channel;
      HeaderWriter<4> writer(bytes);
      writer.u16<0>(static_cast<std::uint16_t>(number >> 16));
      writer.u16<2>(static_cast<std::uint16_t>(number & 0xffff));
      for (const LinkRef& to : targets)
        sent[{raw(to.host), channel}].push_back(number);
      fixture.queue.push({*piece, static_cast<std::uint32_t>(size), 1}, targets,
                         static_cast<Channel>(channel), random.chance(0.6));
      continue;
    }
    const auto item = fixture.pop();
    if (!item)
      continue;
    const ConstBytes run = fixture.arena.bytes(item->run.piece);
    REQUIRE(run.size() <= kRunBytesMax);
    for (std::size_t at = 0; at < run.size(); at += item->run.segment_size) {
      const auto reader = HeaderReader<4>::of(run.subspan(at));
      REQUIRE(reader);
      const unsigned got = unsigned{reader->u16<0>()} << 16 | reader->u16<2>();
      received[{raw(item->target.host), got % 4}].push_back(got);
    }
    fixture.end(*item);
  }
  while (const auto item = fixture.pop()) {
    const ConstBytes run = fixture.arena.bytes(item->run.piece);
    for (std::size_t at = 0; at < run.size(); at += item->run.segment_size) {
      const auto reader = HeaderReader<4>::of(run.subspan(at));
      const unsigned got = unsigned{reader->u16<0>()} << 16 | reader->u16<2>();
      received[{raw(item->target.host), got % 4}].push_back(got);
    }
    fixture.end(*item);
  }
  CHECK(number > 5000);
  CHECK(received == sent);
}

}  // namespace ringknet::test
