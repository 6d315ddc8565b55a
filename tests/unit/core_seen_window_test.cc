// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The duplicate window: new ahead, judged one by one behind, correct across the wrap and at its
// very ends, and equal to the naive set at random.
#include "engine/core/seen_window.h"

#include <doctest/doctest.h>

#include "tests/model/duplicate_model.h"
#include "tests/unit/bytes_kit.h"

namespace ringknet::test {
namespace {

void take(SeenWindow& window, MessageSeq seq) {
  window.advance(seq);
  window.mark(seq);
}

}  // namespace

TEST_CASE("seen window: nothing is seen before the first sequence") {
  SeenWindow window;
  CHECK_FALSE(window.started());
  for (unsigned value = 1; value <= 65535; value += 97)
    REQUIRE_FALSE(window.seen(seq(value)));
}

TEST_CASE("seen window: a sequence is seen after it was marked and not before") {
  SeenWindow window;
  take(window, seq(5000));
  CHECK(window.started());
  CHECK(window.head() == seq(5000));
  CHECK(window.seen(seq(5000)));
  CHECK_FALSE(window.seen(seq(4999)));
  CHECK_FALSE(window.seen(seq(5001)));
}

// The figures at which the classic window of 4096 fails: here nothing special happens.
TEST_CASE("seen window: late messages are accepted once") {
  SeenWindow window;
  take(window, seq(5000));
  for (const unsigned late : {4999u, 905u, 904u, 903u, 1u}) {
    CHECK_FALSE(window.seen(seq(late)));
    take(window, seq(late));
    CHECK(window.seen(seq(late)));
    CHECK(window.seen(seq(5000)));
    CHECK(window.head() == seq(5000));
  }
}

TEST_CASE("seen window: marking what is ahead or before the start does nothing") {
  SeenWindow window;
  window.mark(seq(7));
  CHECK_FALSE(window.started());
  take(window, seq(100));
  window.mark(seq(101));
  CHECK(window.head() == seq(100));
  window.advance(seq(101));
  CHECK_FALSE(window.seen(seq(101)));
}

TEST_CASE("seen window: advancing marks nothing") {
  SeenWindow window;
  take(window, seq(10));
  window.advance(seq(8191));
  CHECK(window.head() == seq(8191));
  CHECK_FALSE(window.seen(seq(8191)));
  CHECK(window.seen(seq(10)));
}

TEST_CASE("seen window: going back is no advance") {
  SeenWindow window;
  take(window, seq(100));
  window.advance(seq(50));
  CHECK(window.head() == seq(100));
}

TEST_CASE("seen window: the oldest sequence it knows is 32767 behind") {
  SeenWindow window;
  take(window, seq(1000));
  window.advance(seq(1000 + 32767));
  CHECK(window.seen(seq(1000)));
  window.advance(seq(1000 + 32768));
  // From here on the number means a message ahead.
  CHECK_FALSE(window.seen(seq(1000)));
}

TEST_CASE("seen window: half the sequence space away is ahead") {
  SeenWindow window;
  take(window, seq(1000));
  CHECK_FALSE(window.seen(seq(33768)));
  take(window, seq(33768));
  CHECK(window.head() == seq(33768));
  CHECK(window.seen(seq(33768)));
  CHECK_FALSE(window.seen(seq(1000)));
}

TEST_CASE("seen window: the sequence wraps and leaves out 0") {
  SeenWindow window;
  MessageSeq current = seq(65000);
  for (int i = 0; i < 200000; ++i) {
    REQUIRE_FALSE(window.seen(current));
    take(window, current);
    REQUIRE(window.seen(current));
    current = current.next();
  }
}

TEST_CASE("seen window: reset forgets everything and adopts what comes") {
  SeenWindow window;
  take(window, seq(40000));
  window.reset();
  CHECK_FALSE(window.started());
  CHECK_FALSE(window.seen(seq(40000)));
  take(window, seq(1));
  CHECK(window.head() == seq(1));
  CHECK_FALSE(window.seen(seq(40000)));
}

namespace {

// One random walk of a sender whose packets come late, twice, in jumps.
void walk(std::uint64_t seed, unsigned jump_max) {
  CAPTURE(seed);
  Random random(seed);
  SeenWindow window;
  model::DuplicateModel model;
  std::uint16_t position = static_cast<std::uint16_t>(random.below(65536));
  for (int step = 0; step < 300; ++step) {
    CAPTURE(step);
    switch (random.below(8)) {
      case 0:
        position = static_cast<std::uint16_t>(position + random.below(jump_max));
        break;
      case 1:
        if (random.chance(0.05)) {
          window.reset();
          model.reset();
        }
        break;
      default:
        position = static_cast<std::uint16_t>(position + random.below(3));
        break;
    }
    const auto late = static_cast<std::uint16_t>(
        position - (random.chance(0.5) ? random.below(4) : random.below(jump_max)));
    const MessageSeq current = seq(random.chance(0.7) ? position : late);
    REQUIRE(window.seen(current) == model.seen(current));
    if (random.chance(0.8)) {
      take(window, current);
      model.advance(current);
      model.mark(current);
    } else {
      window.advance(current);
      model.advance(current);
    }
    REQUIRE(window.head().value == static_cast<std::uint16_t>(model.head()));
    for (int probe = 0; probe < 4; ++probe) {
      const MessageSeq any = seq(static_cast<unsigned>(window.head().value + random.below(200) +
                                                       (random.chance(0.3) ? 32668u : 65436u)));
      CAPTURE(any.value);
      CAPTURE(window.head().value);
      REQUIRE(window.seen(any) == model.seen(any));
    }
  }
}

}  // namespace

TEST_CASE("seen window: equals the naive set on random walks") {
  for (std::uint64_t seed = 1; seed <= 40; ++seed)
    walk(seed, 300);
}

TEST_CASE("seen window: equals the naive set on walks with wide jumps") {
  for (std::uint64_t seed = 101; seed <= 140; ++seed)
    walk(seed, 40000);
}

}  // namespace ringknet::test
