// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Bounded access to a header of known size. The size is checked once, when the view is made; every
// field access is checked by the compiler, because offsets are template arguments. Byte order:
// 16-bit loads and stores are network order, as all of the protocol's integers but one.
#pragma once

#include <bit>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace ringknet {

using ConstBytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

// Between the machine's order of bytes and the network's, both ways.
template <std::unsigned_integral Word>
constexpr Word network_order(Word value) {
  static_assert(sizeof(Word) == 4 || sizeof(Word) == 8);
  if constexpr (std::endian::native == std::endian::big)
    return value;
  else if constexpr (sizeof(Word) == 8)
    return __builtin_bswap64(value);
  else
    return __builtin_bswap32(value);
}

template <std::size_t kSize>
class HeaderReader {
 public:
  static std::optional<HeaderReader> of(ConstBytes bytes) {
    if (bytes.size() < kSize)
      return std::nullopt;
    return HeaderReader(bytes.template first<kSize>());
  }

  template <std::size_t kOffset>
  std::uint8_t u8() const {
    static_assert(kOffset + 1 <= kSize);
    return std::to_integer<std::uint8_t>(bytes_[kOffset]);
  }

  template <std::size_t kOffset>
  std::uint16_t u16() const {
    static_assert(kOffset + 2 <= kSize);
    return static_cast<std::uint16_t>(u8<kOffset>() << 8 | u8<kOffset + 1>());
  }

  template <std::size_t kOffset, std::size_t kLength>
  void copy(std::span<std::byte, kLength> out) const {
    static_assert(kOffset + kLength <= kSize);
    std::memcpy(out.data(), bytes_.data() + kOffset, kLength);
  }

 private:
  explicit HeaderReader(std::span<const std::byte, kSize> bytes) : bytes_(bytes) {}
  std::span<const std::byte, kSize> bytes_;
};

template <std::size_t kSize>
class HeaderWriter {
 public:
  // The caller provides at least kSize bytes; running short is its mistake.
  explicit HeaderWriter(MutableBytes bytes)
      : bytes_((assert(bytes.size() >= kSize), bytes.template first<kSize>())) {}

  template <std::size_t kOffset>
  void u8(std::uint8_t value) {
    static_assert(kOffset + 1 <= kSize);
    bytes_[kOffset] = std::byte{value};
  }

  template <std::size_t kOffset>
  void u16(std::uint16_t value) {
    static_assert(kOffset + 2 <= kSize);
    u8<kOffset>(static_cast<std::uint8_t>(value >> 8));
    u8<kOffset + 1>(static_cast<std::uint8_t>(value & 0xff));
  }

  template <std::size_t kOffset, std::size_t kLength>
  void copy(std::span<const std::byte, kLength> in) {
    static_assert(kOffset + kLength <= kSize);
    std::memcpy(bytes_.data() + kOffset, in.data(), kLength);
  }

 private:
  std::span<std::byte, kSize> bytes_;
};

}  // namespace ringknet
