// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The circular memory and its book-keeping.
#include "engine/ring/pending_messages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cassert>
#include <cstring>

namespace ringknet {
namespace {

using Size = std::uint64_t;

// In the place of a size: the rest of the memory is unused, go on at its beginning.
constexpr Size kWrap = ~Size{0};
// Memory that a bad moment needed is given back afterwards, unless it was little.
constexpr std::size_t kKeep = std::size_t{256} * 1024;

constexpr std::size_t footprint(std::size_t size) {
  return sizeof(Size) + (size + sizeof(Size) - 1) / sizeof(Size) * sizeof(Size);
}

Size size_at(const std::byte* memory, std::size_t offset) {
  Size size = 0;
  std::memcpy(&size, memory + offset, sizeof(size));
  return size;
}

void set_size(std::byte* memory, std::size_t offset, Size size) {
  std::memcpy(memory + offset, &size, sizeof(size));
}

}  // namespace

PendingMessages::~PendingMessages() {
  if (memory_ != nullptr)
    munmap(memory_, kBytesMax);
}

bool PendingMessages::push(ConstBytes message) {
  if (count_ == kMessagesMax)
    return false;
  if (memory_ == nullptr) {
    void* memory = mmap(nullptr, kBytesMax, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
      return false;
    memory_ = static_cast<std::byte*>(memory);
  }
  const std::size_t need = footprint(message.size());
  const bool wrapped = count_ > 0 && tail_ <= head_;
  if (wrapped) {
    if (head_ - tail_ < need)
      return false;
  } else if (kBytesMax - tail_ < need) {
    if (head_ < need)
      return false;
    if (tail_ < kBytesMax)
      set_size(memory_, tail_, kWrap);
    tail_ = 0;
  }
  set_size(memory_, tail_, message.size());
  std::memcpy(memory_ + tail_ + sizeof(Size), message.data(), message.size());
  tail_ += need;
  peak_ = std::max(peak_, tail_);
  ++count_;
  return true;
}

ConstBytes PendingMessages::front() const {
  assert(count_ > 0);
  return ConstBytes{memory_ + head_ + sizeof(Size), size_at(memory_, head_)}.subspan(consumed_);
}

void PendingMessages::consume(std::size_t bytes) {
  const std::size_t size = size_at(memory_, head_);
  consumed_ += bytes;
  assert(consumed_ <= size);
  if (consumed_ < size)
    return;
  consumed_ = 0;
  head_ += footprint(size);
  if (--count_ == 0) {
    head_ = 0;
    tail_ = 0;
    if (peak_ > kKeep)
      madvise(memory_, kBytesMax, MADV_DONTNEED);
    peak_ = 0;
  } else if (head_ == kBytesMax || size_at(memory_, head_) == kWrap) {
    head_ = 0;
  }
}

}  // namespace ringknet
