// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How long to leave alone what did not work: a pause that doubles each time it failed again soon
// after it was tried, and starts over once it had worked for as long as the last pause took.
#pragma once

#include <algorithm>

#include "engine/base/time.h"

namespace ringknet {

class Backoff {
 public:
  Backoff(Duration least, Duration most) : least_(least), most_(most) {}

  // It failed. True when this is a new trouble: the first one, or after it had worked for long.
  bool begin(Instant now) {
    const bool anew = pause_ == Duration::zero() || now - until_ >= pause_;
    pause_ = anew ? least_ : std::min(2 * pause_, most_);
    until_ = now + pause_;
    return anew;
  }
  bool waiting(Instant now) const { return now < until_; }
  Instant until() const { return until_; }

 private:
  Duration least_;
  Duration most_;
  Duration pause_{};
  Instant until_{};
};

// Segmentation by the kernel that turned out not to work: what was in its way is most likely a
// firewall's rule, which stays.
inline constexpr Duration kOffloadPauseMin = std::chrono::minutes(1);
inline constexpr Duration kOffloadPauseMax = std::chrono::hours(1);

}  // namespace ringknet
