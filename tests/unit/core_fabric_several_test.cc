// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Where there are several, the second and the last one count as well: targets of a message, packets
// of a run, sockets of a node, links of a host. A test with one of each would pass with code that
// looks at the first only.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

std::size_t received_of(Cluster& cluster, unsigned node, std::size_t size) {
  return static_cast<std::size_t>(std::ranges::count_if(
      cluster.node(node).received,
      [size](const Received& received) { return received.bytes.size() == size; }));
}

// Sends large messages for so long.
void stream(Cluster& cluster, Duration duration) {
  for (const Instant end = cluster.now + duration; cluster.now < end;) {
    cluster.send(1, pattern(9000));
    cluster.run_for(10ms);
  }
}

}  // namespace

TEST_CASE("several: the size in use is confirmed for each target of a message") {
  for (const unsigned shrinks : {2u, 3u, 4u}) {
    CAPTURE(shrinks);
    Cluster cluster({.nodes = 4});
    REQUIRE(cluster.connect());
    cluster.both_ways(1, shrinks, 0, [](Path& path) { path.silent_mtu = 1000; });
    stream(cluster, 1s);
    for (unsigned peer = 2; peer <= 4; ++peer)
      CHECK((cluster.status(1, peer, 0).mtu < 1446) == (peer == shrinks));
  }
}

TEST_CASE("several: the size in use is confirmed for each link of an ACTIVE host") {
  for (const unsigned shrinks : {0u, 1u, 2u}) {
    CAPTURE(shrinks);
    Cluster cluster({.links = 3, .policy = Policy::kActive});
    REQUIRE(cluster.connect());
    cluster.both_ways(1, 2, shrinks, [](Path& path) { path.silent_mtu = 1000; });
    stream(cluster, 1s);
    for (unsigned link = 0; link < 3; ++link)
      CHECK((cluster.status(1, 2, link).mtu < 1446) == (link == shrinks));
  }
}

TEST_CASE("several: a message is cut for the least of its links, whichever that is") {
  for (const unsigned small : {2u, 3u, 4u}) {
    CAPTURE(small);
    Cluster cluster({.nodes = 4});
    cluster.both_ways(1, small, 0, [](Path& path) { path.device_mtu = 1000; });
    REQUIRE(cluster.connect());
    cluster.recording = true;
    cluster.send(1, pattern(9000));
    for (const Packet& packet : cluster.log) {
      if (packet.type() == 0)
        REQUIRE(packet.bytes.size() <= 1000 - 28);
    }
    cluster.run_for(5ms);
    for (unsigned peer = 2; peer <= 4; ++peer)
      CHECK(received_of(cluster, peer, 9000) == 1);
  }
}

// The window counts what a packet costs in the receiver's socket, and a run is many packets.
TEST_CASE("several: each packet of a run is charged to the window") {
  for (const std::size_t size : {std::size_t{20}, std::size_t{100}, std::size_t{60000}}) {
    CAPTURE(size);
    Cluster cluster;
    REQUIRE(cluster.connect());
    cluster.path(2, 1, 0).cut = true;  // nothing is answered
    cluster.recording = true;
    Fabric& fabric = cluster.fabric(1);
    const Instant start = cluster.now;
    while (cluster.now == start) {
      // In one turn, so that small messages share runs.
      bool any = false;
      for (int message = 0; message < 500 && fabric.can_send(size); ++message) {
        fabric.send(cluster.now, Channel{0}, pattern(size), Destinations::all());
        any = true;
      }
      cluster.settle();
      if (!any)
        break;
    }
    std::size_t on_path = 0;
    std::size_t packets = 0;
    for (const Packet& packet : cluster.log) {
      if (packet.type() != 0)
        continue;
      ++packets;
      on_path += packet.bytes.size() + SendWindow::kPacketOverhead;
    }
    CHECK(on_path > SendWindow::kSizeMax / 2);
    CHECK(on_path <= SendWindow::kSizeMax + kRunSegmentsMax * (1500 + SendWindow::kPacketOverhead));
    CHECK(cluster.status(1, 2, 0).stats.tx_data.packets == packets);
  }
}

// The window is full of data that the link's peer never answered; what waits behind it for others
// goes as soon as the link is no longer used, whether it is disabled or down.
TEST_CASE("several: a closed window of a link that is not in use holds nobody up") {
  Cluster cluster({.nodes = 3});
  REQUIRE(cluster.connect());
  cluster.cut(1, 3, 0);
  Fabric& fabric = cluster.fabric(1);
  const std::vector<HostId> silent = {host_id(3)};
  const std::vector<HostId> other = {host_id(2)};
  while (fabric.can_send()) {
    fabric.send(cluster.now, Channel{0}, pattern(60000), Destinations::to(silent));
    cluster.settle();
  }
  CHECK(fabric.data_pending());
  REQUIRE(fabric.can_send(100));
  fabric.send(cluster.now, Channel{1}, pattern(100), Destinations::to(other));
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(3), link_id(0), false).ok());
  cluster.run_for(2ms);
  CHECK(received_of(cluster, 2, 100) == 1);
  CHECK_FALSE(fabric.data_pending());
}

TEST_CASE("several: a dynamic link answers over the socket its peer spoke to, whichever it was") {
  Cluster cluster;
  Fabric& fabric = cluster.fabric(1);
  REQUIRE(fabric.host_add(host_id(7)).ok());
  const LinkConfig config{.dynamic = true, .socket = SocketId{3}, .local = address_of(1, 3)};
  REQUIRE(fabric.link_configure(cluster.now, host_id(7), link_id(2), config).ok());
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(7), link_id(2), true).ok());
  Address from = address_of(7, 3);
  Bytes ping = ping_packet({.host = 7, .link = 2, .clock = cluster.now});
  CHECK_FALSE(fabric.on_datagram(cluster.now, SocketId{5}, from, ping));
  CHECK(fabric.link_status(host_id(7), link_id(2))->config.socket == SocketId{5});
  std::size_t to_it = 0;
  Transmit transmit;
  while (fabric.poll_transmit(cluster.now, transmit)) {
    if (transmit.to.same_endpoint(from)) {
      CHECK(transmit.socket == SocketId{5});
      ++to_it;
    }
    fabric.on_transmit_done(cluster.now, transmit.id, {});
  }
  CHECK(to_it >= 1);
}

TEST_CASE("several: of two sockets to one address, trouble concerns the link that uses it") {
  Cluster cluster;
  Fabric& fabric = cluster.fabric(1);
  REQUIRE(fabric.host_add(host_id(7)).ok());
  for (unsigned link = 0; link < 3; ++link) {
    const LinkConfig config{
        .socket = SocketId(4 + link), .local = address_of(1, 4 + link), .remote = address_of(7, 4)};
    REQUIRE(fabric.link_configure(cluster.now, host_id(7), link_id(link), config).ok());
    REQUIRE(fabric.link_set_pong_count(host_id(7), link_id(link), 1).ok());
    REQUIRE(fabric.link_set_enabled(cluster.now, host_id(7), link_id(link), true).ok());
  }
  cluster.recording = true;
  REQUIRE(cluster.run_until([&] {
    for (const Packet& packet : std::exchange(cluster.log, {})) {
      if (packet.to != 7 || packet.type() != 0x81)
        continue;
      Bytes pong = packet.bytes;
      pong[1] = std::byte{0x82};
      pong[3] = std::byte{7};
      fabric.on_datagram(cluster.now, SocketId(packet.link), address_of(7, 4), pong);
    }
    return cluster.status(1, 7, 0).connected && cluster.status(1, 7, 1).connected &&
           cluster.status(1, 7, 2).connected;
  }));
  fabric.on_path_error(cluster.now, {.socket = SocketId{5},
                                     .to = address_of(7, 4),
                                     .status = TransmitResult::Status::kUnreachable});
  for (unsigned link = 0; link < 3; ++link)
    CHECK(cluster.node(1).inspect.link(7, link).suspect() == (link == 1));
}

TEST_CASE("several: forced PINGs go over every enabled link, up or not") {
  Cluster cluster({.nodes = 3, .links = 2});
  REQUIRE(cluster.connect());
  cluster.cut(1, 3, 1);
  cluster.run_for(2s);
  REQUIRE_FALSE(cluster.connected(1, 3, 1));
  cluster.node(1).inspect.set_last_seq(seq(8190));
  cluster.recording = true;
  cluster.send(1, pattern(100));
  std::vector<std::pair<unsigned, unsigned>> forced;
  for (const Packet& packet : cluster.log) {
    if (packet.type() == 0x81 && packet.bytes[25] == std::byte{0}) {
      CHECK(packet.seq() == 8191);
      forced.emplace_back(packet.to, packet.link);
    }
  }
  std::ranges::sort(forced);
  CHECK(forced == std::vector<std::pair<unsigned, unsigned>>{{2, 0}, {2, 1}, {3, 0}, {3, 1}});
  cluster.log.clear();
  cluster.send(1, pattern(100));
  for (const Packet& packet : cluster.log)
    CHECK(packet.type() == 0);
}

}  // namespace ringknet::test
