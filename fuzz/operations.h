// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The operations of the harnesses that read lists of them: each one is a byte, taken modulo the
// number of operations, and the arguments that its harness reads. Kept in one place because the
// seed corpora are written with them.
#pragma once

#include <cstdint>

#include "fuzz/input.h"

namespace ringknet::fuzz {

enum class ReassemblyOp : std::uint8_t {
  kFragment,  // u8 sequence, u8 count, u8 index, u8 channel, u16 size
  kFitting,   // u8 sequence, u8 index: a fragment that fits the message begun under that sequence
  kRelease,   // gives the oldest complete message back
  kExpire,    // u8 age
  kClear,
  kExpireBehind,  // u16 how far the sender is ahead of the newest partial message
  kCount
};

enum class WindowOp : std::uint8_t {
  kData,     // u16 sequence
  kPartial,  // u16 sequence: progress, not done
  kGiveUp,   // u16 sequence
  kPing,     // u16 sequence, u8 age of the stamp
  kForced,   // u16 sequence
  kAdvance,  // u8 time
  kReset,
  kReboot,  // the sender's clock begins anew
  kCount
};

enum class LinkOp : std::uint8_t {
  kTime,       // u8: to the next deadline (0), or on by that much
  kReply,      // the peer answers the probe that waits, if the path carries it
  kPong,       // u8 delay
  kData,       // u16 size
  kRefused,    // the kernel refuses the candidate, naming the limit
  kLimit,      // u16 limit, u16 refused size: whatever the kernel says
  kPath,       // u16 what the path carries from now on
  kEnable,     // u8
  kTrouble,    // u8 refused
  kTimers,     // u8 interval, u8 timeout
  kSearchGap,  // u8 interval of the search
  kCount
};

enum class FabricOp : std::uint8_t {
  kDatagram,   // u8 source, u16 size, bytes
  kPing,       // u8 source, u8 link, u16 sequence, u8 flags
  kPong,       // u8 source, u8 link: echoes the last PING sent there
  kData,       // u8 source, u16 sequence, u8 count, u8 index, u8 channel, u16 size
  kMtuReply,   // u8 source, u8 link: answers the last probe sent there
  kMtuProbe,   // u8 source, u8 link, u16 size
  kTime,       // u8: to the next deadline (0), or on by that much
  kSend,       // u8 destinations, u8 channel, u16 size
  kPoll,       // u8 how many
  kDone,       // u8 which, u8 status, u16 mtu
  kPathError,  // u8 which address, u8 status, u16 mtu
  kHost,       // u8 host, u8 add or remove
  kLink,       // u8 host, u8 link, u8 configure, clear, enable, disable
  kSettings,   // u8 host, u8 link, u8 kind, u8 value
  kRelease,    // gives the oldest message back
  kAccess,     // u8 host, u8 link, u8 kind, u8 value
  kCount
};

enum class AccessOp : std::uint8_t {
  kInsert,       // i8 position, entry
  kRemove,       // entry
  kRemoveKnown,  // u8 which
  kClear,
  kAsk,  // address
  kCount
  // An entry is u8 kind and one or two addresses; an address is u8 kind and three bytes.
};

template <typename Op>
Op next_op(Input& input) {
  return Op(input.u8() % static_cast<std::uint8_t>(Op::kCount));
}

template <typename Op>
Output& op(Output& out, Op value) {
  return out.u8(static_cast<unsigned>(value));
}

}  // namespace ringknet::fuzz
