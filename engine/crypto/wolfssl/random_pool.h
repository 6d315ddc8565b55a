// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Randomness in small pieces at the cost of a copy: a ChaCha20 stream that is made a few kilobytes
// at a time, replaces its own key with the first bytes of every batch (so what was handed out
// cannot be recomputed later), and takes fresh seed now and then. And the system's randomness,
// which seeds it. One pool per handle; it is not shared between threads, and a forked process must
// not use it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/crypto/random_source.h"
#include "engine/crypto/secret.h"

namespace ringknet {

class SystemRandom final : public RandomSource {
 public:
  bool fill(MutableBytes out) override;
};

class RandomPool final : public RandomSource {
 public:
  // `seed` outlives the pool.
  explicit RandomPool(RandomSource& seed) : seed_(seed) {}

  bool fill(MutableBytes out) override;

 private:
  static constexpr std::size_t kKeySize = 32;
  static constexpr std::size_t kBatchSize = 4096;
  static constexpr std::uint32_t kBatchesPerSeed = 1024;

  bool refill();
  bool reseed();

  RandomSource& seed_;
  SecretBytes<kBatchSize> batch_;  // the key of the next batch in front, then what is handed out
  std::size_t used_ = kBatchSize;
  std::uint32_t batches_ = kBatchesPerSeed;
  bool seeded_ = false;
};

}  // namespace ringknet
