// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about putting messages into channels, taking them out, forwarding, and
// knet_send_sync. What arrives at another node is traffic_cases.cc's.
#include <algorithm>
#include <climits>
#include <csignal>

#include "tests/conformance/world.h"

namespace conformance {
namespace {

constexpr size_t kLongest = KNET_MAX_PACKET_SIZE;

// A filter that answers alike for every message.
Node::Filter answer(int result, std::vector<knet_node_id_t> hosts, size_t count) {
  return [=](const std::string&, int, unsigned, int8_t*, knet_node_id_t* ids, size_t* entries) {
    std::copy(hosts.begin(), hosts.end(), ids);
    *entries = count;
    return result;
  };
}

}  // namespace

CONFORMANCE_CASE(send_arguments) {
  Node node;
  node.open_channel(0);
  const std::vector<char> data(kLongest + 1);
  CALL(fails(EINVAL), knet_send(node, nullptr, 1, 0));
  CALL(fails(EINVAL), knet_send(node, data.data(), 0, 0));
  CALL(fails(EINVAL), knet_send(node, data.data(), kLongest + 1, 0));
  CALL(fails(EINVAL), knet_send(node, data.data(), SIZE_MAX, 0));
  CALL(fails(EINVAL), knet_send(node, data.data(), 1, -1));
  CALL(fails(EINVAL), knet_send(node, data.data(), 1, KNET_DATAFD_MAX));
  CALL(fails(EINVAL), knet_send(node, data.data(), 1, 1));
  CALL(gives(kLongest), knet_send(node, data.data(), kLongest, 0));
  CALL(gives(1), knet_send(node, data.data(), 1, 0));
}

CONFORMANCE_CASE(recv_arguments) {
  Node node;
  node.open_channel(0);
  std::vector<char> data(kLongest + 1);
  CALL(fails(EINVAL), knet_recv(node, nullptr, 1, 0));
  CALL(fails(EINVAL), knet_recv(node, data.data(), 0, 0));
  CALL(fails(EINVAL), knet_recv(node, data.data(), kLongest + 1, 0));
  CALL(fails(EINVAL), knet_recv(node, data.data(), 1, -1));
  CALL(fails(EINVAL), knet_recv(node, data.data(), 1, KNET_DATAFD_MAX));
  CALL(fails(EINVAL), knet_recv(node, data.data(), 1, 1));
  CALL(fails(EAGAIN), knet_recv(node, data.data(), kLongest, 0));
}

CONFORMANCE_CASE(send_sync_arguments) {
  Node node;
  node.open_channel(0);
  const std::vector<char> data(kLongest + 1);
  CALL(fails(EINVAL), knet_send_sync(node, nullptr, 1, 0));
  CALL(fails(EINVAL), knet_send_sync(node, data.data(), 0, 0));
  CALL(fails(EINVAL), knet_send_sync(node, data.data(), kLongest + 1, 0));
  CALL(fails(EINVAL), knet_send_sync(node, data.data(), 1, -1));
  CALL(fails(EINVAL), knet_send_sync(node, data.data(), 1, KNET_DATAFD_MAX));
  // The missing filter is noticed before the channel that is not open.
  CALL(fails(ENETDOWN), knet_send_sync(node, data.data(), 1, 0));
  CALL(fails(ENETDOWN), knet_send_sync(node, data.data(), 1, 1));
  CALL(fails(EINVAL), knet_send_sync(node, nullptr, 1, 1));
  node.set_filter(answer(1, {}, 0));
  CALL(fails(EINVAL), knet_send_sync(node, data.data(), 1, 1));
  CALL(fails(ECANCELED), knet_send_sync(node, data.data(), 1, 0));
}

CONFORMANCE_CASE(send_sync_results) {
  Node node;
  node.open_channel(0);
  NEED(knet_handle_setfwd(node, 1) == 0);
  constexpr size_t kTooMany = KNET_MAX_HOST + 1;
  node.set_filter(answer(-1, {}, 0));
  CALL(fails(EFAULT), knet_send_sync(node, "x", 1, 0));
  node.set_filter(answer(INT_MIN, {}, 0));
  CALL(fails(EFAULT), knet_send_sync(node, "x", 1, 0));
  node.set_filter(answer(0, {}, 0));
  CALL(fails(EINVAL), knet_send_sync(node, "x", 1, 0));
  node.set_filter(answer(0, {}, kTooMany));
  CALL(fails(EINVAL), knet_send_sync(node, "x", 1, 0));
  node.set_filter(answer(1, {}, 0));
  CALL(fails(E2BIG), knet_send_sync(node, "x", 1, 0));
  node.set_filter(answer(INT_MAX, {}, 0));
  CALL(fails(E2BIG), knet_send_sync(node, "x", 1, 0));
  node.set_filter(answer(0, {2, 3}, 2));
  CALL(fails(E2BIG), knet_send_sync(node, "x", 1, 0));
  node.set_filter(answer(0, {2}, 1));
  CALL(fails(EHOSTDOWN), knet_send_sync(node, "x", 1, 0));  // unknown
  add_static_link(node, 2);
  CALL(fails(EHOSTDOWN), knet_send_sync(node, "x", 1, 0));  // not reachable
  node.set_filter(answer(0, {1}, 1));
  CALL(fails(EHOSTDOWN), knet_send_sync(node, "x", 1, 0));  // the local host, not added
}

CONFORMANCE_CASE(send_sync_delivers) {
  Pair pair;
  pair.one.set_filter(answer(0, {2}, 1));
  CALL(kOk, knet_send_sync(pair.one, "hello", 5, 0));
  VALUE(std::string("hello"), pair.two.receive());
  NEED(knet_handle_setfwd(pair.one, 0) == 0);
  CALL(fails(ECANCELED), knet_send_sync(pair.one, "hello", 5, 0));
}

CONFORMANCE_CASE(forwarding_off_drops) {
  Pair pair;
  NEED(knet_handle_setfwd(pair.one, 0) == 0);
  CALL(gives(4), knet_send(pair.one, "lost", 4, 0));
  // Accepted, then dropped: gone for good once the library has read it.
  char byte = 0;
  NEED(eventually([&] {
    int pending = 0;
    return pair.one.silent() && knet_handle_get_datafd(pair.one, 0, &pending) == 0;
  }));
  CALL(fails(EAGAIN), knet_recv(pair.one, &byte, 1, 0));
  NEED(knet_handle_setfwd(pair.one, 0) == 0);  // waits until all that was put in has been read
  NEED(knet_handle_setfwd(pair.one, 1) == 0);
  CALL(gives(4), knet_send(pair.one, "kept", 4, 0));
  VALUE(std::string("kept"), pair.two.receive());
  // And switching off sends what was put in before.
  CALL(gives(8), knet_send(pair.one, "farewell", 8, 0));
  CALL(kOk, knet_handle_setfwd(pair.one, 0));
  VALUE(std::string("farewell"), pair.two.receive());
}

CONFORMANCE_CASE(message_boundaries) {
  Pair pair;
  for (const size_t size : {size_t{1}, size_t{100}, size_t{9000}, kLongest}) {
    const std::string message(size, static_cast<char>('a' + size % 26));
    NEED(pair.one.send(message));
    const std::string received = pair.two.receive();
    VALUE(size, received.size());
    VALUE(true, received == message);
  }
  NEED(pair.one.send("0123456789"));
  NEED(pair.one.send("next"));
  std::array<char, 4> little{};
  NEED(eventually([&] {
    const ssize_t size = knet_recv(pair.two, little.data(), little.size(), 0);
    return size == 4 && std::string(little.data(), 4) == "0123";
  }));
  VALUE(std::string("next"), pair.two.receive());
}

CONFORMANCE_CASE(send_until_full) {
  Node node;
  Ends user(Ends::sockets(SOCK_SEQPACKET));
  int datafd = user.first;
  int8_t channel = 0;
  NEED(knet_handle_add_datafd(node, &datafd, &channel) == 0);
  // On the application's own descriptor the call writes right there, and nobody reads.
  const std::vector<char> data(1000);
  constexpr int kEnough = 100000;
  int sent = 0;
  while (sent < kEnough && knet_send(node, data.data(), data.size(), 0) == 1000) {
    ++sent;
  }
  VALUE(true, sent > 0 && sent < kEnough);
  CALL(fails(EAGAIN), knet_send(node, data.data(), data.size(), 0));
}

CONFORMANCE_CASE(send_into_a_closed_socket) {
  // A stream, because writing to a closed socket with messages raises no signal anyway.
  Ends user(Ends::sockets(SOCK_STREAM));
  Node node;
  int datafd = user.first;
  int8_t channel = 0;
  NEED(knet_handle_add_datafd(node, &datafd, &channel) == 0);
  static volatile std::sig_atomic_t signals = 0;
  NEED(std::signal(SIGPIPE, [](int) { signals = signals + 1; }) != SIG_ERR);
  user.second.close();
  CALL(fails(EPIPE), knet_send(node, "x", 1, 0));
  VALUE(differs("knet_send into a closed socket raises no SIGPIPE", 0, 1),
        static_cast<int>(signals));
  char byte = 0;
  CALL(gives(0), knet_recv(node, &byte, 1, 0));
}

}  // namespace conformance
