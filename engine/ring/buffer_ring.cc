// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Mapping and registering the buffers, handing them back.
#include "engine/ring/buffer_ring.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace ringknet {
namespace {

// Not inherited by forked children: the kernel writes here, whatever a child believes to have
// copied.
void* map(std::size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return nullptr;
  madvise(memory, size, MADV_DONTFORK);
  return memory;
}

}  // namespace

BufferRing::~BufferRing() {
  if (memory_ != nullptr)
    munmap(memory_, stride_ * count_);
  if (entries_ != nullptr)
    munmap(entries_, entries_size_);
}

int BufferRing::open(Ring& ring, std::uint16_t group, std::uint32_t count, std::uint32_t few,
                     std::size_t size) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  group_ = group;
  count_ = count;
  few_ = few;
  stride_ = (size + page - 1) / page * page;
  entries_size_ = count * sizeof(io_uring_buf);
  entries_ = static_cast<io_uring_buf_ring*>(map(entries_size_));
  memory_ = static_cast<std::byte*>(map(stride_ * count));
  if (entries_ == nullptr || memory_ == nullptr)
    return ENOMEM;
  // Huge pages would make the first datagram in each buffer cost 2 MiB.
  madvise(memory_, stride_ * count, MADV_NOHUGEPAGE);

  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(entries_);
  registration.ring_entries = count;
  registration.bgid = group;
  const int result = io_uring_register_buf_ring(ring.native(), &registration, 0);
  if (result < 0)
    return -result;
  io_uring_buf_ring_init(entries_);
  kept_.reserve(count);
  for (std::uint32_t i = count; i > 0; --i) {
    const auto buffer = static_cast<std::uint16_t>(i - 1);
    i > few ? kept_.push_back(buffer) : offer(buffer);
  }
  return 0;
}

void BufferRing::put(std::uint16_t buffer, std::size_t held) {
  longest_ = std::max(held, longest_ - longest_ / 8);
  const std::size_t wanted =
      std::max<std::size_t>(few_, kCached / std::max<std::size_t>(longest_, kCached / count_));
  kept_.push_back(buffer);
  while (!kept_.empty() && in_use() < wanted) {
    offer(kept_.back());
    kept_.pop_back();
  }
}

void BufferRing::offer(std::uint16_t buffer) {
  io_uring_buf_ring_add(entries_, bytes(buffer).data(), static_cast<unsigned>(stride_), buffer,
                        io_uring_buf_ring_mask(count_), 0);
  io_uring_buf_ring_advance(entries_, 1);
  ++with_kernel_;
}

}  // namespace ringknet
