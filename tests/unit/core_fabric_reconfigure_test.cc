// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Configuration that changes while traffic runs: links cleared and configured again, hosts removed
// and added, manual MTUs, timers, intervals, priorities and lists. The simulator does the same at
// random (tests/sim); here each has one story.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

const HostId kPeer = host_id(2);
const LinkId kFirst = link_id(0);

// Fills the window of a link whose peer does not answer, so that marks, data and timers wait.
void fill_window(Cluster& cluster) {
  cluster.cut(1, 2, 0);
  while (cluster.fabric(1).can_send()) {
    cluster.fabric(1).send(cluster.now, Channel{0}, pattern(60000), Destinations::all());
    cluster.settle();
  }
}

void clear_link(Cluster& cluster, unsigned link = 0) {
  Fabric& fabric = cluster.fabric(1);
  REQUIRE(fabric.link_set_enabled(cluster.now, kPeer, link_id(link), false).ok());
  REQUIRE(fabric.link_clear(cluster.now, kPeer, link_id(link)).ok());
}

void configure_link(Cluster& cluster, unsigned link = 0) {
  Fabric& fabric = cluster.fabric(1);
  const LinkConfig config{
      .socket = SocketId(link), .local = address_of(1, link), .remote = address_of(2, link)};
  REQUIRE(fabric.link_configure(cluster.now, kPeer, link_id(link), config).ok());
  REQUIRE(fabric
              .link_set_timers(cluster.now, kPeer, link_id(link),
                               {.interval = 100ms, .timeout = 500ms, .precision = 2048})
              .ok());
  REQUIRE(fabric.link_set_pong_count(kPeer, link_id(link), 2).ok());
  REQUIRE(fabric.link_set_enabled(cluster.now, kPeer, link_id(link), true).ok());
}

}  // namespace

TEST_CASE("reconfigure: a link that is cleared leaves no deadline behind") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  fill_window(cluster);
  Fabric& fabric = cluster.fabric(1);
  REQUIRE(fabric.link_set_enabled(cluster.now, kPeer, kFirst, false).ok());
  CHECK(fabric.next_deadline() != kNever);  // marks that nobody answered
  REQUIRE(fabric.link_clear(cluster.now, kPeer, kFirst).ok());
  CHECK(fabric.next_deadline() == kNever);
  cluster.now += 10s;
  fabric.on_timeout(cluster.now);
  cluster.settle();
  CHECK(fabric.next_deadline() == kNever);
}

TEST_CASE("reconfigure: what waits for a cleared link does not go over the next one of that id") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  fill_window(cluster);
  Node& node = cluster.node(1);
  REQUIRE(node.fabric.data_pending());
  node.holding = true;
  clear_link(cluster);
  configure_link(cluster);
  cluster.cut(1, 2, 0, false);
  node.holding = false;
  cluster.finish_held(1, {.status = TransmitResult::Status::kFailed});
  cluster.settle();
  CHECK_FALSE(node.fabric.data_pending());
  CHECK(node.drops(Drop::kLinkGone) > 0);
  CHECK(cluster.status(1, 2, 0).stats.tx_data.packets == 0);
  REQUIRE(cluster.connect());
  const std::size_t before = cluster.node(2).received.size();
  CHECK(cluster.send(1, pattern(60000)).error == Error::kNone);
  cluster.run_for(10ms);
  CHECK(cluster.node(2).received.size() == before + 1);
}

TEST_CASE("reconfigure: what waits for a cleared link goes over another one") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  REQUIRE(node.fabric.send(cluster.now, Channel{0}, pattern(3000), Destinations::all()).error ==
          Error::kNone);
  clear_link(cluster);
  cluster.run_for(5ms);
  CHECK(cluster.node(2).received.size() == 1);
  CHECK(*node.fabric.host_reachable(kPeer));
  CHECK(cluster.status(1, 2, 1).stats.tx_data.packets == 3);
}

// What is configured again is as new: nothing is left of statistics, latency, MTU or window.
TEST_CASE("reconfigure: a link configured again is as new") {
  Cluster cluster({.links = 2});
  cluster.both_ways(1, 2, 0, [](Path& path) { path.silent_mtu = 1000; });
  REQUIRE(cluster.connect());
  fill_window(cluster);
  clear_link(cluster);
  CHECK(cluster.fabric(1).data_mtu() == 1446);  // of the link that is left
  configure_link(cluster);
  const LinkStatus status = cluster.status(1, 2, 0);
  CHECK_FALSE(status.connected);
  CHECK(status.latency == Duration{});
  CHECK(status.last_pong == kNever);
  CHECK(status.overhead == 0);
  CHECK(status.stats.ups.count == 0);
  CHECK(status.stats.tx_data.packets == 0);
  CHECK(cluster.node(1).inspect.link(2, 0).window.open());
  CHECK(cluster.fabric(1).data_mtu() == 1446);
  cluster.cut(1, 2, 0, false);
  REQUIRE(cluster.connect());
  CHECK(cluster.fabric(1).data_mtu() == 946);
}

TEST_CASE("reconfigure: a host that is removed and added again is as new") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  REQUIRE(node.fabric.host_set_policy(cluster.now, kPeer, Policy::kRoundRobin).ok());
  cluster.send(2, pattern(100));
  cluster.run_for(5ms);
  REQUIRE(node.received.size() == 1);
  cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = 50, .count = 2, .index = 1}, pattern(9)));
  REQUIRE(node.inspect.buffers_in_use() == 1);
  clear_link(cluster);
  REQUIRE(node.fabric.host_remove(kPeer).ok());
  CHECK(node.inspect.buffers_in_use() == 0);
  CHECK(cluster.send(1, pattern(10)).error == Error::kHostDown);
  cluster.run_for(500ms);
  REQUIRE(node.fabric.host_add(kPeer).ok());
  CHECK(*node.fabric.host_policy(kPeer) == Policy::kPassive);
  CHECK_FALSE(*node.fabric.host_reachable(kPeer));
  configure_link(cluster);
  REQUIRE(cluster.connect());
  cluster.send(2, pattern(3000));
  cluster.send(1, pattern(3000));
  cluster.run_for(5ms);
  CHECK(node.received.size() == 2);
  CHECK(cluster.node(2).received.size() == 1);
}

TEST_CASE("reconfigure: a small manual MTU still cuts messages into fragments that there are") {
  for (const bool before : {true, false}) {
    CAPTURE(before);
    Cluster cluster;
    if (!before)
      REQUIRE(cluster.connect());
    for (unsigned id = 1; id <= 2; ++id)
      REQUIRE(cluster.fabric(id).set_manual_mtu(cluster.now, 60).ok());
    REQUIRE(cluster.run_until(
        [&] { return cluster.connected(1, 2, 0) && cluster.connected(2, 1, 0); }, 10s));
    CHECK(cluster.status(1, 2, 0).mtu == kSliceSizeMin);
    CHECK(cluster.fabric(1).data_mtu() == kSliceSizeMin);
    CHECK(cluster.send(1, pattern(kMessageSizeMax)).error == Error::kNone);
    cluster.run_for(20ms);
    REQUIRE(cluster.node(2).received.size() == 1);
    CHECK(same(cluster.node(2).received[0].bytes, pattern(kMessageSizeMax)));
  }
}

TEST_CASE("reconfigure: a manual MTU stops a search that is under way, with its deadline") {
  Cluster cluster;
  cluster.path(1, 2, 0).silent_mtu = 700;
  REQUIRE(cluster.run_until([&] { return cluster.connected(1, 2, 0); }));
  const Link& link = cluster.node(1).inspect.link(2, 0);
  REQUIRE(link.mtu.phase() == MtuSearch::Phase::kSearching);
  REQUIRE(cluster.fabric(1).set_manual_mtu(cluster.now, 600).ok());
  CHECK(link.mtu.phase() == MtuSearch::Phase::kIdle);
  CHECK(link.mtu.deadline() == kNever);
  CHECK(link.deadline() == link.next_deadline());
  const std::uint64_t probes = cluster.status(1, 2, 0).stats.tx_mtu.packets;
  cluster.run_for(2s);
  CHECK(cluster.status(1, 2, 0).stats.tx_mtu.packets == probes);
  CHECK(cluster.status(1, 2, 0).mtu == 546);
}

// Whatever is set, the heap knows of it at once: a link's entry there is what the link waits for.
TEST_CASE("reconfigure: every setting moves the link's deadline at once") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  Random random(9);
  for (int step = 0; step < 500; ++step) {
    CAPTURE(step);
    const LinkId link = link_id(static_cast<unsigned>(random.below(2)));
    const std::uint64_t kind = random.below(7);
    CAPTURE(kind);
    if (kind == 0) {
      REQUIRE(fabric.link_set_enabled(cluster.now, kPeer, link, random.chance(0.5)).ok());
    } else if (kind == 1) {
      const Duration interval = 1ms * static_cast<std::int64_t>(random.between(20, 400));
      REQUIRE(fabric
                  .link_set_timers(cluster.now, kPeer, link,
                                   {.interval = interval, .timeout = 4 * interval, .precision = 8})
                  .ok());
    } else if (kind == 2) {
      const std::uint32_t mtu = random.chance(0.5) ? 0 : 1000;
      REQUIRE(fabric.set_manual_mtu(cluster.now, mtu).ok());
    } else if (kind == 3) {
      fabric.set_mtu_interval(cluster.now,
                              1ms * static_cast<std::int64_t>(random.between(1, 3000)));
    } else if (kind == 4) {
      cluster.send(1, pattern(random.between(1, 20000)));
    } else if (kind == 5) {
      fabric.on_path_error(cluster.now, {.socket = SocketId(raw(link)),
                                         .to = address_of(2, raw(link)),
                                         .status = TransmitResult::Status::kRefused});
    } else {
      cluster.run_for(1ms * static_cast<std::int64_t>(random.below(300)));
    }
    Instant least = kNever;
    for (unsigned each = 0; each < 2; ++each) {
      const Link& inner = cluster.node(1).inspect.link(2, each);
      REQUIRE(inner.deadline() == inner.next_deadline());
      least = std::min(least, inner.next_deadline());
    }
    REQUIRE(fabric.next_deadline() == least);
    cluster.settle();
  }
}

TEST_CASE("reconfigure: a new MTU interval counts for links that are there and for later ones") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  cluster.run_for(1s);
  fabric.set_mtu_interval(cluster.now, 3s);
  CHECK(fabric.mtu_interval() == 3s);
  const auto probes = [&](unsigned link) {
    return cluster.status(1, 2, link).stats.tx_mtu.packets;
  };
  const std::uint64_t before = probes(0);
  cluster.run_for(4s);
  CHECK(probes(0) > before);
  clear_link(cluster, 1);
  configure_link(cluster, 1);
  REQUIRE(cluster.connect());
  const std::uint64_t settled = probes(1);
  cluster.run_for(4s);
  CHECK(probes(1) > settled);
}

TEST_CASE("reconfigure: shorter timers count from now on, for PINGs and for silence") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  REQUIRE(fabric
              .link_set_timers(cluster.now, kPeer, kFirst,
                               {.interval = 20ms, .timeout = 100ms, .precision = 16})
              .ok());
  const std::uint64_t pings = cluster.status(1, 2, 0).stats.tx_ping.packets;
  cluster.run_for(200ms);
  CHECK(cluster.status(1, 2, 0).stats.tx_ping.packets >= pings + 9);
  cluster.cut(1, 2, 0);
  cluster.run_for(130ms);
  CHECK_FALSE(cluster.connected(1, 2, 0));
}

TEST_CASE("reconfigure: a priority set under traffic moves the very next message") {
  Cluster cluster({.links = 3});
  REQUIRE(cluster.connect());
  for (const unsigned best : {2u, 1u, 0u, 1u}) {
    for (unsigned link = 0; link < 3; ++link) {
      REQUIRE(cluster.fabric(1)
                  .link_set_priority(cluster.now, kPeer, link_id(link), link == best ? 5 : 1)
                  .ok());
    }
    cluster.recording = true;
    cluster.send(1, pattern(10));
    REQUIRE(cluster.log.size() == 1);
    CHECK(cluster.log[0].link == best);
    cluster.log.clear();
    cluster.run_for(5ms);
    cluster.log.clear();
  }
}

}  // namespace ringknet::test
