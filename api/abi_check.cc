// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The binary layout that programs built against any libknet 1.x carry in themselves, nailed down at
// compile time: sizes and field offsets of every public structure, and the values of the constants.
// It holds no code. The figures are those of 64-bit Linux; on another ABI only what is independent
// of the word size is checked.
#include <cstddef>
#include <type_traits>

#include "api/libknet.h"

namespace {

static_assert(KNET_API_VER == 1);
static_assert(KNET_MAX_HOST == 65536 && KNET_MAX_LINK == 8 && KNET_DATAFD_MAX == 32);
static_assert(KNET_MAX_PACKET_SIZE == 65536 && KNET_MAX_HOST_LEN == 256 && KNET_MAX_PORT_LEN == 6);
static_assert(KNET_MAX_TRANSPORTS == 255 && KNET_MAX_SUBSYSTEMS == 255 && KNET_SUB_UNKNOWN == 254);
static_assert(KNET_SUB_TRANSP_LOOPBACK == 40 && KNET_SUB_TRANSP_UDP == 41);
static_assert(KNET_SUB_TRANSP_SCTP == 42);
static_assert(KNET_MAX_LOG_MSG_SIZE == 254 && MAX_LINK_EVENTS == 16);
static_assert(KNET_HANDLE_FLAG_PRIVILEGED == 1 && KNET_LINK_FLAG_TRAFFICHIPRIO == 1);
static_assert(std::is_same_v<decltype(KNET_HANDLE_FLAG_PRIVILEGED), unsigned long long>);
static_assert(std::is_same_v<decltype(KNET_LINK_FLAG_TRAFFICHIPRIO), unsigned long long>);
static_assert(sizeof(knet_handle_t) == sizeof(void*) && sizeof(knet_node_id_t) == 2);
static_assert(sizeof(check_type_t) == 4 && sizeof(check_acceptreject_t) == 4);
static_assert(CHECK_TYPE_RANGE == 2 && CHECK_REJECT == 1);

static_assert(sizeof(knet_log_msg) == 256 && alignof(knet_log_msg) == 1);
static_assert(offsetof(knet_log_msg, subsystem) == 254 && offsetof(knet_log_msg, msglevel) == 255);
static_assert(sizeof(knet_host_status) == 3 && alignof(knet_host_status) == 1);
static_assert(offsetof(knet_host_status, remote) == 1);
static_assert(offsetof(knet_host_status, external) == 2);

static_assert(sizeof(knet_handle_crypto_cfg) == 4148 && alignof(knet_handle_crypto_cfg) == 4);
static_assert(offsetof(knet_handle_crypto_cfg, crypto_cipher_type) == 16);
static_assert(offsetof(knet_handle_crypto_cfg, crypto_hash_type) == 32);
static_assert(offsetof(knet_handle_crypto_cfg, private_key) == 48);
static_assert(offsetof(knet_handle_crypto_cfg, private_key_len) == 4144);
static_assert(sizeof(knet_handle_compress_cfg) == 24 && alignof(knet_handle_compress_cfg) == 4);
static_assert(offsetof(knet_handle_compress_cfg, compress_threshold) == 16);
static_assert(offsetof(knet_handle_compress_cfg, compress_level) == 20);

#if defined(__LP64__)

static_assert(sizeof(time_t) == 8 && sizeof(timespec) == 16);

static_assert(sizeof(knet_handle_stats) == 184 && alignof(knet_handle_stats) == 8);
static_assert(offsetof(knet_handle_stats, tx_uncompressed_packets) == 8);
static_assert(offsetof(knet_handle_stats, tx_compressed_packets) == 16);
static_assert(offsetof(knet_handle_stats, tx_compressed_original_bytes) == 24);
static_assert(offsetof(knet_handle_stats, tx_compressed_size_bytes) == 32);
static_assert(offsetof(knet_handle_stats, tx_compress_time_ave) == 40);
static_assert(offsetof(knet_handle_stats, tx_compress_time_min) == 48);
static_assert(offsetof(knet_handle_stats, tx_compress_time_max) == 56);
static_assert(offsetof(knet_handle_stats, rx_compressed_packets) == 64);
static_assert(offsetof(knet_handle_stats, rx_compressed_original_bytes) == 72);
static_assert(offsetof(knet_handle_stats, rx_compressed_size_bytes) == 80);
static_assert(offsetof(knet_handle_stats, rx_compress_time_ave) == 88);
static_assert(offsetof(knet_handle_stats, rx_compress_time_min) == 96);
static_assert(offsetof(knet_handle_stats, rx_compress_time_max) == 104);
static_assert(offsetof(knet_handle_stats, tx_crypt_packets) == 112);
static_assert(offsetof(knet_handle_stats, tx_crypt_byte_overhead) == 120);
static_assert(offsetof(knet_handle_stats, tx_crypt_time_ave) == 128);
static_assert(offsetof(knet_handle_stats, tx_crypt_time_min) == 136);
static_assert(offsetof(knet_handle_stats, tx_crypt_time_max) == 144);
static_assert(offsetof(knet_handle_stats, rx_crypt_packets) == 152);
static_assert(offsetof(knet_handle_stats, rx_crypt_time_ave) == 160);
static_assert(offsetof(knet_handle_stats, rx_crypt_time_min) == 168);
static_assert(offsetof(knet_handle_stats, rx_crypt_time_max) == 176);

static_assert(sizeof(knet_link_status) == 1064 && alignof(knet_link_status) == 8);
static_assert(offsetof(knet_link_status, src_ipaddr) == 8);
static_assert(offsetof(knet_link_status, src_port) == 264);
static_assert(offsetof(knet_link_status, dst_ipaddr) == 270);
static_assert(offsetof(knet_link_status, dst_port) == 526);
static_assert(offsetof(knet_link_status, enabled) == 532);
static_assert(offsetof(knet_link_status, connected) == 533);
static_assert(offsetof(knet_link_status, dynconnected) == 534);
static_assert(offsetof(knet_link_status, latency) == 536);
static_assert(offsetof(knet_link_status, pong_last) == 544);
static_assert(offsetof(knet_link_status, mtu) == 560);
static_assert(offsetof(knet_link_status, proto_overhead) == 564);
static_assert(offsetof(knet_link_status, stats) == 568);

static_assert(sizeof(knet_link_stats) == 496 && alignof(knet_link_stats) == 8);
static_assert(offsetof(knet_link_stats, tx_data_packets) == 0);
static_assert(offsetof(knet_link_stats, rx_data_packets) == 8);
static_assert(offsetof(knet_link_stats, tx_data_bytes) == 16);
static_assert(offsetof(knet_link_stats, rx_data_bytes) == 24);
static_assert(offsetof(knet_link_stats, rx_ping_packets) == 32);
static_assert(offsetof(knet_link_stats, tx_ping_packets) == 40);
static_assert(offsetof(knet_link_stats, rx_ping_bytes) == 48);
static_assert(offsetof(knet_link_stats, tx_ping_bytes) == 56);
static_assert(offsetof(knet_link_stats, rx_pong_packets) == 64);
static_assert(offsetof(knet_link_stats, tx_pong_packets) == 72);
static_assert(offsetof(knet_link_stats, rx_pong_bytes) == 80);
static_assert(offsetof(knet_link_stats, tx_pong_bytes) == 88);
static_assert(offsetof(knet_link_stats, rx_pmtu_packets) == 96);
static_assert(offsetof(knet_link_stats, tx_pmtu_packets) == 104);
static_assert(offsetof(knet_link_stats, rx_pmtu_bytes) == 112);
static_assert(offsetof(knet_link_stats, tx_pmtu_bytes) == 120);
static_assert(offsetof(knet_link_stats, tx_total_packets) == 128);
static_assert(offsetof(knet_link_stats, rx_total_packets) == 136);
static_assert(offsetof(knet_link_stats, tx_total_bytes) == 144);
static_assert(offsetof(knet_link_stats, rx_total_bytes) == 152);
static_assert(offsetof(knet_link_stats, tx_total_errors) == 160);
static_assert(offsetof(knet_link_stats, tx_total_retries) == 168);
static_assert(offsetof(knet_link_stats, tx_pmtu_errors) == 176);
static_assert(offsetof(knet_link_stats, tx_pmtu_retries) == 180);
static_assert(offsetof(knet_link_stats, tx_ping_errors) == 184);
static_assert(offsetof(knet_link_stats, tx_ping_retries) == 188);
static_assert(offsetof(knet_link_stats, tx_pong_errors) == 192);
static_assert(offsetof(knet_link_stats, tx_pong_retries) == 196);
static_assert(offsetof(knet_link_stats, tx_data_errors) == 200);
static_assert(offsetof(knet_link_stats, tx_data_retries) == 204);
static_assert(offsetof(knet_link_stats, latency_min) == 208);
static_assert(offsetof(knet_link_stats, latency_max) == 212);
static_assert(offsetof(knet_link_stats, latency_ave) == 216);
static_assert(offsetof(knet_link_stats, latency_samples) == 220);
static_assert(offsetof(knet_link_stats, down_count) == 224);
static_assert(offsetof(knet_link_stats, up_count) == 228);
static_assert(offsetof(knet_link_stats, last_up_times) == 232);
static_assert(offsetof(knet_link_stats, last_down_times) == 360);
static_assert(offsetof(knet_link_stats, last_up_time_index) == 488);
static_assert(offsetof(knet_link_stats, last_down_time_index) == 489);

static_assert(sizeof(knet_transport_info) == 272 && alignof(knet_transport_info) == 8);
static_assert(offsetof(knet_transport_info, id) == 8);
static_assert(offsetof(knet_transport_info, properties) == 9);
static_assert(offsetof(knet_transport_info, pad) == 10);
static_assert(sizeof(knet_crypto_info) == 272 && offsetof(knet_crypto_info, properties) == 8);
static_assert(offsetof(knet_crypto_info, pad) == 9);
static_assert(sizeof(knet_compress_info) == 272 && offsetof(knet_compress_info, properties) == 8);
static_assert(offsetof(knet_compress_info, pad) == 9);

#endif

}  // namespace
