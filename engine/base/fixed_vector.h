// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A vector with its storage inside and a fixed capacity: for small lists on the packet path, which
// must not allocate. Pushing into a full one is refused, never undefined.
#pragma once

#include <array>
#include <cassert>
#include <cstddef>

namespace ringknet {

template <typename T, std::size_t kCapacity>
class FixedVector {
 public:
  bool push_back(const T& value) {
    if (size_ == kCapacity)
      return false;
    items_[size_++] = value;
    return true;
  }
  void clear() { size_ = 0; }

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T& operator[](std::size_t index) const {
    assert(index < size_);
    return items_[index];
  }
  const T* begin() const { return items_.data(); }
  const T* end() const { return items_.data() + size_; }
  T* begin() { return items_.data(); }
  T* end() { return items_.data() + size_; }

 private:
  std::array<T, kCapacity> items_{};
  std::size_t size_ = 0;
};

}  // namespace ringknet
