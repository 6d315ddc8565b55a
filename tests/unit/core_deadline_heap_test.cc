// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The heap of deadlines against a plain search of the least.
#include "engine/core/deadline_heap.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>

#include "engine/base/random.h"

namespace ringknet::test {
namespace {

using namespace std::chrono_literals;

}  // namespace

TEST_CASE("deadline heap: empty it waits for ever") {
  DeadlineHeap heap;
  CHECK(heap.empty());
  CHECK(heap.next() == kNever);
}

TEST_CASE("deadline heap: the earliest comes first") {
  DeadlineHeap heap;
  std::array<DeadlineNode, 3> nodes;
  heap.set(nodes[0], Instant{30s});
  heap.set(nodes[1], Instant{10s});
  heap.set(nodes[2], Instant{20s});
  CHECK(heap.next() == Instant{10s});
  CHECK(&heap.front() == &nodes[1]);
  heap.set(nodes[1], Instant{40s});
  CHECK(&heap.front() == &nodes[2]);
  heap.set(nodes[0], Instant{5s});
  CHECK(&heap.front() == &nodes[0]);
  heap.remove(nodes[0]);
  CHECK(&heap.front() == &nodes[2]);
  heap.remove(nodes[2]);
  heap.remove(nodes[1]);
  CHECK(heap.empty());
}

TEST_CASE("deadline heap: removing what is not in it is fine") {
  DeadlineHeap heap;
  DeadlineNode node;
  heap.remove(node);
  heap.set(node, kNever);
  CHECK(heap.empty());
  heap.set(node, Instant{1s});
  heap.set(node, Instant{1s});
  heap.remove(node);
  heap.remove(node);
  CHECK(heap.empty());
}

TEST_CASE("deadline heap: equals the plain least at random") {
  constexpr std::uint64_t kSeed = 81;
  CAPTURE(kSeed);
  Random random(kSeed);
  DeadlineHeap heap;
  std::array<DeadlineNode, 100> nodes;
  for (int step = 0; step < 50000; ++step) {
    CAPTURE(step);
    DeadlineNode& node = nodes[random.below(nodes.size())];
    if (random.chance(0.2)) {
      heap.remove(node);
    } else {
      heap.set(node, Instant{Duration(static_cast<std::int64_t>(random.below(1000)))});
    }
    Instant least = kNever;
    for (const DeadlineNode& each : nodes)
      least = std::min(least, each.deadline());
    REQUIRE(heap.next() == least);
    REQUIRE(heap.empty() == (least == kNever));
    if (!heap.empty())
      REQUIRE(heap.front().deadline() == least);
  }
}

// A node that leaves is replaced by the last one, which may belong further up or further down than
// the hole. What comes out at the end shows where it went.
TEST_CASE("deadline heap: what is left comes out in order after any removals") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    DeadlineHeap heap;
    std::array<DeadlineNode, 64> nodes;
    for (DeadlineNode& node : nodes)
      heap.set(node, Instant{Duration(static_cast<std::int64_t>(random.below(1000)))});
    for (int removals = 0; removals < 30; ++removals)
      heap.remove(nodes[random.below(nodes.size())]);
    Instant last{};
    while (!heap.empty()) {
      REQUIRE(heap.next() >= last);
      last = heap.next();
      heap.remove(heap.front());
    }
    for (const DeadlineNode& node : nodes)
      REQUIRE(node.deadline() == kNever);
  }
}

}  // namespace ringknet::test
