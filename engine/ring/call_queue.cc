// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The hand-over and both ways of waiting.
#include "engine/ring/call_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "engine/ring/descriptor.h"

namespace ringknet {
namespace {

// Set while this thread wakes an engine. A signal handler may run in the midst of it.
constinit thread_local bool waking = false;

}  // namespace

void Call::complete() {
  const void* word = &answered_;
  answered_.store(1, std::memory_order_release);
  futex_wake(word);
}

CallQueue::~CallQueue() {
  if (wake_ >= 0)
    close(wake_);
}

int CallQueue::open() {
  wake_ = off_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return wake_ < 0 ? errno : 0;
}

void CallQueue::post(Call& call) {
  Call* head = head_.load(std::memory_order_relaxed);
  do {
    call.next = head;
  } while (!head_.compare_exchange_weak(head, &call, std::memory_order_seq_cst,
                                        std::memory_order_relaxed));
  wake();
}

// Either the engine sees what there is when it looks once more before it sleeps, or we see that it
// sleeps. Of several callers the first one writes. In a signal handler that interrupts a wake-up
// the first one may be the interrupted one, which does not go on before the handler returns: so the
// handler writes, too.
void CallQueue::wake() {
  const bool interrupts = std::exchange(waking, true);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  if (asleep_.exchange(false, std::memory_order_seq_cst) || interrupts) {
    const std::uint64_t one = 1;
    while (write(wake_, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
  }
  std::atomic_signal_fence(std::memory_order_seq_cst);
  waking = interrupts;
}

void CallQueue::wait(const Call& call) {
  wait_and_serve(call.answered_, [](std::uint32_t answered) { return answered != 0; });
}

bool CallQueue::may_sleep() {
  asleep_.store(true, std::memory_order_seq_cst);
  if (head_.load(std::memory_order_seq_cst) == nullptr)
    return true;
  awake();
  return false;
}

Call* CallQueue::take_all() {
  Call* newest = head_.exchange(nullptr, std::memory_order_acquire);
  Call* oldest = nullptr;
  while (newest != nullptr) {
    Call* older = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = older;
  }
  return oldest;
}

}  // namespace ringknet
