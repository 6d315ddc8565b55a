// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Set-up with its fallbacks and causes, the batch, cancellation.
#include "engine/ring/ring.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace ringknet {
namespace {

constexpr unsigned kSubmissions = 512;
constexpr unsigned kCompletions = 4096;

// The setup flags to try, best first. A kernel that does not know one answers EINVAL.
constexpr unsigned kFlagSets[] = {
    IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
        IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_COOP_TASKRUN |
        IORING_SETUP_TASKRUN_FLAG,
    IORING_SETUP_CQSIZE,
};

// Between two tries to cancel the same operation.
constexpr Duration kCancelPause = std::chrono::milliseconds(1);

// A new ring's memory may lie where another thread's ring was until a moment ago. The kernel orders
// the two, but liburing maps memory past the C library, where ThreadSanitizer does not see it: this
// tells it.
std::atomic<int> memory_order_of_rings = 0;

const char* cause_of(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return "io_uring is forbidden here: by the sysctl kernel.io_uring_disabled or by a seccomp "
             "filter";
    case ENOSYS:
      return "this kernel has no io_uring";
    case ENOMEM:
      return "no memory for the io_uring: RLIMIT_MEMLOCK or the memory of the control group is "
             "used up";
    case EMFILE:
    case ENFILE:
      return "no file descriptor left for the io_uring";
    case EINVAL:
      return "this kernel's io_uring is too old: Linux 6.1 is needed";
    default:
      return "the io_uring does not work";
  }
}

}  // namespace

Ring::Failure Ring::open() {
  int result = -EINVAL;
  for (const unsigned flags : kFlagSets) {
    io_uring_params parameters{};
    parameters.flags = flags;
    parameters.cq_entries = kCompletions;
    result = io_uring_queue_init_params(kSubmissions, &ring_, &parameters);
    if (result != -EINVAL)
      break;
  }
  if (result < 0)
    return failure(-result);
  if (const int error = move_off_standard(); error != 0)
    return failure(error);
  memory_order_of_rings.fetch_add(1, std::memory_order_acquire);
  open_ = true;
  // The wait with a timeout must not cost a submission of its own, and overflowing completions must
  // not be lost.
  constexpr unsigned kNeeded = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP;
  if ((ring_.features & kNeeded) != kNeeded)
    return give_up(EINVAL);
  io_uring_ring_dontfork(&ring_);
  batch_.reserve(kCompletions);

  // A seccomp filter may allow the set-up and forbid the rest: one operation there and back.
  queue({}, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
  do {
    result = io_uring_submit_and_wait(&ring_, 1);
  } while (result == -EINTR);
  if (result < 0)
    return give_up(-result);
  harvest();
  Completion probe;
  if (!take(probe) || probe.result != 0)
    return give_up(EIO);
  return {};
}

// The mappings hold on to the ring whatever its descriptor is called.
int Ring::move_off_standard() {
  if (ring_.ring_fd > STDERR_FILENO)
    return 0;
  const int moved = fcntl(ring_.ring_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (moved < 0) {
    const int error = errno;
    io_uring_queue_exit(&ring_);
    return error;
  }
  ::close(ring_.ring_fd);
  ring_.ring_fd = ring_.enter_ring_fd = moved;
  return 0;
}

Ring::Failure Ring::give_up(int error) {
  memory_order_of_rings.fetch_sub(1, std::memory_order_release);
  io_uring_queue_exit(&ring_);
  open_ = false;
  return failure(error);
}

Ring::Failure Ring::failure(int error) {
  return {error, cause_of(error)};
}

io_uring_sqe* Ring::next_entry() {
  io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
  while (sqe == nullptr) {
    // Full. The kernel refuses only while completions wait for room, so those are collected, too.
    poll();
    sqe = io_uring_get_sqe(&ring_);
  }
  return sqe;
}

bool Ring::quiet() const {
  return io_uring_sq_ready(&ring_) == 0 && io_uring_cq_ready(&ring_) == 0 &&
         (IO_URING_READ_ONCE(*ring_.sq.kflags) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) == 0;
}

void Ring::poll() {
  if (quiet())
    return;
  io_uring_submit_and_get_events(&ring_);
  harvest();
}

void Ring::wait(std::optional<Duration> timeout) {
  if (timeout && *timeout <= Duration::zero()) {
    poll();
    return;
  }
  io_uring_cqe* first = nullptr;
  if (timeout) {
    __kernel_timespec time{};
    time.tv_sec = timeout->count() / std::nano::den;
    time.tv_nsec = timeout->count() % std::nano::den;
    io_uring_submit_and_wait_timeout(&ring_, &first, 1, &time, nullptr);
  } else {
    io_uring_submit_and_wait(&ring_, 1);
  }
  // Interrupted, timed out or refused for a moment: whatever is there is there, and the caller
  // comes back.
  harvest();
}

void Ring::poll_devices(Duration time) {
  // As the kernel has it; liburing 2.3 is older.
  constexpr unsigned kRegisterNapi = 27;
  constexpr unsigned kUnregisterNapi = 28;
  struct {
    std::uint32_t microseconds;
    std::uint8_t prefer_busy_poll;
    std::uint8_t padding[3];
    std::uint64_t reserved;
  } argument{};
  argument.microseconds = static_cast<std::uint32_t>(time / std::chrono::microseconds(1));
  syscall(__NR_io_uring_register, ring_.ring_fd,
          time > Duration::zero() ? kRegisterNapi : kUnregisterNapi, &argument, 1);
}

void Ring::harvest() {
  if (batch_empty()) {
    batch_.clear();
    taken_ = 0;
  }
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* cqe = nullptr;
  io_uring_for_each_cqe(&ring_, head, cqe) {
    batch_.push_back({Op::unpack(cqe->user_data), cqe->res, cqe->flags});
    if ((cqe->flags & IORING_CQE_F_MORE) == 0)
      --outstanding_;
    ++count;
  }
  io_uring_cq_advance(&ring_, count);
}

bool Ring::take(Completion& out) {
  if (batch_empty())
    return false;
  out = batch_[taken_++];
  return true;
}

bool Ring::ended(Op op) const {
  for (std::size_t i = taken_; i < batch_.size(); ++i) {
    if (batch_[i].op == op && !batch_[i].more())
      return true;
  }
  return false;
}

bool Ring::refused(Op op) const {
  for (std::size_t i = taken_; i < batch_.size(); ++i) {
    if (batch_[i].op == op && batch_[i].result < 0)
      return true;
  }
  return false;
}

Op Ring::queue_cancel(std::uint64_t user_data, int flags) {
  const Op request{.kind = OpKind::kCancel, .generation = ++cancels_};
  queue(request, [&](io_uring_sqe* sqe) { io_uring_prep_cancel64(sqe, user_data, flags); });
  return request;
}

void Ring::cancel(Op op) {
  poll();  // so that everything prepared has started
  while (!ended(op)) {
    const Op request = queue_cancel(op.pack(), 0);
    poll();
    while (!ended(op) && !refused(request))
      wait(std::nullopt);
    // Refused: the operation ends by itself just now, or the kernel could not cancel it and has to
    // be asked again.
    if (!ended(op))
      wait(kCancelPause);
  }
}

void Ring::close() {
  while (open_ && outstanding_ > 0) {
    const Op request = queue_cancel(0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    for (bool again = false; outstanding_ > 0 && !again;) {
      wait(std::nullopt);
      again = refused(request);
      taken_ = batch_.size();
    }
  }
  if (!open_)
    return;
  memory_order_of_rings.fetch_sub(1, std::memory_order_release);
  io_uring_queue_exit(&ring_);
  open_ = false;
}

}  // namespace ringknet
