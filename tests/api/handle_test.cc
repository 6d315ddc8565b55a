// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Handles: what creation accepts, when freeing is refused, and how every call treats a pointer that
// is no handle. Calls racing with knet_handle_free are in threads_test.cc.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "tests/api/support.h"

using knet_test::Node;
using knet_test::on_peer;

namespace {

void check_refused(int expected, knet_node_id_t id, int log_fd, uint8_t level, uint64_t flags) {
  errno = kErrnoUntouched;
  knet_handle_t handle = knet_handle_new_ex(id, log_fd, level, flags);
  CHECK(handle == nullptr);
  CHECK(errno == expected);
}

void check_accepted(knet_node_id_t id, int log_fd, uint8_t level) {
  errno = kErrnoUntouched;
  knet_handle_t handle = knet_handle_new_ex(id, log_fd, level, 0);
  REQUIRE(handle != nullptr);
  CHECK(errno == 0);
  CHECK_OK(knet_handle_free(handle));
}

size_t open_descriptors() {
  size_t count = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    count += knet_test::is_open(fd) ? 1 : 0;
  }
  return count;
}

}  // namespace

TEST_CASE("creation checks its arguments") {
  rlimit files{};
  REQUIRE_OK(getrlimit(RLIMIT_NOFILE, &files));
  const knet_test::Pipe pipe(O_NONBLOCK);
  check_refused(EINVAL, 1, -1, KNET_LOG_DEBUG, 0);
  check_refused(EINVAL, 1, -1, 200, 77);
  if (files.rlim_max < 0x7FFFFFFF) {
    check_refused(EINVAL, 1, static_cast<int>(files.rlim_max), KNET_LOG_DEBUG, 0);
  }
  check_refused(EINVAL, 1, pipe.writer(), KNET_LOG_DEBUG + 1, 0);
  check_refused(EINVAL, 1, 0, 0, 2);
  check_refused(EINVAL, 1, 0, 0, UINT64_MAX);
}

TEST_CASE("creation accepts every id, and any level without a log") {
  check_accepted(0, 0, 0);
  check_accepted(65535, 0, 200);
}

TEST_CASE("the privileged flag is granted, or refused by name") {
  errno = kErrnoUntouched;
  knet_handle_t handle = knet_handle_new(1, 0, 0);
  if (handle == nullptr) {
    CHECK(errno == ENAMETOOLONG);
    return;
  }
  CHECK(errno == 0);
  CHECK_OK(knet_handle_free(handle));
}

TEST_CASE("without the right to exceed the system's limit the privileged flag is refused") {
  std::ifstream file("/proc/sys/net/core/rmem_max");
  long limit = 0;
  file >> limit;
  // The kernel reports twice of what it grants, and that is what is compared.
  if (geteuid() != 0 || limit == 0 || 2 * limit >= 8388608) {
    knet_test::skip("needs root, to give it up, and a net.core.rmem_max below 4 MiB");
    return;
  }
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const uid_t nobody = 65534;
    if (setresuid(nobody, nobody, nobody) != 0) {
      _exit(1);
    }
    errno = 0;
    if (knet_handle_new(1, 0, 0) != nullptr || errno != ENAMETOOLONG) {
      _exit(2);
    }
    knet_handle_t plain = knet_handle_new_ex(1, 0, 0, 0);
    _exit(plain != nullptr && knet_handle_free(plain) == 0 ? 0 : 3);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("handles with the same id live side by side") {
  std::set<knet_handle_t> handles;
  for (int count = 0; count < (on_peer() ? 3 : 40); ++count) {
    knet_handle_t handle = knet_handle_new_ex(7, 0, 0, 0);
    REQUIRE(handle != nullptr);
    CHECK(handles.insert(handle).second);
  }
  for (knet_handle_t handle : handles) {
    CHECK_OK(knet_handle_free(handle));
    CHECK_FAILS(EINVAL, knet_handle_free(handle));
  }
}

TEST_CASE("freeing is refused while there are hosts") {
  Node node(1);
  CHECK_OK(knet_host_add(node, 2));
  CHECK_FAILS(EBUSY, knet_handle_free(node));
  CHECK_OK(knet_handle_setfwd(node, 1));
  CHECK_OK(knet_host_remove(node, 2));
  CHECK_OK(knet_handle_free(node.release()));
}

TEST_CASE("a handle leaves no descriptor behind, and the log open") {
  const knet_test::Pipe pipe(O_NONBLOCK);
  check_accepted(1, pipe.writer(), KNET_LOG_DEBUG);
  const size_t before = open_descriptors();
  {
    Node node(1, pipe.writer());
    node.open_channel(0);
    node.open_channel(31);
    CHECK(open_descriptors() > before);
  }
  CHECK(open_descriptors() == before);
  CHECK(knet_test::is_open(pipe.writer()));
}

TEST_CASE("the forwarding switch") {
  Node node(1);
  CHECK_FAILS(EINVAL, knet_handle_setfwd(nullptr, 0));
  CHECK_FAILS(EINVAL, knet_handle_setfwd(node, 2));
  CHECK_OK(knet_handle_setfwd(node, 1));
  CHECK_OK(knet_handle_setfwd(node, 1));
  CHECK_OK(knet_handle_setfwd(node, 0));
  CHECK_OK(knet_handle_setfwd(node, 0));
}

TEST_CASE("callbacks may be removed, but for the one that is required") {
  Node node(1);
  CHECK_FAILS(EINVAL, knet_handle_enable_sock_notify(node, nullptr, nullptr));
  CHECK_OK(knet_handle_enable_filter(node, nullptr, nullptr));
  CHECK_OK(knet_handle_enable_filter(node, &node, nullptr));
  CHECK_OK(knet_handle_enable_pmtud_notify(node, nullptr, nullptr));
  CHECK_OK(knet_host_enable_status_change_notify(node, nullptr, nullptr));
}

TEST_CASE("the reconnect interval is kept") {
  Node node(1);
  uint32_t interval = 0;
  CHECK_OK(knet_handle_get_transport_reconnect_interval(node, &interval));
  CHECK(interval == KNET_TRANSPORT_DEFAULT_RECONNECT_INTERVAL);
  CHECK_FAILS(EINVAL, knet_handle_get_transport_reconnect_interval(node, nullptr));
  CHECK_FAILS(EINVAL, knet_handle_set_transport_reconnect_interval(node, 0));
  for (const uint32_t wanted : {1U, 60001U, UINT32_MAX}) {
    CHECK_OK(knet_handle_set_transport_reconnect_interval(node, wanted));
    CHECK_OK(knet_handle_get_transport_reconnect_interval(node, &interval));
    CHECK(interval == wanted);
  }
}

// Every call with a handle that is none. Arguments are good otherwise, so that only the handle can
// be at fault.
static void check_all_calls_refuse(knet_handle_t bad) {
  int datafd = 0;
  int8_t channel = 0;
  std::array<char, KNET_MAX_HOST_LEN> text{"x"};
  unsigned int number = 0;
  uint32_t wide = 0;
  uint8_t byte = 0;
  uint64_t flags = 0;
  time_t interval = 0;
  time_t timeout = 0;
  knet_node_id_t id = 0;
  std::vector<knet_node_id_t> ids(KNET_MAX_HOST);
  std::array<uint8_t, KNET_MAX_LINK> links{};
  size_t count = 0;
  knet_handle_stats stats{};
  knet_host_status host_status{};
  knet_link_status link_status{};
  sockaddr_storage source = knet_test::address("127.0.0.1", 0);
  sockaddr_storage destination = source;
  const auto sock = [](void*, int, int8_t, uint8_t, int, int) {};

  CHECK_FAILS(EINVAL, knet_handle_free(bad));
  CHECK_FAILS(EINVAL, knet_handle_enable_sock_notify(bad, nullptr, sock));
  CHECK_FAILS(EINVAL, knet_handle_add_datafd(bad, &datafd, &channel));
  CHECK_FAILS(EINVAL, knet_handle_remove_datafd(bad, 5));
  CHECK_FAILS(EINVAL, knet_handle_get_channel(bad, 5, &channel));
  CHECK_FAILS(EINVAL, knet_handle_get_datafd(bad, 0, &datafd));
  CHECK_FAILS(EINVAL, knet_recv(bad, text.data(), 1, 0));
  CHECK_FAILS(EINVAL, knet_send(bad, text.data(), 1, 0));
  CHECK_FAILS(EINVAL, knet_send_sync(bad, text.data(), 1, 0));
  CHECK_FAILS(EINVAL, knet_handle_enable_filter(bad, nullptr, nullptr));
  CHECK_FAILS(EINVAL, knet_handle_setfwd(bad, 1));
  CHECK_FAILS(EINVAL, knet_handle_pmtud_setfreq(bad, 1));
  CHECK_FAILS(EINVAL, knet_handle_pmtud_getfreq(bad, &number));
  CHECK_FAILS(EINVAL, knet_handle_enable_pmtud_notify(bad, nullptr, nullptr));
  CHECK_FAILS(EINVAL, knet_handle_pmtud_set(bad, 0));
  CHECK_FAILS(EINVAL, knet_handle_pmtud_get(bad, &number));
  CHECK_FAILS(EINVAL, knet_handle_get_stats(bad, &stats, sizeof(stats)));
  CHECK_FAILS(EINVAL, knet_handle_clear_stats(bad, KNET_CLEARSTATS_HANDLE_ONLY));
  CHECK_FAILS(EINVAL, knet_host_add(bad, 2));
  CHECK_FAILS(EINVAL, knet_host_remove(bad, 2));
  CHECK_FAILS(EINVAL, knet_host_set_name(bad, 2, "name"));
  CHECK_FAILS(EINVAL, knet_host_get_name_by_host_id(bad, 2, text.data()));
  CHECK_FAILS(EINVAL, knet_host_get_id_by_host_name(bad, "2", &id));
  CHECK_FAILS(EINVAL, knet_host_get_host_list(bad, ids.data(), &count));
  CHECK_FAILS(EINVAL, knet_host_set_policy(bad, 2, KNET_LINK_POLICY_RR));
  CHECK_FAILS(EINVAL, knet_host_get_policy(bad, 2, &byte));
  CHECK_FAILS(EINVAL, knet_host_enable_status_change_notify(bad, nullptr, nullptr));
  CHECK_FAILS(EINVAL, knet_host_get_status(bad, 2, &host_status));
  CHECK_FAILS(EINVAL, knet_handle_set_transport_reconnect_interval(bad, 1));
  CHECK_FAILS(EINVAL, knet_handle_get_transport_reconnect_interval(bad, &wide));
  CHECK_FAILS(EINVAL,
              knet_link_set_config(bad, 2, 0, KNET_TRANSPORT_UDP, &source, &destination, 0));
  CHECK_FAILS(EINVAL, knet_link_get_config(bad, 2, 0, &byte, &source, &destination, &byte, &flags));
  CHECK_FAILS(EINVAL, knet_link_clear_config(bad, 2, 0));
  CHECK_FAILS(EINVAL, knet_link_set_enable(bad, 2, 0, 1));
  CHECK_FAILS(EINVAL, knet_link_get_enable(bad, 2, 0, &number));
  CHECK_FAILS(EINVAL, knet_link_set_ping_timers(bad, 2, 0, 1000, 2000, 2048));
  CHECK_FAILS(EINVAL, knet_link_get_ping_timers(bad, 2, 0, &interval, &timeout, &number));
  CHECK_FAILS(EINVAL, knet_link_set_pong_count(bad, 2, 0, 2));
  CHECK_FAILS(EINVAL, knet_link_get_pong_count(bad, 2, 0, &byte));
  CHECK_FAILS(EINVAL, knet_link_set_priority(bad, 2, 0, 2));
  CHECK_FAILS(EINVAL, knet_link_get_priority(bad, 2, 0, &byte));
  CHECK_FAILS(EINVAL, knet_link_get_link_list(bad, 2, links.data(), &count));
  CHECK_FAILS(EINVAL, knet_link_get_status(bad, 2, 0, &link_status, sizeof(link_status)));
  CHECK_FAILS(EINVAL, knet_log_set_loglevel(bad, 0, 0));
  CHECK_FAILS(EINVAL, knet_log_get_loglevel(bad, 0, &byte));
}

TEST_CASE("every call refuses what is no handle, without following it") {
  SUBCASE("nothing") {
    check_all_calls_refuse(nullptr);
  }
  SUBCASE("a wild pointer") {
    check_all_calls_refuse(reinterpret_cast<knet_handle_t>(0x10));
  }
  SUBCASE("a pointer into a handle") {
    const Node node(1);
    check_all_calls_refuse(
        reinterpret_cast<knet_handle_t>(reinterpret_cast<char*>(node.get()) + 8));
  }
  SUBCASE("a handle that was freed") {
    knet_handle_t handle = Node(1).release();
    CHECK_OK(knet_handle_free(handle));
    check_all_calls_refuse(handle);
  }
}
