// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The hand-over and both ways of waiting.
#include "engine/ring/call_queue.h"

#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace ringknet {
namespace {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free &&
              sizeof(std::atomic<std::uint32_t>) == sizeof(std::uint32_t));

// The system calls rather than std::atomic's wait and notify: a caller may be gone with its call
// between the store that answers it and the wake-up. The wake-up by system call uses the bare
// address and does not look.
void futex_wait(const void* word, std::uint32_t expected, const timespec* limit = nullptr) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, limit, nullptr, 0);
}
void futex_wake(const void* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

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
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
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
// sleeps.
void CallQueue::wake() {
  if (asleep_.exchange(false, std::memory_order_seq_cst)) {
    const std::uint64_t one = 1;
    while (write(wake_, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
  }
}

void CallQueue::wait(const Call& call) {
  while (call.answered_.load(std::memory_order_acquire) == 0)
    futex_wait(&call.answered_, 0);
}

bool CallQueue::wait(const Call& call, Duration limit) {
  if (call.answered_.load(std::memory_order_acquire) == 0) {
    const timespec time{.tv_sec = 0, .tv_nsec = limit.count()};
    futex_wait(&call.answered_, 0, &time);
  }
  return call.answered_.load(std::memory_order_acquire) != 0;
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
