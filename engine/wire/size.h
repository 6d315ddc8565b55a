// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Size arithmetic: from the path's MTU to the largest message slice and back, for every envelope.
// This is the only place that knows these formulas.
//
//   IP packet  = ip header + transport header + envelope(clear packet)
//   envelope(n) = n, padded up to a whole block with 1..block bytes if there is a block cipher, +
//   salt + MAC
//
// Classic nodes reserve 26 bytes (the PING size) for the packet header, although a DATA header
// takes 14; the slice size is visible to users as the MTU, so the same 26 are reserved here.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/base/address.h"
#include "engine/base/ids.h"
#include "engine/wire/packet.h"

namespace ringknet {

inline constexpr std::size_t kReservedHeaderSize = kPingSize;
inline constexpr std::size_t kUdpHeaderSize = 8;
inline constexpr std::size_t kIpPacketMax = 65535;
// The smallest slice with which the largest message still fits into the fragments there are.
inline constexpr std::size_t kSliceSizeMin = (kMessageSizeMax + kFragmentsMax - 1) / kFragmentsMax;

struct Envelope {
  std::size_t block = 0;  // cipher block size; 0 without a cipher, 1 for stream ciphers
  std::size_t salt = 0;
  std::size_t mac = 0;

  // Bytes on the wire for a clear packet of `clear` bytes.
  constexpr std::size_t size(std::size_t clear) const {
    return clear + (block != 0 ? block - clear % block : 0) + salt + mac;
  }

  // The largest slice in a datagram of `datagram` bytes; 0 where not even the headers fit.
  constexpr std::size_t slice(std::size_t datagram) const {
    if (datagram < salt + mac)
      return 0;
    std::size_t room = datagram - salt - mac;
    if (block != 0)
      room = room - room % block - std::min<std::size_t>(1, room - room % block);
    return room > kReservedHeaderSize ? room - kReservedHeaderSize : 0;
  }
};

// Bytes of IP and UDP around a datagram to this kind of address.
constexpr std::size_t ip_overhead(Address::Family family) {
  return (family == Address::Family::kIpv6 ? 40 : 20) + kUdpHeaderSize;
}

// The slice every path carries (the classic floor): an IP packet of 576 bytes with the largest
// headers that any family and transport take.
constexpr std::size_t floor_slice(const Envelope& envelope) {
  return envelope.slice(576 - 40 - 28);
}

// The slice that a link of this family is assumed to carry before it was measured.
constexpr std::size_t default_slice(const Envelope& envelope, Address::Family family) {
  const std::size_t minimum = family == Address::Family::kIpv6 ? 1280 : 576;
  return envelope.slice(minimum - ip_overhead(family));
}

}  // namespace ringknet
