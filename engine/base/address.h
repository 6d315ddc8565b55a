// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An IP address with its port as a plain value. Converting from and to the kernel's structures and
// to text is done at the edges (ring, API): the core only compares addresses and hands them back.
#pragma once

#include <array>
#include <cstdint>

namespace ringknet {

struct Address {
  enum class Family : std::uint8_t { kNone, kIpv4, kIpv6 };

  std::array<std::uint8_t, 16> ip{};  // network order; an IPv4 address uses the first four bytes
  std::uint32_t scope = 0;            // IPv6 zone index, 0 for none
  std::uint32_t flow = 0;             // IPv6 flow information, kept as given
  std::uint16_t port = 0;             // host order
  Family family = Family::kNone;

  friend bool operator==(const Address&, const Address&) = default;

  // Ports and zones are not part of who sent a packet: classic peers compare the IP alone.
  bool same_ip(const Address& other) const { return family == other.family && ip == other.ip; }
  bool same_endpoint(const Address& other) const { return same_ip(other) && port == other.port; }
  bool known() const { return family != Family::kNone; }
};

}  // namespace ringknet
