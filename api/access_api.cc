// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: access lists of dynamic links.
#include <cerrno>

#include "api/address.h"
#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/registry.h"

using ringknet::AccessEntry;
using ringknet::Engine;
using ringknet::finish;
using ringknet::HostId;
using ringknet::LinkId;
using ringknet::registry;
using ringknet::to_address;
using ringknet::to_errno;

namespace {

// Whether the arguments describe an entry at all; which is then in `entry`.
bool read_entry(const sockaddr_storage* ss1, const sockaddr_storage* ss2, check_type_t type,
                check_acceptreject_t acceptreject, AccessEntry& entry) {
  if (ss1 == nullptr || type < CHECK_TYPE_ADDRESS || type > CHECK_TYPE_RANGE ||
      (acceptreject != CHECK_ACCEPT && acceptreject != CHECK_REJECT)) {
    return false;
  }
  const bool two = type != CHECK_TYPE_ADDRESS;
  if ((two && ss2 == nullptr) || (type == CHECK_TYPE_RANGE && ss1->ss_family != ss2->ss_family)) {
    return false;
  }
  entry.type = static_cast<AccessEntry::Type>(type);
  entry.action = static_cast<AccessEntry::Action>(acceptreject);
  entry.first = to_address(*ss1);
  if (two) {
    entry.second = to_address(*ss2);
  }
  return entry.first.known();
}

}  // namespace

int knet_handle_enable_access_lists(knet_handle_t knet_h, unsigned int enabled) {
  const auto handle = registry().pin(knet_h);
  if (!handle || enabled > 1) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    engine.fabric().set_access_lists(enabled == 1);
    return 0;
  });
}

int knet_link_insert_acl(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id, int index,
                         struct sockaddr_storage* ss1, struct sockaddr_storage* ss2,
                         check_type_t type, check_acceptreject_t acceptreject) {
  const auto handle = registry().pin(knet_h);
  AccessEntry entry;
  if (!handle || !read_entry(ss1, ss2, type, acceptreject, entry)) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    return to_errno(engine.fabric().access_insert(HostId(host_id), LinkId(link_id), index, entry));
  });
}

int knet_link_add_acl(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                      struct sockaddr_storage* ss1, struct sockaddr_storage* ss2, check_type_t type,
                      check_acceptreject_t acceptreject) {
  return knet_link_insert_acl(knet_h, host_id, link_id, -1, ss1, ss2, type, acceptreject);
}

int knet_link_rm_acl(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                     struct sockaddr_storage* ss1, struct sockaddr_storage* ss2, check_type_t type,
                     check_acceptreject_t acceptreject) {
  const auto handle = registry().pin(knet_h);
  AccessEntry entry;
  if (!handle || !read_entry(ss1, ss2, type, acceptreject, entry)) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    return to_errno(engine.fabric().access_remove(HostId(host_id), LinkId(link_id), entry));
  });
}

int knet_link_clear_acl(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id) {
  const auto handle = registry().pin(knet_h);
  if (!handle) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    return to_errno(engine.fabric().access_clear(HostId(host_id), LinkId(link_id)));
  });
}
