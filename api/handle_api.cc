// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: beginning and end of a handle, its callbacks and its forwarding switch.
#include <sys/resource.h>

#include <cerrno>
#include <chrono>
#include <memory>

#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/no_cancellation.h"
#include "api/registry.h"

using ringknet::Callback;
using ringknet::Engine;
using ringknet::finish;
using ringknet::Handle;
using ringknet::HostId;
using ringknet::NoCancellation;
using ringknet::registry;

namespace {

bool is_possible_fd(int fd) {
  rlimit limit{};
  return fd >= 0 &&
         (getrlimit(RLIMIT_NOFILE, &limit) != 0 || static_cast<rlim_t>(fd) < limit.rlim_max);
}

int create(const Handle::Options& options, knet_handle_t& created) {
  try {
    auto handle = std::make_unique<Handle>(options);
    if (const int error = handle->start(options); error != 0) {
      return error;
    }
    registry().add(*handle);
    created = to_c(*handle.release());
    return 0;
  } catch (const std::bad_alloc&) {
    return ENOMEM;
  }
}

template <typename Function>
int set_callback(knet_handle_t knet_h, Callback<Function>& (Handle::*slot)(), Function* function,
                 void* context) {
  const auto handle = registry().pin(knet_h);
  if (!handle) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine&) {
    ((*handle).*slot)() = {function, context};
    return 0;
  });
}

}  // namespace

knet_handle_t ringknet::new_handle(knet_node_id_t host_id, int log_fd, uint8_t default_log_level,
                                   uint64_t flags, bool caller_driven) {
  const NoCancellation no_cancellation;
  knet_handle_t created = nullptr;
  const bool valid = is_possible_fd(log_fd) &&
                     (log_fd == 0 || default_log_level <= KNET_LOG_DEBUG) &&
                     flags <= KNET_HANDLE_FLAG_PRIVILEGED;
  errno = valid ? create({.self = HostId(host_id),
                          .log_fd = log_fd,
                          .log_level = default_log_level,
                          .privileged = (flags & KNET_HANDLE_FLAG_PRIVILEGED) != 0,
                          .caller_driven = caller_driven},
                         created)
                : EINVAL;
  return created;
}

knet_handle_t knet_handle_new_ex(knet_node_id_t host_id, int log_fd, uint8_t default_log_level,
                                 uint64_t flags) {
  return ringknet::new_handle(host_id, log_fd, default_log_level, flags, false);
}

knet_handle_t knet_handle_new(knet_node_id_t host_id, int log_fd, uint8_t default_log_level) {
  return knet_handle_new_ex(host_id, log_fd, default_log_level, KNET_HANDLE_FLAG_PRIVILEGED);
}

int knet_handle_free(knet_handle_t knet_h) {
  const NoCancellation no_cancellation;
  // Inside a call on this handle: in a callback, or in a signal handler. It would wait for itself.
  if (registry().held_by_this_thread(knet_h)) {
    return finish(EDEADLK);
  }
  Handle* ours = nullptr;
  if (const auto handle = registry().pin(knet_h)) {
    if (handle->engine().in_callback()) {
      return finish(EDEADLK);
    }
    if (handle->engine().caller_driven() && !handle->engine().on_engine_thread()) {
      return finish(EPERM);
    }
    const int refused = handle->command([&](Engine& engine) {
      if (!engine.fabric().hosts().empty()) {
        return EBUSY;
      }
      // Of several threads that free the handle at once, one does.
      return std::exchange(handle->closing(), true) ? EINVAL : 0;
    });
    if (refused != 0) {
      return refused;
    }
    ours = &*handle;
  } else {
    return finish(EINVAL);
  }
  // Calls that are on their way to the engine are answered before it goes; this thread may be it.
  const auto serve = [](Handle& handle) {
    handle.engine().run_once(std::chrono::milliseconds(1));
    ringknet::serve_own_calls();  // of the engine in whose callback this is
  };
  const bool caller_driven = ours->engine().caller_driven();
  registry().retire(*ours, caller_driven ? static_cast<void (*)(Handle&)>(serve) : nullptr);
  delete ours;
  return finish(0);
}

int knet_handle_enable_sock_notify(knet_handle_t knet_h, void* sock_notify_fn_private_data,
                                   void (*sock_notify_fn)(void* private_data, int datafd,
                                                          int8_t channel, uint8_t tx_rx, int error,
                                                          int errorno)) {
  if (sock_notify_fn == nullptr) {
    return finish(EINVAL);
  }
  return set_callback(knet_h, &Handle::sock_notify, sock_notify_fn, sock_notify_fn_private_data);
}

int knet_handle_enable_filter(
    knet_handle_t knet_h, void* dst_host_filter_fn_private_data,
    int (*dst_host_filter_fn)(void* private_data, const unsigned char* outdata, ssize_t outdata_len,
                              uint8_t tx_rx, knet_node_id_t this_host_id,
                              knet_node_id_t src_host_id, int8_t* channel,
                              knet_node_id_t* dst_host_ids, size_t* dst_host_ids_entries)) {
  return set_callback(knet_h, &Handle::destination_filter, dst_host_filter_fn,
                      dst_host_filter_fn_private_data);
}

int knet_handle_setfwd(knet_handle_t knet_h, unsigned int enabled) {
  const auto handle = registry().pin(knet_h);
  if (!handle || enabled > 1) {
    return finish(EINVAL);
  }
  const Engine::Entry entry(handle->engine());
  if (!entry) {
    return finish(EDEADLK);
  }
  handle->engine().set_forwarding(enabled == 1);
  handle->log().write(KNET_SUB_HANDLE, KNET_LOG_DEBUG, "forwarding is {}",
                      enabled == 1 ? "on" : "off");
  return finish(0);
}

int knet_handle_setprio_dscp(knet_handle_t knet_h, uint8_t dscp) {
  constexpr std::uint8_t kDscpMax = 63;
  const auto handle = registry().pin(knet_h);
  if (!handle || dscp > kDscpMax) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    engine.set_dscp(dscp);
    return 0;
  });
}

int knet_handle_enable_pmtud_notify(knet_handle_t knet_h, void* pmtud_notify_fn_private_data,
                                    void (*pmtud_notify_fn)(void* private_data,
                                                            unsigned int data_mtu)) {
  return set_callback(knet_h, &Handle::mtu_notify, pmtud_notify_fn, pmtud_notify_fn_private_data);
}

int knet_host_enable_status_change_notify(
    knet_handle_t knet_h, void* host_status_change_notify_fn_private_data,
    void (*host_status_change_notify_fn)(void* private_data, knet_node_id_t host_id,
                                         uint8_t reachable, uint8_t remote, uint8_t external)) {
  return set_callback(knet_h, &Handle::host_status_notify, host_status_change_notify_fn,
                      host_status_change_notify_fn_private_data);
}
