// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How often something may happen: `burst` times at once, and once per `gap` in the long run.
#pragma once

#include <algorithm>

#include "engine/base/time.h"

namespace ringknet {

class RateLimit {
 public:
  RateLimit(Duration gap, unsigned burst) : gap_(gap), ahead_max_(gap * (burst - 1)) {}

  // Whether it may happen now; then it counts.
  bool admit(Instant now) {
    const Instant from = std::max(used_until_, now);
    if (from - now > ahead_max_)
      return false;
    used_until_ = from + gap_;
    return true;
  }

 private:
  Duration gap_;
  Duration ahead_max_;
  Instant used_until_ = Instant::min();
};

}  // namespace ringknet
