// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sending: fragments and sequences on the wire, and who gets a message. What happens between send()
// and the end of a transmit is core_fabric_queue_test.cc's.
#include <doctest/doctest.h>

#include <set>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

const Bytes kPayload = text_bytes("hello");

std::vector<Packet> data_packets(const Cluster& cluster) {
  std::vector<Packet> packets;
  for (const Packet& packet : cluster.log) {
    if (packet.type() == 0)
      packets.push_back(packet);
  }
  return packets;
}

unsigned byte_at(const Packet& packet, std::size_t offset) {
  return std::to_integer<unsigned>(packet.bytes[offset]);
}

}  // namespace

TEST_CASE("fabric tx: the first message has sequence 1 and the next ones follow") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  cluster.recording = true;
  for (int i = 0; i < 3; ++i)
    cluster.send(1, kPayload, Destinations::all(), 5);
  const auto packets = data_packets(cluster);
  REQUIRE(packets.size() == 3);
  CHECK(to_hex(packets[0].bytes) == "01 00 00 01 00 00 00 01 00 00 01 01 00 05 68 65 6c 6c 6f");
  CHECK(packets[1].seq() == 2);
  CHECK(packets[2].seq() == 3);
}

TEST_CASE("fabric tx: a message to hosts is not marked as a broadcast") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  cluster.recording = true;
  const std::vector<HostId> two = {host_id(2)};
  cluster.send(1, kPayload, Destinations::to(two));
  CHECK(byte_at(data_packets(cluster).at(0), 10) == 0);
}

TEST_CASE("fabric tx: 3072 bytes at an MTU of 1500 leave as 1460 and 1460 and 194") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  cluster.recording = true;
  const Bytes message = pattern(3072);
  cluster.send(1, message);
  const auto packets = data_packets(cluster);
  REQUIRE(packets.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(packets[i].bytes.size() == (i < 2 ? 1460 : 194));
    CHECK(byte_at(packets[i], 11) == 3);
    CHECK(byte_at(packets[i], 12) == i + 1);
    CHECK(packets[i].seq() == 1);
    CHECK(same(ConstBytes(packets[i].bytes).subspan(14),
               ConstBytes(message).subspan(i * 1446, i < 2 ? 1446 : 180)));
  }
}

TEST_CASE("fabric tx: one byte more than the MTU makes a second fragment") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  cluster.recording = true;
  cluster.send(1, pattern(1446));
  REQUIRE(data_packets(cluster).size() == 1);
  CHECK(byte_at(data_packets(cluster)[0], 11) == 1);
  CHECK(byte_at(data_packets(cluster)[0], 12) == 0);
  cluster.log.clear();
  cluster.send(1, pattern(1447));
  REQUIRE(data_packets(cluster).size() == 2);
  CHECK(data_packets(cluster)[1].bytes.size() == 15);
}

TEST_CASE("fabric tx: messages of every size arrive equal") {
  for (const Address::Family family : {Address::Family::kIpv4, Address::Family::kIpv6}) {
    for (const std::uint32_t device : {600u, 1500u, 9000u, 65535u}) {
      CAPTURE(device);
      Cluster cluster({.links = 2, .policy = Policy::kActive, .family = family});
      for (unsigned link = 0; link < 2; ++link)
        cluster.both_ways(1, 2, link, [&](Path& path) { path.device_mtu = device; });
      REQUIRE(cluster.connect());
      std::size_t count = 0;
      for (const std::size_t size : {1, 2, 100, 481, 482, 483, 1000, 1446, 1447, 2892, 2893, 8192,
                                     20000, 32768, 65535, 65536}) {
        const Bytes message = pattern(size, size);
        CHECK(cluster.send(1, message).error == Error::kNone);
        cluster.run_for(2ms);
        REQUIRE(cluster.node(2).received.size() == ++count);
        CHECK(same(cluster.node(2).received.back().bytes, message));
      }
    }
  }
}

TEST_CASE("fabric tx: the largest message with the smallest slice takes 254 fragments") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  REQUIRE(cluster.fabric(1).set_manual_mtu(cluster.now, 1).ok());  // clamped to what still works
  CHECK(cluster.status(1, 2, 0).mtu == kSliceSizeMin);
  cluster.recording = true;
  const Bytes message = pattern(65536);
  CHECK(cluster.send(1, message).error == Error::kNone);
  const auto packets = data_packets(cluster);
  REQUIRE(packets.size() == 254);
  for (std::size_t i = 0; i < packets.size(); ++i) {
    REQUIRE(byte_at(packets[i], 11) == 254);
    REQUIRE(byte_at(packets[i], 12) == i + 1);
  }
  cluster.run_for(2ms);
  REQUIRE(cluster.node(2).received.size() == 1);
  CHECK(same(cluster.node(2).received[0].bytes, message));
}

TEST_CASE("fabric tx: the sequence wraps from 65535 to 1") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  cluster.node(1).inspect.set_last_seq(seq(65533));
  cluster.recording = true;
  for (int i = 0; i < 4; ++i)
    cluster.send(1, kPayload);
  const auto packets = data_packets(cluster);
  REQUIRE(packets.size() == 4);
  CHECK(packets[0].seq() == 65534);
  CHECK(packets[1].seq() == 65535);
  CHECK(packets[2].seq() == 1);
  CHECK(packets[3].seq() == 2);
}

TEST_CASE("fabric tx: timed PINGs carry the last used sequence and 0 before the first message") {
  Cluster cluster;
  cluster.recording = true;
  REQUIRE(cluster.connect());
  cluster.run_for(300ms);
  for (const Packet& packet : cluster.log) {
    if (packet.type() == 0x81) {
      CHECK(packet.seq() == 0);
      CHECK(byte_at(packet, 25) == 1);
    }
  }
  cluster.send(1, kPayload);
  cluster.send(1, kPayload);
  cluster.log.clear();
  cluster.run_for(100ms);
  std::size_t pings = 0;
  for (const Packet& packet : cluster.log) {
    if (packet.type() == 0x81 && packet.from == 1) {
      ++pings;
      CHECK(packet.seq() == 2);
    }
  }
  CHECK(pings == 1);
}

TEST_CASE("fabric tx: a forced PING on every enabled link goes before message 8191") {
  Cluster cluster({.nodes = 3, .links = 3});
  REQUIRE(cluster.connect());
  // Link 2 to host 2 is disabled; to host 3 nothing is connected any more.
  REQUIRE(cluster.fabric(1).link_set_enabled(cluster.now, host_id(2), link_id(2), false).ok());
  for (unsigned link = 0; link < 3; ++link)
    cluster.cut(1, 3, link);
  cluster.run_for(1s);
  for (const unsigned multiple : {8191u, 16382u, 65528u}) {
    cluster.node(1).inspect.set_last_seq(seq(multiple - 2));
    cluster.recording = true;
    cluster.log.clear();
    cluster.send(1, kPayload);
    CHECK(cluster.log.size() == 1);  // the message before needs none
    cluster.send(1, kPayload);
    REQUIRE(cluster.log.size() == 1 + 5 + 1);
    std::set<std::pair<unsigned, unsigned>> links;
    for (std::size_t i = 1; i <= 5; ++i) {
      const Packet& ping = cluster.log[i];
      CHECK(ping.type() == 0x81);
      CHECK(ping.seq() == multiple);
      CHECK(byte_at(ping, 25) == 0);
      links.emplace(ping.to, ping.link);
    }
    CHECK(links == std::set<std::pair<unsigned, unsigned>>{{2, 0}, {2, 1}, {3, 0}, {3, 1}, {3, 2}});
    CHECK(cluster.log.back().type() == 0);
    CHECK(cluster.log.back().seq() == multiple);
    cluster.log.clear();
    cluster.send(1, kPayload);
    CHECK(cluster.log.size() == 1);
  }
}

// Receivers take what it says for data that left before it.
TEST_CASE("fabric tx: a forced PING that waited tells the message it is for") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  cluster.node(1).inspect.set_last_seq(seq(8190));
  for (int i = 0; i < 3; ++i)
    CHECK(fabric.send(cluster.now, Channel{0}, kPayload, Destinations::all()).error ==
          Error::kNone);
  cluster.recording = true;
  cluster.log.clear();
  cluster.settle();
  REQUIRE(cluster.log.size() >= 2);
  CHECK(cluster.log[0].type() == 0x81);
  CHECK(cluster.log[0].seq() == 8191);
  CHECK(byte_at(cluster.log[0], 25) == 0);
}

TEST_CASE("fabric tx: nothing goes to nobody and no sequence is used for it") {
  Cluster cluster;
  CHECK(cluster.send(1, kPayload).error == Error::kHostDown);
  CHECK(cluster.node(1).inspect.last_seq().none());
  REQUIRE(cluster.connect());
  const std::vector<HostId> unknown = {host_id(1), host_id(77)};
  CHECK(cluster.send(1, kPayload, Destinations::to(unknown)).error == Error::kHostDown);
  CHECK(cluster.send(1, kPayload, Destinations::to({})).error == Error::kHostDown);
  CHECK(cluster.node(1).inspect.last_seq().none());
}

TEST_CASE("fabric tx: sizes and channels that cannot be are refused") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  CHECK(cluster.send(1, {}).error == Error::kInvalid);
  CHECK(cluster.send(1, Bytes(65537)).error == Error::kInvalid);
  CHECK(cluster.send(1, kPayload, Destinations::all(), 32).error == Error::kInvalid);
  CHECK(cluster.node(1).inspect.last_seq().none());
  CHECK(cluster.send(1, Bytes(65536), Destinations::all(), 31).error == Error::kNone);
}

TEST_CASE("fabric tx: a broadcast reaches everybody and a list whom it names") {
  Cluster cluster({.nodes = 4});
  REQUIRE(cluster.connect());
  cluster.send(1, kPayload);
  const std::vector<HostId> some = {host_id(4), host_id(2)};
  cluster.send(1, text_bytes("some"), Destinations::to(some));
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == 2);
  CHECK(cluster.node(3).received.size() == 1);
  CHECK(cluster.node(4).received.size() == 2);
  CHECK(cluster.node(1).received.empty());
}

// A destination filter may name a host more than once.
TEST_CASE("fabric tx: a host named many times gets the message once") {
  Cluster cluster({.nodes = 3});
  REQUIRE(cluster.connect());
  std::vector<HostId> hosts;
  for (int i = 0; i < 30000; ++i) {
    hosts.push_back(host_id(2));
    hosts.push_back(host_id(3));
  }
  cluster.recording = true;
  CHECK(cluster.send(1, pattern(65536), Destinations::to(hosts)).error == Error::kNone);
  CHECK(data_packets(cluster).size() == 2 * 46);
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == 1);
  CHECK(cluster.node(3).received.size() == 1);
}

TEST_CASE("fabric tx: hosts that are down are left out and the others served") {
  Cluster cluster({.nodes = 3});
  REQUIRE(cluster.connect());
  cluster.cut(1, 3, 0);
  cluster.run_for(1s);
  const std::vector<HostId> both = {host_id(3), host_id(2)};
  CHECK(cluster.send(1, kPayload, Destinations::to(both)).error == Error::kNone);
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == 1);
  CHECK(cluster.node(3).received.empty());
}

TEST_CASE("fabric tx: the slice is what all destinations carry and no less") {
  Cluster cluster({.nodes = 3});
  cluster.both_ways(1, 3, 0, [](Path& path) { path.silent_mtu = 1200; });
  REQUIRE(cluster.connect());
  CHECK(cluster.fabric(1).data_mtu() == 1146);
  CHECK(cluster.status(1, 2, 0).mtu == 1446);
  CHECK(cluster.status(1, 3, 0).mtu == 1146);
  cluster.recording = true;
  const std::vector<HostId> two = {host_id(2)};
  cluster.send(1, pattern(1446), Destinations::to(two));
  CHECK(data_packets(cluster).size() == 1);
  cluster.log.clear();
  cluster.send(1, pattern(1446));
  CHECK(data_packets(cluster).size() == 4);
  CHECK(data_packets(cluster)[0].bytes.size() == 1160);
}

TEST_CASE("fabric tx: fragments of a message are contiguous and in order on every link") {
  Cluster cluster({.nodes = 3, .links = 2, .policy = Policy::kActive});
  REQUIRE(cluster.connect());
  cluster.recording = true;
  for (unsigned i = 0; i < 20; ++i)
    cluster.send(1, pattern(500 + i * 700, i));
  std::map<std::pair<unsigned, unsigned>, std::pair<unsigned, unsigned>> last;
  for (const Packet& packet : data_packets(cluster)) {
    auto& [number, index] = last[{packet.to, packet.link}];
    const unsigned this_index = byte_at(packet, 12);
    if (packet.seq() == number) {
      REQUIRE(this_index == index + 1);
    } else {
      REQUIRE(packet.seq() == number + 1);
      REQUIRE(this_index <= 1);
    }
    number = packet.seq();
    index = this_index;
  }
  CHECK(last.size() == 4);
  for (const auto& [link, place] : last)
    CHECK(place.first == 20);
}

TEST_CASE("fabric tx: sent data is counted per link in packets and bytes") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  cluster.send(1, pattern(3072));
  const LinkStats stats = cluster.status(1, 2, 0).stats;
  CHECK(stats.tx_data.packets == 3);
  CHECK(stats.tx_data.bytes == 1460 + 1460 + 194);
}

TEST_CASE("fabric tx: the same bytes go to every destination") {
  Cluster cluster({.nodes = 3, .links = 2, .policy = Policy::kActive});
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  CHECK(fabric.send(cluster.now, Channel{0}, pattern(3000), Destinations::all()).error ==
        Error::kNone);
  std::vector<Transmit> transmits;
  Transmit transmit;
  while (fabric.poll_transmit(cluster.now, transmit))
    transmits.push_back(transmit);
  REQUIRE(transmits.size() == 4);
  for (const Transmit& each : transmits) {
    CHECK(each.bytes.data() == transmits[0].bytes.data());
    CHECK(each.segment_size == 1460);
    CHECK(each.segments() == 3);
    CHECK(each.kind == Transmit::Kind::kData);
  }
  CHECK(fabric.data_pending());
  for (const Transmit& each : transmits)
    fabric.on_transmit_done(cluster.now, each.id, {});
  CHECK_FALSE(fabric.data_pending());
}

TEST_CASE("fabric tx: small messages that wait share a run") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  for (int i = 0; i < 100; ++i)
    fabric.send(cluster.now, Channel{0}, kPayload, Destinations::all());
  Transmit transmit;
  REQUIRE(fabric.poll_transmit(cluster.now, transmit));
  CHECK(transmit.segments() == 64);
  CHECK(transmit.segment_size == 19);
  fabric.on_transmit_done(cluster.now, transmit.id, {});
  REQUIRE(fabric.poll_transmit(cluster.now, transmit));
  CHECK(transmit.segments() == 36);
  fabric.on_transmit_done(cluster.now, transmit.id, {});
  CHECK_FALSE(fabric.poll_transmit(cluster.now, transmit));
}

namespace {

// Node 1 with a loopback link, and node 2.
void add_loopback(Cluster& cluster) {
  Fabric& fabric = cluster.fabric(1);
  REQUIRE(fabric.host_add(host_id(1)).ok());
  const LinkConfig config{.transport = Transport::kLoopback, .local = address_of(1, 0)};
  REQUIRE(fabric.link_configure(cluster.now, host_id(1), link_id(0), config).ok());
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(1), link_id(0), true).ok());
}

}  // namespace

TEST_CASE("fabric tx: over loopback a message stays local") {
  Cluster cluster({.nodes = 2});
  add_loopback(cluster);
  const std::vector<HostId> self = {host_id(1)};
  SendOutcome outcome = cluster.send(1, kPayload, Destinations::to(self));
  CHECK(outcome.local);
  CHECK(outcome.error == Error::kNone);
  CHECK(cluster.node(1).inspect.last_seq().none());
  outcome = cluster.send(1, kPayload);  // nobody else is there
  CHECK(outcome.local);
  CHECK(outcome.error == Error::kNone);
  REQUIRE(cluster.connect());
  outcome = cluster.send(1, kPayload);
  CHECK(outcome.local);
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == 1);
  const std::vector<HostId> two = {host_id(2)};
  outcome = cluster.send(1, kPayload, Destinations::to(two));
  CHECK_FALSE(outcome.local);
}

TEST_CASE("fabric tx: without loopback nothing is local") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  const std::vector<HostId> both = {host_id(1), host_id(2)};
  CHECK_FALSE(cluster.send(1, kPayload, Destinations::to(both)).local);
  CHECK_FALSE(cluster.send(1, kPayload).local);
}

}  // namespace ringknet::test
