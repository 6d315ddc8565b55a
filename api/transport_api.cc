// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: the list of transports, which takes no handle, and the reconnect interval, which is
// kept for those who read it back. SCTP is known by name, because programs and configurations know
// it; a link of that kind is refused when it is configured (link_api.cc).
#include <array>
#include <cerrno>
#include <string_view>

#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/registry.h"

using ringknet::finish;
using ringknet::registry;

namespace {

// The index is the id.
constexpr std::array<const char*, 3> kTransportNames = {"LOOPBACK", "UDP", "SCTP"};
static_assert(KNET_TRANSPORT_LOOPBACK == 0 && KNET_TRANSPORT_UDP == 1 && KNET_TRANSPORT_SCTP == 2);

}  // namespace

int knet_get_transport_list(struct knet_transport_info* transport_list,
                            size_t* transport_list_entries) {
  if (transport_list_entries == nullptr) {
    return finish(EINVAL);
  }
  if (transport_list != nullptr) {
    for (std::size_t id = 0; id < kTransportNames.size(); ++id) {
      transport_list[id].name = kTransportNames[id];
      transport_list[id].id = static_cast<uint8_t>(id);
    }
  }
  *transport_list_entries = kTransportNames.size();
  return finish(0);
}

const char* knet_get_transport_name_by_id(uint8_t transport) {
  if (transport < kTransportNames.size()) {
    errno = 0;
    return kTransportNames[transport];
  }
  errno = transport == KNET_MAX_TRANSPORTS ? EINVAL : ENOENT;
  return nullptr;
}

uint8_t knet_get_transport_id_by_name(const char* name) {
  for (std::size_t id = 0; name != nullptr && id < kTransportNames.size(); ++id) {
    if (std::string_view(name) == kTransportNames[id]) {
      errno = 0;
      return static_cast<uint8_t>(id);
    }
  }
  errno = EINVAL;
  return KNET_MAX_TRANSPORTS;
}

int knet_handle_set_transport_reconnect_interval(knet_handle_t knet_h, uint32_t msecs) {
  const auto handle = registry().pin(knet_h);
  if (!handle || msecs == 0) {
    return finish(EINVAL);
  }
  handle->reconnect_interval() = msecs;
  return finish(0);
}

int knet_handle_get_transport_reconnect_interval(knet_handle_t knet_h, uint32_t* msecs) {
  const auto handle = registry().pin(knet_h);
  if (!handle || msecs == nullptr) {
    return finish(EINVAL);
  }
  *msecs = handle->reconnect_interval();
  return finish(0);
}
