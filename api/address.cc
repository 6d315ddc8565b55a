// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Addresses from and to the C API's structure, by way of the ring's conversion to the kernel's.
#include "api/address.h"

#include <cstring>

#include "engine/ring/sockaddr.h"

namespace ringknet {

Address to_address(const sockaddr_storage& storage) {
  return to_address(reinterpret_cast<const sockaddr*>(&storage), sizeof(storage));
}

sockaddr_storage to_storage(const Address& address) {
  SocketAddress kernel;
  const socklen_t size = to_sockaddr(address, kernel);
  sockaddr_storage storage{};
  std::memcpy(&storage, &kernel, size);
  return storage;
}

AddressText to_text(const Address& address) {
  AddressText text;
  if (address.known()) {
    const sockaddr_storage storage = to_storage(address);
    knet_addrtostr(&storage, sizeof(storage), text.host.data(), text.host.size(), text.port.data(),
                   text.port.size());
  }
  return text;
}

}  // namespace ringknet
