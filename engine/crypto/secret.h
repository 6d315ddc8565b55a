// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Handling of secrets: wiping that the compiler may not remove, comparison whose duration says
// nothing, and a fixed-size array that wipes itself. Not a hardened allocator: pages may be
// swapped.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/base/bytes.h"

namespace ringknet {

inline void wipe(void* memory, std::size_t size) {
  std::memset(memory, 0, size);
  // The compiler has to assume that this looks at the memory.
  __asm__ __volatile__("" : : "r"(memory) : "memory");
}

inline void wipe(MutableBytes bytes) {
  wipe(bytes.data(), bytes.size());
}

// Takes the same time wherever the first difference is. Different sizes are never equal; sizes are
// no secret.
inline bool equal_in_constant_time(ConstBytes a, ConstBytes b) {
  if (a.size() != b.size())
    return false;
  std::uint64_t difference = 0;
  const auto compare = [&]<typename Word>(std::size_t at, Word) {
    Word left;
    Word right;
    std::memcpy(&left, a.data() + at, sizeof left);
    std::memcpy(&right, b.data() + at, sizeof right);
    difference |= static_cast<std::uint64_t>(left ^ right);
    __asm__ __volatile__("" : "+r"(difference));
  };
  std::size_t at = 0;
  for (; at + sizeof(std::uint64_t) <= a.size(); at += sizeof(std::uint64_t))
    compare(at, std::uint64_t{});
  for (; at < a.size(); ++at)
    compare(at, std::uint8_t{});
  return difference == 0;
}

template <std::size_t kSize>
class SecretBytes {
 public:
  SecretBytes() = default;
  ~SecretBytes() { wipe(bytes_.data(), kSize); }
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;

  std::byte* data() { return bytes_.data(); }
  const std::byte* data() const { return bytes_.data(); }
  std::span<std::byte, kSize> span() { return bytes_; }
  std::span<const std::byte, kSize> span() const { return bytes_; }

 private:
  std::array<std::byte, kSize> bytes_{};
};

}  // namespace ringknet
