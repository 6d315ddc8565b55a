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

namespace {

std::uint64_t nanoseconds(ringknet::Duration duration) {
  return static_cast<std::uint64_t>(duration.count());
}

// Nothing measured yet reads as the largest minimum there is, so that the first measurement is
// below it.
void put_times(const ringknet::WorkTime& work, uint64_t& mean, uint64_t& min, uint64_t& max) {
  mean = nanoseconds(work.mean());
  min = work.count == 0 ? UINT64_MAX : nanoseconds(work.min);
  max = nanoseconds(work.max);
}

// What classic receivers count as size of a compressed message: with these bytes of its header.
constexpr std::uint64_t kCompressedHeader = 8;

knet_handle_stats to_c(const ringknet::HandleStats& stats) {
  knet_handle_stats out{};
  out.size = sizeof(out);
  out.tx_uncompressed_packets = stats.tx_uncompressed;
  out.tx_compressed_packets = stats.tx_compressed;
  out.tx_compressed_original_bytes = stats.tx_compressed_from;
  out.tx_compressed_size_bytes = stats.tx_compressed_to;
  put_times(stats.tx_compress, out.tx_compress_time_ave, out.tx_compress_time_min,
            out.tx_compress_time_max);
  out.rx_compressed_packets = stats.rx_compressed;
  out.rx_compressed_original_bytes = stats.rx_compressed_to;
  out.rx_compressed_size_bytes = stats.rx_compressed_from + kCompressedHeader * stats.rx_compressed;
  put_times(stats.rx_compress, out.rx_compress_time_ave, out.rx_compress_time_min,
            out.rx_compress_time_max);
  out.tx_crypt_packets = stats.tx_sealed;
  out.tx_crypt_byte_overhead = stats.tx_seal_overhead;
  put_times(stats.tx_seal, out.tx_crypt_time_ave, out.tx_crypt_time_min, out.tx_crypt_time_max);
  out.rx_crypt_packets = stats.rx_opened;
  put_times(stats.rx_open, out.rx_crypt_time_ave, out.rx_crypt_time_min, out.rx_crypt_time_max);
  return out;
}

}  // namespace

int knet_handle_get_stats(knet_handle_t knet_h, struct knet_handle_stats* stats,
                          size_t struct_size) {
  const auto handle = registry().pin(knet_h);
  if (!handle || stats == nullptr) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    copy_out(to_c(engine.fabric().stats()), stats, struct_size);
    return 0;
  });
}

int knet_handle_clear_stats(knet_handle_t knet_h, int clear_option) {
  const auto handle = registry().pin(knet_h);
  if (!handle || (clear_option != KNET_CLEARSTATS_HANDLE_ONLY &&
                  clear_option != KNET_CLEARSTATS_HANDLE_AND_LINK)) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    engine.fabric().clear_stats();
    if (clear_option == KNET_CLEARSTATS_HANDLE_AND_LINK) {
      engine.fabric().clear_link_stats();
    }
    return 0;
  });
}
