// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Opening link sockets: options, sharing, what cannot be bound, and that a closed address is free
// at once.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>

#include "engine/ring/sockaddr.h"
#include "tests/ring/udp_bench.h"

namespace ringknet::test {
namespace {

int option(const UdpSocket& socket, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  return getsockopt(socket.descriptor(), level, name, &value, &size) == 0 ? value : -errno;
}

TEST_CASE("udp socket: options of an IPv4 socket") {
  UdpSocketTable sockets;
  const auto acquired = sockets.acquire(loopback_address(1), kLinkFlagHighPriority, false);
  REQUIRE(acquired.socket != nullptr);
  const UdpSocket& socket = *acquired.socket;
  CHECK((fcntl(socket.descriptor(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK((fcntl(socket.descriptor(), F_GETFL) & O_NONBLOCK) != 0);
  CHECK(option(socket, SOL_SOCKET, SO_PRIORITY) == 6);
  CHECK(option(socket, IPPROTO_IP, IP_TOS) == 0x10);
  CHECK(option(socket, IPPROTO_IP, IP_FREEBIND) == 1);
  CHECK(option(socket, IPPROTO_IP, IP_MTU_DISCOVER) == IP_PMTUDISC_PROBE);
  CHECK(option(socket, IPPROTO_IP, IP_RECVERR) == 1);
  CHECK(acquired.socket->buffer_granted > 0);
  const auto plain = sockets.acquire(loopback_address(2), 0, false);
  REQUIRE(plain.socket != nullptr);
  CHECK(option(*plain.socket, SOL_SOCKET, SO_PRIORITY) == 0);
  CHECK(option(*plain.socket, IPPROTO_IP, IP_TOS) == 0);
}

TEST_CASE("udp socket: options of an IPv6 socket") {
  UdpSocketTable sockets;
  const auto port = static_cast<std::uint16_t>(20000 + getpid() % 20000);
  const auto acquired = sockets.acquire(loopback_address_v6(port), kLinkFlagHighPriority, false);
  REQUIRE(acquired.socket != nullptr);
  const UdpSocket& socket = *acquired.socket;
  CHECK(option(socket, SOL_SOCKET, SO_PRIORITY) == 6);
  CHECK(option(socket, IPPROTO_IPV6, IPV6_TCLASS) == 0x10);
  CHECK(option(socket, IPPROTO_IPV6, IPV6_V6ONLY) == 1);
  CHECK(option(socket, IPPROTO_IPV6, IPV6_MTU_DISCOVER) == IPV6_PMTUDISC_PROBE);
  CHECK(option(socket, IPPROTO_IPV6, IPV6_DONTFRAG) == 1);
  CHECK(option(socket, IPPROTO_IPV6, IPV6_RECVERR) == 1);
}

TEST_CASE("udp socket: offload is on, and can be switched off and on") {
  UdpSocketTable sockets;
  const auto acquired = sockets.acquire(loopback_address(1), 0, false);
  REQUIRE(acquired.socket != nullptr);
  for (const bool on : {true, false, true}) {
    acquired.socket->set_offload(on);
    CHECK(acquired.socket->send.segmentation.on(Instant{}) == on);
    CHECK(option(*acquired.socket, IPPROTO_UDP, UDP_GRO) == (on ? 1 : 0));
  }
}

// What the kernel has joined says so only while UDP_GRO is on: else it is taken for one datagram.
TEST_CASE("udp socket: joining does not end while something waits") {
  UdpSocketTable sockets;
  UdpSocket* const from = sockets.acquire(loopback_address(1), 0, false).socket;
  UdpSocket* const to = sockets.acquire(loopback_address(2), 0, false).socket;
  REQUIRE(from != nullptr);
  REQUIRE(to != nullptr);
  SocketAddress address{};
  const socklen_t size = to_sockaddr(to->local(), address);
  REQUIRE(sendto(from->descriptor(), "x", 0, 0, reinterpret_cast<const sockaddr*>(&address),
                 size) == 0);
  CHECK_FALSE(to->join(false));
  CHECK(option(*to, IPPROTO_UDP, UDP_GRO) == 1);
  char byte = 0;
  REQUIRE(recv(to->descriptor(), &byte, 1, 0) == 0);
  CHECK(to->join(false));
  CHECK(option(*to, IPPROTO_UDP, UDP_GRO) == 0);
  CHECK(to->join(true));
  CHECK(option(*to, IPPROTO_UDP, UDP_GRO) == 1);
}

TEST_CASE("udp socket: one per local address, with the flags of the first") {
  UdpSocketTable sockets;
  const auto first = sockets.acquire(loopback_address(1), 0, false);
  const auto second = sockets.acquire(loopback_address(1), kLinkFlagHighPriority, false);
  REQUIRE(first.socket != nullptr);
  CHECK(first.created);
  CHECK(second.socket == first.socket);
  CHECK_FALSE(second.created);
  CHECK(first.socket->links == 2);
  CHECK(option(*first.socket, SOL_SOCKET, SO_PRIORITY) == 0);
  const auto other = sockets.acquire(loopback_address(1, 5406), 0, false);
  CHECK(other.socket != first.socket);
  CHECK(sockets.find(other.socket->id) == other.socket);
  CHECK(sockets.find(SocketId{99}) == nullptr);
}

TEST_CASE("udp socket: what cannot be opened says why") {
  UdpSocketTable sockets;
  UdpSocketTable others;
  REQUIRE(others.acquire(loopback_address(1), 0, false).socket != nullptr);
  CHECK(sockets.acquire(loopback_address(1), 0, false).error == EADDRINUSE);
  CHECK(sockets.acquire(Address{}, 0, false).error == EAFNOSUPPORT);
  // An address that this host does not have (yet) is fine.
  Address foreign = loopback_address(1, 20011);
  foreign.ip = {192, 0, 2, 77};
  CHECK(sockets.acquire(foreign, 0, false).socket != nullptr);
}

TEST_CASE("udp socket: a closed one frees its address at once, and late completions find nobody") {
  UdpBench bench;
  for (int round = 0; round < 50; ++round) {
    UdpSocket& socket = bench.open(loopback_address(1));
    const Op op = socket.receive_op();
    bench.turn();
    bench.send(socket, loopback_address(1), pattern(10, 1), 10);
    bench.close(socket);
    // The receive's last completion is still in the batch; the socket's place may be taken
    // meanwhile.
    UdpSocket& next = bench.open(loopback_address(1));
    CHECK(next.receive_op() != op);
    REQUIRE(bench.turn_until([&] { return bench.sockets.owner(op) == nullptr; }));
    bench.close(next);
  }
  CHECK(bench.all_done());
}

TEST_CASE("udp socket: a flooded one does not keep another from being heard") {
  UdpBench bench;
  UdpSocket& busy = bench.open(loopback_address(1));
  UdpSocket& quiet = bench.open(loopback_address(2));
  UdpSocketTable outside;
  const UdpSocket& sender = *outside.acquire(loopback_address(3), 0, false).socket;
  const auto send_to = [&](const Address& address, int count) {
    SocketAddress to;
    const socklen_t size = to_sockaddr(address, to);
    for (int i = 0; i < count; ++i)
      REQUIRE(sendto(sender.descriptor(), "hello", 5, 0, &to.generic, size) == 5);
  };
  // More than all buffers several times over, before anything is read.
  constexpr int kFlood = 2000;
  send_to(busy.local(), kFlood);
  send_to(quiet.local(), 1);
  const auto heard = [&] {
    return std::ranges::any_of(bench.received,
                               [&](const auto& datagram) { return datagram.socket == quiet.id; });
  };
  REQUIRE(bench.turn_until(heard));
  CHECK(bench.received.size() < kFlood / 2);
  REQUIRE(bench.turn_until([&] { return bench.received.size() == kFlood + 1; }));
  CHECK(bench.receiver.starved() > 0);
}

TEST_CASE("udp socket: addresses survive the way to the kernel and back") {
  for (Address address : {loopback_address(7), loopback_address_v6(77)}) {
    address.scope = address.family == Address::Family::kIpv6 ? 3 : 0;
    address.flow = address.family == Address::Family::kIpv6 ? 0x01020304 : 0;
    SocketAddress there;
    const socklen_t size = to_sockaddr(address, there);
    CHECK(to_address(&there.generic, size) == address);
    CHECK_FALSE(to_address(&there.generic, size - 1).known());
  }
  SocketAddress unix_address{};
  unix_address.generic.sa_family = AF_UNIX;
  CHECK_FALSE(to_address(&unix_address.generic, sizeof(unix_address)).known());
  CHECK(to_sockaddr(Address{}, unix_address) == 0);
}

}  // namespace
}  // namespace ringknet::test
