// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The epochs of the native envelope. An epoch is a 64-bit number that names one subkey of one
// sender. A handle draws the first one at random and counts upwards from there, one for each sealer
// and each used-up packet counter, so that a packet counter never runs twice under the same subkey
// and receivers recognise the next epoch of the same boot. See README.md.
#pragma once

#include <array>
#include <cstdint>

#include "engine/crypto/random_source.h"

namespace ringknet {

enum class Epoch : std::uint64_t {};

// How far apart two epochs may be to count as one boot's. Two boots fall this close to each other
// with a probability of 2^-47.
inline constexpr std::uint64_t kEpochsPerBoot = 65536;

constexpr std::uint64_t epochs_ahead(Epoch of, Epoch than) {
  return static_cast<std::uint64_t>(of) - static_cast<std::uint64_t>(than);
}

constexpr bool is_successor(Epoch epoch, Epoch of) {
  return epoch != of && epochs_ahead(epoch, of) < kEpochsPerBoot;
}

constexpr bool same_boot(Epoch a, Epoch b) {
  return epochs_ahead(a, b) < kEpochsPerBoot || epochs_ahead(b, a) < kEpochsPerBoot;
}

// One per handle: all of its sealers draw from it.
class EpochSource {
 public:
  explicit EpochSource(RandomSource& random) : random_(random) {}

  // False when the boot's first epoch could not be drawn.
  [[nodiscard]] bool next(Epoch& out) {
    if (!drawn_) {
      std::array<std::byte, 8> bytes{};
      if (!random_.fill(bytes))
        return false;
      for (std::byte byte : bytes)
        next_ = next_ << 8 | std::to_integer<std::uint64_t>(byte);
      drawn_ = true;
    }
    out = Epoch{next_++};
    return true;
  }

  // Whether nobody drew an epoch since. A sealer that was put aside for another one does not go on
  // in its old epoch: receivers take an epoch that answers a challenge for the highest there is.
  bool latest(Epoch epoch) const {
    return drawn_ && static_cast<std::uint64_t>(epoch) + 1 == next_;
  }

 private:
  RandomSource& random_;
  std::uint64_t next_ = 0;
  bool drawn_ = false;
};

}  // namespace ringknet
