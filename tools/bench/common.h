// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What every file of knet-bench shares: the clock, the one exception type, descriptors that close
// themselves, and the version of the control protocol. It is not a place for anything that has a
// better home.
#pragma once

#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringknet::bench {

using Clock = std::chrono::steady_clock;
using Instant = Clock::time_point;
using Duration = std::chrono::nanoseconds;

// Anything that ends a row or a run. The text is a sentence for the user, who sees it as it is.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The same with the text of errno behind it.
[[nodiscard]] Failure failure_from_errno(const std::string& what);

inline double seconds_of(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// A descriptor with one owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset(std::exchange(other.number_, -1));
    return *this;
  }
  ~Descriptor() { reset(-1); }

  [[nodiscard]] int get() const { return number_; }
  [[nodiscard]] bool open() const { return number_ >= 0; }
  void reset(int number) {
    if (number_ >= 0) {
      ::close(number_);
    }
    number_ = number;
  }

 private:
  int number_ = -1;
};

}  // namespace ringknet::bench
