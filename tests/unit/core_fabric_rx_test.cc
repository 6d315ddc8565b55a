// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the fabric does with good packets: delivery, answers to PINGs and probes, restarts of peers,
// dynamic links. Bad packets are core_fabric_drop_test.cc's.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

const Bytes kPayload = text_bytes("hello");

// The control packets that node 1 sends now.
std::vector<std::pair<Address, Bytes>> answers(Cluster& cluster) {
  std::vector<std::pair<Address, Bytes>> sent;
  Transmit transmit;
  while (cluster.fabric(1).poll_transmit(cluster.now, transmit)) {
    sent.emplace_back(transmit.to, Bytes(transmit.bytes.begin(), transmit.bytes.end()));
    cluster.fabric(1).on_transmit_done(cluster.now, transmit.id, {});
  }
  return sent;
}

}  // namespace

TEST_CASE("fabric rx: a whole message is delivered from inside the datagram") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Bytes packet = data_packet({.host = 2, .seq = 1, .channel = 31}, kPayload);
  const auto delivery =
      cluster.fabric(1).on_datagram(cluster.now, SocketId{0}, address_of(2, 0), packet);
  REQUIRE(delivery);
  CHECK(raw(delivery->from) == 2);
  CHECK(raw(delivery->channel) == 31);
  CHECK(delivery->buffer == MessageBufferId::kNone);
  CHECK(delivery->bytes.data() == packet.data() + 14);
  CHECK(same(delivery->bytes, kPayload));
}

TEST_CASE("fabric rx: a fragmented message stays in its buffer until it is released") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  const Bytes message = pattern(45);
  std::optional<Delivery> delivery;
  for (unsigned index = 1; index <= 3; ++index) {
    CHECK_FALSE(delivery);
    Bytes packet = data_packet({.host = 2, .seq = 1, .count = 3, .index = index},
                               ConstBytes(message).subspan((index - 1) * 18, index == 3 ? 9 : 18));
    delivery = fabric.on_datagram(cluster.now, SocketId{0}, address_of(2, 0), packet);
  }
  REQUIRE(delivery);
  CHECK(delivery->buffer != MessageBufferId::kNone);
  CHECK(same(delivery->bytes, message));
  CHECK(cluster.node(1).inspect.buffers_in_use() == 1);
  fabric.release_message(delivery->buffer);
  CHECK(cluster.node(1).inspect.buffers_in_use() == 0);
}

TEST_CASE("fabric rx: fragments of one message come together over two links") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  const Bytes message = pattern(45);
  for (const unsigned index : {3u, 1u, 2u}) {
    cluster.inject(1, 2, index % 2,
                   data_packet({.host = 2, .seq = 1, .count = 3, .index = index},
                               ConstBytes(message).subspan((index - 1) * 18, index == 3 ? 9 : 18)));
  }
  REQUIRE(cluster.node(1).received.size() == 1);
  CHECK(same(cluster.node(1).received[0].bytes, message));
}

TEST_CASE("fabric rx: messages that are known of and did not come are counted until they do") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  const Fabric& fabric = cluster.fabric(1);
  const auto whole = [&](unsigned seq) {
    cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = seq}, kPayload));
  };
  const auto part = [&](unsigned seq, unsigned index) {
    cluster.inject(1, 2, 0,
                   data_packet({.host = 2, .seq = seq, .count = 2, .index = index}, pattern(1000)));
  };
  whole(1);
  CHECK(fabric.missing() == 0);
  whole(5);
  CHECK(fabric.missing() == 3);
  whole(3);
  whole(3);
  CHECK(fabric.missing() == 2);
  part(4, 1);
  CHECK(fabric.missing() == 2);
  part(4, 2);
  CHECK(fabric.missing() == 1);
  part(6, 1);
  CHECK(fabric.missing() == 2);
  // What a PING announces may still be on its way: the next one tells, a while later.
  const auto ping = [&](unsigned seq) {
    cluster.inject(1, 2, 0, ping_packet({.host = 2, .clock = cluster.now, .seq = seq}));
  };
  cluster.cut(1, 2, 0);
  cluster.run_for(210ms);
  ping(10);
  CHECK(fabric.missing() == 2);
  whole(7);
  cluster.run_for(90ms);
  ping(11);
  CHECK(fabric.missing() == 2);
  cluster.run_for(20ms);
  ping(11);
  CHECK(fabric.missing() == 5);
  part(6, 2);
  CHECK(fabric.missing() == 4);
  CHECK(fabric.arrived() == 6);
  whole(9);
  CHECK(fabric.missing() == 3);
  whole(12);
  CHECK(fabric.missing() == 4);
}

TEST_CASE("fabric rx: a sender that began anew has left nothing out") {
  Gaps gaps;
  gaps.on_first(65536 + 10);
  CHECK(gaps.on_first(65536 + 12) == 1);
  CHECK(gaps.on_first(3 * 65536 + 10) == 0);
  CHECK(gaps.on_first(3 * 65536 + 11) == 0);
  CHECK(gaps.on_first(3 * 65536 + 10) == -1);
}

TEST_CASE("fabric rx: a PONG echoes bytes 6 to 25 of the PING") {
  Cluster cluster({.enabled = false});
  for (const unsigned timed : {0u, 1u}) {
    Bytes ping = ping_packet({.host = 2, .link = 0, .seq = 0xabcd, .timed = timed});
    for (std::size_t i = 7; i < 23; ++i)
      ping[i] = std::byte(0xa0 + i);
    cluster.inject(1, 2, 0, ping);
    const auto sent = answers(cluster);
    REQUIRE(sent.size() == 1);
    Bytes expected = ping;
    expected[1] = std::byte{0x82};
    expected[3] = std::byte{1};
    CHECK(to_hex(sent[0].second) == to_hex(expected));
  }
}

TEST_CASE("fabric rx: a longer PING gets a PONG of 26 bytes") {
  Cluster cluster({.enabled = false});
  Bytes ping = ping_packet({.host = 2, .seq = 3});
  ping.resize(200, std::byte{0xee});
  cluster.inject(1, 2, 0, ping);
  const auto sent = answers(cluster);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].second.size() == 26);
}

TEST_CASE("fabric rx: a probe is answered with its first nine bytes") {
  Cluster cluster({.enabled = false});
  Bytes probe = mtu_packet({.host = 2, .link = 0, .size = 0xdc05}, 1472);
  probe[100] = std::byte{0xff};
  cluster.inject(1, 2, 0, probe);
  const auto sent = answers(cluster);
  REQUIRE(sent.size() == 1);
  CHECK(to_hex(sent[0].second) == "01 84 00 01 00 00 00 05 dc");
  CHECK(cluster.status(1, 2, 0).stats.rx_mtu.packets == 1);
}

TEST_CASE("fabric rx: answers go to the configured address whatever port the packet came from") {
  Cluster cluster({.enabled = false});
  Address from = address_of(2, 0);
  from.port = 40000;
  Bytes ping = ping_packet({.host = 2});
  cluster.fabric(1).on_datagram(cluster.now, SocketId{0}, from, ping);
  Bytes probe = mtu_packet({.host = 2}, 1472);
  cluster.fabric(1).on_datagram(cluster.now, SocketId{0}, from, probe);
  const auto sent = answers(cluster);
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].first == address_of(2, 0));
  CHECK(sent[1].first == address_of(2, 0));
  CHECK(cluster.status(1, 2, 0).config.remote == address_of(2, 0));
}

TEST_CASE("fabric rx: the named link answers and not the one the packet came over") {
  Cluster cluster({.links = 2, .enabled = false});
  Bytes ping = ping_packet({.host = 2, .link = 1});
  cluster.inject(1, 2, 1, ping);
  const auto sent = answers(cluster);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].first == address_of(2, 1));
  CHECK(cluster.status(1, 2, 1).stats.rx_ping.packets == 1);
  CHECK(cluster.status(1, 2, 0).stats.rx_ping.packets == 0);
}

TEST_CASE("fabric rx: received packets are counted on their link with their clear size") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  const LinkStats before = cluster.status(1, 2, 0).stats;
  cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = 1}, kPayload));
  cluster.inject(1, 2, 0, ping_packet({.host = 2, .clock = cluster.now}));
  cluster.inject(1, 2, 0, ping_packet({.type = 0x82, .host = 2, .clock = cluster.now}));
  cluster.inject(1, 2, 0, mtu_packet({.host = 2}, 1472));
  const LinkStats after = cluster.status(1, 2, 0).stats;
  CHECK(after.rx_data.packets == before.rx_data.packets + 1);
  CHECK(after.rx_data.bytes == before.rx_data.bytes + 19);
  CHECK(after.rx_ping.packets == before.rx_ping.packets + 1);
  CHECK(after.rx_ping.bytes == before.rx_ping.bytes + 26);
  CHECK(after.rx_pong.packets == before.rx_pong.packets + 1);
  CHECK(after.rx_mtu.packets == before.rx_mtu.packets + 1);
  CHECK(after.rx_mtu.bytes == before.rx_mtu.bytes + 1472);
}

TEST_CASE("fabric rx: a node that restarts and says so is heard from its first message") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  for (int i = 0; i < 100; ++i)
    cluster.send(2, kPayload);
  cluster.run_for(300ms);
  CHECK(cluster.node(1).received.size() == 100);
  cluster.restart(2);
  REQUIRE(cluster.run_until([&] { return cluster.connected(2, 1, 0); }));
  CHECK(cluster.node(1).count(Event::Kind::kPeerRestarted) == 1);
  CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);  // it was quick
  CHECK(cluster.send(2, text_bytes("again")).error == Error::kNone);
  cluster.run_for(10ms);
  REQUIRE(cluster.node(1).received.size() == 101);
  CHECK(same(cluster.node(1).received.back().bytes, text_bytes("again")));
}

TEST_CASE("fabric rx: a node that restarts after more than 65536 messages") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  for (int i = 0; i < 70000; ++i) {
    cluster.send(2, kPayload);
    if (i % 100 == 0)
      cluster.run_for(5ms);
  }
  cluster.run_for(300ms);
  CHECK(cluster.node(1).received.size() == 70000);
  cluster.node(1).received.clear();
  cluster.restart(2);
  REQUIRE(cluster.run_until([&] { return cluster.connected(2, 1, 0); }));
  for (int i = 0; i < 100; ++i)
    cluster.send(2, kPayload);
  cluster.run_for(300ms);
  CHECK(cluster.node(1).received.size() == 100);
}

TEST_CASE("fabric rx: a node that restarts after its link was lost") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  for (int i = 0; i < 100; ++i)
    cluster.send(2, kPayload);
  cluster.run_for(300ms);
  cluster.cut(1, 2, 0);
  REQUIRE(cluster.run_until([&] { return !cluster.connected(1, 2, 0); }));
  cluster.restart(2);
  cluster.cut(1, 2, 0, false);
  REQUIRE(cluster.connect());
  cluster.send(2, text_bytes("again"));
  cluster.run_for(10ms);
  CHECK(cluster.node(1).received.size() == 101);
}

// The PING with "nothing sent yet" and the first message cross on the way.
TEST_CASE("fabric rx: a late first PING does not make the first message new again") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  // Link 1 becomes slower than link 0: the PING on it arrives after the message on link 0.
  cluster.path(2, 1, 1).delay = 5ms;
  cluster.run_for(1s);
  const std::uint64_t pings = cluster.status(2, 1, 1).stats.tx_ping.packets;
  REQUIRE(cluster.run_until([&] { return cluster.status(2, 1, 1).stats.tx_ping.packets > pings; }));
  cluster.recording = true;
  cluster.send(2, kPayload);
  REQUIRE(cluster.log.size() == 1);
  cluster.run_for(50ms);
  CHECK(cluster.node(1).received.size() == 1);
  CHECK(cluster.node(1).count(Event::Kind::kPeerRestarted) == 0);
  cluster.inject(1, 2, 0, cluster.log[0].bytes);
  CHECK(cluster.node(1).received.size() == 1);
  CHECK(cluster.node(1).drops(Drop::kDuplicate) == 1);
}

// 65535 messages later the number of a message that never became complete is used again. Its old
// fragments must not mix with the new message's.
TEST_CASE("fabric rx: fragments of two messages with the same number never mix") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  const Bytes old_message = pattern(2500, 1);
  const Bytes new_message = pattern(2500, 2);
  bool lose_second = true;
  cluster.tap = [&](const Packet& packet) {
    return !(lose_second && packet.type() == 0 && packet.bytes[12] == std::byte{2});
  };
  cluster.send(2, old_message);
  lose_second = false;
  cluster.run_for(2ms);
  CHECK(cluster.node(1).inspect.buffers_in_use() == 1);
  // Fast enough to come around before anything expires by age.
  for (int i = 0; i < 65534; ++i) {
    cluster.send(2, kPayload);
    if (i % 64 == 0)
      cluster.run_for(2ms);
  }
  cluster.run_for(2ms);
  CHECK(cluster.node(2).inspect.last_seq() == seq(65535));
  CHECK(cluster.node(1).received.size() == 65534);
  CHECK(cluster.node(1).inspect.buffers_in_use() == 0);
  CHECK(cluster.node(1).drops(Drop::kExpired) == 1);
  cluster.node(1).received.clear();
  cluster.send(2, new_message);
  CHECK(cluster.node(2).inspect.last_seq() == seq(1));
  cluster.run_for(2ms);
  REQUIRE(cluster.node(1).received.size() == 1);
  CHECK(same(cluster.node(1).received[0].bytes, new_message));
}

TEST_CASE("fabric rx: every message exactly once over two links with loss and other delays") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Cluster cluster({.links = 2, .policy = Policy::kActive});
    cluster.random = Random(seed);
    REQUIRE(cluster.connect());
    cluster.path(1, 2, 0).loss = 0.2;
    cluster.path(1, 2, 1).delay = 3ms;
    Random random(seed);
    std::vector<Bytes> sent;
    for (int i = 0; i < 300; ++i) {
      sent.push_back(pattern(random.between(1, 1400), seed * 1000 + static_cast<unsigned>(i)));
      cluster.send(1, sent.back());
      if (random.chance(0.3))
        cluster.run_for(1ms);
    }
    cluster.run_for(20ms);
    REQUIRE(cluster.node(2).received.size() == sent.size());
    for (const Received& received : cluster.node(2).received)
      REQUIRE(std::ranges::count_if(
                  sent, [&](const Bytes& bytes) { return same(bytes, received.bytes); }) == 1);
  }
}

TEST_CASE("fabric rx: data brings a link up that has one PONG") {
  Cluster cluster({.pong_count = 5});
  cluster.node(2).inspect.link(1, 0).pong_count = 1;
  REQUIRE(cluster.run_until([&] { return cluster.connected(2, 1, 0); }));
  CHECK_FALSE(cluster.connected(1, 2, 0));
  CHECK(cluster.send(2, kPayload).error == Error::kNone);
  cluster.run_for(2ms);
  CHECK(cluster.connected(1, 2, 0));
  REQUIRE(cluster.node(1).received.size() == 1);
  CHECK(*cluster.fabric(1).host_reachable(host_id(2)));
}

TEST_CASE("fabric rx: data does not bring up a link that is disabled or was never answered") {
  Cluster cluster({.enabled = false});
  cluster.inject(1, 2, 0, data_packet({.host = 2}, kPayload));
  CHECK_FALSE(cluster.connected(1, 2, 0));
  Cluster enabled({.pong_count = 5});
  enabled.cut(1, 2, 0);
  enabled.run_for(50ms);
  enabled.inject(1, 2, 0, data_packet({.host = 2}, kPayload));
  CHECK_FALSE(enabled.connected(1, 2, 0));
  CHECK(enabled.node(1).drops(Drop::kUnreachable) == 1);
}

TEST_CASE("fabric rx: a static link's peer may use any port but no other address") {
  Cluster cluster({.enabled = false});
  Address from = address_of(2, 0);
  from.port = 1;
  Bytes ping = ping_packet({.host = 2});
  cluster.fabric(1).on_datagram(cluster.now, SocketId{0}, from, ping);
  CHECK(cluster.status(1, 2, 0).stats.rx_ping.packets == 1);
  cluster.fabric(1).on_datagram(cluster.now, SocketId{0}, address_of(3, 0), ping);
  CHECK(cluster.status(1, 2, 0).stats.rx_ping.packets == 1);
  CHECK(cluster.node(1).drops(Drop::kSourceAddress) == 1);
}

TEST_CASE("fabric rx: a receiver that got no data for a whole round of numbers keeps up") {
  Cluster cluster({.nodes = 3});
  REQUIRE(cluster.connect());
  const std::vector<HostId> two = {host_id(2)};
  const std::vector<HostId> three = {host_id(3)};
  cluster.send(1, kPayload, Destinations::to(two));
  cluster.send(1, kPayload, Destinations::to(three));
  cluster.run_for(2ms);
  for (int i = 0; i < 65600; ++i) {
    cluster.send(1, kPayload, Destinations::to(two));
    if (i % 1000 == 0)
      cluster.run_for(1ms);
  }
  // Host 3 has the number 2 marked, and now it comes again.
  cluster.node(1).inspect.set_last_seq(seq(1));
  cluster.send(1, text_bytes("once more"), Destinations::to(three));
  cluster.run_for(2ms);
  REQUIRE(cluster.node(3).received.size() == 2);
  CHECK(same(cluster.node(3).received[1].bytes, text_bytes("once more")));
}

TEST_CASE("fabric rx: the same inputs give the same outputs byte for byte") {
  const auto story = [] {
    Cluster cluster({.nodes = 3, .links = 2, .policy = Policy::kRoundRobin});
    cluster.recording = true;
    cluster.path(1, 2, 0).loss = 0.1;
    cluster.connect();
    for (unsigned i = 0; i < 50; ++i) {
      cluster.send(1 + i % 3, pattern(i * 100 + 1, i));
      cluster.run_for(3ms);
    }
    cluster.cut(1, 2, 1);
    cluster.run_for(1s);
    std::string text;
    for (const Packet& packet : cluster.log)
      text += std::to_string(packet.at.time_since_epoch().count()) + to_hex(packet.bytes) + "\n";
    return text;
  };
  const std::string first = story();
  CHECK(first.size() > 100000);
  CHECK((first == story()));
}

}  // namespace ringknet::test
