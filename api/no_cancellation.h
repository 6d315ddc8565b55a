// SPDX-License-Identifier: LGPL-2.1-or-later
//
// While it lives, the calling thread cannot be cancelled (pthread_cancel). A call of this library
// is posted to another thread and lives on the caller's stack, holds pins and descriptors, and may
// be half done: a thread that ends in the midst of it would leave all that behind. So no call is a
// cancellation point, callbacks that run in the caller's thread included. A request that comes
// meanwhile stays pending and acts at the caller's next own cancellation point, or, where
// cancellation is asynchronous, at the end of this object's life: its destructor lets the thread's
// unwinding through. It has to be the first object of a call.
#pragma once

#include <pthread.h>

namespace ringknet {

class NoCancellation {
 public:
  NoCancellation() { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NoCancellation() noexcept(false) { pthread_setcancelstate(before_, nullptr); }
  NoCancellation(const NoCancellation&) = delete;
  NoCancellation& operator=(const NoCancellation&) = delete;

 private:
  int before_ = PTHREAD_CANCEL_ENABLE;
};

}  // namespace ringknet
