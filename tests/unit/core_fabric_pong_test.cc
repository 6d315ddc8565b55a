// SPDX-License-Identifier: LGPL-2.1-or-later
//
// PONGs: only those count that answer a PING of ours.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

Bytes pong(Instant clock) {
  return ping_packet({.type = 0x82, .host = 2, .link = 0, .clock = clock, .seq = 0});
}

}  // namespace

TEST_CASE("fabric pong: forged ones do not keep a dead link up") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  cluster.run_for(1s);
  cluster.cut(1, 2, 0);
  const Instant cut = cluster.now;
  const std::uint64_t before = cluster.node(1).drops(Drop::kPongStamp);
  std::uint64_t injected = 0;
  while (cluster.connected(1, 2, 0)) {
    // No stamp at all, one of long ago, one of now.
    for (const Instant stamp : {Instant{}, cut - 500ms, cluster.now}) {
      cluster.inject(1, 2, 0, pong(stamp));
      ++injected;
    }
    cluster.run_for(10ms);
    REQUIRE(cluster.now - cut < 1s);
  }
  CHECK(cluster.node(1).drops(Drop::kPongStamp) == before + injected);
  const std::size_t received = cluster.node(2).received.size();
  CHECK(cluster.send(1, pattern(100)).error == Error::kNone);
  cluster.run_for(10ms);
  CHECK(cluster.node(2).received.size() == received + 1);
}

TEST_CASE("fabric pong: a copy of a real one counts once") {
  Cluster cluster({.pong_count = 5});
  std::vector<Packet> pongs;
  cluster.tap = [&](const Packet& packet) {
    if (packet.to == 1 && packet.type() == 0x82)
      pongs.push_back(packet);
    return true;
  };
  REQUIRE(cluster.run_until([&] { return !pongs.empty(); }));
  cluster.run_for(2ms);
  REQUIRE(cluster.node(1).inspect.link(2, 0).answered());
  for (int i = 0; i < 20; ++i)
    cluster.inject(1, 2, 0, pongs.front().bytes);
  CHECK_FALSE(cluster.connected(1, 2, 0));
  CHECK(cluster.node(1).drops(Drop::kPongStamp) == 20);
}

TEST_CASE("fabric pong: forged ones teach the send window nothing") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  cluster.run_for(1s);
  SendWindow& window = cluster.node(1).inspect.link(2, 0).window;
  const std::size_t size = window.size();
  for (int i = 0; i < 40; ++i) {
    cluster.inject(1, 2, 0, pong(Instant{}));
    cluster.inject(1, 2, 0, pong(cluster.now - 1s));
  }
  window.on_data(4 << 20, 1, 1);
  window.on_mark(cluster.now);
  CHECK(window.deadline() - cluster.now == SendWindow::kPatience);
  window.on_pong(cluster.now + 1ms, cluster.now);
  CHECK(window.size() == size);
}

// A mark is told from a PING that left at the same moment, in front of the data.
TEST_CASE("fabric pong: the answer to a heartbeat is not the answer to a mark") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  SendWindow& window = node.inspect.link(2, 0).window;
  std::vector<Packet> pings;
  cluster.tap = [&](const Packet& packet) {
    if (packet.from == 1 && packet.type() == 0x81)
      pings.push_back(packet);
    return packet.to != 1 || packet.type() != 0x82;
  };
  cluster.now = node.fabric.next_deadline();
  node.fabric.on_timeout(cluster.now);
  for (int i = 0; i < 10; ++i)
    REQUIRE(node.fabric.send(cluster.now, Channel{0}, pattern(60000), Destinations::all()).error ==
            Error::kNone);
  cluster.settle();
  REQUIRE(pings.size() >= 2);
  CHECK(pings[0].at == pings[1].at);
  Bytes answer = pings[0].bytes;
  answer[1] = std::byte{0x82};
  answer[3] = std::byte{2};
  const Instant deadline = window.deadline();
  REQUIRE(deadline != kNever);
  cluster.inject(1, 2, 0, answer);
  CHECK(window.deadline() == deadline);
  answer = pings[1].bytes;
  answer[1] = std::byte{0x82};
  answer[3] = std::byte{2};
  cluster.inject(1, 2, 0, answer);
  CHECK(window.deadline() != deadline);
}

// 10 ms and a round trip of two seconds: two hundred PINGs are under way.
TEST_CASE("fabric pong: a link comes up and stays up with any number of PINGs under way") {
  Cluster cluster({.timers = {.interval = 10ms, .timeout = 5s, .precision = 2048}});
  cluster.both_ways(1, 2, 0, [](Path& path) { path.delay = 1s; });
  REQUIRE(cluster.run_until(
      [&] { return cluster.connected(1, 2, 0) && cluster.connected(2, 1, 0); }, 5s));
  cluster.run_for(60s);
  CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);
  CHECK(cluster.node(2).count(Event::Kind::kLinkDown) == 0);
  CHECK(cluster.status(1, 2, 0).latency >= 1900ms);
  // And it is found out as always when it is dead.
  cluster.cut(1, 2, 0);
  CHECK(cluster.run_until([&] { return !cluster.connected(1, 2, 0); }, 2s + 5s + 100ms));
}

}  // namespace ringknet::test
