// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How long to look for something to do before going to sleep. A thread that sleeps is late by what
// it takes to wake it, several microseconds, or tens where the processor has to be woken, too; one
// that looks keeps a processor busy. So looking has to pay: each time that it was in vain halves
// how long it takes the next time, down to nothing, and a sleep that was over so soon that looking
// would have been better brings all of it back.
#pragma once

#include "engine/base/time.h"

namespace ringknet {

// Tells the processor that this is a loop that waits for memory to change.
inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("yield");
#endif
}

class BusyPoll {
 public:
  // At most; zero (as in the beginning): never look.
  void set(Duration most) { budget_ = most_ = most; }
  bool on() const { return most_ > Duration::zero(); }

  // For how long to look now.
  Duration budget() const { return budget_; }

  void looked(bool found) {
    if (found)
      budget_ = most_;
    else
      budget_ = budget_ > most_ / 8 ? budget_ / 2 : Duration::zero();
  }
  void slept(Duration time) {
    if (time < most_)
      budget_ = most_;
  }

 private:
  Duration most_{};
  Duration budget_{};
};

}  // namespace ringknet
