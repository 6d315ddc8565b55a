// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Where unpredictable bytes come from: salts, boot epochs, challenges. The pure code gets one
// handed in, so that tests and the simulator can decide what is drawn; it is not base/random.h,
// whose numbers anybody can guess.
#pragma once

#include "engine/base/bytes.h"

namespace ringknet {

class RandomSource {
 public:
  virtual ~RandomSource() = default;

  // False when no randomness is to be had: nothing may be sealed then.
  [[nodiscard]] virtual bool fill(MutableBytes out) = 0;
};

// Stands in where there is no randomness: nothing can be sealed then.
class NoRandomness final : public RandomSource {
 public:
  bool fill(MutableBytes /*out*/) override { return false; }
};

}  // namespace ringknet
