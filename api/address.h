// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Addresses between the C API and the engine: the kernel's structure from and to the core's value,
// and its text. Reading text is address_api.cc.
#pragma once

#include <sys/socket.h>

#include <array>

#include "api/libknet.h"
#include "engine/base/address.h"

namespace ringknet {

// An address of another family than IPv4 and IPv6 gives one that is not known().
Address to_address(const sockaddr_storage& storage);

// Unused bytes are zero; all of them for an address that is not known().
sockaddr_storage to_storage(const Address& address);

struct AddressText {
  std::array<char, KNET_MAX_HOST_LEN> host{};
  std::array<char, KNET_MAX_PORT_LEN> port{};
};

// Two empty texts for an address that is not known().
AddressText to_text(const Address& address);

}  // namespace ringknet
