// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What every harness needs: reading its input as a list of operations, writing one (for the seed
// corpora), and a check that ends the program in every build. Integers are little-endian; a read
// beyond the end gives zeros, so that any bytes are a legal list.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "engine/base/bytes.h"

namespace ringknet::fuzz {

inline void require(bool condition, const char* what) {
  if (!condition) {
    std::fprintf(stderr, "invariant broken: %s\n", what);
    std::abort();
  }
}

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  std::uint8_t u8() {
    if (rest_.empty())
      return 0;
    const std::uint8_t value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }
  std::uint16_t u16() {
    const std::uint8_t low = u8();
    return static_cast<std::uint16_t>(low | u8() << 8);
  }
  // Up to `size` bytes, as many as there are.
  ConstBytes bytes(std::size_t size) {
    const auto part = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(part.size());
    return std::as_bytes(part);
  }

 private:
  std::span<const std::uint8_t> rest_;
};

class Output {
 public:
  Output& u8(unsigned value) {
    bytes_.push_back(static_cast<std::uint8_t>(value));
    return *this;
  }
  Output& u16(unsigned value) { return u8(value & 0xff).u8(value >> 8 & 0xff); }
  Output& bytes(ConstBytes more) {
    for (const std::byte byte : more)
      u8(std::to_integer<unsigned>(byte));
    return *this;
  }
  const std::vector<std::uint8_t>& all() const { return bytes_; }

 private:
  std::vector<std::uint8_t> bytes_;
};

}  // namespace ringknet::fuzz
