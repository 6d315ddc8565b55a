// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a submission's user_data says when its completion comes back: what it was, which slot it
// belongs to, and which generation of that slot. A completion whose generation is not the slot's
// current one belongs to something that is gone and is ignored, so nothing here ever is a pointer.
#pragma once

#include <cstdint>

namespace ringknet {

enum class OpKind : std::uint8_t {
  kNone,
  kWake,            // the wake-up eventfd
  kReceive,         // multishot recvmsg of a UDP socket
  kSend,            // sendmsg of a send slot
  kSocketWritable,  // POLLOUT of a UDP socket
  kRead,            // multishot recv of a datafd
  kReadable,        // POLLIN of a datafd that is no socket
  kDatafdWritable,  // POLLOUT of a datafd
  kCancel,
};

struct Op {
  OpKind kind = OpKind::kNone;
  std::uint16_t slot = 0;
  std::uint32_t generation = 0;

  std::uint64_t pack() const {
    return static_cast<std::uint64_t>(kind) << 56 | static_cast<std::uint64_t>(slot) << 32 |
           generation;
  }
  static Op unpack(std::uint64_t packed) {
    return {static_cast<OpKind>(packed >> 56), static_cast<std::uint16_t>(packed >> 32),
            static_cast<std::uint32_t>(packed)};
  }
  friend bool operator==(const Op&, const Op&) = default;
};

}  // namespace ringknet
