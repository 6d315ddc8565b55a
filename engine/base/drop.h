// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Why a packet or message from the network was dropped. Every reason has its own counter, so that
// nothing disappears in silence; names are stable and meant for people and tests.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ringknet {

enum class Drop : std::uint8_t {
  // wire: the bytes themselves are wrong
  kTooShort,             // shorter than its type needs
  kTooLong,              // a message slice that cannot be part of a legal message
  kVersion,              // not protocol version 1
  kType,                 // no packet type of version 1
  kLinkId,               // link id beyond 7
  kChannel,              // channel beyond 31
  kSequenceZero,         // data never carries sequence 0
  kCompressId,           // no such compression model
  kCompressUnsupported,  // a known model that this build cannot decode
  kFragmentCount,        // 0 or 255 fragments
  kFragmentIndex,        // index 0 or beyond the count in a fragmented message
  kEmpty,                // data without payload
  // seal: what the encryption refuses
  kSealShort,       // shorter than its envelope
  kSealLong,        // longer than any legal packet in its envelope
  kSealMac,         // no key in use made this: damaged, forged, or another cluster's
  kSealLength,      // authentic, but not whole blocks
  kSealPadding,     // authentic, but wrongly padded
  kSealReflected,   // our own packet, sent back to us
  kSealSender,      // the envelope names a sender that is not a configured host
  kSealCounter,     // a packet counter that is never used
  kSealReplay,      // opened before: a repeat, or the other copy of an ACTIVE message
  kSealStale,       // too old to tell whether it was opened before
  kSealUnverified,  // authentic, but perhaps recorded: its epoch has answered no challenge yet
  kSealImpostor,    // the packet names another sender than its envelope
  kClearRefused,    // not encrypted, and only encrypted packets are allowed
  kDecompress,      // the payload cannot be decompressed, or is longer than a message may be
  // core: legal bytes in the wrong place
  kUnknownHost,        // the sender is not a configured host
  kUnknownLink,        // the named link is not configured
  kSourceAddress,      // a control packet from another address than the link's
  kAccessList,         // the link's access list rejects the sender
  kNoSourceLink,       // data from an address that no link of the host has
  kUnreachable,        // data from a host that has not proven any link yet
  kDuplicate,          // seen before: the other copy of an ACTIVE message, or a repeat
  kSequenceStale,      // its number is late by more than half of all there are, or made up
  kFragmentRepeated,   // this fragment came already
  kFragmentChanged,    // count, channel or compression differ from the message's other fragments
  kSliceSize,          // the slice size changed mid-message
  kFragmentOffset,     // the slice would end beyond the largest message
  kNoBuffers,          // no reassembly buffer to be had
  kEvicted,            // a partial message given up for newer ones
  kExpired,            // a partial message whose rest never came
  kReset,              // a partial message of a sender that restarted or went away
  kControlQueueFull,   // an answer that newer ones of its link left no room for
  kMtuReplyUnmatched,  // a probe answer nobody waits for
  kPongStamp,          // a PONG that answers no PING of ours, or one that was answered already
  // delivery: complete messages that found no reader
  kForwardingOff,
  kFilter,         // the receiver's filter refused it
  kChannelClosed,  // no datafd on the channel
  kReaderSlow,     // the application does not read and its queue is full
  kReaderError,    // writing to the application failed
  // transmit: data that lost its way
  kSealFailed,  // no randomness to encrypt a control packet with
  kLinkGone,    // the link went down before the data left, and no other one could take it
  kCount
};

inline constexpr std::size_t kDropCount = static_cast<std::size_t>(Drop::kCount);

class DropCounters {
 public:
  void add(Drop reason) {
    ++counts_[static_cast<std::size_t>(reason)];
    ++total_;
  }
  std::uint64_t operator[](Drop reason) const { return counts_[static_cast<std::size_t>(reason)]; }
  std::uint64_t total() const { return total_; }

 private:
  std::array<std::uint64_t, kDropCount> counts_{};
  std::uint64_t total_ = 0;
};

std::string_view name(Drop reason);

}  // namespace ringknet
