// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A group of receive buffers that the kernel picks from by itself. The memory is mapped, not
// allocated: pages that no datagram ever reached cost nothing, and every buffer starts on a page of
// its own, so that small datagrams touch one page each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/bytes.h"
#include "engine/ring/ring.h"

struct io_uring_buf_ring;

namespace ringknet {

class BufferRing {
 public:
  BufferRing() = default;
  ~BufferRing();
  BufferRing(const BufferRing&) = delete;
  BufferRing& operator=(const BufferRing&) = delete;

  // Makes `count` (a power of two) buffers of at least `size` bytes known to the kernel as `group`.
  // Answers an errno. The ring must be gone, or have nothing outstanding, before the buffers go.
  int open(Ring& ring, std::uint16_t group, std::uint32_t count, std::size_t size);

  std::uint16_t group() const { return group_; }
  MutableBytes bytes(std::uint16_t buffer) {
    return {memory_ + static_cast<std::size_t>(buffer) * stride_, stride_};
  }

  // A completion carried a buffer: it is the caller's until put back.
  void took() { --with_kernel_; }
  void put(std::uint16_t buffer);
  // Whether enough buffers are back for a receiver that found none to be started again. Not the
  // first one that returns: the receiver would end again one datagram later.
  bool recovered() const { return with_kernel_ >= (count_ + 3) / 4; }

 private:
  io_uring_buf_ring* entries_ = nullptr;
  std::byte* memory_ = nullptr;
  std::size_t entries_size_ = 0;
  std::size_t stride_ = 0;
  std::uint32_t count_ = 0;
  std::uint32_t with_kernel_ = 0;
  std::uint16_t group_ = 0;
};

}  // namespace ringknet
