// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The seeded generator: the same numbers for ever, and within bounds. Simulation seeds printed
// today must replay tomorrow.
#include "engine/base/random.h"

#include <doctest/doctest.h>

#include <array>

namespace ringknet::test {

TEST_CASE("random: the published SplitMix64 numbers for seed 0") {
  Random random(0);
  CHECK(random.next() == 0xe220a8397b1dcdafu);
  CHECK(random.next() == 0x6e789e6aa1b965f4u);
  CHECK(random.next() == 0x06c45d188009454fu);
}

TEST_CASE("random: below and between stay within their bounds and reach them") {
  Random random(3);
  std::array<int, 5> seen{};
  for (int i = 0; i < 5000; ++i)
    ++seen[random.below(5)];
  for (const int count : seen)
    CHECK(count > 800);
  bool low = false;
  bool high = false;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t value = random.between(10, 13);
    REQUIRE(value >= 10);
    REQUIRE(value <= 13);
    low |= value == 10;
    high |= value == 13;
  }
  CHECK(low);
  CHECK(high);
}

TEST_CASE("random: a chance of 0 never and of 1 always happens") {
  Random random(4);
  int quarter = 0;
  for (int i = 0; i < 10000; ++i) {
    REQUIRE_FALSE(random.chance(0));
    REQUIRE(random.chance(1));
    quarter += random.chance(0.25) ? 1 : 0;
  }
  CHECK(quarter > 2300);
  CHECK(quarter < 2700);
}

}  // namespace ringknet::test
