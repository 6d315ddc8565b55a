/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Prints every structure, constant and enumeration of a libknet.h, and stops compiling where a
 * prototype is another one than programs have been built with. abi_check.py compiles it once with
 * our header and once with the classic library's and compares what they print: equal output means
 * that a program built with either runs on either. It says nothing about behaviour, and nothing
 * about what only later versions have, for which NEWER is defined.
 */
#include <libknet.h>
#include <stddef.h>
#include <stdio.h>

#define TYPE_NAME(value)                          \
  _Generic((value), int                           \
           : "int", unsigned                      \
           : "unsigned", long                     \
           : "long", unsigned long                \
           : "unsigned long", long long           \
           : "long long", unsigned long long      \
           : "unsigned long long", unsigned short \
           : "unsigned short", default            \
           : "another")
#define CONSTANT(name) printf("constant %s %lld %s\n", #name, (long long)(name), TYPE_NAME(name))
#define STRUCTURE(name)                                                   \
  printf("structure %s size %zu align %zu\n", #name, sizeof(struct name), \
         offsetof(                                                        \
             struct {                                                     \
               char before;                                               \
               struct name it;                                            \
             },                                                           \
             it))
#define TYPE(name) printf("type %s size %zu %s\n", #name, sizeof(name), TYPE_NAME((name)0))
#define FIELD(structure, name)                                                                     \
  printf("field %s.%s offset %zu size %zu\n", #structure, #name, offsetof(struct structure, name), \
         sizeof(((struct structure*)0)->name))
/* A pointer to a function of another type is an error under -Werror. */
#define PROTOTYPE(name, result, arguments)  \
  result(*name##_pointer) arguments = name; \
  printf("prototype %s %d\n", #name, name##_pointer != NULL)

static void constants(void) {
  CONSTANT(KNET_API_VER);
  CONSTANT(KNET_MAX_HOST);
  CONSTANT(KNET_MAX_LINK);
  CONSTANT(KNET_MAX_PACKET_SIZE);
  CONSTANT(KNET_MAX_HOST_LEN);
  CONSTANT(KNET_MAX_PORT_LEN);
  CONSTANT(KNET_NOTIFY_TX);
  CONSTANT(KNET_NOTIFY_RX);
  CONSTANT(KNET_LINK_FLAG_TRAFFICHIPRIO);
  CONSTANT(KNET_HANDLE_FLAG_PRIVILEGED);
  CONSTANT(KNET_DATAFD_MAX);
  CONSTANT(KNET_PMTUD_DEFAULT_INTERVAL);
  CONSTANT(KNET_MIN_KEY_LEN);
  CONSTANT(KNET_MAX_KEY_LEN);
  CONSTANT(KNET_CRYPTO_RX_ALLOW_CLEAR_TRAFFIC);
  CONSTANT(KNET_CRYPTO_RX_DISALLOW_CLEAR_TRAFFIC);
  CONSTANT(KNET_COMPRESS_THRESHOLD);
  CONSTANT(KNET_CLEARSTATS_HANDLE_ONLY);
  CONSTANT(KNET_CLEARSTATS_HANDLE_AND_LINK);
  CONSTANT(KNET_LINK_POLICY_PASSIVE);
  CONSTANT(KNET_LINK_POLICY_ACTIVE);
  CONSTANT(KNET_LINK_POLICY_RR);
  CONSTANT(KNET_TRANSPORT_LOOPBACK);
  CONSTANT(KNET_TRANSPORT_UDP);
  CONSTANT(KNET_TRANSPORT_SCTP);
  CONSTANT(KNET_MAX_TRANSPORTS);
  CONSTANT(KNET_TRANSPORT_DEFAULT_RECONNECT_INTERVAL);
  CONSTANT(KNET_LINK_DEFAULT_PING_INTERVAL);
  CONSTANT(KNET_LINK_DEFAULT_PING_TIMEOUT);
  CONSTANT(KNET_LINK_DEFAULT_PING_PRECISION);
  CONSTANT(KNET_LINK_DEFAULT_PONG_COUNT);
  CONSTANT(MAX_LINK_EVENTS);
  CONSTANT(KNET_LOG_ERR);
  CONSTANT(KNET_LOG_WARN);
  CONSTANT(KNET_LOG_INFO);
  CONSTANT(KNET_LOG_DEBUG);
  CONSTANT(KNET_MAX_LOG_MSG_SIZE);
  CONSTANT(KNET_SUB_UNKNOWN);
  CONSTANT(KNET_MAX_SUBSYSTEMS);
  CONSTANT(KNET_SUB_COMMON);
  CONSTANT(KNET_SUB_HANDLE);
  CONSTANT(KNET_SUB_HOST);
  CONSTANT(KNET_SUB_LISTENER);
  CONSTANT(KNET_SUB_LINK);
  CONSTANT(KNET_SUB_TRANSPORT);
  CONSTANT(KNET_SUB_CRYPTO);
  CONSTANT(KNET_SUB_COMPRESS);
  CONSTANT(KNET_SUB_FILTER);
  CONSTANT(KNET_SUB_DSTCACHE);
  CONSTANT(KNET_SUB_HEARTBEAT);
  CONSTANT(KNET_SUB_PMTUD);
  CONSTANT(KNET_SUB_TX);
  CONSTANT(KNET_SUB_RX);
  CONSTANT(KNET_SUB_TRANSP_BASE);
  CONSTANT(KNET_SUB_TRANSP_LOOPBACK);
  CONSTANT(KNET_SUB_TRANSP_UDP);
  CONSTANT(KNET_SUB_TRANSP_SCTP);
  CONSTANT(KNET_SUB_NSSCRYPTO);
  CONSTANT(KNET_SUB_OPENSSLCRYPTO);
  CONSTANT(KNET_SUB_ZLIBCOMP);
  CONSTANT(KNET_SUB_LZ4COMP);
  CONSTANT(KNET_SUB_LZ4HCCOMP);
  CONSTANT(KNET_SUB_LZO2COMP);
  CONSTANT(KNET_SUB_LZMACOMP);
  CONSTANT(KNET_SUB_BZIP2COMP);
  CONSTANT(KNET_SUB_ZSTDCOMP);
  CONSTANT(CHECK_TYPE_ADDRESS);
  CONSTANT(CHECK_TYPE_MASK);
  CONSTANT(CHECK_TYPE_RANGE);
  CONSTANT(CHECK_ACCEPT);
  CONSTANT(CHECK_REJECT);
}

static void structures(void) {
  STRUCTURE(knet_log_msg);
  FIELD(knet_log_msg, msg);
  FIELD(knet_log_msg, subsystem);
  FIELD(knet_log_msg, msglevel);
  STRUCTURE(knet_host_status);
  FIELD(knet_host_status, reachable);
  FIELD(knet_host_status, remote);
  FIELD(knet_host_status, external);
  STRUCTURE(knet_handle_crypto_cfg);
  FIELD(knet_handle_crypto_cfg, crypto_model);
  FIELD(knet_handle_crypto_cfg, crypto_cipher_type);
  FIELD(knet_handle_crypto_cfg, crypto_hash_type);
  FIELD(knet_handle_crypto_cfg, private_key);
  FIELD(knet_handle_crypto_cfg, private_key_len);
  STRUCTURE(knet_handle_compress_cfg);
  FIELD(knet_handle_compress_cfg, compress_model);
  FIELD(knet_handle_compress_cfg, compress_threshold);
  FIELD(knet_handle_compress_cfg, compress_level);
  STRUCTURE(knet_handle_stats);
  FIELD(knet_handle_stats, size);
  FIELD(knet_handle_stats, tx_uncompressed_packets);
  FIELD(knet_handle_stats, tx_compressed_packets);
  FIELD(knet_handle_stats, tx_compressed_original_bytes);
  FIELD(knet_handle_stats, tx_compressed_size_bytes);
  FIELD(knet_handle_stats, tx_compress_time_ave);
  FIELD(knet_handle_stats, tx_compress_time_min);
  FIELD(knet_handle_stats, tx_compress_time_max);
  FIELD(knet_handle_stats, rx_compressed_packets);
  FIELD(knet_handle_stats, rx_compressed_original_bytes);
  FIELD(knet_handle_stats, rx_compressed_size_bytes);
  FIELD(knet_handle_stats, rx_compress_time_ave);
  FIELD(knet_handle_stats, rx_compress_time_min);
  FIELD(knet_handle_stats, rx_compress_time_max);
  FIELD(knet_handle_stats, tx_crypt_packets);
  FIELD(knet_handle_stats, tx_crypt_byte_overhead);
  FIELD(knet_handle_stats, tx_crypt_time_ave);
  FIELD(knet_handle_stats, tx_crypt_time_min);
  FIELD(knet_handle_stats, tx_crypt_time_max);
  FIELD(knet_handle_stats, rx_crypt_packets);
  FIELD(knet_handle_stats, rx_crypt_time_ave);
  FIELD(knet_handle_stats, rx_crypt_time_min);
  FIELD(knet_handle_stats, rx_crypt_time_max);
  STRUCTURE(knet_link_status);
  FIELD(knet_link_status, size);
  FIELD(knet_link_status, src_ipaddr);
  FIELD(knet_link_status, src_port);
  FIELD(knet_link_status, dst_ipaddr);
  FIELD(knet_link_status, dst_port);
  FIELD(knet_link_status, enabled);
  FIELD(knet_link_status, connected);
  FIELD(knet_link_status, dynconnected);
  FIELD(knet_link_status, latency);
  FIELD(knet_link_status, pong_last);
  FIELD(knet_link_status, mtu);
  FIELD(knet_link_status, proto_overhead);
  FIELD(knet_link_status, stats);
  STRUCTURE(knet_link_stats);
  FIELD(knet_link_stats, tx_data_packets);
  FIELD(knet_link_stats, rx_data_packets);
  FIELD(knet_link_stats, tx_data_bytes);
  FIELD(knet_link_stats, rx_data_bytes);
  FIELD(knet_link_stats, rx_ping_packets);
  FIELD(knet_link_stats, tx_ping_packets);
  FIELD(knet_link_stats, rx_ping_bytes);
  FIELD(knet_link_stats, tx_ping_bytes);
  FIELD(knet_link_stats, rx_pong_packets);
  FIELD(knet_link_stats, tx_pong_packets);
  FIELD(knet_link_stats, rx_pong_bytes);
  FIELD(knet_link_stats, tx_pong_bytes);
  FIELD(knet_link_stats, rx_pmtu_packets);
  FIELD(knet_link_stats, tx_pmtu_packets);
  FIELD(knet_link_stats, rx_pmtu_bytes);
  FIELD(knet_link_stats, tx_pmtu_bytes);
  FIELD(knet_link_stats, tx_total_packets);
  FIELD(knet_link_stats, rx_total_packets);
  FIELD(knet_link_stats, tx_total_bytes);
  FIELD(knet_link_stats, rx_total_bytes);
  FIELD(knet_link_stats, tx_total_errors);
  FIELD(knet_link_stats, tx_total_retries);
  FIELD(knet_link_stats, tx_pmtu_errors);
  FIELD(knet_link_stats, tx_pmtu_retries);
  FIELD(knet_link_stats, tx_ping_errors);
  FIELD(knet_link_stats, tx_ping_retries);
  FIELD(knet_link_stats, tx_pong_errors);
  FIELD(knet_link_stats, tx_pong_retries);
  FIELD(knet_link_stats, tx_data_errors);
  FIELD(knet_link_stats, tx_data_retries);
  FIELD(knet_link_stats, latency_min);
  FIELD(knet_link_stats, latency_max);
  FIELD(knet_link_stats, latency_ave);
  FIELD(knet_link_stats, latency_samples);
  FIELD(knet_link_stats, down_count);
  FIELD(knet_link_stats, up_count);
  FIELD(knet_link_stats, last_up_times);
  FIELD(knet_link_stats, last_down_times);
  FIELD(knet_link_stats, last_up_time_index);
  FIELD(knet_link_stats, last_down_time_index);
  STRUCTURE(knet_transport_info);
  FIELD(knet_transport_info, name);
  FIELD(knet_transport_info, id);
  FIELD(knet_transport_info, properties);
  FIELD(knet_transport_info, pad);
  STRUCTURE(knet_crypto_info);
  FIELD(knet_crypto_info, name);
  FIELD(knet_crypto_info, properties);
  FIELD(knet_crypto_info, pad);
  STRUCTURE(knet_compress_info);
  FIELD(knet_compress_info, name);
  FIELD(knet_compress_info, properties);
  FIELD(knet_compress_info, pad);
}

static void types(void) {
  TYPE(knet_node_id_t);
  TYPE(check_type_t);
  TYPE(check_acceptreject_t);
  printf("type knet_handle_t size %zu\n", sizeof(knet_handle_t));
}

static void handle_prototypes(void) {
  PROTOTYPE(knet_handle_new_ex, knet_handle_t,
            (knet_node_id_t host_id, int log_fd, uint8_t default_log_level, uint64_t flags));
  PROTOTYPE(knet_handle_new, knet_handle_t,
            (knet_node_id_t host_id, int log_fd, uint8_t default_log_level));
  PROTOTYPE(knet_handle_free, int, (knet_handle_t));
  PROTOTYPE(
      knet_handle_enable_sock_notify, int,
      (knet_handle_t, void* priv,
       void (*fn)(void* priv, int datafd, int8_t channel, uint8_t tx_rx, int error, int errorno)));
  PROTOTYPE(knet_handle_add_datafd, int, (knet_handle_t, int* datafd, int8_t* channel));
  PROTOTYPE(knet_handle_remove_datafd, int, (knet_handle_t, int datafd));
  PROTOTYPE(knet_handle_get_channel, int, (knet_handle_t, const int datafd, int8_t* channel));
  PROTOTYPE(knet_handle_get_datafd, int, (knet_handle_t, const int8_t channel, int* datafd));
  PROTOTYPE(knet_handle_enable_filter, int,
            (knet_handle_t, void* priv,
             int (*fn)(void* priv, const unsigned char* outdata, ssize_t outdata_len, uint8_t tx_rx,
                       knet_node_id_t this_host_id, knet_node_id_t src_host_id, int8_t* channel,
                       knet_node_id_t* dst_host_ids, size_t* dst_host_ids_entries)));
  PROTOTYPE(knet_handle_setfwd, int, (knet_handle_t, unsigned int enabled));
  PROTOTYPE(knet_handle_enable_access_lists, int, (knet_handle_t, unsigned int enabled));
  PROTOTYPE(knet_handle_pmtud_setfreq, int, (knet_handle_t, unsigned int interval));
  PROTOTYPE(knet_handle_pmtud_getfreq, int, (knet_handle_t, unsigned int* interval));
  PROTOTYPE(knet_handle_enable_pmtud_notify, int,
            (knet_handle_t, void* priv, void (*fn)(void* priv, unsigned int data_mtu)));
  PROTOTYPE(knet_handle_pmtud_set, int, (knet_handle_t, unsigned int iface_mtu));
  PROTOTYPE(knet_handle_pmtud_get, int, (knet_handle_t, unsigned int* data_mtu));
  PROTOTYPE(knet_handle_crypto_set_config, int,
            (knet_handle_t, struct knet_handle_crypto_cfg * cfg, uint8_t config_num));
  PROTOTYPE(knet_handle_crypto_rx_clear_traffic, int, (knet_handle_t, uint8_t value));
  PROTOTYPE(knet_handle_crypto_use_config, int, (knet_handle_t, uint8_t config_num));
  PROTOTYPE(knet_handle_crypto, int, (knet_handle_t, struct knet_handle_crypto_cfg * cfg));
  PROTOTYPE(knet_handle_compress, int, (knet_handle_t, struct knet_handle_compress_cfg * cfg));
  PROTOTYPE(knet_handle_get_stats, int,
            (knet_handle_t, struct knet_handle_stats * stats, size_t struct_size));
  PROTOTYPE(knet_handle_clear_stats, int, (knet_handle_t, int clear_option));
  PROTOTYPE(knet_handle_set_transport_reconnect_interval, int, (knet_handle_t, uint32_t msecs));
  PROTOTYPE(knet_handle_get_transport_reconnect_interval, int, (knet_handle_t, uint32_t * msecs));
}

static void other_prototypes(void) {
  PROTOTYPE(knet_recv, ssize_t,
            (knet_handle_t, char* buff, const size_t buff_len, const int8_t channel));
  PROTOTYPE(knet_send, ssize_t,
            (knet_handle_t, const char* buff, const size_t buff_len, const int8_t channel));
  PROTOTYPE(knet_send_sync, int,
            (knet_handle_t, const char* buff, const size_t buff_len, const int8_t channel));
  PROTOTYPE(knet_get_crypto_list, int, (struct knet_crypto_info * list, size_t * entries));
  PROTOTYPE(knet_get_compress_list, int, (struct knet_compress_info * list, size_t * entries));
  PROTOTYPE(knet_host_add, int, (knet_handle_t, knet_node_id_t host_id));
  PROTOTYPE(knet_host_remove, int, (knet_handle_t, knet_node_id_t host_id));
  PROTOTYPE(knet_host_set_name, int, (knet_handle_t, knet_node_id_t host_id, const char* name));
  PROTOTYPE(knet_host_get_name_by_host_id, int,
            (knet_handle_t, knet_node_id_t host_id, char* name));
  PROTOTYPE(knet_host_get_id_by_host_name, int,
            (knet_handle_t, const char* name, knet_node_id_t* host_id));
  PROTOTYPE(knet_host_get_host_list, int,
            (knet_handle_t, knet_node_id_t * host_ids, size_t * host_ids_entries));
  PROTOTYPE(knet_host_set_policy, int, (knet_handle_t, knet_node_id_t host_id, uint8_t policy));
  PROTOTYPE(knet_host_get_policy, int, (knet_handle_t, knet_node_id_t host_id, uint8_t * policy));
  PROTOTYPE(knet_host_enable_status_change_notify, int,
            (knet_handle_t, void* priv,
             void (*fn)(void* priv, knet_node_id_t host_id, uint8_t reachable, uint8_t remote,
                        uint8_t external)));
  PROTOTYPE(knet_host_get_status, int,
            (knet_handle_t, knet_node_id_t host_id, struct knet_host_status * status));
  PROTOTYPE(knet_strtoaddr, int,
            (const char* host, const char* port, struct sockaddr_storage* ss, socklen_t sslen));
  PROTOTYPE(knet_addrtostr, int,
            (const struct sockaddr_storage* ss, socklen_t sslen, char* addr_buf,
             size_t addr_buf_size, char* port_buf, size_t port_buf_size));
  PROTOTYPE(knet_get_transport_list, int, (struct knet_transport_info * list, size_t * entries));
  PROTOTYPE(knet_get_transport_name_by_id, const char*, (uint8_t transport));
  PROTOTYPE(knet_get_transport_id_by_name, uint8_t, (const char* name));
  PROTOTYPE(knet_log_get_subsystem_name, const char*, (uint8_t subsystem));
  PROTOTYPE(knet_log_get_subsystem_id, uint8_t, (const char* name));
  PROTOTYPE(knet_log_get_loglevel_name, const char*, (uint8_t level));
  PROTOTYPE(knet_log_get_loglevel_id, uint8_t, (const char* name));
  PROTOTYPE(knet_log_set_loglevel, int, (knet_handle_t, uint8_t subsystem, uint8_t level));
  PROTOTYPE(knet_log_get_loglevel, int, (knet_handle_t, uint8_t subsystem, uint8_t * level));
}

static void link_prototypes(void) {
  PROTOTYPE(
      knet_link_set_config, int,
      (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, uint8_t transport,
       struct sockaddr_storage * src_addr, struct sockaddr_storage * dst_addr, uint64_t flags));
  PROTOTYPE(knet_link_get_config, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, uint8_t * transport,
             struct sockaddr_storage * src_addr, struct sockaddr_storage * dst_addr,
             uint8_t * dynamic, uint64_t * flags));
  PROTOTYPE(knet_link_clear_config, int, (knet_handle_t, knet_node_id_t host_id, uint8_t link_id));
  PROTOTYPE(knet_link_add_acl, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, struct sockaddr_storage * ss1,
             struct sockaddr_storage * ss2, check_type_t type, check_acceptreject_t acceptreject));
  PROTOTYPE(knet_link_insert_acl, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, int index,
             struct sockaddr_storage* ss1, struct sockaddr_storage* ss2, check_type_t type,
             check_acceptreject_t acceptreject));
  PROTOTYPE(knet_link_rm_acl, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, struct sockaddr_storage * ss1,
             struct sockaddr_storage * ss2, check_type_t type, check_acceptreject_t acceptreject));
  PROTOTYPE(knet_link_clear_acl, int, (knet_handle_t, knet_node_id_t host_id, uint8_t link_id));
  PROTOTYPE(knet_link_set_enable, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, unsigned int enabled));
  PROTOTYPE(knet_link_get_enable, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, unsigned int* enabled));
  PROTOTYPE(knet_link_set_ping_timers, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, time_t interval,
             time_t timeout, unsigned int precision));
  PROTOTYPE(knet_link_get_ping_timers, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, time_t * interval,
             time_t * timeout, unsigned int* precision));
  PROTOTYPE(knet_link_set_pong_count, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, uint8_t pong_count));
  PROTOTYPE(knet_link_get_pong_count, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, uint8_t * pong_count));
  PROTOTYPE(knet_link_set_priority, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, uint8_t priority));
  PROTOTYPE(knet_link_get_priority, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id, uint8_t * priority));
  PROTOTYPE(knet_link_get_link_list, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t * link_ids, size_t * link_ids_entries));
  PROTOTYPE(knet_link_get_status, int,
            (knet_handle_t, knet_node_id_t host_id, uint8_t link_id,
             struct knet_link_status * status, size_t struct_size));
}

#ifdef NEWER
static void newer(void) {
  CONSTANT(KNET_LOG_TRACE);
  STRUCTURE(knet_crypto_cipher_info);
  FIELD(knet_crypto_cipher_info, name);
  FIELD(knet_crypto_cipher_info, mode);
  FIELD(knet_crypto_cipher_info, key_bits);
  FIELD(knet_crypto_cipher_info, pad);
  STRUCTURE(knet_crypto_hash_info);
  FIELD(knet_crypto_hash_info, name);
  FIELD(knet_crypto_hash_info, hash_bits);
  FIELD(knet_crypto_hash_info, pad);
  PROTOTYPE(knet_handle_setprio_dscp, int, (knet_handle_t, uint8_t dscp));
  PROTOTYPE(knet_get_crypto_cipher_list, int,
            (struct knet_crypto_cipher_info * list, size_t * entries));
  PROTOTYPE(knet_get_crypto_hash_list, int,
            (struct knet_crypto_hash_info * list, size_t * entries));
}

#endif

int main(void) {
  constants();
  types();
  structures();
  handle_prototypes();
  link_prototypes();
  other_prototypes();
#ifdef NEWER
  newer();
#endif
  return 0;
}
