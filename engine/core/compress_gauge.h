// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whether compressing the next message is worth a try. Traffic that does not shrink (pictures, what
// is compressed or encrypted already) tends to go on like that: after some failures in a row,
// trying is paused for a growing number of messages, and one message is tried again after each
// pause.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ringknet {

class CompressGauge {
 public:
  bool worth_trying() {
    if (pause_left_ == 0) {
      return true;
    }
    --pause_left_;
    return false;
  }
  void shrank() { *this = {}; }
  void failed() {
    if (++failures_ < kFailuresMax) {
      return;
    }
    pause_ = std::min(pause_ == 0 ? kPauseMin : 2 * pause_, kPauseMax);
    pause_left_ = pause_;
  }

 private:
  static constexpr std::uint32_t kFailuresMax = 8;
  static constexpr std::uint32_t kPauseMin = 8;
  static constexpr std::uint32_t kPauseMax =
      256;  // so that at most one message in 257 is tried in vain

  std::uint32_t failures_ = 0;
  std::uint32_t pause_ = 0;
  std::uint32_t pause_left_ = 0;
};

}  // namespace ringknet
