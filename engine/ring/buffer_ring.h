// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A group of receive buffers that the kernel picks from by itself. The memory is mapped, not
// allocated: pages that no datagram ever reached cost nothing, and every buffer starts on a page of
// its own, so that small datagrams touch one page each.
//
// The kernel fills them in turn, so what all of them hold goes through the processor's cache before
// the first is filled again. So only as many are in use as hold about kCached bytes, by the longest
// that came lately; the others are kept back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/ring/ring.h"

struct io_uring_buf_ring;

namespace ringknet {

class BufferRing {
 public:
  static constexpr std::size_t kCached = std::size_t{256} * 1024;

  BufferRing() = default;
  ~BufferRing();
  BufferRing(const BufferRing&) = delete;
  BufferRing& operator=(const BufferRing&) = delete;

  // Makes `count` (a power of two) buffers of at least `size` bytes known to the kernel as `group`;
  // `few` of them are always in use. Answers an errno. The ring must be gone, or have nothing
  // outstanding, before the buffers go.
  int open(Ring& ring, std::uint16_t group, std::uint32_t count, std::uint32_t few,
           std::size_t size);

  std::uint16_t group() const { return group_; }
  MutableBytes bytes(std::uint16_t buffer) {
    return {memory_ + static_cast<std::size_t>(buffer) * stride_, stride_};
  }

  // A completion carried a buffer: it is the caller's until put back, with what it held.
  void took() { --with_kernel_; }
  void put(std::uint16_t buffer, std::size_t held);
  // Whether enough buffers are back for a receiver that found none to be started again. Not the
  // first one that returns: the receiver would end again one datagram later.
  bool recovered() const { return with_kernel_ >= (in_use() + 3) / 4; }
  std::size_t in_use() const { return count_ - kept_.size(); }

 private:
  void offer(std::uint16_t buffer);

  io_uring_buf_ring* entries_ = nullptr;
  std::byte* memory_ = nullptr;
  std::size_t entries_size_ = 0;
  std::size_t stride_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t few_ = 0;
  std::uint32_t with_kernel_ = 0;
  std::size_t longest_ = 0;          // of what came lately: forgets an eighth each time
  std::vector<std::uint16_t> kept_;  // the last one is the most likely to be in the cache
  std::uint16_t group_ = 0;
};

}  // namespace ringknet
