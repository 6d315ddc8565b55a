// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A first-in-first-out queue with a capacity set once: a circular array. It allocates when made or
// enlarged, never when used; a full queue refuses.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <utility>
#include <vector>

namespace ringknet {

template <typename T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::size_t capacity)
      : capacity_(std::bit_ceil(capacity)), items_(capacity_) {}

  std::size_t capacity() const { return capacity_; }
  std::size_t size() const { return size_; }
  std::size_t room() const { return capacity() - size_; }
  bool empty() const { return size_ == 0; }

  bool push(T value) {
    if (size_ == capacity_)
      return false;
    items_[index(size_)] = std::move(value);
    ++size_;
    return true;
  }
  T& front() { return at(0); }
  const T& front() const { return items_[head_]; }
  T& back() { return at(size_ - 1); }
  T& at(std::size_t position) {
    assert(position < size_);
    return items_[index(position)];
  }
  void pop() {
    assert(size_ > 0);
    head_ = index(1);
    --size_;
  }
  void pop_back() {
    assert(size_ > 0);
    --size_;
  }
  void clear() {
    head_ = 0;
    size_ = 0;
  }

  // Configuration-time growth; the order of what is queued is kept.
  void grow(std::size_t capacity) {
    if (capacity <= capacity_)
      return;
    std::vector<T> larger(std::bit_ceil(capacity));
    for (std::size_t i = 0; i < size_; ++i)
      larger[i] = std::move(at(i));
    items_ = std::move(larger);
    capacity_ = items_.size();
    head_ = 0;
  }

 private:
  std::size_t index(std::size_t offset) const { return (head_ + offset) & (capacity_ - 1); }

  std::size_t capacity_;  // a power of two; what items_ would have to compute
  std::vector<T> items_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace ringknet
