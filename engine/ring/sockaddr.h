// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Addresses from and to the kernel's structures. Text forms are the API's business.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "engine/base/address.h"

namespace ringknet {

// Room for the families we speak; a sockaddr_storage is four times as large.
union SocketAddress {
  sockaddr generic;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

// Family kNone for anything that is neither IPv4 nor IPv6, or cut short.
Address to_address(const sockaddr* from, socklen_t size);
// Answers the size used; 0 for an address of no family.
socklen_t to_sockaddr(const Address& from, SocketAddress& out);

}  // namespace ringknet
