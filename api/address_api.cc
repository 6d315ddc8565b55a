// SPDX-License-Identifier: LGPL-2.1-or-later
//
// knet_strtoaddr and knet_addrtostr: numeric addresses from and to text. They take no handle, know
// nothing of the engine and never ask a name server.
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "api/libknet.h"

namespace {

struct AddressListDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using AddressList = std::unique_ptr<addrinfo, AddressListDeleter>;

// The length goes by the family alone: callers pass the size of their buffer, which says nothing
// about what is in it. What is neither IPv4 nor IPv6 is left to the resolver to refuse.
socklen_t address_length(const sockaddr_storage& address) {
  switch (address.ss_family) {
    case AF_INET:
      return sizeof(sockaddr_in);
    case AF_INET6:
      return sizeof(sockaddr_in6);
    default:
      return sizeof(sockaddr_storage);
  }
}

}  // namespace

int knet_strtoaddr(const char* host, const char* port, struct sockaddr_storage* ss,
                   socklen_t sslen) {
  if (host == nullptr || port == nullptr || ss == nullptr || sslen == 0) {
    errno = EINVAL;
    return -1;
  }
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host, port, &hints, &found); error != 0) {
    return error;
  }
  const AddressList list(found);
  std::memcpy(ss, found->ai_addr, std::min(sslen, found->ai_addrlen));
  errno = 0;
  return 0;
}

int knet_addrtostr(const struct sockaddr_storage* ss, socklen_t sslen, char* addr_buf,
                   size_t addr_buf_size, char* port_buf, size_t port_buf_size) {
  if (ss == nullptr || sslen == 0 || addr_buf == nullptr || port_buf == nullptr) {
    errno = EINVAL;
    return -1;
  }
  // The resolver counts in 32 bits; a buffer of more than any text needs must not wrap to a small
  // one.
  const auto addr_size = static_cast<socklen_t>(std::min<size_t>(addr_buf_size, NI_MAXHOST));
  const auto port_size = static_cast<socklen_t>(std::min<size_t>(port_buf_size, NI_MAXSERV));
  const int error =
      getnameinfo(reinterpret_cast<const sockaddr*>(ss), address_length(*ss), addr_buf, addr_size,
                  port_buf, port_size, NI_NUMERICHOST | NI_NUMERICSERV);
  if (error == 0) {
    errno = 0;
  }
  return error;
}
