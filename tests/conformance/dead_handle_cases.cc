// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Every call that takes a handle refuses one that is none with EINVAL, whatever the pointer, before
// it looks at anything else. The other arguments are good here, so that nothing else can be meant.
#include <array>

#include "tests/conformance/field.h"
#include "tests/conformance/world.h"

namespace conformance {
namespace {

struct Arguments {
  int datafd = 0;
  int8_t channel = 0;
  unsigned number = 0;
  uint32_t number32 = 0;
  uint8_t byte = 0;
  uint8_t other_byte = 0;
  uint64_t flags = 0;
  knet_node_id_t host = 0;
  size_t count = 0;
  time_t interval = 0;
  time_t timeout = 0;
  sockaddr_storage source = own_address();
  sockaddr_storage target = own_address();
  knet_handle_crypto_cfg crypto{};
  knet_handle_compress_cfg compress{};
  knet_handle_stats stats{};
  knet_host_status host_status{};
  knet_link_status link_status{};
  std::array<char, KNET_MAX_HOST_LEN> text{};
  std::array<uint8_t, KNET_MAX_LINK> links{};
  std::vector<knet_node_id_t> hosts = std::vector<knet_node_id_t>(KNET_MAX_HOST);

  Arguments() {
    fill_field(crypto.crypto_model, "none");
    fill_field(compress.compress_model, "none");
  }
};

void ignore_sock(void*, int, int8_t, uint8_t, int, int) {}

void refuse_handle_calls(knet_handle_t dead, Arguments& with) {
  CALL(fails(EINVAL), knet_handle_free(dead));
  CALL(fails(EINVAL), knet_handle_enable_sock_notify(dead, nullptr, ignore_sock));
  CALL(fails(EINVAL), knet_handle_add_datafd(dead, &with.datafd, &with.channel));
  CALL(fails(EINVAL), knet_handle_remove_datafd(dead, 3));
  CALL(fails(EINVAL), knet_handle_get_channel(dead, 3, &with.channel));
  CALL(fails(EINVAL), knet_handle_get_datafd(dead, 0, &with.datafd));
  CALL(fails(EINVAL), knet_recv(dead, with.text.data(), with.text.size(), 0));
  CALL(fails(EINVAL), knet_send(dead, with.text.data(), with.text.size(), 0));
  CALL(fails(EINVAL), knet_send_sync(dead, with.text.data(), with.text.size(), 0));
  CALL(fails(EINVAL), knet_handle_enable_filter(dead, nullptr, nullptr));
  CALL(fails(EINVAL), knet_handle_setfwd(dead, 0));
  CALL(fails(EINVAL), knet_handle_enable_access_lists(dead, 0));
  CALL(fails(EINVAL), knet_handle_pmtud_setfreq(dead, 1));
  CALL(fails(EINVAL), knet_handle_pmtud_getfreq(dead, &with.number));
  CALL(fails(EINVAL), knet_handle_enable_pmtud_notify(dead, nullptr, nullptr));
  CALL(fails(EINVAL), knet_handle_pmtud_set(dead, 0));
  CALL(fails(EINVAL), knet_handle_pmtud_get(dead, &with.number));
  CALL(fails(EINVAL), knet_handle_crypto_set_config(dead, &with.crypto, 1));
  CALL(fails(EINVAL), knet_handle_crypto_rx_clear_traffic(dead, 0));
  CALL(fails(EINVAL), knet_handle_crypto_use_config(dead, 0));
  CALL(fails(EINVAL), knet_handle_compress(dead, &with.compress));
  CALL(fails(EINVAL), knet_handle_get_stats(dead, &with.stats, sizeof(with.stats)));
  CALL(fails(EINVAL), knet_handle_clear_stats(dead, KNET_CLEARSTATS_HANDLE_ONLY));
  CALL(fails(EINVAL), knet_handle_set_transport_reconnect_interval(dead, 1000));
  CALL(fails(EINVAL), knet_handle_get_transport_reconnect_interval(dead, &with.number32));
  CALL(fails(EINVAL), knet_log_set_loglevel(dead, KNET_SUB_COMMON, KNET_LOG_ERR));
  CALL(fails(EINVAL), knet_log_get_loglevel(dead, KNET_SUB_COMMON, &with.byte));
  if (dead == nullptr || run_here(CONFORMANCE_PLACE(knet_handle_crypto(dead, ...)),
                                  "knet_handle_crypto follows a stale handle")) {
    CALL(fails(EINVAL), knet_handle_crypto(dead, &with.crypto));
  }
}

void refuse_host_calls(knet_handle_t dead, Arguments& with) {
  CALL(fails(EINVAL), knet_host_add(dead, 2));
  CALL(fails(EINVAL), knet_host_remove(dead, 2));
  CALL(fails(EINVAL), knet_host_set_name(dead, 2, "name"));
  CALL(fails(EINVAL), knet_host_get_name_by_host_id(dead, 2, with.text.data()));
  CALL(fails(EINVAL), knet_host_get_id_by_host_name(dead, "name", &with.host));
  CALL(fails(EINVAL), knet_host_get_host_list(dead, with.hosts.data(), &with.count));
  CALL(fails(EINVAL), knet_host_set_policy(dead, 2, KNET_LINK_POLICY_RR));
  CALL(fails(EINVAL), knet_host_get_policy(dead, 2, &with.byte));
  CALL(fails(EINVAL), knet_host_enable_status_change_notify(dead, nullptr, nullptr));
  CALL(fails(EINVAL), knet_host_get_status(dead, 2, &with.host_status));
}

void refuse_link_calls(knet_handle_t dead, Arguments& with) {
  sockaddr_storage* source = &with.source;
  CALL(fails(EINVAL),
       knet_link_set_config(dead, 2, 0, KNET_TRANSPORT_UDP, source, &with.target, 0));
  CALL(fails(EINVAL), knet_link_get_config(dead, 2, 0, &with.byte, source, &with.target,
                                           &with.other_byte, &with.flags));
  CALL(fails(EINVAL), knet_link_clear_config(dead, 2, 0));
  CALL(fails(EINVAL),
       knet_link_add_acl(dead, 2, 0, source, nullptr, CHECK_TYPE_ADDRESS, CHECK_ACCEPT));
  CALL(fails(EINVAL),
       knet_link_insert_acl(dead, 2, 0, 0, source, nullptr, CHECK_TYPE_ADDRESS, CHECK_ACCEPT));
  CALL(fails(EINVAL),
       knet_link_rm_acl(dead, 2, 0, source, nullptr, CHECK_TYPE_ADDRESS, CHECK_ACCEPT));
  CALL(fails(EINVAL), knet_link_clear_acl(dead, 2, 0));
  CALL(fails(EINVAL), knet_link_set_enable(dead, 2, 0, 1));
  CALL(fails(EINVAL), knet_link_get_enable(dead, 2, 0, &with.number));
  CALL(fails(EINVAL), knet_link_set_ping_timers(dead, 2, 0, 1000, 2000, 2048));
  CALL(fails(EINVAL),
       knet_link_get_ping_timers(dead, 2, 0, &with.interval, &with.timeout, &with.number));
  CALL(fails(EINVAL), knet_link_set_pong_count(dead, 2, 0, 1));
  CALL(fails(EINVAL), knet_link_get_pong_count(dead, 2, 0, &with.byte));
  CALL(fails(EINVAL), knet_link_set_priority(dead, 2, 0, 1));
  CALL(fails(EINVAL), knet_link_get_priority(dead, 2, 0, &with.byte));
  CALL(fails(EINVAL), knet_link_get_link_list(dead, 2, with.links.data(), &with.count));
  CALL(fails(EINVAL),
       knet_link_get_status(dead, 2, 0, &with.link_status, sizeof(with.link_status)));
}

void refuse_all(knet_handle_t dead) {
  Arguments with;
  refuse_handle_calls(dead, with);
  refuse_host_calls(dead, with);
  refuse_link_calls(dead, with);
}

}  // namespace

CONFORMANCE_CASE(dead_handles_before_the_first) {
  refuse_all(nullptr);
}

CONFORMANCE_CASE(dead_handles) {
  Node live;
  Node ended;
  knet_handle_t freed = ended.release();
  NEED(knet_handle_free(freed) == 0);
  refuse_all(nullptr);
  refuse_all(freed);
  constexpr uintptr_t kNowhere = 0xdeadbeefdeadbee8;
  refuse_all(reinterpret_cast<knet_handle_t>(kNowhere));
  knet_handle_t inside = live;
  refuse_all(reinterpret_cast<knet_handle_t>(reinterpret_cast<char*>(inside) + sizeof(void*)));
}

}  // namespace conformance
