// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: hosts, their names, policies and states.
#include <cerrno>
#include <cstring>

#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/registry.h"
#include "engine/base/rollback.h"

using ringknet::Engine;
using ringknet::finish;
using ringknet::HostId;
using ringknet::Policy;
using ringknet::registry;
using ringknet::Rollback;
using ringknet::to_errno;

int knet_host_add(knet_handle_t knet_h, knet_node_id_t host_id) {
  const auto handle = registry().pin(knet_h);
  if (!handle) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    const auto host = HostId(host_id);
    if (handle->closing()) {
      return EINVAL;
    }
    if (engine.fabric().host_exists(host)) {
      return EEXIST;
    }
    handle->host_names().add(host);
    Rollback undo([&] { handle->host_names().remove(host); });
    if (const auto added = engine.fabric().host_add(host); !added) {
      return to_errno(added);
    }
    undo.commit();
    handle->log().write(KNET_SUB_HOST, KNET_LOG_DEBUG, "host {} added", host_id);
    return 0;
  });
}

int knet_host_remove(knet_handle_t knet_h, knet_node_id_t host_id) {
  const auto handle = registry().pin(knet_h);
  if (!handle) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    const auto removed = engine.fabric().host_remove(HostId(host_id));
    if (!removed) {
      return to_errno(removed);
    }
    handle->host_names().remove(HostId(host_id));
    handle->log().write(KNET_SUB_HOST, KNET_LOG_DEBUG, "host {} removed", host_id);
    return 0;
  });
}

int knet_host_set_name(knet_handle_t knet_h, knet_node_id_t host_id, const char* name) {
  const auto handle = registry().pin(knet_h);
  // All of these, and the unknown host that comes between them in the documentation, look the same
  // from outside.
  if (!handle || name == nullptr || strnlen(name, KNET_MAX_HOST_LEN) == KNET_MAX_HOST_LEN) {
    return finish(EINVAL);
  }
  return handle->command(
      [&](Engine&) -> int { return handle->host_names().set(HostId(host_id), name); });
}

int knet_host_get_name_by_host_id(knet_handle_t knet_h, knet_node_id_t host_id, char* name) {
  const auto handle = registry().pin(knet_h);
  if (!handle || name == nullptr) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine&) -> int {
    const std::string* found = handle->host_names().name(HostId(host_id));
    if (found == nullptr) {
      return EINVAL;
    }
    std::memcpy(name, found->c_str(), found->size() + 1);
    return 0;
  });
}

int knet_host_get_id_by_host_name(knet_handle_t knet_h, const char* name, knet_node_id_t* host_id) {
  const auto handle = registry().pin(knet_h);
  if (!handle || name == nullptr || host_id == nullptr) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine&) -> int {
    const std::optional<HostId> found = handle->host_names().find(name);
    if (!found) {
      return ENOENT;
    }
    *host_id = raw(*found);
    return 0;
  });
}

int knet_host_get_host_list(knet_handle_t knet_h, knet_node_id_t* host_ids,
                            size_t* host_ids_entries) {
  const auto handle = registry().pin(knet_h);
  if (!handle || host_ids == nullptr || host_ids_entries == nullptr) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    std::size_t count = 0;
    for (const HostId host : engine.fabric().hosts()) {
      host_ids[count++] = raw(host);
    }
    *host_ids_entries = count;
    return 0;
  });
}

int knet_host_set_policy(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t policy) {
  const auto handle = registry().pin(knet_h);
  if (!handle || policy > KNET_LINK_POLICY_RR) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    return to_errno(engine.fabric().host_set_policy(engine.now(), HostId(host_id),
                                                    static_cast<Policy>(policy)));
  });
}

int knet_host_get_policy(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t* policy) {
  const auto handle = registry().pin(knet_h);
  if (!handle || policy == nullptr) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    const auto found = engine.fabric().host_policy(HostId(host_id));
    if (found) {
      *policy = static_cast<uint8_t>(*found);
    }
    return to_errno(found);
  });
}

int knet_host_get_status(knet_handle_t knet_h, knet_node_id_t host_id,
                         struct knet_host_status* status) {
  const auto handle = registry().pin(knet_h);
  if (!handle || status == nullptr) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    const auto reachable = engine.fabric().host_reachable(HostId(host_id));
    if (reachable) {
      *status = {.reachable = *reachable ? uint8_t{1} : uint8_t{0}, .remote = 0, .external = 0};
    }
    return to_errno(reachable);
  });
}
