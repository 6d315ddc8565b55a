// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The census of slices against a plain list of all links.
#include "engine/core/slice_census.h"

#include <doctest/doctest.h>

#include <array>

#include "engine/base/random.h"

namespace ringknet::test {

TEST_CASE("slice census: the least of none is nothing") {
  SliceCensus census;
  CHECK(census.least() == 0);
  census.move(0, 1446);
  census.move(1446, 0);
  CHECK(census.least() == 0);
}

TEST_CASE("slice census: the least stays while any link has it") {
  SliceCensus census;
  census.move(0, 482);
  census.move(0, 482);
  census.move(0, 1446);
  CHECK(census.least() == 482);
  census.move(482, 1446);
  CHECK(census.least() == 482);
  census.move(482, 0);
  CHECK(census.least() == 1446);
}

TEST_CASE("slice census: says what a walk over all links says") {
  constexpr std::uint64_t kSeed = 41;
  CAPTURE(kSeed);
  Random random(kSeed);
  SliceCensus census;
  std::array<std::uint32_t, 50> links{};
  for (int step = 0; step < 20000; ++step) {
    std::uint32_t& link = links[random.below(links.size())];
    const auto next = static_cast<std::uint32_t>(random.below(8) * 100);
    census.move(link, next);
    link = next;
    std::uint32_t least = 0;
    for (const std::uint32_t slice : links) {
      if (slice != 0 && (least == 0 || slice < least))
        least = slice;
    }
    REQUIRE(census.least() == least);
  }
}

}  // namespace ringknet::test
