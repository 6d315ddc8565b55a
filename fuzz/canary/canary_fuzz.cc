// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A harness with a planted bug, which proves that bugs are found: replayed, the input in
// corpus/canary_crash has to end the program, and libFuzzer has to find such an input by itself. If
// this one ever passes, what the other harnesses say is worth nothing.
#include <cstddef>
#include <cstdint>

#include "fuzz/input.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringknet::fuzz::Input input(data, size);
  // One byte after the other, as a parser would look at them: each right one is new coverage.
  for (const char expected : {'r', 'i', 'n', 'g'}) {
    if (input.u8() != static_cast<std::uint8_t>(expected))
      return 0;
  }
  ringknet::fuzz::require(input.u8() < 0xf0, "the canary is dead, as it has to be");
  return 0;
}
