// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: links, their configuration, settings and states.
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <thread>

#include "api/address.h"
#include "api/copy_out.h"
#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/link_status.h"
#include "api/registry.h"

using ringknet::copy_out;
using ringknet::Duration;
using ringknet::Engine;
using ringknet::Error;
using ringknet::finish;
using ringknet::Handle;
using ringknet::HandleRegistry;
using ringknet::HostId;
using ringknet::LinkConfig;
using ringknet::LinkId;
using ringknet::LinkStatus;
using ringknet::PingTimers;
using ringknet::registry;
using ringknet::to_address;
using ringknet::to_errno;
using ringknet::Transport;

namespace {

using std::chrono::milliseconds;

using Clock = std::chrono::steady_clock;

// The kernel closes the sockets of a killed process that used io_uring with a delay: 765 ms have
// been seen.
constexpr auto kAddressPatience = std::chrono::seconds(3);
constexpr auto kAddressPause = milliseconds(5);

// Until when to ask again for an address that is taken. An engine's thread does not wait, as links
// would fall silent: neither in a callback, of whichever handle, nor as the thread that drives this
// one.
Clock::time_point address_deadline(const Engine& engine) {
  const bool may_wait = !engine.on_engine_thread() && !Engine::is_engine_thread();
  return may_wait ? Clock::now() + kAddressPatience : Clock::time_point{};
}

// A handle, if that is live and the link id is one; what every call here checks first.
HandleRegistry::Pin pin(knet_handle_t knet_h, uint8_t link_id) {
  return link_id < KNET_MAX_LINK ? registry().pin(knet_h) : HandleRegistry::Pin();
}

// Runs `function(Engine&, HostId, LinkId)`, which changes a link and returns a Result.
template <typename Function>
int change(const HandleRegistry::Pin& handle, knet_node_id_t host_id, uint8_t link_id,
           Function&& function) {
  return handle->command([&](Engine& engine) -> int {
    return to_errno(function(engine, HostId(host_id), LinkId(link_id)));
  });
}

// Runs `function(const LinkStatus&)`, which reads something out of it and returns an errno.
template <typename Function>
int inspect(const HandleRegistry::Pin& handle, knet_node_id_t host_id, uint8_t link_id,
            Function&& function) {
  return handle->command([&](Engine& engine) -> int {
    const auto status = engine.fabric().link_status(HostId(host_id), LinkId(link_id));
    return status ? function(*status) : to_errno(status);
  });
}

void log_configured(ringknet::Log& log, HostId host, LinkId link, const LinkConfig& config,
                    int error) {
  const auto from = ringknet::to_text(config.local);
  if (error != 0) {
    log.write(KNET_SUB_LINK, KNET_LOG_ERR, "host {} link {}: cannot use {} port {}: {}", raw(host),
              raw(link), from.host.data(), from.port.data(), std::strerror(error));
    return;
  }
  const auto to = ringknet::to_text(config.remote);
  log.write(KNET_SUB_LINK, KNET_LOG_DEBUG,
            "host {} link {} configured from {} port {} to {} port {}", raw(host), raw(link),
            from.host.data(), from.port.data(), config.remote.known() ? to.host.data() : "any",
            config.remote.known() ? to.port.data() : "any");
}

int configure(Handle& handle, Engine& engine, HostId host, LinkId link, uint8_t transport,
              const sockaddr_storage& source, const sockaddr_storage* destination, uint64_t flags,
              bool last_try) {
  LinkConfig config;
  config.transport = transport == KNET_TRANSPORT_LOOPBACK ? Transport::kLoopback : Transport::kUdp;
  config.dynamic = destination == nullptr;
  config.local = to_address(source);
  config.remote = destination == nullptr ? ringknet::Address{} : to_address(*destination);
  config.flags = flags;
  if (const auto checked = engine.fabric().link_check(host, link, config); !checked) {
    // A family that has a text but no transport is told apart from one that means nothing.
    const bool local_socket = checked.error() == Error::kInvalid && source.ss_family == AF_UNIX;
    return local_socket ? EOPNOTSUPP : to_errno(checked);
  }
  if (transport > KNET_TRANSPORT_SCTP) {
    return EINVAL;
  }
  if (transport == KNET_TRANSPORT_SCTP) {
    handle.log().write(KNET_SUB_TRANSP_SCTP, KNET_LOG_ERR,
                       "host {} link {}: SCTP links are not supported, use UDP", raw(host),
                       raw(link));
    return EPROTONOSUPPORT;
  }
  handle.grow_log();
  const int error = to_errno(engine.link_configure(host, link, config));
  if (error != EADDRINUSE || last_try) {
    log_configured(handle.log(), host, link, config, error);
  }
  return error;
}

// Milliseconds that would overflow the core's clock are as good as the largest that do not:
// centuries.
Duration to_duration(time_t count) {
  constexpr auto kMax = std::chrono::duration_cast<milliseconds>(Duration::max()) / 4;
  return milliseconds(std::min<std::int64_t>(count, kMax.count()));
}

time_t to_count(Duration duration) {
  return std::chrono::duration_cast<milliseconds>(duration).count();
}

}  // namespace

int knet_link_set_config(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                         uint8_t transport, struct sockaddr_storage* src_addr,
                         struct sockaddr_storage* dst_addr, uint64_t flags) {
  const auto handle = pin(knet_h, link_id);
  if (!handle || src_addr == nullptr ||
      (dst_addr != nullptr && dst_addr->ss_family != src_addr->ss_family) ||
      transport == KNET_MAX_TRANSPORTS) {
    return finish(EINVAL);
  }
  // Each try is a call of its own: in between the engine goes on, and so do other callers.
  const Clock::time_point deadline = address_deadline(handle->engine());
  for (;;) {
    const bool last_try = Clock::now() >= deadline;
    const int result = handle->command([&](Engine& engine) -> int {
      return configure(*handle, engine, HostId(host_id), LinkId(link_id), transport, *src_addr,
                       dst_addr, flags, last_try);
    });
    if (result == 0 || errno != EADDRINUSE || last_try) {
      return result;
    }
    std::this_thread::sleep_for(kAddressPause);
  }
}

int knet_link_get_config(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                         uint8_t* transport, struct sockaddr_storage* src_addr,
                         struct sockaddr_storage* dst_addr, uint8_t* dynamic, uint64_t* flags) {
  const auto handle = pin(knet_h, link_id);
  if (!handle || src_addr == nullptr || dynamic == nullptr || transport == nullptr ||
      flags == nullptr) {
    return finish(EINVAL);
  }
  return inspect(handle, host_id, link_id, [&](const LinkStatus& status) {
    const LinkConfig& config = status.config;
    if (!config.dynamic && dst_addr == nullptr) {
      return EINVAL;
    }
    *transport = static_cast<uint8_t>(config.transport);
    *src_addr = ringknet::to_storage(config.local);
    if (!config.dynamic) {
      *dst_addr = ringknet::to_storage(config.remote);
    }
    *dynamic = config.dynamic ? 1 : 0;
    *flags = config.flags;
    return 0;
  });
}

int knet_link_clear_config(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id) {
  const auto handle = pin(knet_h, link_id);
  if (!handle) {
    return finish(EINVAL);
  }
  return change(handle, host_id, link_id, [&](Engine& engine, HostId host, LinkId link) {
    const auto cleared = engine.link_clear(host, link);
    if (cleared.ok()) {
      handle->log().write(KNET_SUB_LINK, KNET_LOG_DEBUG, "host {} link {} cleared", host_id,
                          link_id);
    }
    return cleared;
  });
}

int knet_link_set_enable(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                         unsigned int enabled) {
  const auto handle = pin(knet_h, link_id);
  if (!handle || enabled > 1) {
    return finish(EINVAL);
  }
  return change(handle, host_id, link_id, [&](Engine& engine, HostId host, LinkId link) {
    const auto set = engine.fabric().link_set_enabled(engine.now(), host, link, enabled == 1);
    if (set) {
      handle->log().write(KNET_SUB_LINK, KNET_LOG_DEBUG, "host {} link {} is {}", host_id, link_id,
                          enabled == 1 ? "enabled" : "disabled");
    }
    return set;
  });
}

int knet_link_get_enable(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                         unsigned int* enabled) {
  const auto handle = pin(knet_h, link_id);
  if (!handle || enabled == nullptr) {
    return finish(EINVAL);
  }
  return inspect(handle, host_id, link_id, [&](const LinkStatus& status) {
    *enabled = status.enabled ? 1 : 0;
    return 0;
  });
}

int knet_link_set_ping_timers(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                              time_t interval, time_t timeout, unsigned int precision) {
  const auto handle = pin(knet_h, link_id);
  if (!handle || interval <= 0) {
    return finish(EINVAL);
  }
  if (timeout <= 0) {
    return finish(ENOSYS);
  }
  if (precision == 0) {
    return finish(EINVAL);
  }
  return change(handle, host_id, link_id, [&](Engine& engine, HostId host, LinkId link) {
    const PingTimers timers{
        .interval = to_duration(interval), .timeout = to_duration(timeout), .precision = precision};
    return engine.fabric().link_set_timers(engine.now(), host, link, timers);
  });
}

int knet_link_get_ping_timers(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                              time_t* interval, time_t* timeout, unsigned int* precision) {
  const auto handle = pin(knet_h, link_id);
  if (!handle || interval == nullptr || timeout == nullptr || precision == nullptr) {
    return finish(EINVAL);
  }
  return inspect(handle, host_id, link_id, [&](const LinkStatus& status) {
    *interval = to_count(status.timers.interval);
    *timeout = to_count(status.timers.timeout);
    *precision = status.timers.precision;
    return 0;
  });
}

int knet_link_set_pong_count(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                             uint8_t pong_count) {
  const auto handle = pin(knet_h, link_id);
  if (!handle || pong_count == 0) {
    return finish(EINVAL);
  }
  return change(handle, host_id, link_id, [&](Engine& engine, HostId host, LinkId link) {
    return engine.fabric().link_set_pong_count(host, link, pong_count);
  });
}

int knet_link_get_pong_count(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                             uint8_t* pong_count) {
  const auto handle = pin(knet_h, link_id);
  if (!handle || pong_count == nullptr) {
    return finish(EINVAL);
  }
  return inspect(handle, host_id, link_id, [&](const LinkStatus& status) {
    *pong_count = status.pong_count;
    return 0;
  });
}

int knet_link_set_priority(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                           uint8_t priority) {
  const auto handle = pin(knet_h, link_id);
  if (!handle) {
    return finish(EINVAL);
  }
  return change(handle, host_id, link_id, [&](Engine& engine, HostId host, LinkId link) {
    return engine.fabric().link_set_priority(engine.now(), host, link, priority);
  });
}

int knet_link_get_priority(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                           uint8_t* priority) {
  const auto handle = pin(knet_h, link_id);
  if (!handle || priority == nullptr) {
    return finish(EINVAL);
  }
  return inspect(handle, host_id, link_id, [&](const LinkStatus& status) {
    *priority = status.priority;
    return 0;
  });
}

int knet_link_get_link_list(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t* link_ids,
                            size_t* link_ids_entries) {
  const auto handle = registry().pin(knet_h);
  if (!handle || link_ids == nullptr || link_ids_entries == nullptr) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    std::array<LinkId, ringknet::kLinksPerHost> ids{};
    const auto count = engine.fabric().link_list(HostId(host_id), ids);
    if (!count) {
      return to_errno(count);
    }
    for (std::size_t index = 0; index < *count; ++index) {
      link_ids[index] = raw(ids[index]);
    }
    *link_ids_entries = *count;
    return 0;
  });
}

int knet_link_get_status(knet_handle_t knet_h, knet_node_id_t host_id, uint8_t link_id,
                         struct knet_link_status* status, size_t struct_size) {
  const auto handle = pin(knet_h, link_id);
  if (!handle || status == nullptr) {
    return finish(EINVAL);
  }
  return inspect(handle, host_id, link_id, [&](const LinkStatus& current) {
    copy_out(ringknet::to_c(current), status, struct_size);
    return 0;
  });
}
