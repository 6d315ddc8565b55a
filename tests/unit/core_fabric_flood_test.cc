// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Floods of control packets: what strangers cause crowds out neither our own PINGs nor the answers
// that we owe to others.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

constexpr unsigned kFlood = 1024;  // datagrams between two chances to send

struct Sent {
  unsigned pings = 0;
  unsigned pongs = 0;
  unsigned mtu_answers = 0;
  unsigned data = 0;
};

// Node 1 takes `flood` as host 2 again and again and sends `slots` packets in between; what it
// sent to hosts 2 and 3.
std::map<unsigned, Sent> flood(Cluster& cluster, const std::function<Bytes(unsigned)>& packet,
                               int slots, Duration duration) {
  Fabric& fabric = cluster.fabric(1);
  std::map<unsigned, Sent> sent;
  Instant next_ping = cluster.now;
  for (const Instant end = cluster.now + duration; cluster.now < end; cluster.now += 1ms) {
    if (cluster.now >= next_ping) {
      next_ping += 100ms;
      Bytes ping = ping_packet({.host = 3, .clock = cluster.now, .seq = 0});
      fabric.on_datagram(cluster.now, SocketId{0}, address_of(3, 0), ping);
    }
    for (unsigned i = 0; i < kFlood; ++i) {
      Bytes bytes = packet(i);
      fabric.on_datagram(cluster.now, SocketId{0}, address_of(2, 0), bytes);
    }
    if (fabric.next_deadline() <= cluster.now)
      fabric.on_timeout(cluster.now);
    Transmit transmit;
    for (int left = slots; left > 0 && fabric.poll_transmit(cluster.now, transmit); --left) {
      Sent& to = sent[transmit.to.ip[3]];
      const unsigned type = std::to_integer<unsigned>(transmit.bytes[1]);
      Bytes answer(transmit.bytes.begin(), transmit.bytes.end());
      fabric.on_transmit_done(cluster.now, transmit.id, {});
      to.pings += type == 0x81 ? 1 : 0;
      to.pongs += type == 0x82 ? 1 : 0;
      to.mtu_answers += type == 0x84 ? 1 : 0;
      to.data += type == 0 ? 1 : 0;
      if (type != 0x81 || transmit.to.ip[3] != 3)
        continue;
      answer[1] = std::byte{0x82};
      answer[3] = std::byte{3};
      fabric.on_datagram(cluster.now, SocketId{0}, address_of(3, 0), answer);
    }
  }
  return sent;
}

}  // namespace

TEST_CASE("fabric flood: PINGs in the name of one host take nothing from the others") {
  Cluster cluster({.nodes = 3});
  REQUIRE(cluster.connect());
  cluster.run_for(1s);
  const auto ping = [&](unsigned) {
    return ping_packet({.host = 2, .clock = cluster.now, .seq = 0});
  };
  // With many send slots, and with hardly any.
  for (const int slots : {256, 4}) {
    CAPTURE(slots);
    auto sent = flood(cluster, ping, slots, 3s);
    CHECK(sent[3].pings == 30);
    CHECK(sent[3].pongs == 30);
    CHECK(sent[2].pings >= 30);  // no answer comes: some are repeated
    CHECK(sent[2].pongs <= 3000 * LinkControl::kPongsMax);
    CHECK(cluster.connected(1, 3, 0));
  }
}

TEST_CASE("fabric flood: probes in the name of one host take nothing from the others") {
  Cluster cluster({.nodes = 3});
  REQUIRE(cluster.connect());
  cluster.run_for(1s);
  const Bytes probe = mtu_packet({.host = 2}, 1472);
  auto sent = flood(
      cluster, [&](unsigned) { return probe; }, 4, 3s);
  CHECK(sent[3].pings == 30);
  CHECK(sent[3].pongs == 30);
  CHECK(sent[2].mtu_answers > 0);
  CHECK(cluster.connected(1, 3, 0));
}

TEST_CASE("fabric flood: while PONGs are held back, one host's do not let others' go") {
  Cluster cluster({.nodes = 3});
  REQUIRE(cluster.connect());
  cluster.run_for(1s);
  Fabric& fabric = cluster.fabric(1);
  fabric.set_backlogged(true);
  for (unsigned i = 0; i < 2000; ++i)
    cluster.inject(1, 2, 0, ping_packet({.host = 2, .clock = cluster.now, .seq = 0}));
  cluster.inject(1, 3, 0, ping_packet({.host = 3, .clock = cluster.now, .seq = 0}));
  cluster.recording = true;
  const auto pongs = [&](unsigned to) {
    return std::ranges::count_if(cluster.log, [&](const Packet& packet) {
      return packet.from == 1 && packet.to == to && packet.type() == 0x82;
    });
  };
  cluster.settle();
  CHECK(pongs(2) + pongs(3) == 0);
  // An answer to a probe does not wait with them.
  cluster.inject(1, 2, 0, mtu_packet({.host = 2}, 100));
  cluster.settle();
  CHECK(cluster.log.back().type() == 0x84);
  CHECK(pongs(2) + pongs(3) == 0);
  cluster.now = fabric.next_deadline();
  cluster.settle();
  CHECK(pongs(2) == LinkControl::kPongsMax);
  CHECK(pongs(3) == 1);
}

TEST_CASE("fabric flood: a link that is cleared takes its answers with it") {
  Cluster cluster({.nodes = 3});
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
  cluster.settle();
  cluster.inject(1, 2, 0, ping_packet({.host = 2}));
  cluster.inject(1, 2, 0, mtu_packet({.host = 2}, 100));
  cluster.inject(1, 3, 0, ping_packet({.host = 3}));
  REQUIRE(fabric.link_clear(cluster.now, host_id(2), link_id(0)).ok());
  CHECK(cluster.node(1).inspect.control_waiting() == 1);
  cluster.recording = true;
  cluster.settle();
  REQUIRE(cluster.log.size() == 1);
  CHECK(cluster.log[0].to == 3);
  // The same while they are held back.
  fabric.set_backlogged(true);
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(3), link_id(0), false).ok());
  cluster.inject(1, 3, 0, ping_packet({.host = 3}));
  cluster.settle();
  REQUIRE(fabric.link_clear(cluster.now, host_id(3), link_id(0)).ok());
  fabric.set_backlogged(false);
  CHECK(cluster.node(1).inspect.control_waiting() == 0);
}

TEST_CASE("rate limit: a burst at once, then one per gap") {
  RateLimit limit(10ms, 3);
  Instant now{};
  CHECK(limit.admit(now));
  CHECK(limit.admit(now));
  CHECK(limit.admit(now));
  CHECK_FALSE(limit.admit(now));
  CHECK_FALSE(limit.admit(now + 10ms - 1ns));
  CHECK(limit.admit(now + 10ms));
  CHECK_FALSE(limit.admit(now + 10ms));
  now += 1h;
  for (int i = 0; i < 3; ++i)
    CHECK(limit.admit(now));
  CHECK_FALSE(limit.admit(now));
  unsigned admitted = 0;
  for (; now < Instant{} + 1h + 1s; now += 1ms)
    admitted += limit.admit(now) ? 1 : 0;
  CHECK(admitted >= 99);
  CHECK(admitted <= 100);
}

}  // namespace ringknet::test
