// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Makes what the kernel does for one engine go wrong on purpose. The library under test is the one
// that is shipped, not a build of its own: the test program is linked so that the library's calls
// of liburing and of a few system calls come here first (the linker's --wrap), and an engine whose
// thread has an injector gets what the injector says. It knows operations and errnos only; what has
// to hold afterwards is the tests' business.
//
// Everything but the constructor and use_for_next_engine() happens on the engine's thread, that is
// inside Engine::run(), or when that thread is gone.
#pragma once

#include <liburing.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "engine/ring/op.h"

namespace ringknet::test {

inline constexpr std::size_t kOpKinds = static_cast<std::size_t>(OpKind::kCancel) + 1;

// The system calls that the engine makes beside its ring.
enum class Call : std::uint8_t {
  kEnter,         // io_uring_enter, however liburing does it
  kQueueInit,     // making the ring
  kRegister,      // registering a group of buffers
  kSendDatagram,  // sendmsg, where a send has to be repeated
  kErrorQueue,    // recvmsg of a socket's error queue
  kDatafdSend,    // send to a datafd that is a socket, by itself or in a row
  kDatafdWrite,   // write to one that is not
  kMap,           // mmap
  kCount
};

class Injector {
 public:
  static constexpr int kNoError = 0;

  // The next engine that is made belongs to this injector until it ends.
  void use_for_next_engine();

  // How large the ring is made, for one that overflows.
  void shrink_ring(unsigned submissions, unsigned completions);

  // The next `count` operations of the kind complete with that errno and do nothing.
  void fail(OpKind kind, int error, unsigned count = 1);
  // Sends of fewer bytes are left alone: faults are to hit data, not PINGs.
  void spare_sends_below(std::size_t size) { spared_below_ = size; }
  // From now on every run that the kernel is to split is refused with that errno, and single
  // datagrams are not; kNoError ends it.
  void refuse_runs(int error) { run_error_ = error; }
  // Those of the kind that are going on end with that errno now. Answers how many those are.
  unsigned end(OpKind kind, int error);
  // The next `count` completions of the kind that have more than `result` bytes tell that many.
  void shorten(OpKind kind, int result, unsigned count = 1);
  // The next `count` calls fail, or transfer no more than `size` bytes.
  void fail(Call call, int error, unsigned count = 1);
  // And after those, one more in another way.
  void then_fail(Call call, int error);
  void shorten(Call call, std::size_t size, unsigned count = 1);
  // Ends all of this.
  void stop();

  // Counts of what has happened so far.
  std::uint64_t injected() const { return injected_; }
  std::uint64_t enters() const { return calls_[static_cast<std::size_t>(Call::kEnter)].made; }
  std::uint64_t calls(Call call) const { return calls_[static_cast<std::size_t>(call)].made; }
  std::uint64_t submitted(OpKind kind) const { return kinds_[index(kind)].submitted; }
  std::uint64_t starved(OpKind kind) const { return kinds_[index(kind)].starved; }
  std::uint64_t overflows() const { return overflows_; }
  // What is still to be injected.
  unsigned left() const;

  // --- for the calls that are led here

  static Injector* of_this_thread();
  static void take_thread();  // the engine's thread makes its ring
  void size_ring(unsigned& entries, io_uring_params& parameters) const;
  // An errno if the call is to fail.
  int on_call(Call call);
  std::size_t on_size(Call call, std::size_t size);
  int on_datagram(const msghdr& message);
  bool next_fails(Call call) const { return calls_[static_cast<std::size_t>(call)].fail_left > 0; }
  void before_enter(io_uring& ring);
  void after_enter(io_uring& ring);

 private:
  struct KindState {
    int error = kNoError;
    unsigned fail_left = 0;
    int short_result = 0;
    unsigned short_left = 0;
    std::uint64_t submitted = 0;
    std::uint64_t starved = 0;
  };
  struct CallState {
    int error = kNoError;
    int last_error = kNoError;
    unsigned fail_left = 0;
    std::size_t short_size = 0;
    unsigned short_left = 0;
    std::uint64_t made = 0;
  };

  static std::size_t index(OpKind kind) { return static_cast<std::size_t>(kind); }
  CallState& state(Call call) { return calls_[static_cast<std::size_t>(call)]; }
  bool spared(const io_uring_sqe& entry) const;
  void on_submission(io_uring_sqe& entry);
  void on_completion(io_uring_cqe& entry);

  io_uring* ring_ = nullptr;
  unsigned submissions_ = 0;
  unsigned completions_ = 0;
  std::array<KindState, kOpKinds> kinds_{};
  std::array<CallState, static_cast<std::size_t>(Call::kCount)> calls_{};
  std::map<std::uint64_t, int> ends_with_;  // user data of operations -> errno
  std::vector<std::uint64_t> under_way_;    // user data
  std::size_t spared_below_ = 0;
  int run_error_ = kNoError;
  std::uint64_t injected_ = 0;
  std::uint64_t overflows_ = 0;
};

}  // namespace ringknet::test
