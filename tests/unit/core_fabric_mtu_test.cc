// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Path MTU at the level of the fabric: what data uses when, the handle's figure, manual sizes, and
// that probing never costs a working link.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

void silent(Cluster& cluster, unsigned link, std::uint32_t limit) {
  cluster.both_ways(1, 2, link, [&](Path& path) { path.silent_mtu = limit; });
}

std::uint32_t mtu(Cluster& cluster, unsigned link = 0) {
  return cluster.status(1, 2, link).mtu;
}

// Sends a large message every 10 ms for a while.
void flow(Cluster& cluster, Duration duration, std::size_t size = 4000) {
  const Instant end = cluster.now + duration;
  while (cluster.now < end) {
    cluster.send(1, pattern(size));
    cluster.run_for(10ms);
  }
}

}  // namespace

TEST_CASE("fabric mtu: the kernel's limit is found with one probe on the wire") {
  Cluster cluster;
  cluster.recording = true;
  REQUIRE(cluster.connect());
  CHECK(mtu(cluster) == 1446);
  CHECK(cluster.fabric(1).data_mtu() == 1446);
  CHECK(cluster.status(1, 2, 0).overhead == 54);
  std::vector<std::size_t> sizes;
  for (const Packet& packet : cluster.log) {
    if (packet.from == 1 && packet.type() == 0x83)
      sizes.push_back(packet.bytes.size());
  }
  CHECK(sizes == std::vector<std::size_t>{65507, 1472});
  // The refused one is not counted as sent.
  CHECK(cluster.status(1, 2, 0).stats.tx_mtu.packets == 1);
  CHECK(cluster.status(1, 2, 0).stats.tx_mtu.bytes == 1472);
}

TEST_CASE("fabric mtu: values for other devices and for IPv6") {
  const auto found = [](Address::Family family, std::uint32_t device) {
    Cluster cluster({.family = family});
    cluster.both_ways(1, 2, 0, [&](Path& path) { path.device_mtu = device; });
    REQUIRE(cluster.connect());
    return mtu(cluster);
  };
  CHECK(found(Address::Family::kIpv4, 9000) == 8946);
  CHECK(found(Address::Family::kIpv4, 65535) == 65481);
  CHECK(found(Address::Family::kIpv6, 1500) == 1426);
  CHECK(found(Address::Family::kIpv6, 1280) == 1206);
}

TEST_CASE("fabric mtu: a path that silently drops above 1200 gives 1146") {
  Cluster cluster;
  silent(cluster, 0, 1200);
  REQUIRE(cluster.connect());
  CHECK(mtu(cluster) == 1146);
  CHECK(cluster.fabric(1).data_mtu() == 1146);
}

TEST_CASE("fabric mtu: data flows at the floor from the moment the link is up") {
  Cluster cluster;
  silent(cluster, 0, 1200);
  REQUIRE(cluster.run_until([&] { return cluster.connected(1, 2, 0); }));
  CHECK(mtu(cluster) == 482);
  const Bytes message = pattern(5000);
  CHECK(cluster.send(1, message).error == Error::kNone);
  cluster.run_for(2ms);
  REQUIRE(cluster.node(2).received.size() == 1);
  CHECK(same(cluster.node(2).received[0].bytes, message));
}

TEST_CASE("fabric mtu: all links are probed at the same time") {
  Cluster one({.links = 1});
  silent(one, 0, 1200);
  const Instant start_one = one.now;
  REQUIRE(one.connect());
  Cluster many({.links = 8});
  for (unsigned link = 0; link < 8; ++link)
    silent(many, link, 1200);
  const Instant start_many = many.now;
  REQUIRE(many.connect());
  CHECK(many.now - start_many <= (one.now - start_one) + 100ms);
  for (unsigned link = 0; link < 8; ++link)
    CHECK(mtu(many, link) == 1146);
}

TEST_CASE("fabric mtu: lost probes cost time and not bytes") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Cluster cluster;
    cluster.random = Random(seed);
    silent(cluster, 0, 1200);
    cluster.both_ways(1, 2, 0, [](Path& path) { path.loss = 0.02; });
    REQUIRE(cluster.connect());
    CHECK(mtu(cluster) == 1146);
  }
}

TEST_CASE("fabric mtu: probing never takes a link down or a message away") {
  Cluster cluster({.timers = {.interval = 20ms, .timeout = 60ms}});
  silent(cluster, 0, 700);
  REQUIRE(cluster.run_until([&] { return cluster.connected(1, 2, 0); }));
  flow(cluster, 5s);
  cluster.run_for(10ms);
  CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);
  CHECK(cluster.node(2).received.size() == 500);
  CHECK(mtu(cluster) == 646);
}

TEST_CASE("fabric mtu: a path that shrinks under load is found out within a second") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  flow(cluster, 2s);
  CHECK(mtu(cluster) == 1446);
  silent(cluster, 0, 1400);
  const Instant shrunk = cluster.now;
  const auto lowered = [&] { return mtu(cluster) < 1446; };
  while (!lowered() && cluster.now - shrunk < 5s)
    flow(cluster, 10ms);
  CHECK(cluster.now - shrunk < 1s);
  CHECK(mtu(cluster) == 482);
  const std::size_t received = cluster.node(2).received.size();
  flow(cluster, 50ms);
  CHECK(cluster.node(2).received.size() >= received + 4);  // data gets through again at once
  flow(cluster, 5s);
  CHECK(mtu(cluster) == 1346);
  CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);
  bool told = false;
  for (const Happened& happened : cluster.node(1).events)
    told |= happened.event.kind == Event::Kind::kLinkMtu &&
            happened.event.reason == Event::Reason::kBlackHole;
  CHECK(told);
}

TEST_CASE("fabric mtu: with other links in use a black hole costs the other links nothing") {
  Cluster cluster({.links = 2, .policy = Policy::kActive});
  REQUIRE(cluster.connect());
  flow(cluster, 1s);
  silent(cluster, 0, 1400);
  const std::size_t before = cluster.node(2).received.size();
  flow(cluster, 1s);
  cluster.run_for(10ms);
  CHECK(cluster.node(2).received.size() == before + 100);
  CHECK(mtu(cluster, 1) == 1446);
}

TEST_CASE("fabric mtu: a link that is simply dead is not a black hole") {
  Cluster cluster({.timers = {.interval = 100ms, .timeout = 3s}});
  REQUIRE(cluster.connect());
  flow(cluster, 1s);
  cluster.cut(1, 2, 0);
  cluster.node(1).events.clear();
  flow(cluster, 2s);
  CHECK(cluster.connected(1, 2, 0));
  CHECK(mtu(cluster) == 1446);
  CHECK(cluster.node(1).count(Event::Kind::kLinkMtu) == 0);
  cluster.cut(1, 2, 0, false);
  flow(cluster, 3s);
  CHECK(mtu(cluster) == 1446);
  CHECK(cluster.node(1).count(Event::Kind::kLinkMtu) == 0);
}

TEST_CASE("fabric mtu: random loss lowers nothing") {
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    CAPTURE(seed);
    Cluster cluster({.timers = {.interval = 100ms, .timeout = 2s}});
    REQUIRE(cluster.connect());
    cluster.random = Random(seed);
    cluster.both_ways(1, 2, 0, [](Path& path) { path.loss = 0.05; });
    cluster.node(1).events.clear();
    flow(cluster, 60s);
    CHECK(cluster.node(1).count(Event::Kind::kLinkMtu) == 0);
    CHECK(mtu(cluster) == 1446);
  }
}

TEST_CASE("fabric mtu: small messages cost no probes") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  const std::uint64_t before = cluster.status(1, 2, 0).stats.tx_mtu.packets;
  flow(cluster, 20s, 100);
  CHECK(cluster.status(1, 2, 0).stats.tx_mtu.packets == before);
}

TEST_CASE("fabric mtu: a wider path is found after the interval") {
  Cluster cluster;
  silent(cluster, 0, 1200);
  REQUIRE(cluster.connect());
  cluster.fabric(1).set_mtu_interval(cluster.now, 10s);
  silent(cluster, 0, 65535);
  cluster.run_for(5s);
  CHECK(mtu(cluster) == 1146);
  cluster.run_for(10s);
  CHECK(mtu(cluster) == 1446);
  CHECK(cluster.fabric(1).data_mtu() == 1446);
}

TEST_CASE("fabric mtu: searching again takes nothing away") {
  Cluster cluster;
  silent(cluster, 0, 1200);
  REQUIRE(cluster.connect());
  cluster.fabric(1).set_mtu_interval(cluster.now, 2s);
  cluster.node(1).events.clear();
  for (int i = 0; i < 300; ++i) {
    cluster.run_for(100ms);
    REQUIRE(mtu(cluster) == 1146);
  }
  CHECK(cluster.node(1).count(Event::Kind::kDataMtu) == 0);
}

TEST_CASE("fabric mtu: data refused by the kernel lowers the link at once") {
  Cluster cluster;
  cluster.both_ways(1, 2, 0, [](Path& path) { path.device_mtu = 9000; });
  REQUIRE(cluster.connect());
  CHECK(mtu(cluster) == 8946);
  cluster.both_ways(1, 2, 0, [](Path& path) { path.device_mtu = 1500; });
  cluster.send(1, pattern(8000));
  CHECK(mtu(cluster) == 1446);
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == 1);  // the ring sent it in pieces
  cluster.run_for(5s);
  CHECK(mtu(cluster) == 1446);
}

TEST_CASE("fabric mtu: the error queue's limit counts like the send's") {
  Cluster cluster;
  cluster.both_ways(1, 2, 0, [](Path& path) { path.device_mtu = 9000; });
  REQUIRE(cluster.connect());
  cluster.both_ways(1, 2, 0, [](Path& path) { path.device_mtu = 1500; });
  cluster.fabric(1).on_path_error(cluster.now, {.socket = SocketId{0},
                                                .to = address_of(2, 0),
                                                .status = TransmitResult::Status::kTooBig,
                                                .mtu = 1500});
  CHECK(mtu(cluster) == 1446);
}

TEST_CASE("fabric mtu: the handle's figure is the least of all links in use") {
  Cluster cluster({.nodes = 3, .links = 2});
  CHECK(cluster.fabric(1).data_mtu() == 482);
  cluster.both_ways(1, 3, 1, [](Path& path) { path.silent_mtu = 1000; });
  REQUIRE(cluster.connect());
  CHECK(cluster.fabric(1).data_mtu() == 946);
  REQUIRE(cluster.fabric(1).link_set_enabled(cluster.now, host_id(3), link_id(1), false).ok());
  CHECK(cluster.fabric(1).data_mtu() == 1446);
  cluster.settle();
  CHECK(cluster.node(1).last(Event::Kind::kDataMtu)->event.mtu == 1446);
}

TEST_CASE("fabric mtu: without any link the last figure stays") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  cluster.cut(1, 2, 0);
  cluster.run_for(2s);
  CHECK_FALSE(cluster.connected(1, 2, 0));
  CHECK(cluster.fabric(1).data_mtu() == 1446);
}

TEST_CASE("fabric mtu: a manual size replaces probing and 0 returns to it") {
  Cluster cluster;
  silent(cluster, 0, 1200);
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  REQUIRE(fabric.set_manual_mtu(cluster.now, 1000).ok());
  CHECK(mtu(cluster) == 946);
  CHECK(fabric.data_mtu() == 946);
  // Runs of packets are probed, with packets that are no longer than that.
  cluster.recording = true;
  flow(cluster, 2s);
  std::size_t probes = 0;
  for (const Packet& packet : cluster.log) {
    if (packet.from != 1 || packet.type() != 0x83)
      continue;
    ++probes;
    CHECK(packet.bytes.size() + 28 <= 1000);
  }
  CHECK(probes > 0);
  REQUIRE(fabric.set_manual_mtu(cluster.now, 1500).ok());
  CHECK(mtu(cluster) == 1446);  // believed, even if the path does not carry it
  REQUIRE(fabric.set_manual_mtu(cluster.now, 0).ok());
  CHECK(mtu(cluster) == 482);
  cluster.run_for(5s);
  CHECK(mtu(cluster) == 1146);
  CHECK(fabric.set_manual_mtu(cluster.now, 65536).error() == Error::kInvalid);
}

TEST_CASE("fabric mtu: a manual size is in force when a link comes up") {
  Cluster cluster;
  REQUIRE(cluster.fabric(1).set_manual_mtu(cluster.now, 1300).ok());
  REQUIRE(cluster.run_until([&] { return cluster.connected(1, 2, 0); }));
  CHECK(mtu(cluster) == 1246);
  CHECK(cluster.status(1, 2, 0).stats.tx_mtu.packets == 0);
  CHECK(cluster.fabric(1).data_mtu() == 1246);
}

TEST_CASE("fabric mtu: probes are answered also while the own size is manual") {
  Cluster cluster;
  REQUIRE(cluster.fabric(1).set_manual_mtu(cluster.now, 1300).ok());
  REQUIRE(cluster.run_until([&] { return cluster.status(2, 1, 0).mtu == 1446; }, 10s));
}

TEST_CASE("fabric mtu: a probe that waits is dropped when its link is disabled") {
  Cluster cluster;
  cluster.path(1, 2, 0).silent_mtu = 700;
  REQUIRE(cluster.run_until([&] { return cluster.connected(1, 2, 0); }));
  Fabric& fabric = cluster.fabric(1);
  while (cluster.node(1).inspect.probes_waiting() == 0) {
    cluster.now = std::max(cluster.now, fabric.next_deadline());
    fabric.on_timeout(cluster.now);
  }
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
  Transmit transmit;
  while (fabric.poll_transmit(cluster.now, transmit)) {
    CHECK(transmit.kind != Transmit::Kind::kProbe);
    fabric.on_transmit_done(cluster.now, transmit.id, {});
  }
  CHECK(cluster.node(1).inspect.probes_waiting() == 0);
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), true).ok());
  REQUIRE(cluster.connect());
  CHECK(mtu(cluster) == 646);
}

TEST_CASE("fabric mtu: an answer for another link does not count") {
  Cluster cluster({.links = 2});
  silent(cluster, 1, 1200);
  REQUIRE(cluster.connect());
  CHECK(mtu(cluster, 0) == 1446);
  CHECK(mtu(cluster, 1) == 1146);
}

}  // namespace ringknet::test
