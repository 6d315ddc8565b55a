// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statistics: of a handle, of links, clearing them, and never writing beyond the caller's
// structure.
#include <cstring>

#include "tests/api/support.h"

using knet_test::Node;
using knet_test::on_peer;
using knet_test::Pair;

namespace {

knet_link_status status_of(knet_handle_t handle, knet_node_id_t host) {
  knet_link_status status{};
  CHECK_OK(knet_link_get_status(handle, host, 0, &status, sizeof(status)));
  return status;
}

}  // namespace

TEST_CASE("handle statistics start empty") {
  Node node(1);
  knet_handle_stats stats;
  std::memset(&stats, 0x5A, sizeof(stats));
  CHECK_FAILS(EINVAL, knet_handle_get_stats(node, nullptr, sizeof(stats)));
  CHECK_OK(knet_handle_get_stats(node, &stats, sizeof(stats)));
  CHECK(stats.size == sizeof(stats));
  CHECK(stats.tx_uncompressed_packets == 0);
  CHECK(stats.tx_compressed_packets == 0);
  CHECK(stats.rx_compressed_packets == 0);
  CHECK(stats.tx_crypt_packets == 0);
  CHECK(stats.rx_crypt_packets == 0);
  CHECK(stats.tx_compress_time_min == UINT64_MAX);
  CHECK(stats.rx_compress_time_min == UINT64_MAX);
  CHECK(stats.tx_crypt_time_min == UINT64_MAX);
  CHECK(stats.rx_crypt_time_min == UINT64_MAX);
  CHECK(stats.rx_crypt_time_max == 0);
}

TEST_CASE("get_stats writes no more than there is room for") {
  Node node(1);
  struct {
    knet_handle_stats stats;
    std::array<unsigned char, 64> beyond;
  } memory;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&memory);
  const size_t sizes[] = {0, 7, 8, 100, sizeof(knet_handle_stats), sizeof(memory)};
  for (const size_t size : sizes) {
    if (on_peer() && size < sizeof(memory.stats)) {
      continue;  // it writes to some fields in any case
    }
    INFO(size);
    std::memset(&memory, 0xAA, sizeof(memory));
    CHECK_OK(knet_handle_get_stats(node, &memory.stats, size));
    const size_t written = size < sizeof(size_t) ? 0 : std::min(size, sizeof(knet_handle_stats));
    for (size_t index = written; index < sizeof(memory); ++index) {
      REQUIRE(bytes[index] == 0xAA);
    }
    if (written != 0) {
      CHECK(memory.stats.size == sizeof(knet_handle_stats));
    }
  }
}

TEST_CASE("clear_stats knows two ways") {
  Node node(1);
  CHECK_FAILS(EINVAL, knet_handle_clear_stats(node, 0));
  CHECK_FAILS(EINVAL, knet_handle_clear_stats(node, 3));
  CHECK_FAILS(EINVAL, knet_handle_clear_stats(node, -1));
  CHECK_OK(knet_handle_clear_stats(node, KNET_CLEARSTATS_HANDLE_ONLY));
  CHECK_OK(knet_handle_clear_stats(node, KNET_CLEARSTATS_HANDLE_AND_LINK));
}

TEST_CASE("links count what they carry") {
  Pair pair;
  const std::string message(100, 'm');
  for (int count = 0; count < 10; ++count) {
    REQUIRE(knet_send(pair.one, message.data(), message.size(), 0) == 100);
    REQUIRE(pair.two.receive() == message);
  }
  const knet_link_status sender = status_of(pair.one, 2);
  CHECK(sender.stats.tx_data_packets == 10);
  CHECK(sender.stats.tx_data_bytes == 1140);  // 14 bytes of header each
  CHECK(sender.stats.tx_ping_packets > 0);
  CHECK(sender.stats.tx_ping_bytes == 26 * sender.stats.tx_ping_packets);
  CHECK(sender.stats.rx_pong_packets > 0);
  CHECK(sender.stats.tx_total_packets ==
        sender.stats.tx_data_packets + sender.stats.tx_ping_packets + sender.stats.tx_pong_packets +
            sender.stats.tx_pmtu_packets);
  CHECK(sender.stats.rx_total_bytes == sender.stats.rx_data_bytes + sender.stats.rx_ping_bytes +
                                           sender.stats.rx_pong_bytes + sender.stats.rx_pmtu_bytes);
  CHECK(sender.stats.tx_total_errors == 0);
  CHECK(sender.stats.up_count == 1);
  CHECK(sender.stats.last_up_time_index == 1);
  CHECK(sender.stats.last_up_times[0] > 1600000000);
  CHECK(sender.stats.last_up_times[1] == 0);
  CHECK(sender.stats.latency_samples > 0);
  CHECK(sender.stats.latency_min <= sender.stats.latency_max);
  CHECK(sender.latency == sender.stats.latency_ave);
  CHECK(sender.pong_last.tv_sec + sender.pong_last.tv_nsec > 0);

  const knet_link_status receiver = status_of(pair.two, 1);
  CHECK(receiver.stats.rx_data_packets == 10);
  CHECK(receiver.stats.rx_data_bytes == 1140);
}

TEST_CASE("clearing link statistics does not touch the link") {
  Pair pair;
  REQUIRE(knet_send(pair.one, "x", 1, 0) == 1);
  REQUIRE(pair.two.receive() == "x");
  CHECK_OK(knet_handle_clear_stats(pair.one, KNET_CLEARSTATS_HANDLE_ONLY));
  CHECK(status_of(pair.one, 2).stats.tx_data_packets == 1);
  CHECK_OK(knet_handle_clear_stats(pair.one, KNET_CLEARSTATS_HANDLE_AND_LINK));
  const knet_link_status status = status_of(pair.one, 2);
  CHECK(status.stats.tx_data_packets == 0);
  CHECK(status.stats.up_count == 0);
  CHECK(status.connected == 1);
  CHECK(status.enabled == 1);
  CHECK(status.mtu >= 482);
}
