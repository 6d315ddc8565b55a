// SPDX-License-Identifier: LGPL-2.1-or-later
//
// knet_send, knet_recv and knet_send_sync within one handle: arguments, full and empty channels,
// the errors of the synchronous send, and delivery over a loopback link. Messages between two
// handles are in traffic_test.cc.
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>

#include "tests/api/support.h"

using knet_test::Node;
using knet_test::on_peer;

namespace {

// A node that talks to itself over a loopback link.
struct Loopback {
  Node node{1};
  int datafd = -1;

  Loopback() {
    sockaddr_storage here = knet_test::address("127.0.0.1", 0);
    datafd = node.open_channel(0);
    REQUIRE_OK(knet_host_add(node, 1));
    REQUIRE_OK(knet_link_set_config(node, 1, 0, KNET_TRANSPORT_LOOPBACK, &here, &here, 0));
    REQUIRE_OK(knet_link_set_enable(node, 1, 0, 1));
    REQUIRE_OK(knet_handle_setfwd(node, 1));
  }

  ssize_t send(const std::string& message, int8_t channel = 0) {
    return knet_send(node, message.data(), message.size(), channel);
  }
  int send_sync(const std::string& message, int8_t channel = 0) {
    return knet_send_sync(node, message.data(), message.size(), channel);
  }
};

int to_host_one(const std::string&, int, unsigned, int8_t*, knet_node_id_t* hosts, size_t* count) {
  hosts[0] = 1;
  *count = 1;
  return 0;
}

}  // namespace

TEST_CASE("send and recv check their arguments") {
  Node node(1);
  node.open_channel(0);
  std::string message(KNET_MAX_PACKET_SIZE + 1, 'm');
  const size_t longest = KNET_MAX_PACKET_SIZE;
  CHECK_FAILS(EINVAL, knet_send(node, nullptr, 1, 0));
  CHECK_FAILS(EINVAL, knet_send(node, message.data(), 0, 0));
  CHECK_FAILS(EINVAL, knet_send(node, message.data(), longest + 1, 0));
  CHECK_FAILS(EINVAL, knet_send(node, message.data(), 1, -1));
  CHECK_FAILS(EINVAL, knet_send(node, message.data(), 1, KNET_DATAFD_MAX));
  CHECK_FAILS(EINVAL, knet_send(node, message.data(), 1, 1));
  CHECK_FAILS(EINVAL, knet_recv(node, nullptr, 1, 0));
  CHECK_FAILS(EINVAL, knet_recv(node, message.data(), 0, 0));
  CHECK_FAILS(EINVAL, knet_recv(node, message.data(), longest + 1, 0));
  CHECK_FAILS(EINVAL, knet_recv(node, message.data(), 1, -1));
  CHECK_FAILS(EINVAL, knet_recv(node, message.data(), 1, KNET_DATAFD_MAX));
  CHECK_FAILS(EINVAL, knet_recv(node, message.data(), 1, 1));
  CHECK_FAILS(EAGAIN, knet_recv(node, message.data(), longest, 0));
  CHECK_CALL(longest, 0, knet_send(node, message.data(), longest, 0));
  CHECK_CALL(1, 0, knet_send(node, message.data(), 1, 0));
}

TEST_CASE("send_sync checks its arguments in order") {
  Node node(1);
  std::string message(KNET_MAX_PACKET_SIZE + 1, 'm');
  const size_t longest = KNET_MAX_PACKET_SIZE;
  CHECK_FAILS(EINVAL, knet_send_sync(node, nullptr, 1, 0));
  CHECK_FAILS(EINVAL, knet_send_sync(node, message.data(), 0, 0));
  CHECK_FAILS(EINVAL, knet_send_sync(node, message.data(), longest + 1, 0));
  CHECK_FAILS(EINVAL, knet_send_sync(node, message.data(), 1, -1));
  CHECK_FAILS(EINVAL, knet_send_sync(node, message.data(), 1, KNET_DATAFD_MAX));
  CHECK_FAILS(ENETDOWN, knet_send_sync(node, message.data(), 1, 0));
  node.set_filter(to_host_one);
  CHECK_FAILS(EINVAL, knet_send_sync(node, message.data(), 1, 0));
  node.open_channel(0);
  CHECK_FAILS(ECANCELED, knet_send_sync(node, message.data(), 1, 0));
  CHECK_OK(knet_handle_setfwd(node, 1));
  CHECK_FAILS(EHOSTDOWN, knet_send_sync(node, message.data(), 1, 0));
}

TEST_CASE("send_sync says what is wrong with the filter's choice") {
  Node node(1);
  node.open_channel(0);
  CHECK_OK(knet_handle_setfwd(node, 1));
  int answer = 0;
  size_t chosen = 0;
  node.set_filter([&](const std::string& message, int direction, unsigned source, int8_t* channel,
                      knet_node_id_t* hosts, size_t* count) {
    CHECK(message == "text");
    CHECK(direction == KNET_NOTIFY_TX);
    CHECK(source == 1);
    CHECK(*channel == 0);
    CHECK(*count == 0);
    hosts[0] = 2;
    hosts[1] = 3;
    *count = chosen;
    return answer;
  });
  const auto send = [&](int result, size_t count) {
    answer = result;
    chosen = count;
    return knet_send_sync(node, "text", 4, 0);
  };
  CHECK_FAILS(EFAULT, send(-1, 1));
  CHECK_FAILS(EFAULT, send(-77, 1));
  CHECK_FAILS(EINVAL, send(0, 0));
  CHECK_FAILS(EINVAL, send(0, KNET_MAX_HOST + 1));
  CHECK_FAILS(E2BIG, send(1, 0));
  CHECK_FAILS(E2BIG, send(99, 1));
  CHECK_FAILS(E2BIG, send(0, 2));
  CHECK_FAILS(EHOSTDOWN, send(0, 1));
  CHECK_OK(knet_host_add(node, 2));
  CHECK_FAILS(EHOSTDOWN, send(0, 1));
}

TEST_CASE("a short buffer cuts the message and the rest is gone") {
  Loopback loop;
  REQUIRE(loop.send("first message") == 13);
  REQUIRE(loop.send("second") == 6);
  std::array<char, 5> buffer{};
  REQUIRE(knet_test::eventually(
      [&] { return knet_recv(loop.node, buffer.data(), buffer.size(), 0) > 0; }));
  CHECK(std::string(buffer.data(), buffer.size()) == "first");
  CHECK(loop.node.receive() == "second");
}

TEST_CASE("a loopback link delivers what is for the local host") {
  Loopback loop;
  for (const size_t size : {1, 100, 1500, 65535, 65536}) {
    const std::string message(size, static_cast<char>('a' + size % 26));
    REQUIRE(loop.send(message) == static_cast<ssize_t>(size));
    CHECK(loop.node.receive() == message);
  }
  loop.node.set_filter(to_host_one);
  REQUIRE(loop.send("to me alone") == 11);
  CHECK(loop.node.receive() == "to me alone");

  // What is not for the local host does not come back.
  loop.node.set_filter(
      [](const std::string& message, int, unsigned, int8_t*, knet_node_id_t* hosts, size_t* count) {
        hosts[0] = message == "not me" ? 2 : 1;
        *count = 1;
        return 0;
      });
  REQUIRE(loop.send("not me") == 6);
  REQUIRE(loop.send("me") == 2);
  CHECK(loop.node.receive() == "me");
}

TEST_CASE("the filter may move a message to another channel") {
  Loopback loop;
  loop.node.open_channel(5);
  loop.node.set_filter(
      [](const std::string&, int, unsigned, int8_t* channel, knet_node_id_t*, size_t*) {
        *channel = 5;
        return 1;
      });
  REQUIRE(loop.send("moved") == 5);
  CHECK(loop.node.receive(5) == "moved");
}

TEST_CASE("a channel that is none drops the message, not the process") {
  if (on_peer()) {
    return;  // it does not check
  }
  Loopback loop;
  std::atomic<int8_t> wanted = 0;
  loop.node.set_filter(
      [&](const std::string&, int, unsigned, int8_t* channel, knet_node_id_t*, size_t*) {
        *channel = wanted;
        return 1;
      });
  for (const int8_t channel : {-128, -1, 31, 32, 127}) {
    wanted = channel;
    REQUIRE(loop.send("lost") == 4);
    REQUIRE_OK(knet_handle_setfwd(loop.node, 0));  // what was written before has been dealt with
    REQUIRE_OK(knet_handle_setfwd(loop.node, 1));
  }
  wanted = 0;
  REQUIRE(loop.send("found") == 5);
  CHECK(loop.node.receive() == "found");
}

TEST_CASE("a synchronous send to the local host succeeds") {
  if (on_peer()) {
    return;  // it delivers and reports EHOSTDOWN
  }
  Loopback loop;
  loop.node.set_filter(to_host_one);
  CHECK_OK(loop.send_sync("to me"));
  CHECK(loop.node.receive() == "to me");
}

TEST_CASE("with forwarding off messages are read and dropped") {
  Loopback loop;
  REQUIRE_OK(knet_handle_setfwd(loop.node, 0));
  REQUIRE(loop.send("dropped") == 7);
  REQUIRE_OK(knet_handle_setfwd(loop.node, 0));
  REQUIRE_OK(knet_handle_setfwd(loop.node, 1));
  REQUIRE(loop.send("passed") == 6);
  CHECK(loop.node.receive() == "passed");
}

TEST_CASE("switching forwarding off sends what was written before") {
  Loopback loop;
  for (int index = 0; index < 50; ++index) {
    REQUIRE(loop.send(std::to_string(index)) > 0);
  }
  REQUIRE_OK(knet_handle_setfwd(loop.node, 0));
  for (int index = 0; index < 50; ++index) {
    REQUIRE(loop.node.receive() == std::to_string(index));
  }
}

TEST_CASE("a message that is too long is dropped and the next one is not") {
  Loopback loop;
  const std::string message(KNET_MAX_PACKET_SIZE + 4000, 'l');
  REQUIRE(write(loop.datafd, message.data(), message.size()) ==
          static_cast<ssize_t>(message.size()));
  REQUIRE(loop.send("short") == 5);
  CHECK(loop.node.receive() == "short");
}

TEST_CASE("on a descriptor of the application send and recv go to that descriptor") {
  Node node(1);
  std::array<int, 2> ends{};
  REQUIRE_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()));
  int8_t channel = 3;
  REQUIRE_OK(knet_handle_add_datafd(node, ends.data(), &channel));
  CHECK_CALL(5, 0, knet_send(node, "hello", 5, 3));
  std::array<char, 16> buffer{};
  CHECK(recv(ends[1], buffer.data(), buffer.size(), 0) == 5);
  CHECK_OK(knet_handle_remove_datafd(node, ends[0]));
  CHECK_FAILS(EINVAL, knet_send(node, "hello", 5, 3));
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("sending into a closed descriptor is an error and no signal") {
  if (on_peer()) {
    return;  // SIGPIPE ends the process
  }
  Node node(1);
  std::array<int, 2> ends{};
  REQUIRE_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends.data()));
  int8_t channel = 3;
  REQUIRE_OK(knet_handle_add_datafd(node, ends.data(), &channel));
  close(ends[1]);
  CHECK_FAILS(EPIPE, knet_send(node, "hello", 5, 3));
  CHECK_OK(knet_handle_remove_datafd(node, ends[0]));
  close(ends[0]);
}
