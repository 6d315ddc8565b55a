// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One descriptor for the loop of somebody else: readable when the ring has completions, or when the
// engine's next deadline is over.
#pragma once

#include <optional>

#include "engine/base/time.h"

namespace ringknet {

class EnginePoll {
 public:
  EnginePoll() = default;
  ~EnginePoll();
  EnginePoll(const EnginePoll&) = delete;
  EnginePoll& operator=(const EnginePoll&) = delete;

  int create(int ring);  // errno
  bool open() const { return epoll_ >= 0; }
  int descriptor() const { return epoll_; }
  // From now on; none: only completions.
  void set(std::optional<Duration> wait);

 private:
  int epoll_ = -1;
  int timer_ = -1;
};

}  // namespace ringknet
