// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The calls that are made at random: every function of libknet.h once in the list.
#include <algorithm>
#include <cerrno>

#include "tests/conformance/field.h"
#include "tests/conformance/random_world.h"

namespace random_calls {
namespace {

// Makes the call and judges its result with the errno that it left.
#define TRY(...)                                       \
  do {                                                 \
    errno = kErrnoUntouched;                           \
    const long try_result = (__VA_ARGS__);             \
    const int try_error = errno;                       \
    player.judge(#__VA_ARGS__, try_result, try_error); \
  } while (false)

// For calls that say with their value what they found: nothing to judge but that they return.
#define LOOK_UP(...) (static_cast<void>(__VA_ARGS__), ++player.tallies[player.action].good)

knet_handle_crypto_cfg* crypto_config(Player& player, knet_handle_crypto_cfg& cfg) {
  constexpr std::array<const char*, 6> kModels{"nss", "openssl", "wolfssl", "none", "nosuch", ""};
  constexpr std::array<const char*, 6> kCiphers{"aes128",    "aes256", "none",
                                                "aes128gcm", "nosuch", "aes-256-ctr"};
  constexpr std::array<const char*, 6> kHashes{"sha1", "sha256", "sha512",
                                               "none", "nosuch", "sixteen-letters!"};
  cfg = {};
  fill_field(cfg.crypto_model, player.chance.pick(kModels));
  fill_field(cfg.crypto_cipher_type, player.chance.pick(kCiphers));
  // The last one fills the field to its last byte: no end of text then.
  fill_field(cfg.crypto_hash_type,
             player.chance.one_in(2) ? "sha256" : player.chance.pick(kHashes));
  cfg.private_key_len = player.chance.one_in(4) ? player.small_or_wild(5000) : 256;
  return player.out(cfg);
}

knet_handle_compress_cfg* compress_config(Player& player, knet_handle_compress_cfg& cfg) {
  constexpr std::array<const char*, 10> kModels{"none", "zlib", "lz4",   "lz4hc",  "lzo2",
                                                "lzma", "zstd", "bzip2", "nosuch", ""};
  cfg = {};
  fill_field(cfg.compress_model, player.chance.pick(kModels));
  cfg.compress_threshold = player.small_or_wild(2000);
  cfg.compress_level = player.chance.one_in(4) ? static_cast<int>(player.chance.bits()) : 1;
  return player.out(cfg);
}

check_type_t acl_type(Player& player) {
  return static_cast<check_type_t>(player.chance.one_in(8) ? 3 : player.chance.below(3));
}

check_acceptreject_t verdict(Player& player) {
  return static_cast<check_acceptreject_t>(player.chance.one_in(8) ? 2 : player.chance.below(2));
}

int give_back(knet_handle_t handle) {
  World::discard(handle);
  return errno = 0;
}

void new_handle(Player& player) {
  const std::lock_guard lock(player.world.births_and_deaths);
  // Most are refused; what comes to life lives for a moment.
  if (!player.chance.one_in(8)) {
    const int log_fd = player.chance.one_in(2) ? -1 : player.world.log[1];
    const bool refused =
        knet_handle_new_ex(player.host(), log_fd, 200, 0) == nullptr &&
        knet_handle_new_ex(player.host(), 0, 0, 1 + player.chance.below(9) * 2 + 1) == nullptr;
    TRY(refused ? (errno = 0) : -1);
    return;
  }
  knet_handle_t handle = knet_handle_new_ex(player.host(), 0, player.byte(), 0);
  TRY(handle == nullptr ? -1 : give_back(handle));
}

void new_plain_handle(Player& player) {
  const std::lock_guard lock(player.world.births_and_deaths);
  if (player.chance.one_in(16)) {
    knet_handle_t handle = knet_handle_new(player.host(), player.world.log[1], KNET_LOG_INFO);
    TRY(handle == nullptr ? -1 : give_back(handle));
  } else {
    TRY(knet_handle_new(player.host(), -1, player.byte()) == nullptr ? (errno = 0) : -1);
  }
}

// A live handle is freed when it happens to have no hosts, or now and then by intent; its node gets
// another one.
void free_handle(Player& player) {
  const std::lock_guard lock(player.world.births_and_deaths);
  const size_t node = player.chance.below(kNodes);
  knet_handle_t handle =
      player.chance.one_in(4) ? player.handle() : player.world.seats[node].handle.load();
  if (player.chance.one_in(8)) {
    World::strip(handle);
  }
  errno = kErrnoUntouched;
  const int result = knet_handle_free(handle);
  const int error = errno;
  player.judge("knet_handle_free(handle)", result, error);
  if (result != 0) {
    return;
  }
  player.world.freed = handle;
  for (size_t index = 0; index < kNodes; ++index) {
    if (player.world.seats[index].handle == handle) {
      player.world.make(index);
    }
  }
}

void set_forwarding(Player& player) {
  const unsigned enabled = player.chance.one_in(16) ? 0 : 1 + player.small_or_wild(2);
  TRY(knet_handle_setfwd(player.handle(), enabled));
}

constexpr std::array kActions{
    Action{"knet_handle_new_ex", new_handle},
    Action{"knet_handle_new", new_plain_handle},
    Action{"knet_handle_free", free_handle},
    Action{"knet_handle_enable_sock_notify",
           [](Player& player) {
             knet_handle_t handle = player.handle();
             TRY(knet_handle_enable_sock_notify(handle, player.seat(),
                                                player.chance.one_in(4) ? nullptr : on_sock));
           }},
    Action{"knet_handle_add_datafd",
           [](Player& player) {
             int datafd = player.datafd();
             int8_t channel = player.channel();
             TRY(knet_handle_add_datafd(player.handle(), player.out(datafd), player.out(channel)));
           }},
    Action{"knet_handle_remove_datafd",
           [](Player& player) {
             int datafd = player.datafd();
             knet_handle_t handle = player.handle();
             if (player.chance.one_in(2)) {
               knet_handle_get_datafd(handle, player.channel(), &datafd);
             }
             TRY(knet_handle_remove_datafd(handle, datafd));
           }},
    Action{"knet_handle_get_channel",
           [](Player& player) {
             int8_t channel = 0;
             TRY(knet_handle_get_channel(player.handle(), player.datafd(), player.out(channel)));
           }},
    Action{"knet_handle_get_datafd",
           [](Player& player) {
             int datafd = 0;
             TRY(knet_handle_get_datafd(player.handle(), player.channel(), player.out(datafd)));
           }},
    Action{"knet_recv",
           [](Player& player) {
             TRY(knet_recv(player.handle(), player.buffer(), player.length(), player.channel()));
           }},
    Action{"knet_send",
           [](Player& player) {
             TRY(knet_send(player.handle(), player.buffer(), player.length(), player.channel()));
           }},
    Action{"knet_send_sync",
           [](Player& player) {
             TRY(knet_send_sync(player.handle(), player.buffer(), player.length(),
                                player.channel()));
           }},
    Action{"knet_handle_enable_filter",
           [](Player& player) {
             knet_handle_t handle = player.handle();
             TRY(knet_handle_enable_filter(handle, player.seat(),
                                           player.chance.one_in(2) ? nullptr : filter));
           }},
    Action{"knet_handle_setfwd", set_forwarding},
    Action{"knet_handle_setprio_dscp",
           [](Player& player) { TRY(knet_handle_setprio_dscp(player.handle(), player.byte())); }},
    Action{"knet_handle_enable_access_lists",
           [](Player& player) {
             TRY(knet_handle_enable_access_lists(player.handle(), player.small_or_wild(2)));
           }},
    Action{"knet_handle_pmtud_setfreq",
           [](Player& player) {
             TRY(knet_handle_pmtud_setfreq(player.handle(), player.small_or_wild(3)));
           }},
    Action{"knet_handle_pmtud_getfreq",
           [](Player& player) {
             unsigned value = 0;
             TRY(knet_handle_pmtud_getfreq(player.handle(), player.out(value)));
           }},
    Action{"knet_handle_enable_pmtud_notify",
           [](Player& player) {
             knet_handle_t handle = player.handle();
             TRY(knet_handle_enable_pmtud_notify(handle, player.seat(),
                                                 player.chance.one_in(4) ? nullptr : on_mtu));
           }},
    Action{"knet_handle_pmtud_set",
           [](Player& player) {
             TRY(knet_handle_pmtud_set(player.handle(),
                                       player.chance.one_in(2) ? 0 : player.small_or_wild(70000)));
           }},
    Action{"knet_handle_pmtud_get",
           [](Player& player) {
             unsigned value = 0;
             TRY(knet_handle_pmtud_get(player.handle(), player.out(value)));
           }},
    Action{"knet_handle_crypto_set_config",
           [](Player& player) {
             knet_handle_crypto_cfg cfg{};
             TRY(knet_handle_crypto_set_config(player.handle(), crypto_config(player, cfg),
                                               static_cast<uint8_t>(player.small_or_wild(4))));
           }},
    Action{"knet_handle_crypto_rx_clear_traffic",
           [](Player& player) {
             TRY(knet_handle_crypto_rx_clear_traffic(
                 player.handle(), static_cast<uint8_t>(player.small_or_wild(3))));
           }},
    Action{"knet_handle_crypto_use_config",
           [](Player& player) {
             TRY(knet_handle_crypto_use_config(player.handle(),
                                               static_cast<uint8_t>(player.small_or_wild(4))));
           }},
    Action{"knet_handle_crypto",
           [](Player& player) {
             knet_handle_crypto_cfg cfg{};
             TRY(knet_handle_crypto(player.handle(), crypto_config(player, cfg)));
           }},
    Action{"knet_handle_compress",
           [](Player& player) {
             knet_handle_compress_cfg cfg{};
             TRY(knet_handle_compress(player.handle(), compress_config(player, cfg)));
           }},
    Action{"knet_handle_get_stats",
           [](Player& player) {
             knet_handle_stats stats{};
             TRY(knet_handle_get_stats(player.handle(), player.out(stats), player.length()));
           }},
    Action{"knet_handle_clear_stats",
           [](Player& player) {
             TRY(knet_handle_clear_stats(player.handle(),
                                         static_cast<int>(player.small_or_wild(4))));
           }},
    Action{"knet_get_crypto_list",
           [](Player& player) {
             std::array<knet_crypto_info, 32> list{};
             size_t count = 0;
             TRY(knet_get_crypto_list(player.chance.one_in(2) ? nullptr : list.data(),
                                      player.out(count)));
           }},
    Action{"knet_get_crypto_cipher_list",
           [](Player& player) {
             std::array<knet_crypto_cipher_info, 32> list{};
             size_t count = 0;
             TRY(knet_get_crypto_cipher_list(player.chance.one_in(2) ? nullptr : list.data(),
                                             player.out(count)));
           }},
    Action{"knet_get_crypto_hash_list",
           [](Player& player) {
             std::array<knet_crypto_hash_info, 32> list{};
             size_t count = 0;
             TRY(knet_get_crypto_hash_list(player.chance.one_in(2) ? nullptr : list.data(),
                                           player.out(count)));
           }},
    Action{"knet_get_compress_list",
           [](Player& player) {
             std::array<knet_compress_info, 32> list{};
             size_t count = 0;
             TRY(knet_get_compress_list(player.chance.one_in(2) ? nullptr : list.data(),
                                        player.out(count)));
           }},
    Action{"knet_host_add",
           [](Player& player) { TRY(knet_host_add(player.handle(), player.host())); }},
    Action{"knet_host_remove",
           [](Player& player) { TRY(knet_host_remove(player.handle(), player.host())); }},
    Action{"knet_host_set_name",
           [](Player& player) {
             TRY(knet_host_set_name(player.handle(), player.host(), player.name()));
           }},
    Action{"knet_host_get_name_by_host_id",
           [](Player& player) {
             TRY(knet_host_get_name_by_host_id(player.handle(), player.host(), player.buffer()));
           }},
    Action{"knet_host_get_id_by_host_name",
           [](Player& player) {
             knet_node_id_t host = 0;
             TRY(knet_host_get_id_by_host_name(player.handle(), player.name(), player.out(host)));
           }},
    Action{"knet_host_get_host_list",
           [](Player& player) {
             size_t count = 0;
             TRY(knet_host_get_host_list(player.handle(), player.host_array(), player.out(count)));
           }},
    Action{"knet_host_set_policy",
           [](Player& player) {
             TRY(knet_host_set_policy(player.handle(), player.host(),
                                      static_cast<uint8_t>(player.small_or_wild(4))));
           }},
    Action{"knet_host_get_policy",
           [](Player& player) {
             uint8_t value = 0;
             TRY(knet_host_get_policy(player.handle(), player.host(), player.out(value)));
           }},
    Action{"knet_host_enable_status_change_notify",
           [](Player& player) {
             knet_handle_t handle = player.handle();
             TRY(knet_host_enable_status_change_notify(
                 handle, player.seat(), player.chance.one_in(4) ? nullptr : on_host));
           }},
    Action{"knet_host_get_status",
           [](Player& player) {
             knet_host_status status{};
             TRY(knet_host_get_status(player.handle(), player.host(), player.out(status)));
           }},
    Action{"knet_strtoaddr",
           [](Player& player) {
             sockaddr_storage storage{};
             LOOK_UP(knet_strtoaddr(player.name(), player.name(), player.out(storage),
                                    static_cast<socklen_t>(player.chance.below(129))));
           }},
    Action{"knet_addrtostr",
           [](Player& player) {
             std::array<char, KNET_MAX_HOST_LEN> host{};
             std::array<char, KNET_MAX_PORT_LEN> port{};
             LOOK_UP(knet_addrtostr(player.source(), player.byte(), host.data(),
                                    player.chance.below(host.size() + 1), port.data(),
                                    player.chance.below(port.size() + 1)));
           }},
    Action{"knet_get_transport_list",
           [](Player& player) {
             std::array<knet_transport_info, 8> list{};
             size_t count = 0;
             TRY(knet_get_transport_list(player.chance.one_in(2) ? nullptr : list.data(),
                                         player.out(count)));
           }},
    Action{"knet_get_transport_name_by_id",
           [](Player& player) { LOOK_UP(knet_get_transport_name_by_id(player.byte())); }},
    Action{"knet_get_transport_id_by_name",
           [](Player& player) { LOOK_UP(knet_get_transport_id_by_name(player.name())); }},
    Action{"knet_handle_set_transport_reconnect_interval",
           [](Player& player) {
             TRY(knet_handle_set_transport_reconnect_interval(player.handle(),
                                                              player.small_or_wild(2)));
           }},
    Action{"knet_handle_get_transport_reconnect_interval",
           [](Player& player) {
             uint32_t value = 0;
             TRY(knet_handle_get_transport_reconnect_interval(player.handle(), player.out(value)));
           }},
    Action{"knet_link_set_config",
           [](Player& player) {
             const auto transport =
                 static_cast<uint8_t>(player.chance.one_in(8) ? player.byte() : KNET_TRANSPORT_UDP);
             knet_handle_t handle = player.handle();
             sockaddr_storage* source = player.source();
             TRY(knet_link_set_config(handle, player.host(), player.link(), transport, source,
                                      player.target(), player.chance.bits()));
           }},
    Action{"knet_link_get_config",
           [](Player& player) {
             uint8_t transport = 0;
             uint8_t dynamic = 0;
             uint64_t flags = 0;
             sockaddr_storage from{};
             sockaddr_storage to{};
             TRY(knet_link_get_config(player.handle(), player.host(), player.link(),
                                      player.out(transport), player.out(from), player.out(to),
                                      player.out(dynamic), player.out(flags)));
           }},
    Action{"knet_link_clear_config",
           [](Player& player) {
             TRY(knet_link_clear_config(player.handle(), player.host(), player.link()));
           }},
    Action{"knet_link_add_acl",
           [](Player& player) {
             knet_handle_t handle = player.handle();
             sockaddr_storage* one = player.source();
             TRY(knet_link_add_acl(handle, player.host(), player.link(), one, player.target(),
                                   acl_type(player), verdict(player)));
           }},
    Action{"knet_link_insert_acl",
           [](Player& player) {
             knet_handle_t handle = player.handle();
             sockaddr_storage* one = player.source();
             TRY(knet_link_insert_acl(handle, player.host(), player.link(),
                                      static_cast<int>(player.small_or_wild(5)), one,
                                      player.target(), acl_type(player), verdict(player)));
           }},
    Action{"knet_link_rm_acl",
           [](Player& player) {
             knet_handle_t handle = player.handle();
             sockaddr_storage* one = player.source();
             TRY(knet_link_rm_acl(handle, player.host(), player.link(), one, player.target(),
                                  acl_type(player), verdict(player)));
           }},
    Action{"knet_link_clear_acl",
           [](Player& player) {
             TRY(knet_link_clear_acl(player.handle(), player.host(), player.link()));
           }},
    Action{"knet_link_set_enable",
           [](Player& player) {
             TRY(knet_link_set_enable(player.handle(), player.host(), player.link(),
                                      player.small_or_wild(2)));
           }},
    Action{"knet_link_get_enable",
           [](Player& player) {
             unsigned value = 0;
             TRY(knet_link_get_enable(player.handle(), player.host(), player.link(),
                                      player.out(value)));
           }},
    Action{"knet_link_set_ping_timers",
           [](Player& player) {
             TRY(knet_link_set_ping_timers(player.handle(), player.host(), player.link(),
                                           player.milliseconds(), player.milliseconds(),
                                           player.small_or_wild(100)));
           }},
    Action{"knet_link_get_ping_timers",
           [](Player& player) {
             time_t interval = 0;
             time_t timeout = 0;
             unsigned precision = 0;
             TRY(knet_link_get_ping_timers(player.handle(), player.host(), player.link(),
                                           player.out(interval), player.out(timeout),
                                           player.out(precision)));
           }},
    Action{"knet_link_set_pong_count",
           [](Player& player) {
             TRY(knet_link_set_pong_count(player.handle(), player.host(), player.link(),
                                          static_cast<uint8_t>(player.small_or_wild(3))));
           }},
    Action{"knet_link_get_pong_count",
           [](Player& player) {
             uint8_t value = 0;
             TRY(knet_link_get_pong_count(player.handle(), player.host(), player.link(),
                                          player.out(value)));
           }},
    Action{"knet_link_set_priority",
           [](Player& player) {
             TRY(knet_link_set_priority(player.handle(), player.host(), player.link(),
                                        player.byte()));
           }},
    Action{"knet_link_get_priority",
           [](Player& player) {
             uint8_t value = 0;
             TRY(knet_link_get_priority(player.handle(), player.host(), player.link(),
                                        player.out(value)));
           }},
    Action{"knet_link_get_link_list",
           [](Player& player) {
             size_t count = 0;
             TRY(knet_link_get_link_list(player.handle(), player.host(), player.link_array(),
                                         player.out(count)));
           }},
    Action{"knet_link_get_status",
           [](Player& player) {
             knet_link_status status{};
             TRY(knet_link_get_status(player.handle(), player.host(), player.link(),
                                      player.out(status), player.length()));
           }},
    Action{"knet_log_get_subsystem_name",
           [](Player& player) { LOOK_UP(knet_log_get_subsystem_name(player.byte())); }},
    Action{"knet_log_get_subsystem_id",
           [](Player& player) { LOOK_UP(knet_log_get_subsystem_id(player.name())); }},
    Action{"knet_log_get_loglevel_name",
           [](Player& player) { LOOK_UP(knet_log_get_loglevel_name(player.byte())); }},
    Action{"knet_log_get_loglevel_id",
           [](Player& player) { LOOK_UP(knet_log_get_loglevel_id(player.name())); }},
    Action{"knet_log_set_loglevel",
           [](Player& player) {
             TRY(knet_log_set_loglevel(player.handle(), player.byte() % 80,
                                       static_cast<uint8_t>(player.small_or_wild(6))));
           }},
    Action{"knet_log_get_loglevel",
           [](Player& player) {
             uint8_t value = 0;
             TRY(knet_log_get_loglevel(player.handle(), player.byte() % 80, player.out(value)));
           }},
};

}  // namespace

std::span<const Action> actions() {
  return kActions;
}

}  // namespace random_calls
