// SPDX-License-Identifier: LGPL-2.1-or-later
//
// "What was reset behaves as a fresh one": one object has a random past and is reset, another one
// is new, and both get the same inputs from then on. What they answer, as text, must be the same.
//
// A player holds one object and plays random inputs with it:
//   Player(Instant now)                   a new object, at this time
//   std::string play(Random& random)      one input; everything that can be seen of the object
//   void reset()                          what is under test
//   Instant now                           time as the player has it
// What an object keeps on purpose (the round trip of a path) a player keeps constant in both.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "engine/base/random.h"
#include "engine/base/time.h"

namespace ringknet::test {

template <typename Player>
void check_as_fresh(std::uint64_t seeds = 200, int inputs = 200) {
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    CAPTURE(seed);
    Random past(seed);
    Player used(Instant{std::chrono::seconds(1000)});
    for (std::uint64_t left = past.below(2 * static_cast<std::uint64_t>(inputs)); left > 0; --left)
      used.play(past);
    used.reset();
    Player fresh(used.now);
    Random first(seed + 1'000'000);
    Random second(seed + 1'000'000);
    for (int input = 0; input < inputs; ++input) {
      CAPTURE(input);
      const std::string expected = fresh.play(first);
      REQUIRE(used.play(second) == expected);
    }
  }
}

// "12 of 34 yes": numbers and flags with spaces between them.
template <typename... Values>
std::string seen_as(const Values&... values) {
  std::string text;
  ((text += std::to_string(values) + ' '), ...);
  return text;
}

}  // namespace ringknet::test
