// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The envelopes that a simulated cluster may use, as plain values.
#pragma once

#include <cstdint>

namespace ringknet::sim {

enum class Suite : std::uint8_t { kClear, kClassic, kOtherClassic, kNative, kOtherNative };

constexpr bool is_native(Suite suite) {
  return suite == Suite::kNative || suite == Suite::kOtherNative;
}

// A suite with one of the private keys.
struct Key {
  Suite suite = Suite::kClear;
  std::uint8_t number = 0;

  bool clear() const { return suite == Suite::kClear; }
  friend bool operator==(const Key&, const Key&) = default;
};

}  // namespace ringknet::sim
