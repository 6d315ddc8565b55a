// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The unit tests' operator new counts, and fails on demand.
#pragma once

#include <cstddef>

namespace ringknet::test {

extern std::size_t allocations;

// While it lives, `count` allocations succeed and the following ones throw std::bad_alloc.
class AllocationsLeft {
 public:
  explicit AllocationsLeft(std::size_t count) { left = count; }
  ~AllocationsLeft() { left = kAny; }
  AllocationsLeft(const AllocationsLeft&) = delete;
  AllocationsLeft& operator=(const AllocationsLeft&) = delete;

  // Whether one more is allowed.
  static bool take() {
    if (left == 0)
      return false;
    left -= left == kAny ? 0 : 1;
    return true;
  }

 private:
  static constexpr std::size_t kAny = ~std::size_t{0};
  static inline std::size_t left = kAny;
};

}  // namespace ringknet::test
