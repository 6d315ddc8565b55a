// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The 16-bit message sequence number, which wraps from 65535 to 1: value 0 means "no message sent
// yet".
#pragma once

#include <cstdint>

namespace ringknet {

struct MessageSeq {
  std::uint16_t value = 0;

  bool none() const { return value == 0; }

  MessageSeq next() const {
    const auto following = static_cast<std::uint16_t>(value + 1);
    return MessageSeq{following == 0 ? std::uint16_t{1} : following};
  }

  // How far this number is ahead of `other`, in [-32768, 32767]; negative is behind.
  int ahead_of(MessageSeq other) const {
    return static_cast<std::int16_t>(static_cast<std::uint16_t>(value - other.value));
  }

  friend bool operator==(MessageSeq, MessageSeq) = default;
};

// A sequence number with the rounds of the sequence counted in, as a receiver counts them: it never
// means two messages of one sender. Its low 16 bits are the number; 0 is none.
using MessagePosition = std::uint64_t;

}  // namespace ringknet
