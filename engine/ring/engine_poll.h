// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One descriptor for the loop of somebody else: readable when the ring has completions, or when the
// engine's next deadline is over.
#pragma once

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
  // When to be readable besides completions. From a moment that has passed on it stays readable
  // until another one is set.
  void set(Instant at);

 private:
  int epoll_ = -1;
  int timer_ = -1;
  Instant set_ = kNever;
};

}  // namespace ringknet
