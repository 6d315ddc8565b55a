// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The digest of a run: every send, delivery and event is mixed in, in order, so that two runs that
// differ anywhere end with different numbers. And a checksum of many bytes, which is faster.
// Neither is for anything an attacker could forge.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/base/bytes.h"

namespace ringknet::sim {

class Digest {
 public:
  void add(std::uint64_t value) {
    state_ = (state_ ^ value) * 0x9e3779b97f4a7c15u;
    state_ ^= state_ >> 29;
  }
  void add(ConstBytes bytes) {
    add(bytes.size());
    for (std::size_t offset = 0; offset < bytes.size(); offset += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + offset, std::min<std::size_t>(8, bytes.size() - offset));
      add(word);
    }
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0x243f6a8885a308d3u;
};

// Any change within a word changes it for certain, any other but for one in 2^64. Lanes that do not
// wait for each other: most of a run's bytes pass here more than once.
inline std::uint64_t checksum(std::uint64_t key, ConstBytes bytes) {
  constexpr std::size_t kLanes = 8;
  constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15u;
  std::array<std::uint64_t, kLanes> lanes{};
  std::size_t offset = 0;
  for (; offset + 8 * kLanes <= bytes.size(); offset += 8 * kLanes) {
#pragma GCC unroll 8
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + offset + 8 * lane, 8);
      lanes[lane] = lanes[lane] * kOdd + word;
    }
  }
  Digest sum;
  sum.add(key);
  sum.add(bytes.subspan(offset));
  sum.add(bytes.size());
  for (const std::uint64_t lane : lanes)
    sum.add(lane);
  return sum.value();
}

}  // namespace ringknet::sim
