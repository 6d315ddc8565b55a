// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: path MTU discovery. The callback for its result is installed in handle_api.cc.
#include <cerrno>
#include <chrono>

#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/registry.h"

using ringknet::Engine;
using ringknet::finish;
using ringknet::registry;
using ringknet::to_errno;

namespace {

constexpr unsigned int kIntervalMax = 86400;
constexpr unsigned int kInterfaceMtuMax = 65535;

}  // namespace

int knet_handle_pmtud_setfreq(knet_handle_t knet_h, unsigned int interval) {
  const auto handle = registry().pin(knet_h);
  if (!handle || interval == 0 || interval > kIntervalMax) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    engine.fabric().set_mtu_interval(engine.now(), std::chrono::seconds(interval));
    return 0;
  });
}

int knet_handle_pmtud_getfreq(knet_handle_t knet_h, unsigned int* interval) {
  const auto handle = registry().pin(knet_h);
  if (!handle || interval == nullptr) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(engine.fabric().mtu_interval());
    *interval = static_cast<unsigned int>(seconds.count());
    return 0;
  });
}

int knet_handle_pmtud_set(knet_handle_t knet_h, unsigned int iface_mtu) {
  const auto handle = registry().pin(knet_h);
  if (!handle || iface_mtu > kInterfaceMtuMax) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    return to_errno(engine.fabric().set_manual_mtu(engine.now(), iface_mtu));
  });
}

int knet_handle_pmtud_get(knet_handle_t knet_h, unsigned int* data_mtu) {
  const auto handle = registry().pin(knet_h);
  if (!handle || data_mtu == nullptr) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    *data_mtu = engine.fabric().data_mtu();
    return 0;
  });
}
