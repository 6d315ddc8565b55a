// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Field by field, both ways.
#include "engine/ring/sockaddr.h"

#include <arpa/inet.h>

#include <cstring>

namespace ringknet {

Address to_address(const sockaddr* from, socklen_t size) {
  Address address;
  // The families share only their first field, and the structure may lie anywhere in a receive
  // buffer: copied.
  if (size >= sizeof(sockaddr_in) && from->sa_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, from, sizeof(v4));
    address.family = Address::Family::kIpv4;
    address.port = ntohs(v4.sin_port);
    std::memcpy(address.ip.data(), &v4.sin_addr, sizeof(v4.sin_addr));
  } else if (size >= sizeof(sockaddr_in6) && from->sa_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, from, sizeof(v6));
    address.family = Address::Family::kIpv6;
    address.port = ntohs(v6.sin6_port);
    address.flow = v6.sin6_flowinfo;
    address.scope = v6.sin6_scope_id;
    std::memcpy(address.ip.data(), &v6.sin6_addr, sizeof(v6.sin6_addr));
  }
  return address;
}

socklen_t to_sockaddr(const Address& from, SocketAddress& out) {
  std::memset(&out, 0, sizeof(out));
  switch (from.family) {
    case Address::Family::kIpv4:
      out.v4.sin_family = AF_INET;
      out.v4.sin_port = htons(from.port);
      std::memcpy(&out.v4.sin_addr, from.ip.data(), sizeof(out.v4.sin_addr));
      return sizeof(out.v4);
    case Address::Family::kIpv6:
      out.v6.sin6_family = AF_INET6;
      out.v6.sin6_port = htons(from.port);
      out.v6.sin6_flowinfo = from.flow;
      out.v6.sin6_scope_id = from.scope;
      std::memcpy(&out.v6.sin6_addr, from.ip.data(), sizeof(out.v6.sin6_addr));
      return sizeof(out.v6);
    case Address::Family::kNone:
      break;
  }
  return 0;
}

}  // namespace ringknet
