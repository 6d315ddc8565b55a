// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One io_uring, owned: set up, filled, waited on, torn down. Completions are never handled where
// they are found: they are copied into a local batch first, so that handling one may submit, wait
// for another or cancel without recursion. What a completion means is its Op's business (op.h), not
// this file's.
//
// Everything, construction included, happens on one thread.
#pragma once

#include <liburing.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "engine/base/time.h"
#include "engine/ring/op.h"

namespace ringknet {

struct Completion {
  Op op;
  int result = 0;
  std::uint32_t flags = 0;

  bool more() const { return (flags & IORING_CQE_F_MORE) != 0; }
  bool has_buffer() const { return (flags & IORING_CQE_F_BUFFER) != 0; }
  std::uint16_t buffer() const {
    return static_cast<std::uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
  }
};

class Ring {
 public:
  struct Failure {
    int error = 0;  // errno, 0 when all is well
    const char* cause = "";
  };
  // What an errno of an io_uring call means to people.
  static Failure failure(int error);

  Ring() = default;
  ~Ring() { close(); }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Makes the ring and proves that it completes operations.
  Failure open();

  // Queues one operation; `prepare(sqe)` fills it in. A full submission queue is submitted first.
  template <typename Prepare>
  void queue(Op op, Prepare&& prepare) {
    io_uring_sqe* sqe = next_entry();
    std::forward<Prepare>(prepare)(sqe);
    io_uring_sqe_set_data64(sqe, op.pack());
    ++outstanding_;
  }

  // Submits what is queued and collects what is complete, without waiting.
  void poll();
  // The same, and waits until something completes or `timeout` is over (none: as long as it takes).
  void wait(std::optional<Duration> timeout);
  // Whether poll() would find nothing and submit nothing. Reads memory only, no system call.
  bool quiet() const;
  // Whether something is queued that was not submitted yet.
  bool prepared() const { return io_uring_sq_ready(&ring_) != 0; }
  // The next completion of the batch; false when it is used up.
  bool take(Completion& out);
  bool batch_empty() const { return taken_ == batch_.size(); }
  std::size_t batch_size() const { return batch_.size() - taken_; }

  // Cancels an operation that is going on and returns when it has ended: its last completion is
  // then in the batch, and it does not hold its descriptor any more. Not by descriptor: the
  // application may have closed its own already.
  void cancel(Op op);
  // Cancels everything, waits until nothing is outstanding and gives the ring up. Completions are
  // discarded.
  void close();

  // The kernel polls the devices behind the sockets, if they can be polled, for so long before it
  // waits; zero: it does not. Kernels before 6.9 cannot.
  void poll_devices(Duration time);

  io_uring* native() { return &ring_; }
  int descriptor() const { return ring_.ring_fd; }

 private:
  int move_off_standard();  // errno
  Failure give_up(int error);
  io_uring_sqe* next_entry();
  void harvest();
  bool ended(Op op) const;
  bool refused(Op op) const;
  Op queue_cancel(std::uint64_t user_data, int flags);

  io_uring ring_{};
  bool open_ = false;
  std::size_t outstanding_ = 0;  // operations whose last completion has not been harvested
  std::uint32_t cancels_ = 0;    // so far: each has a number, to know its completion by
  std::vector<Completion> batch_;
  std::size_t taken_ = 0;
};

}  // namespace ringknet
