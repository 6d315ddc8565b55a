// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Waiting for a word of memory that another thread changes, and how this library's threads wait for
// each other. The system calls rather than std::atomic's wait and notify: there is a limit on the
// time, the wake-up uses the bare address and does not look at it (whoever waited may be gone with
// the word by then), and neither is a cancellation point.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <ctime>

namespace ringknet {

using Word = std::atomic<std::uint32_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == sizeof(std::uint32_t));

// Returns when woken, when the word is not `expected`, after `limit`, or for no reason at all.
inline void futex_wait(const Word& word, std::uint32_t expected, const timespec* limit = nullptr) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, limit, nullptr, 0);
}
inline void futex_wake(const void* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

// Answers the calls to the engines whose thread this is at the moment. False if it is none's.
bool serve_own_calls();

// Waits until `done(value of the word)`; whoever changes the word wakes. A thread may wait for
// another one in a callback, and is an engine's thread there: in the callback of one handle another
// one is asked or freed. Somebody in a callback of that one may be asking this engine, so it goes
// on answering while it waits.
template <typename Done>
void wait_and_serve(const Word& word, Done&& done) {
  constexpr timespec kPatience{.tv_sec = 0, .tv_nsec = 1'000'000};
  for (std::uint32_t value = word.load(); !done(value); value = word.load())
    futex_wait(word, value, serve_own_calls() ? &kPatience : nullptr);
}

}  // namespace ringknet
