// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The round-trip time of a link: a plain mean of the first `precision` samples, from then on an
// exponential mean of that weight. Nanoseconds inside; the API shows microseconds.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/time.h"

namespace ringknet {

class Latency {
 public:
  void add(Duration sample, std::uint32_t precision) {
    samples_ = std::min(samples_ + 1, precision);
    mean_ += (sample - mean_) / static_cast<std::int64_t>(samples_);
  }
  Duration mean() const { return mean_; }
  std::uint32_t samples() const { return samples_; }

 private:
  Duration mean_{};
  std::uint32_t samples_ = 0;
};

}  // namespace ringknet
