// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How: a submission that is to fail becomes one of "no operation" before the kernel sees it, and
// the result in the completion queue, which is memory that we share with the kernel, is changed
// before the engine sees it. An operation that is going on is cancelled first, so that kernel and
// engine agree on that it has ended.
#include "tests/faults/injector.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <utility>

namespace ringknet::test {
namespace {

std::atomic<Injector*> for_next_engine{nullptr};
thread_local Injector* injector_of_thread = nullptr;

}  // namespace

void Injector::use_for_next_engine() {
  for_next_engine = this;
}

Injector* Injector::of_this_thread() {
  return injector_of_thread;
}

void Injector::take_thread() {
  if (Injector* injector = for_next_engine.exchange(nullptr); injector != nullptr)
    injector_of_thread = injector;
}

void Injector::shrink_ring(unsigned submissions, unsigned completions) {
  submissions_ = submissions;
  completions_ = completions;
}

void Injector::size_ring(unsigned& entries, io_uring_params& parameters) const {
  if (submissions_ == 0)
    return;
  entries = submissions_;
  parameters.cq_entries = completions_;
}

void Injector::fail(OpKind kind, int error, unsigned count) {
  kinds_[index(kind)].error = error;
  kinds_[index(kind)].fail_left = count;
}

void Injector::shorten(OpKind kind, int result, unsigned count) {
  kinds_[index(kind)].short_result = result;
  kinds_[index(kind)].short_left = count;
}

void Injector::fail(Call call, int error, unsigned count) {
  state(call).error = error;
  state(call).fail_left = count;
}

void Injector::then_fail(Call call, int error) {
  state(call).last_error = error;
  ++state(call).fail_left;
}

void Injector::shorten(Call call, std::size_t size, unsigned count) {
  state(call).short_size = size;
  state(call).short_left = count;
}

unsigned Injector::end(OpKind kind, int error) {
  unsigned ended = 0;
  for (const std::uint64_t user_data : under_way_) {
    if (Op::unpack(user_data).kind != kind)
      continue;
    io_uring_sync_cancel_reg request{};
    request.addr = user_data;
    request.timeout.tv_sec = -1;
    request.timeout.tv_nsec = -1;
    if (io_uring_register_sync_cancel(ring_, &request) == 0) {
      ends_with_[user_data] = error;
      ++ended;
    }
  }
  return ended;
}

void Injector::stop() {
  for (KindState& kind : kinds_)
    kind.fail_left = kind.short_left = 0;
  for (CallState& call : calls_) {
    call.fail_left = call.short_left = 0;
    call.last_error = kNoError;
  }
  run_error_ = kNoError;
}

unsigned Injector::left() const {
  unsigned sum = 0;
  for (const KindState& kind : kinds_)
    sum += kind.fail_left + kind.short_left;
  for (const CallState& call : calls_)
    sum += call.fail_left + call.short_left;
  return sum;
}

int Injector::on_call(Call call) {
  CallState& called = state(call);
  ++called.made;
  if (called.fail_left == 0)
    return kNoError;
  --called.fail_left;
  ++injected_;
  if (called.fail_left > 0 || called.last_error == kNoError)
    return called.error;
  return std::exchange(called.last_error, kNoError);
}

std::size_t Injector::on_size(Call call, std::size_t size) {
  CallState& called = state(call);
  if (called.short_left == 0 || size <= called.short_size)
    return size;
  --called.short_left;
  ++injected_;
  return called.short_size;
}

int Injector::on_datagram(const msghdr& message) {
  if (run_error_ == kNoError || message.msg_controllen == 0)
    return on_call(Call::kSendDatagram);
  ++injected_;
  return run_error_;
}

void Injector::before_enter(io_uring& ring) {
  ring_ = &ring;
  for (unsigned at = ring.sq.sqe_head; at != ring.sq.sqe_tail; ++at)
    on_submission(ring.sq.sqes[at & ring.sq.ring_mask]);
}

bool Injector::spared(const io_uring_sqe& entry) const {
  if (entry.opcode != IORING_OP_SENDMSG)
    return false;
  const auto* message = reinterpret_cast<const msghdr*>(entry.addr);
  return message->msg_iov[0].iov_len < spared_below_;
}

void Injector::on_submission(io_uring_sqe& entry) {
  const std::uint64_t user_data = entry.user_data;
  const std::size_t kind = index(Op::unpack(user_data).kind);
  KindState& of_kind = kinds_[std::min(kind, kOpKinds - 1)];
  ++of_kind.submitted;
  under_way_.push_back(user_data);
  if (run_error_ != kNoError && entry.opcode == IORING_OP_SENDMSG &&
      reinterpret_cast<const msghdr*>(entry.addr)->msg_controllen != 0) {
    io_uring_prep_nop(&entry);
    entry.user_data = user_data;
    ends_with_[user_data] = run_error_;
    return;
  }
  if (of_kind.fail_left == 0 || spared(entry))
    return;
  --of_kind.fail_left;
  io_uring_prep_nop(&entry);
  entry.user_data = user_data;
  ends_with_[user_data] = of_kind.error;
}

void Injector::after_enter(io_uring& ring) {
  if ((IO_URING_READ_ONCE(*ring.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0)
    ++overflows_;
  unsigned head = 0;
  io_uring_cqe* entry = nullptr;
  io_uring_for_each_cqe(&ring, head, entry) on_completion(*entry);
}

// Every completion is harvested before the ring is entered again, so each is seen here once.
void Injector::on_completion(io_uring_cqe& entry) {
  KindState& of_kind = kinds_[std::min(index(Op::unpack(entry.user_data).kind), kOpKinds - 1)];
  if ((entry.flags & IORING_CQE_F_MORE) == 0) {
    std::erase(under_way_, entry.user_data);
    const auto planned = ends_with_.find(entry.user_data);
    if (planned != ends_with_.end()) {
      if (entry.res == 0 || entry.res == -ECANCELED) {
        entry.res = -planned->second;
        ++injected_;
      }
      ends_with_.erase(planned);
    }
  }
  if (entry.res == -ENOBUFS)
    ++of_kind.starved;
  if (of_kind.short_left > 0 && entry.res > of_kind.short_result) {
    --of_kind.short_left;
    ++injected_;
    entry.res = of_kind.short_result;
  }
}

}  // namespace ringknet::test

// --- where the linker leads the library's calls

using ringknet::test::Call;
using ringknet::test::Injector;

namespace {

template <typename Enter>
int enter(io_uring* ring, Enter&& really) {
  Injector* injector = Injector::of_this_thread();
  if (injector == nullptr)
    return really();
  if (const int error = injector->on_call(Call::kEnter); error != 0)
    return -error;
  injector->before_enter(*ring);
  const int result = really();
  injector->after_enter(*ring);
  return result;
}

// Answers true, with errno set, if the call is to fail.
bool fails(Call call) {
  Injector* injector = Injector::of_this_thread();
  const int error = injector != nullptr ? injector->on_call(call) : 0;
  if (error != 0)
    errno = error;
  return error != 0;
}

std::size_t allowed(Call call, std::size_t size) {
  Injector* injector = Injector::of_this_thread();
  return injector != nullptr ? injector->on_size(call, size) : size;
}

}  // namespace

// The linker demands these names.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" {

int __real_io_uring_queue_init_params(unsigned entries, io_uring* ring,
                                      io_uring_params* parameters);
int __wrap_io_uring_queue_init_params(unsigned entries, io_uring* ring,
                                      io_uring_params* parameters) {
  Injector::take_thread();
  if (fails(Call::kQueueInit))
    return -errno;
  if (const Injector* injector = Injector::of_this_thread(); injector != nullptr)
    injector->size_ring(entries, *parameters);
  return __real_io_uring_queue_init_params(entries, ring, parameters);
}

int __real_io_uring_register_buf_ring(io_uring* ring, io_uring_buf_reg* request, unsigned flags);
int __wrap_io_uring_register_buf_ring(io_uring* ring, io_uring_buf_reg* request, unsigned flags) {
  return fails(Call::kRegister) ? -errno : __real_io_uring_register_buf_ring(ring, request, flags);
}

int __real_io_uring_submit_and_wait(io_uring* ring, unsigned count);
int __wrap_io_uring_submit_and_wait(io_uring* ring, unsigned count) {
  return enter(ring, [&] { return __real_io_uring_submit_and_wait(ring, count); });
}

int __real_io_uring_submit_and_wait_timeout(io_uring* ring, io_uring_cqe** first, unsigned count,
                                            __kernel_timespec* timeout, sigset_t* mask);
int __wrap_io_uring_submit_and_wait_timeout(io_uring* ring, io_uring_cqe** first, unsigned count,
                                            __kernel_timespec* timeout, sigset_t* mask) {
  return enter(ring, [&] {
    return __real_io_uring_submit_and_wait_timeout(ring, first, count, timeout, mask);
  });
}

int __real_io_uring_submit_and_get_events(io_uring* ring);
int __wrap_io_uring_submit_and_get_events(io_uring* ring) {
  return enter(ring, [&] { return __real_io_uring_submit_and_get_events(ring); });
}

ssize_t __real_sendmsg(int descriptor, const msghdr* message, int flags);
ssize_t __wrap_sendmsg(int descriptor, const msghdr* message, int flags) {
  Injector* injector = Injector::of_this_thread();
  const int error = injector != nullptr ? injector->on_datagram(*message) : 0;
  if (error == 0)
    return __real_sendmsg(descriptor, message, flags);
  errno = error;
  return -1;
}

ssize_t __real_recvmsg(int descriptor, msghdr* message, int flags);
ssize_t __wrap_recvmsg(int descriptor, msghdr* message, int flags) {
  return fails(Call::kErrorQueue) ? -1 : __real_recvmsg(descriptor, message, flags);
}

ssize_t __real_send(int descriptor, const void* bytes, size_t size, int flags);
ssize_t __wrap_send(int descriptor, const void* bytes, size_t size, int flags) {
  if (fails(Call::kDatafdSend))
    return -1;
  return __real_send(descriptor, bytes, allowed(Call::kDatafdSend, size), flags);
}

// A row whose first message is to fail does nothing, as in the kernel. Of one to a datafd the errno
// that counts is told to whoever sends that message by itself.
int __real_sendmmsg(int descriptor, mmsghdr* messages, unsigned count, int flags);
int __wrap_sendmmsg(int descriptor, mmsghdr* messages, unsigned count, int flags) {
  const Injector* injector = Injector::of_this_thread();
  if (messages->msg_hdr.msg_name != nullptr)
    return fails(Call::kSendDatagram) ? -1 : __real_sendmmsg(descriptor, messages, count, flags);
  if (injector == nullptr || !injector->next_fails(Call::kDatafdSend))
    return __real_sendmmsg(descriptor, messages, count, flags);
  errno = EAGAIN;
  return -1;
}

ssize_t __real_write(int descriptor, const void* bytes, size_t size);
ssize_t __wrap_write(int descriptor, const void* bytes, size_t size) {
  if (fails(Call::kDatafdWrite))
    return -1;
  return __real_write(descriptor, bytes, allowed(Call::kDatafdWrite, size));
}

void* __real_mmap(void* address, size_t size, int protection, int flags, int descriptor, off_t at);
void* __wrap_mmap(void* address, size_t size, int protection, int flags, int descriptor, off_t at) {
  if (fails(Call::kMap))
    return MAP_FAILED;
  return __real_mmap(address, size, protection, flags, descriptor, at);
}

}  // extern "C"
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
