// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reading what the application wants sent: one multishot recv per socket, poll and read for other
// descriptors. Messages wait in the buffers they were read into until somebody takes them: those of
// a channel in the order in which they were read, those of several channels in turn. When nobody
// takes them, the buffers run out, nothing more is read, the kernel's socket fills and the
// application is told EAGAIN: that is the backpressure. Each channel has buffers of its own, so one
// with much to send does not hold up another.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>

#include "engine/base/bounded_queue.h"
#include "engine/base/bytes.h"
#include "engine/base/ids.h"
#include "engine/ring/buffer_ring.h"
#include "engine/ring/datafd.h"
#include "engine/ring/ring.h"

namespace ringknet {

class DatafdReader {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // Reading ended: error -1 with errno, or 0 and 0 at end of file. Told once per datafd.
    virtual void on_read_end(const Datafd& datafd, int error, int errno_value) = 0;
    virtual void on_oversized(Channel channel, std::size_t size) = 0;
  };

  struct Message {
    Channel channel{};
    ConstBytes bytes;
  };

  DatafdReader(Ring& ring, DatafdTable& datafds, Owner& owner)
      : ring_(ring), datafds_(datafds), owner_(owner) {}

  // Before the channel has its first datafd: buffers for it, which it keeps. Answers an errno.
  int open(Channel channel);
  void on_completion(const Completion& completion);
  // Starts what is not running. Once per turn.
  void rearm();

  bool empty() const { return waiting_ == 0; }
  // From now on the next message is one that `fits(size)`: the channels that come before it wait
  // until what they have fits. False if there is none.
  template <typename Fits>
  bool turn_to(Fits&& fits);
  // The next message, valid until popped.
  Message front();
  void pop();
  // Messages are numbered as they arrive: how many have arrived, and the first that waits; of none
  // the next to arrive.
  std::uint64_t arrived() const { return arrived_; }
  std::uint64_t oldest() const;

  // A flush: notes how much there is to read now; then, whether all of that has been read.
  void start_flush();
  bool flushed();

  // What is armed on a datafd, to wait for when it is cancelled.
  static Op op(const Datafd& datafd) { return {datafd.read.armed, datafd.slot, datafd.generation}; }

 private:
  struct Waiting {
    std::uint16_t buffer = 0;
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
    std::uint64_t number = 0;
  };
  static constexpr std::uint32_t kBuffers = 32;
  static constexpr std::uint32_t kFewBuffers = 4;  // of long messages
  struct Line {
    BufferRing buffers;
    BoundedQueue<Waiting> waiting{kBuffers};
  };

  std::size_t size(const Waiting& waiting) const {
    return std::min<std::size_t>(waiting.size, kMessageSizeMax);
  }
  static std::uint32_t bit(std::size_t channel) { return std::uint32_t{1} << channel; }
  // The first channel of a set, from `start` on and round.
  static std::size_t following(std::size_t start, std::uint32_t channels) {
    const int distance = std::countr_zero(std::rotr(channels, static_cast<int>(start)));
    return (start + static_cast<std::size_t>(distance)) % kChannelCount;
  }
  void arm(Datafd& datafd);
  void on_read(Datafd& datafd, const Completion& completion);
  void on_nothing(Datafd& datafd);
  void on_failure(Datafd& datafd, int error);
  void end(Datafd& datafd, int error, int errno_value);

  Ring& ring_;
  DatafdTable& datafds_;
  Owner& owner_;
  Line& line(const Datafd& datafd) { return *lines_[raw(datafd.channel)]; }

  // By channel; those that never had a datafd have none.
  std::array<std::unique_ptr<Line>, kChannelCount> lines_;
  std::size_t turn_ = 0;       // the channel of the next message, if there is one
  std::uint32_t waiting_ = 0;  // a bit for each channel that has messages
  static_assert(kChannelCount == 32);
  std::uint64_t arrived_ = 0;
};

template <typename Fits>
bool DatafdReader::turn_to(Fits&& fits) {
  for (std::uint32_t left = waiting_; left != 0;) {
    const std::size_t channel = following(turn_, left);
    if (fits(size(lines_[channel]->waiting.front()))) {
      turn_ = channel;
      return true;
    }
    left &= ~bit(channel);
  }
  return false;
}

}  // namespace ringknet
