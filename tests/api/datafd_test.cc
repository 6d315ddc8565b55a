// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Channels and their descriptors: which are accepted, what is stored when, who closes what, and end
// of file.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/api/support.h"

using knet_test::Event;
using knet_test::is_open;
using knet_test::Node;
using knet_test::on_peer;

namespace {

struct Added {
  int result;
  int error;
  int datafd;
  int channel;
};

Added add(knet_handle_t handle, int datafd, int8_t channel) {
  errno = kErrnoUntouched;
  const int result = knet_handle_add_datafd(handle, &datafd, &channel);
  return {result, errno, datafd, channel};
}

void check_add_fails(int expected, knet_handle_t handle, int datafd, int8_t channel) {
  const Added added = add(handle, datafd, channel);
  CHECK(added.result == -1);
  CHECK(added.error == expected);
  CHECK(added.datafd == datafd);
  CHECK(added.channel == channel);
}

int socket_type(int fd) {
  int type = 0;
  socklen_t size = sizeof(type);
  REQUIRE_OK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size));
  return type;
}

struct SocketPair {
  std::array<int, 2> ends{-1, -1};
  explicit SocketPair(int type) { REQUIRE_OK(socketpair(AF_UNIX, type, 0, ends.data())); }
  SocketPair(const SocketPair&) = delete;
  SocketPair& operator=(const SocketPair&) = delete;
  ~SocketPair() {
    close(ends[0]);
    close(ends[1]);
  }
};

}  // namespace

TEST_CASE("add_datafd checks its arguments in order") {
  Node node(1);
  int datafd = 0;
  int8_t channel = 0;
  CHECK_FAILS(EINVAL, knet_handle_add_datafd(node, nullptr, &channel));
  CHECK_FAILS(EINVAL, knet_handle_add_datafd(node, &datafd, nullptr));
  check_add_fails(EINVAL, node, 0, KNET_DATAFD_MAX);
  const int first = node.open_channel(3);
  check_add_fails(EEXIST, node, first, 3);
  check_add_fails(EEXIST, node, first, 4);
  check_add_fails(EEXIST, node, first, -1);
  check_add_fails(EBUSY, node, 0, 3);
}

TEST_CASE("a channel needs the callback first") {
  knet_handle_t handle = knet_handle_new_ex(1, 0, 0, 0);
  REQUIRE(handle != nullptr);
  check_add_fails(EINVAL, handle, 0, 0);
  CHECK_OK(knet_handle_free(handle));
}

TEST_CASE("the library makes a pair when no descriptor is given") {
  Node node(1);
  for (const int wanted : {0, -1}) {
    const Added added = add(node, wanted, -1);
    REQUIRE(added.result == 0);
    CHECK(added.error == 0);
    CHECK(added.datafd > 0);
    CHECK((fcntl(added.datafd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((fcntl(added.datafd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK(socket_type(added.datafd) == SOCK_SEQPACKET);
    CHECK_OK(knet_handle_remove_datafd(node, added.datafd));
    CHECK(!is_open(added.datafd));
  }
}

TEST_CASE("the lowest free channel is taken when none is asked for") {
  Node node(1);
  node.open_channel(0);
  node.open_channel(2);
  CHECK(add(node, 0, -1).channel == 1);
  const int fd_of_three = add(node, 0, -1).datafd;
  CHECK(add(node, 0, -77).channel == 4);
  CHECK_OK(knet_handle_remove_datafd(node, fd_of_three));
  CHECK(add(node, 0, -1).channel == 3);
  for (int channel = 5; channel < KNET_DATAFD_MAX; ++channel) {
    CHECK(add(node, 0, -1).channel == channel);
  }
  check_add_fails(EBUSY, node, 0, -1);
}

TEST_CASE("descriptors and channels convert") {
  Node node(1);
  const int datafd = node.open_channel(9);
  int8_t channel = 77;
  int found = 77;
  CHECK_OK(knet_handle_get_channel(node, datafd, &channel));
  CHECK(channel == 9);
  CHECK_OK(knet_handle_get_datafd(node, 9, &found));
  CHECK(found == datafd);

  channel = 77;
  CHECK_FAILS(EINVAL, knet_handle_get_channel(node, 0, &channel));
  CHECK_FAILS(EINVAL, knet_handle_get_channel(node, -1, &channel));
  CHECK_FAILS(EINVAL, knet_handle_get_channel(node, datafd, nullptr));
  CHECK(channel == 77);
  CHECK_FAILS(EINVAL, knet_handle_get_channel(node, datafd + 1000, &channel));
  CHECK(channel == -1);

  found = 77;
  CHECK_FAILS(EINVAL, knet_handle_get_datafd(node, -1, &found));
  CHECK_FAILS(EINVAL, knet_handle_get_datafd(node, KNET_DATAFD_MAX, &found));
  CHECK_FAILS(EINVAL, knet_handle_get_datafd(node, 9, nullptr));
  CHECK_FAILS(EINVAL, knet_handle_get_datafd(node, 8, &found));
  CHECK(found == 77);
}

TEST_CASE("removing frees the channel, once") {
  Node node(1);
  const int datafd = node.open_channel(9);
  CHECK_FAILS(EINVAL, knet_handle_remove_datafd(node, 0));
  CHECK_FAILS(EINVAL, knet_handle_remove_datafd(node, -1));
  CHECK_FAILS(EINVAL, knet_handle_remove_datafd(node, datafd + 1000));
  CHECK_OK(knet_handle_remove_datafd(node, datafd));
  CHECK_FAILS(EINVAL, knet_handle_remove_datafd(node, datafd));
  int found = 77;
  CHECK_FAILS(EINVAL, knet_handle_get_datafd(node, 9, &found));
  node.open_channel(9);
}

TEST_CASE("a descriptor of the application is used as it is and left open") {
  const SocketPair pair(SOCK_SEQPACKET);
  Node node(1);
  const Added added = add(node, pair.ends[0], 4);
  REQUIRE(added.result == 0);
  CHECK(added.datafd == pair.ends[0]);
  CHECK((fcntl(pair.ends[0], F_GETFL) & O_NONBLOCK) != 0);
  CHECK((fcntl(pair.ends[0], F_GETFD) & FD_CLOEXEC) != 0);
  CHECK_OK(knet_handle_remove_datafd(node, pair.ends[0]));
  CHECK(is_open(pair.ends[0]));
  CHECK(add(node, pair.ends[0], 5).result == 0);
  node.clear();
  CHECK_OK(knet_handle_free(node.release()));
  if (!on_peer()) {  // it closes what is still installed
    CHECK(is_open(pair.ends[0]));
  }
}

TEST_CASE("what cannot be polled or is not open is refused and changes nothing") {
  if (on_peer()) {
    return;  // it has stored the channel by then
  }
  Node node(1);
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  REQUIRE(null > 0);
  check_add_fails(EPERM, node, null, -1);
  close(null);
  check_add_fails(EBADF, node, null, -1);
  int found = 0;
  CHECK_FAILS(EINVAL, knet_handle_get_datafd(node, 0, &found));
}

TEST_CASE("end of file is reported once and the callback may remove the channel") {
  if (on_peer()) {
    return;  // it reports without end, and hangs in the removal
  }
  SocketPair pair(SOCK_SEQPACKET);
  Node node(1);
  REQUIRE(add(node, pair.ends[0], 4).result == 0);
  std::array<int, 2> removed{77, 77};
  node.on_callback([&](const Event& event) {
    errno = kErrnoUntouched;
    removed[0] = knet_handle_remove_datafd(node, event.datafd);
    removed[1] = errno;
  });
  shutdown(pair.ends[1], SHUT_RDWR);
  const auto is_end = [&](const Event& event) {
    return event.kind == Event::Kind::kSock && event.datafd == pair.ends[0] && event.channel == 4 &&
           event.direction == KNET_NOTIFY_TX && event.error == 0 && event.errno_value == 0;
  };
  REQUIRE(node.events().wait_for(is_end));
  REQUIRE(knet_test::eventually([&] {
    int8_t channel = 0;
    return knet_handle_get_channel(node, pair.ends[0], &channel) != 0;
  }));
  REQUIRE_OK(
      knet_handle_setfwd(node, 1));  // a round trip through the engine: the callback has returned
  CHECK(removed[0] == 0);
  CHECK(removed[1] == 0);
  CHECK(node.events().count(is_end) == 1);
  CHECK(is_open(pair.ends[0]));
}

TEST_CASE("end of file that nobody acts upon is not repeated") {
  if (on_peer()) {
    return;
  }
  Node node(1);
  const int datafd = node.open_channel(0);
  shutdown(datafd, SHUT_RDWR);
  const auto is_sock = [](const Event& event) { return event.kind == Event::Kind::kSock; };
  REQUIRE(node.events().wait_for(is_sock));
  for (int turn = 0; turn < 100; ++turn) {
    REQUIRE_OK(knet_host_add(node, 2));
    REQUIRE_OK(knet_host_remove(node, 2));
  }
  CHECK(node.events().count(is_sock) == 1);
  int8_t channel = -1;
  CHECK_OK(knet_handle_get_channel(node, datafd, &channel));
  CHECK(channel == 0);
  CHECK_OK(knet_handle_remove_datafd(node, datafd));
}
