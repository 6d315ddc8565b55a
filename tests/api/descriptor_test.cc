// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Descriptors at the edge: pipes without a reader, refused ones, and a process whose standard ones
// are closed. The classic library raises SIGPIPE and uses descriptor 0, so most is for ours.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <climits>
#include <csignal>
#include <limits>

#include "tests/api/support.h"

using knet_test::is_open;
using knet_test::Node;
using knet_test::on_peer;
using knet_test::Pipe;

namespace {

bool is_pending(int signal) {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, signal) == 1;
}

bool is_blocked(int signal) {
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return sigismember(&blocked, signal) == 1;
}

// Blocks SIGPIPE for the calling thread, and takes a pending one away at the end.
class Blocked {
 public:
  Blocked() {
    sigemptyset(&signal_);
    sigaddset(&signal_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signal_, &before_);
  }
  ~Blocked() {
    const timespec none{};
    sigtimedwait(&signal_, nullptr, &none);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  Blocked(const Blocked&) = delete;
  Blocked& operator=(const Blocked&) = delete;

 private:
  sigset_t signal_{};
  sigset_t before_{};
};

}  // namespace

TEST_CASE("knet_send into a pipe without a reader is EPIPE and no signal") {
  if (on_peer()) {
    return;
  }
  signal(SIGPIPE, SIG_DFL);
  Node node(1);
  Pipe pipe(0);
  int datafd = pipe.writer();
  int8_t channel = 0;
  REQUIRE_OK(knet_handle_add_datafd(node, &datafd, &channel));
  CHECK_CALL(1, 0, knet_send(node, "x", 1, 0));
  pipe.close_reader();
  CHECK_CALL(-1, EPIPE, knet_send(node, "x", 1, 0));
  CHECK_FALSE(is_pending(SIGPIPE));
  CHECK_FALSE(is_blocked(SIGPIPE));
  {
    const Blocked blocked;
    CHECK_CALL(-1, EPIPE, knet_send(node, "x", 1, 0));
    CHECK_FALSE(is_pending(SIGPIPE));
    raise(SIGPIPE);  // what was pending before stays
    CHECK_CALL(-1, EPIPE, knet_send(node, "x", 1, 0));
    CHECK(is_pending(SIGPIPE));
    CHECK(is_blocked(SIGPIPE));
  }
  REQUIRE_OK(knet_handle_remove_datafd(node, datafd));
}

TEST_CASE("a log pipe without a reader raises no signal") {
  if (on_peer()) {
    return;
  }
  signal(SIGPIPE, SIG_DFL);
  Pipe pipe(0);
  Node node(1, pipe.writer());
  pipe.close_reader();
  for (int turn = 0; turn < 10; ++turn)
    REQUIRE_OK(knet_handle_setfwd(node, turn % 2 == 0 ? 1 : 0));
  CHECK_FALSE(is_pending(SIGPIPE));
}

TEST_CASE("a refused descriptor keeps its flags") {
  if (on_peer()) {
    return;
  }
  Node node(1);
  const int null = open("/dev/null", O_RDWR);  // no O_CLOEXEC: that is what is looked at
  REQUIRE(null > 0);
  int datafd = null;
  int8_t channel = -1;
  CHECK_FAILS(EPERM, knet_handle_add_datafd(node, &datafd, &channel));
  CHECK((fcntl(null, F_GETFL) & O_NONBLOCK) == 0);
  CHECK((fcntl(null, F_GETFD) & FD_CLOEXEC) == 0);
  close(null);

  Pipe pipe(0);
  const int plain = dup(pipe.reader());
  REQUIRE(plain > 0);
  channel = 0;
  node.open_channel(0);
  datafd = plain;
  CHECK_FAILS(EBUSY, knet_handle_add_datafd(node, &datafd, &channel));
  CHECK((fcntl(plain, F_GETFL) & O_NONBLOCK) == 0);
  CHECK((fcntl(plain, F_GETFD) & FD_CLOEXEC) == 0);
  close(plain);
}

namespace {

// In a child without standard descriptors; the number of the first step that fails.
int use_without_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd)
    close(fd);
  knet_handle_t handle = knet_handle_new_ex(1, 0, 0, 0);
  if (handle == nullptr)
    return 1;
  if (knet_handle_enable_sock_notify(handle, nullptr,
                                     [](void*, int, int8_t, uint8_t, int, int) {}) != 0)
    return 2;
  int datafd = 0;
  int8_t channel = -1;
  if (knet_handle_add_datafd(handle, &datafd, &channel) != 0 || datafd <= 2)
    return 3;
  sockaddr_storage here{};
  if (knet_host_add(handle, 2) != 0 || knet_strtoaddr("127.0.0.1", "0", &here, sizeof(here)) != 0 ||
      knet_link_set_config(handle, 2, 0, KNET_TRANSPORT_UDP, &here, nullptr, 0) != 0)
    return 4;
  if (is_open(0) || is_open(1) || is_open(2))
    return 5;
  if (knet_handle_remove_datafd(handle, datafd) != 0 || knet_link_clear_config(handle, 2, 0) != 0 ||
      knet_host_remove(handle, 2) != 0)
    return 6;
  return knet_handle_free(handle) == 0 ? 0 : 7;
}

}  // namespace

TEST_CASE("with the standard descriptors closed none of the library's takes their place") {
  if (on_peer()) {
    return;
  }
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0)
    _exit(use_without_standard_descriptors());
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("the longest ping timers are as good as none") {
  Node node(1);
  REQUIRE_OK(knet_host_add(node, 2));
  sockaddr_storage here = knet_test::address("127.0.0.1", knet_test::free_port());
  sockaddr_storage there = knet_test::address("127.0.0.1", knet_test::free_port());
  REQUIRE_OK(knet_link_set_config(node, 2, 0, KNET_TRANSPORT_UDP, &here, &there, 0));
  const time_t most = std::numeric_limits<time_t>::max();
  REQUIRE_OK(knet_link_set_enable(node, 2, 0, 1));
  if (!on_peer()) {
    CHECK_OK(knet_link_set_ping_timers(node, 2, 0, most, most, UINT_MAX));
    CHECK_OK(knet_link_set_ping_timers(node, 2, 0, 1, most, 1));
    CHECK_OK(knet_link_set_ping_timers(node, 2, 0, most, 1, UINT_MAX));
    CHECK_OK(knet_handle_pmtud_setfreq(node, 86400));
    CHECK_OK(knet_handle_set_transport_reconnect_interval(node, UINT32_MAX));
    CHECK_OK(knet_link_set_enable(node, 2, 0, 0));
    CHECK_OK(knet_link_set_enable(node, 2, 0, 1));
  }
}
