// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: statistics of a handle. They count encryption and compression only; those of links are
// in link_api.cc.
#include <cerrno>
#include <cstdint>

#include "api/copy_out.h"
#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/registry.h"

using ringknet::copy_out;
using ringknet::Engine;
using ringknet::finish;
using ringknet::registry;

int knet_handle_get_stats(knet_handle_t knet_h, struct knet_handle_stats* stats,
                          size_t struct_size) {
  const auto handle = registry().pin(knet_h);
  if (!handle || stats == nullptr) {
    return finish(EINVAL);
  }
  // No packet is ever compressed or encrypted here, so nothing has been counted or measured.
  knet_handle_stats current{};
  current.size = sizeof(current);
  current.tx_compress_time_min = UINT64_MAX;
  current.rx_compress_time_min = UINT64_MAX;
  current.tx_crypt_time_min = UINT64_MAX;
  current.rx_crypt_time_min = UINT64_MAX;
  copy_out(current, stats, struct_size);
  return finish(0);
}

int knet_handle_clear_stats(knet_handle_t knet_h, int clear_option) {
  const auto handle = registry().pin(knet_h);
  if (!handle || (clear_option != KNET_CLEARSTATS_HANDLE_ONLY &&
                  clear_option != KNET_CLEARSTATS_HANDLE_AND_LINK)) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    if (clear_option == KNET_CLEARSTATS_HANDLE_AND_LINK) {
      engine.fabric().clear_link_stats();
    }
    return 0;
  });
}
