// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about making and ending handles, their defaults, and settings that concern the whole
// handle. That a dead handle is refused by every call is dead_handle_cases.cc's.
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

#include "tests/conformance/world.h"

namespace conformance {
namespace {

constexpr uint8_t kAbsurdLevel = 200;

// The kernel's cap on socket buffers, in bytes.
long buffer_cap(const char* name) {
  long cap = 0;
  if (std::FILE* file = std::fopen(name, "re"); file != nullptr) {
    if (std::fscanf(file, "%ld", &cap) != 1) {
      cap = 0;
    }
    std::fclose(file);
  }
  return cap;
}

}  // namespace

CONFORMANCE_CASE(handle_new_arguments) {
  rlimit files{};
  NEED(getrlimit(RLIMIT_NOFILE, &files) == 0);
  const int limit = static_cast<int>(files.rlim_max);
  const knet_handle_t none = nullptr;
  CALL(gives(none, EINVAL), knet_handle_new_ex(1, -1, KNET_LOG_DEBUG, 0));
  CALL(gives(none, EINVAL), knet_handle_new_ex(1, limit, KNET_LOG_DEBUG, 0));
  CALL(gives(none, EINVAL), knet_handle_new_ex(1, 1, KNET_LOG_DEBUG + 1, 0));
  CALL(gives(none, EINVAL), knet_handle_new_ex(1, 0, 0, KNET_HANDLE_FLAG_PRIVILEGED << 1));
  CALL(gives(none, EINVAL), knet_handle_new_ex(1, 0, 0, ~0ULL));
  CALL(gives(none, EINVAL), knet_handle_new(1, -1, KNET_LOG_DEBUG));
  CALL(gives(none, EINVAL), knet_handle_new(1, 1, KNET_LOG_DEBUG + 1));
  knet_handle_t handle = nullptr;
  CALL(gives(std::string("made")),
       (handle = knet_handle_new_ex(UINT16_MAX, 0, kAbsurdLevel, 0)) != nullptr
           ? std::string("made")
           : std::string("refused"));
  uint8_t level = kAbsurdLevel;
  CALL(kOk, knet_log_get_loglevel(handle, KNET_SUB_COMMON, &level));
  VALUE(0, level);
  CALL(kOk, knet_handle_free(handle));
}

CONFORMANCE_CASE(handle_new_without_privilege) {
  constexpr long kWanted = 8388608;
  constexpr uid_t kNobody = 65534;
  if (geteuid() != 0) {
    skip("only root can give its privileges up");
  }
  // The kernel reports twice what it was asked for, and that is what both libraries look at.
  if (2 * buffer_cap("/proc/sys/net/core/rmem_max") >= kWanted &&
      2 * buffer_cap("/proc/sys/net/core/wmem_max") >= kWanted) {
    skip("the system grants the large buffers to everybody");
  }
  NEED(setresuid(kNobody, kNobody, kNobody) == 0);
  const knet_handle_t none = nullptr;
  CALL(gives(none, ENAMETOOLONG), knet_handle_new(1, 0, 0));
  CALL(gives(none, ENAMETOOLONG), knet_handle_new_ex(1, 0, 0, KNET_HANDLE_FLAG_PRIVILEGED));
  const Node plain(Node::Bare{});
}

CONFORMANCE_CASE(handle_free_rules) {
  int junk = 0;
  CALL(fails(EINVAL), knet_handle_free(nullptr));
  CALL(fails(EINVAL), knet_handle_free(reinterpret_cast<knet_handle_t>(&junk)));
  Node node;
  Node same_id;  // equal ids may live together
  NEED(knet_host_add(node, 2) == 0);
  CALL(fails(EBUSY), knet_handle_free(node));
  unsigned mtu = 0;
  CALL(kOk, knet_handle_pmtud_get(node, &mtu));
  CALL(kOk, knet_host_remove(node, 2));
  knet_handle_t handle = node.release();
  CALL(kOk, knet_handle_free(handle));
  CALL(fails(EINVAL), knet_handle_free(handle));
}

CONFORMANCE_CASE(handle_free_and_descriptors) {
  Ends log(Ends::pipe(O_NONBLOCK));
  Ends user(Ends::sockets(SOCK_SEQPACKET));
  Node node(1, log.second);
  const int own = node.open_channel(0);
  int datafd = user.first;
  int8_t channel = 1;
  NEED(knet_handle_add_datafd(node, &datafd, &channel) == 0);
  CALL(kOk, knet_handle_free(node.release()));
  VALUE(false, is_open(own));
  VALUE(true, is_open(log.second));
  VALUE(differs("the application's descriptors stay open in knet_handle_free", true, false),
        is_open(datafd));
}

CONFORMANCE_CASE(handle_free_in_callback) {
  NOT_ON_PEER("knet_handle_free inside a callback hangs") {
    Node node;
    const int datafd = node.open_channel();
    std::atomic<bool> done{false};
    Outcome seen;
    node.inside_callback([&] {
      seen = call([&] { return knet_handle_free(node); });
      done = true;
    });
    Node peer(2);
    join(node, peer);
    NEED(eventually([&] { return done.load(); }));
    VALUE(fails(EDEADLK), seen);
    VALUE(true, is_open(datafd));
  }
}

CONFORMANCE_CASE(handle_defaults) {
  Node node;
  unsigned value = 0;
  CALL(kOk, knet_handle_pmtud_getfreq(node, &value));
  VALUE(KNET_PMTUD_DEFAULT_INTERVAL, value);
  CALL(kOk, knet_handle_pmtud_get(node, &value));
  VALUE(482, value);
  uint32_t interval = 0;
  CALL(kOk, knet_handle_get_transport_reconnect_interval(node, &interval));
  VALUE(KNET_TRANSPORT_DEFAULT_RECONNECT_INTERVAL, interval);
  std::vector<knet_node_id_t> hosts(KNET_MAX_HOST);
  size_t count = 99;
  CALL(kOk, knet_host_get_host_list(node, hosts.data(), &count));
  VALUE(0, count);
}

CONFORMANCE_CASE(setfwd_arguments) {
  Node node;
  CALL(fails(EINVAL), knet_handle_setfwd(node, 2));
  CALL(fails(EINVAL), knet_handle_setfwd(nullptr, 2));
  CALL(kOk, knet_handle_setfwd(node, 0));
  CALL(kOk, knet_handle_setfwd(node, 1));
  CALL(kOk, knet_handle_setfwd(node, 1));
  CALL(kOk, knet_handle_setfwd(node, 0));
}

CONFORMANCE_CASE(access_list_switch_arguments) {
  Node node;
  CALL(fails(EINVAL), knet_handle_enable_access_lists(node, 2));
  CALL(fails(EINVAL), knet_handle_enable_access_lists(node, UINT_MAX));
  CALL(kOk, knet_handle_enable_access_lists(node, 1));
  CALL(kOk, knet_handle_enable_access_lists(node, 1));
  CALL(kOk, knet_handle_enable_access_lists(node, 0));
}

CONFORMANCE_CASE(pmtud_arguments) {
  constexpr unsigned kDay = 86400;
  Node node;
  CALL(fails(EINVAL), knet_handle_pmtud_setfreq(node, 0));
  CALL(fails(EINVAL), knet_handle_pmtud_setfreq(node, kDay + 1));
  CALL(kOk, knet_handle_pmtud_setfreq(node, 1));
  CALL(kOk, knet_handle_pmtud_setfreq(node, kDay));
  unsigned value = 0;
  CALL(fails(EINVAL), knet_handle_pmtud_getfreq(node, nullptr));
  CALL(kOk, knet_handle_pmtud_getfreq(node, &value));
  VALUE(kDay, value);
  CALL(fails(EINVAL), knet_handle_pmtud_set(node, 65536));
  CALL(fails(EINVAL), knet_handle_pmtud_set(node, UINT_MAX));
  CALL(kOk, knet_handle_pmtud_set(node, 65535));
  CALL(kOk, knet_handle_pmtud_set(node, 1500));
  CALL(kOk, knet_handle_pmtud_set(node, 0));
  CALL(fails(EINVAL), knet_handle_pmtud_get(node, nullptr));
  CALL(kOk, knet_handle_pmtud_get(node, &value));
  VALUE(482, value);
}

CONFORMANCE_CASE(callbacks_can_be_removed) {
  Node node;
  CALL(kOk, knet_handle_enable_pmtud_notify(node, nullptr, nullptr));
  CALL(kOk, knet_host_enable_status_change_notify(node, nullptr, nullptr));
  CALL(kOk, knet_handle_enable_filter(node, nullptr, nullptr));
  CALL(fails(EINVAL), knet_handle_enable_sock_notify(node, nullptr, nullptr));
}

CONFORMANCE_CASE(reconnect_interval_arguments) {
  Node node;
  uint32_t value = 0;
  CALL(fails(EINVAL), knet_handle_set_transport_reconnect_interval(node, 0));
  CALL(fails(EINVAL), knet_handle_get_transport_reconnect_interval(node, nullptr));
  for (const uint32_t interval : {1U, 999U, 60001U, UINT32_MAX}) {
    CALL(kOk, knet_handle_set_transport_reconnect_interval(node, interval));
    CALL(kOk, knet_handle_get_transport_reconnect_interval(node, &value));
    VALUE(interval, value);
  }
}

}  // namespace conformance
