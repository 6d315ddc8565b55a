// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Calls from any thread to the engine thread. A call lives on its caller's stack and the caller
// blocks until it was answered, so nothing is allocated and nothing has to be kept alive. The
// engine is woken by an eventfd, written only when it sleeps or is about to: many callers, one
// write. A caller must not be cancelled (pthread_cancel) in between: the C API sees to that.
#pragma once

#include <atomic>
#include <cstdint>

#include "engine/ring/futex.h"

namespace ringknet {

class Call {
 public:
  Call() = default;
  virtual ~Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  // On the engine thread. True: answered. False: somebody keeps the call and answers it later by
  // complete().
  virtual bool run() = 0;

  // Lets the caller go; the call must not be touched afterwards.
  void complete();

  Call* next = nullptr;  // free for whoever holds the call at the moment

 private:
  friend class CallQueue;
  Word answered_{0};
};

// Calls held in order, by their own links.
class CallList {
 public:
  bool empty() const { return first_ == nullptr; }
  void push(Call& call) {
    call.next = nullptr;
    *(first_ == nullptr ? &first_ : &last_->next) = &call;
    last_ = &call;
  }
  Call& pop() {
    Call& call = *first_;
    first_ = call.next;
    return call;
  }

 private:
  Call* first_ = nullptr;
  Call* last_ = nullptr;
};

class CallQueue {
 public:
  CallQueue() = default;
  ~CallQueue();
  CallQueue(const CallQueue&) = delete;
  CallQueue& operator=(const CallQueue&) = delete;

  int open();  // errno
  int descriptor() const { return wake_; }

  // Any thread but the engine's: hands the call over. It lives until it was answered.
  void post(Call& call);
  // Wakes the engine for something else that was put where it looks before it sleeps.
  void wake();
  // Until it was answered.
  static void wait(const Call& call);

  // Engine thread. False when calls arrived meanwhile: do not sleep then.
  bool may_sleep();
  void awake() { asleep_.store(false, std::memory_order_relaxed); }
  bool empty() const { return head_.load(std::memory_order_relaxed) == nullptr; }
  // Everything queued, oldest first; linked by `next`.
  Call* take_all();

 private:
  std::atomic<Call*> head_{nullptr};  // newest first
  std::atomic<bool> asleep_{false};
  int wake_ = -1;
};

}  // namespace ringknet
