// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about the statistics of a handle and about clearing them.
#include <climits>
#include <cstring>

#include "tests/conformance/world.h"

namespace conformance {
namespace {

constexpr unsigned char kMark = 0xa5;
constexpr uint64_t kMarks = 0xa5a5a5a5a5a5a5a5;

}  // namespace

CONFORMANCE_CASE(handle_stats_arguments) {
  Node node;
  knet_handle_stats stats{};
  CALL(fails(EINVAL), knet_handle_get_stats(node, nullptr, sizeof(stats)));
  CALL(kOk, knet_handle_get_stats(node, &stats, sizeof(stats)));
  VALUE(184, stats.size);
  VALUE(0, stats.tx_crypt_packets);
  VALUE(UINT64_MAX, stats.tx_compress_time_min);
  VALUE(UINT64_MAX, stats.rx_compress_time_min);
  VALUE(UINT64_MAX, stats.tx_crypt_time_min);
  VALUE(UINT64_MAX, stats.rx_crypt_time_min);
  VALUE(0, stats.tx_compress_time_max);
}

CONFORMANCE_CASE(handle_stats_sizes) {
  Node node;
  struct Guarded {
    knet_handle_stats stats;
    std::array<unsigned char, 1024> behind;
  } guarded{};
  std::memset(&guarded, kMark, sizeof(guarded));
  CALL(kOk, knet_handle_get_stats(node, &guarded.stats, sizeof(size_t)));
  VALUE(184, guarded.stats.size);
  VALUE(kMarks, guarded.stats.tx_uncompressed_packets);
  CALL(kOk, knet_handle_get_stats(node, &guarded.stats, 2 * sizeof(size_t)));
  VALUE(0, guarded.stats.tx_uncompressed_packets);
  VALUE(kMarks, guarded.stats.tx_compressed_packets);
  CALL(kOk, knet_handle_get_stats(node, &guarded.stats, sizeof(guarded)));
  VALUE(184, guarded.stats.size);
  VALUE(kMark, guarded.behind[0]);
  guarded.stats.size = 0;
  CALL(kOk, knet_handle_get_stats(node, &guarded.stats, 0));
  VALUE(differs("nothing is stored for a struct_size below 8", 0, 184), guarded.stats.size);
}

CONFORMANCE_CASE(clear_stats_arguments) {
  Node node;
  for (const int option : {-1, 0, 3, INT_MAX}) {
    CALL(fails(EINVAL), knet_handle_clear_stats(node, option));
  }
  CALL(kOk, knet_handle_clear_stats(node, KNET_CLEARSTATS_HANDLE_ONLY));
  CALL(kOk, knet_handle_clear_stats(node, KNET_CLEARSTATS_HANDLE_AND_LINK));
  knet_handle_stats stats{};
  CALL(kOk, knet_handle_get_stats(node, &stats, sizeof(stats)));
  VALUE(184, stats.size);
  VALUE(differs("minima start at the largest value, again after clearing", UINT64_MAX, uint64_t{0}),
        stats.tx_crypt_time_min);
}

CONFORMANCE_CASE(link_counters) {
  Pair pair;
  const std::string message(100, 'm');
  VALUE(true, pair.one.send(message));
  VALUE(message, pair.two.receive());
  NEED(eventually([&] { return pair.two.link_status(1, 0).stats.rx_data_packets == 1; }));
  const knet_link_stats sent = pair.one.link_status(2, 0).stats;
  VALUE(1, sent.tx_data_packets);
  VALUE(114, sent.tx_data_bytes);
  VALUE(true, sent.tx_ping_packets > 0 && sent.rx_pong_packets > 0 && sent.rx_ping_packets > 0);
  VALUE(26, sent.tx_ping_bytes / sent.tx_ping_packets);
  VALUE(26, sent.rx_pong_bytes / sent.rx_pong_packets);
  VALUE(sent.tx_data_packets + sent.tx_ping_packets + sent.tx_pong_packets + sent.tx_pmtu_packets,
        sent.tx_total_packets);
  VALUE(sent.rx_data_bytes + sent.rx_ping_bytes + sent.rx_pong_bytes + sent.rx_pmtu_bytes,
        sent.rx_total_bytes);
  VALUE(true, sent.latency_min <= sent.latency_max && sent.latency_samples > 0);
  const knet_link_stats received = pair.two.link_status(1, 0).stats;
  VALUE(114, received.rx_data_bytes);
  VALUE(1, received.up_count);
  VALUE(1, received.last_up_time_index);  // the slot that comes next
  VALUE(true, received.last_up_times[0] > 0);
  VALUE(0, received.last_up_times[1]);
}

CONFORMANCE_CASE(counts_of_administration) {
  Node node;
  add_static_link(node, 2, 0);
  NEED(knet_link_set_enable(node, 2, 0, 1) == 0);
  NEED(knet_handle_setfwd(node, 0) == 0);
  const char* reason = "up_count and down_count count real changes only";
  VALUE(differs(reason, 0, 1), node.link_status(2, 0).stats.down_count);
  NEED(knet_link_set_enable(node, 2, 0, 0) == 0);
  NEED(knet_handle_setfwd(node, 0) == 0);
  VALUE(differs(reason, 0, 2), node.link_status(2, 0).stats.down_count);
}

CONFORMANCE_CASE(cleared_link_counters) {
  Pair pair;
  VALUE(true, pair.one.send("message"));
  VALUE(std::string("message"), pair.two.receive());
  NEED(eventually([&] { return pair.one.link_status(2, 0).stats.tx_data_packets == 1; }));
  CALL(kOk, knet_handle_clear_stats(pair.one, KNET_CLEARSTATS_HANDLE_ONLY));
  VALUE(1, pair.one.link_status(2, 0).stats.tx_data_packets);
  CALL(kOk, knet_handle_clear_stats(pair.one, KNET_CLEARSTATS_HANDLE_AND_LINK));
  const knet_link_status cleared = pair.one.link_status(2, 0);
  VALUE(0, cleared.stats.tx_data_packets);
  VALUE(0, cleared.stats.up_count);
  VALUE(0, cleared.stats.last_up_time_index);
  VALUE(1, cleared.connected);
  VALUE(1, cleared.enabled);
}

}  // namespace conformance
