// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Counts the calls that are using something, so that whoever takes it away can wait until the last
// one has left. The thing itself is published by an atomic beside the counter: a user enters first
// and looks afterwards whether it is still there, a remover takes it away first and waits
// afterwards. All operations are sequentially consistent, which is what makes this exchange safe.
// It protects calls, which end; it is no lock.
//
// Each thread knows which pins it holds: a signal handler or a callback that would have to wait for
// the very call it interrupts is told so.
#pragma once

#include "engine/ring/futex.h"

namespace ringknet {

class Pins {
 public:
  // Being inside, or not yet. Lives on the stack of the call.
  class Hold {
   public:
    Hold() : outer_(innermost) { innermost = this; }
    ~Hold() {
      leave();
      innermost = outer_;
    }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

    // Noted first: a signal handler that runs in between takes it for held, which is the safe side.
    void enter(Pins& pins) {
      pins_ = &pins;
      pins.enter();
    }
    void leave() {
      if (pins_ != nullptr)
        pins_->leave();
      pins_ = nullptr;
    }

   private:
    friend class Pins;
    Pins* pins_ = nullptr;
    Hold* outer_;
  };

  // Whether the calling thread is inside, in a call further out.
  bool held_by_this_thread() const {
    const Hold* hold = innermost;
    while (hold != nullptr && hold->pins_ != this)
      hold = hold->outer_;
    return hold != nullptr;
  }

  bool empty() const { return count_.load() == 0; }

  // Returns once nobody is inside. Later users see that there is nothing before they enter, so it
  // comes to an end. Must not be called from inside.
  void wait_until_empty() {
    waiting_.fetch_add(1);
    wait_and_serve(count_, [](std::uint32_t inside) { return inside == 0; });
    waiting_.fetch_sub(1);
  }

 private:
  void enter() { count_.fetch_add(1); }
  void leave() {
    if (count_.fetch_sub(1) == 1 && waiting_.load() != 0)
      futex_wake(&count_);
  }

  static inline constinit thread_local Hold* innermost = nullptr;

  Word count_ = 0;
  std::atomic<std::uint32_t> waiting_ = 0;
};

}  // namespace ringknet
