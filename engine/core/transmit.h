// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the core wants sent, and what it wants to hear back. A Transmit is one run of sealed
// datagrams for one destination: `bytes` is a row of datagrams of `segment_size` bytes, the last
// one possibly shorter. The same bytes are handed out once per destination: sealed once, fanned
// out.
#pragma once

#include <cstdint>

#include "engine/base/address.h"
#include "engine/base/bytes.h"
#include "engine/base/ids.h"

namespace ringknet {

// Opaque; handed back exactly once, by on_transmit_done.
struct TransmitId {
  std::uint64_t value = 0;
};

struct Transmit {
  enum class Kind : std::uint8_t {
    kControl,  // ping, pong, probe answer: never waits behind data
    kProbe,    // MTU probe: its whole point is to fail when too large, so it is never fragmented
    kData,
  };

  TransmitId id;
  Kind kind = Kind::kControl;
  // A run of several is sent datagram by datagram: it is not known that one in a piece arrives.
  bool split = false;
  SocketId socket{};
  std::uint32_t segment_size = 0;
  ConstBytes bytes;  // valid until on_transmit_done
  Address to{};

  std::size_t segments() const { return (bytes.size() + segment_size - 1) / segment_size; }
};

// The limits of one run: what the kernel takes in one segmented send.
inline constexpr std::size_t kRunSegmentsMax = 64;
inline constexpr std::size_t kRunBytesMax = 65000;

// How the send ended. Anything but kSent concerns that one path only.
struct TransmitResult {
  enum class Status : std::uint8_t {
    kSent,
    kTooBig,   // larger than the device or the cached path takes; `mtu` says how much, where known
    kRefused,  // the remote host answered that nobody listens
    kUnreachable,  // no route, network or interface down
    kNoBuffers,    // the device kept refusing for want of buffers
    kDenied,       // a firewall of this host
    kFailed,       // anything else
  };

  Status status = Status::kSent;
  std::uint32_t mtu =
      0;  // kTooBig: the largest IP packet the kernel would take, 0 if it did not say
  std::uint32_t retries = 0;  // how often the ring had to try again before this end
  bool split = false;         // runs are sent datagram by datagram at present, and so was this one
};

// A report about a path that does not belong to one particular send: the kernel's error queue.
struct PathError {
  SocketId socket{};
  Address to{};  // where the offending datagram went
  TransmitResult::Status status = TransmitResult::Status::kUnreachable;
  std::uint32_t mtu = 0;
};

}  // namespace ringknet
