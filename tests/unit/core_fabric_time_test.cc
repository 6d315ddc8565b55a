// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The fabric in time: links up and down at the right moment, pauses of the process, ICMP reports,
// events in their order.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

constexpr PingTimers kFast{.interval = 20ms, .timeout = 60ms, .precision = 2048};
const Bytes kPayload = text_bytes("hello");

}  // namespace

TEST_CASE("fabric time: links come up after pong_count + 1 PONGs") {
  for (const std::uint8_t count : {1, 2, 5}) {
    Cluster cluster({.timers = kFast, .pong_count = count});
    const Instant start = cluster.now;
    REQUIRE(cluster.run_until([&] { return cluster.connected(1, 2, 0); }));
    CHECK(cluster.now - start == count * 20ms + 2ms);
    CHECK(cluster.status(1, 2, 0).stats.rx_pong.packets == count + 1u);
  }
}

TEST_CASE("fabric time: events at link-up in their order") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  CHECK(cluster.node(1).story() == "link-up data-mtu host-reachable link-mtu data-mtu");
  CHECK(cluster.node(1).events[1].event.mtu == 482);
  CHECK(cluster.node(1).events[3].event.mtu == 1446);
  CHECK(cluster.node(1).events[4].event.mtu == 1446);
}

TEST_CASE("fabric time: events at link-down in their order") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  cluster.node(1).events.clear();
  cluster.cut(1, 2, 0);
  cluster.run_for(2s);
  CHECK(cluster.node(1).story() == "suspect link-down");
  CHECK(cluster.node(1).events[0].event.reason == Event::Reason::kSilence);
  CHECK(cluster.node(1).events[1].event.reason == Event::Reason::kSilence);
  cluster.cut(1, 2, 1);
  cluster.run_for(2s);
  CHECK(cluster.node(1).story() == "suspect link-down suspect link-down host-unreachable");
}

TEST_CASE("fabric time: a cut is noticed within timeout and interval at any phase") {
  for (int phase = 0; phase < 20; ++phase) {
    CAPTURE(phase);
    Cluster cluster({.links = 2, .timers = kFast});
    REQUIRE(cluster.connect());
    cluster.run_for(500ms + phase * 1ms);
    cluster.cut(1, 2, 0);
    const Instant cut = cluster.now;
    REQUIRE(cluster.run_until([&] { return !cluster.connected(1, 2, 0); }, 1s));
    CHECK(cluster.now - cut <= 80ms);
    CHECK(cluster.now - cut >= 40ms);
    CHECK(cluster.connected(1, 2, 1));
  }
}

TEST_CASE("fabric time: data leaves a silent link long before the timeout") {
  Cluster cluster({.links = 2, .timers = {.interval = 100ms, .timeout = 2s}});
  REQUIRE(cluster.connect());
  cluster.cut(1, 2, 0);
  const Instant cut = cluster.now;
  REQUIRE(
      cluster.run_until([&] { return cluster.node(1).count(Event::Kind::kLinkSuspect) == 1; }, 1s));
  CHECK(cluster.now - cut <= 160ms);
  CHECK(cluster.connected(1, 2, 0));
  cluster.send(1, kPayload);
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == 1);
  // Back before the timeout: used again, and nobody was told that it was down.
  cluster.run_for(1s);
  cluster.cut(1, 2, 0, false);
  cluster.run_for(200ms);
  const std::uint64_t before = cluster.status(1, 2, 0).stats.tx_data.packets;
  cluster.send(1, kPayload);
  CHECK(cluster.status(1, 2, 0).stats.tx_data.packets == before + 1);
  CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);
}

TEST_CASE("fabric time: a link that was cut right after it came up is noticed just as fast") {
  Cluster cluster({.timers = kFast});
  REQUIRE(cluster.run_until([&] { return cluster.connected(1, 2, 0); }));
  cluster.cut(1, 2, 0);
  const Instant cut = cluster.now;
  REQUIRE(cluster.run_until([&] { return !cluster.connected(1, 2, 0); }, 1s));
  CHECK(cluster.now - cut <= 80ms);
}

TEST_CASE("fabric time: one direction cut takes both ends down") {
  Cluster cluster({.timers = kFast});
  REQUIRE(cluster.connect());
  cluster.path(1, 2, 0).cut = true;
  cluster.run_for(200ms);
  CHECK_FALSE(cluster.connected(1, 2, 0));
  CHECK_FALSE(cluster.connected(2, 1, 0));
}

TEST_CASE("fabric time: ten percent loss takes no link down in a minute") {
  Cluster cluster({.links = 2, .timers = {.interval = 100ms, .timeout = 1s}});
  REQUIRE(cluster.connect());
  cluster.both_ways(1, 2, 0, [](Path& path) { path.loss = 0.1; });
  cluster.run_for(60s);
  CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);
  CHECK(cluster.node(2).count(Event::Kind::kLinkDown) == 0);
}

TEST_CASE("fabric time: a pause of five seconds takes no link down here") {
  Cluster cluster({.nodes = 3, .links = 2, .timers = kFast});
  REQUIRE(cluster.connect());
  cluster.node(1).events.clear();
  cluster.freeze(1);
  cluster.run_for(5s);
  CHECK_FALSE(cluster.connected(2, 1, 0));  // to the others it was dead
  cluster.freeze(1, false);
  cluster.run_for(1s);
  CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);
  CHECK(cluster.node(1).count(Event::Kind::kHostUnreachable) == 0);
  CHECK(cluster.connected(2, 1, 0));
  cluster.send(1, kPayload);
  cluster.send(2, kPayload);
  cluster.run_for(5ms);
  CHECK(cluster.node(2).received.size() == 1);
  CHECK(cluster.node(1).received.size() == 1);
}

TEST_CASE("fabric time: messages that waited out a pause are delivered") {
  Cluster cluster({.timers = kFast});
  REQUIRE(cluster.connect());
  cluster.freeze(1);
  cluster.run_for(5ms);
  for (int i = 0; i < 10; ++i)
    cluster.send(2, pattern(3000, static_cast<unsigned>(i)));
  cluster.run_for(4s);
  cluster.freeze(1, false);
  CHECK(cluster.node(1).received.size() == 10);
}

TEST_CASE("fabric time: nothing is due before next_deadline and everything at it") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  for (int i = 0; i < 200; ++i) {
    cluster.settle();
    const Instant due = fabric.next_deadline();
    REQUIRE(due > cluster.now);
    const std::string before = observe(cluster.node(1), cluster.now);
    fabric.on_timeout(due - 1ns);
    REQUIRE(observe(cluster.node(1), cluster.now) == before);
    cluster.run_for(due - cluster.now);
  }
}

TEST_CASE("fabric time: a link that was never up goes down without a word") {
  Cluster cluster({.pong_count = 5});
  cluster.run_for(110ms);
  CHECK(cluster.node(1).inspect.link(2, 0).answered());
  cluster.cut(1, 2, 0);
  cluster.run_for(2s);
  CHECK_FALSE(cluster.node(1).inspect.link(2, 0).answered());
  CHECK(cluster.node(1).story().empty());
  CHECK(cluster.status(1, 2, 0).stats.downs.count == 0);
}

// The owner has no send slots for a while: PINGs do not pile up, and the one that leaves at last
// carries the time at which it leaves.
TEST_CASE("fabric time: PINGs that cannot leave wait as one") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  for (int i = 0; i < 4; ++i) {
    cluster.now = std::max(cluster.now, fabric.next_deadline());
    fabric.on_timeout(cluster.now);
  }
  CHECK(cluster.node(1).inspect.control_waiting() == 1);
  Transmit transmit;
  REQUIRE(fabric.poll_transmit(cluster.now, transmit));
  Bytes sent(transmit.bytes.begin(), transmit.bytes.end());
  CHECK(to_hex(sent) == to_hex(ping_packet({.host = 1, .clock = cluster.now})));
  fabric.on_transmit_done(cluster.now, transmit.id, {});
}

TEST_CASE("fabric time: events that nobody drains are kept in their order") {
  Cluster cluster({.links = 1});
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  cluster.node(1).events.clear();
  for (int i = 0; i < 300; ++i) {
    REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), i % 2 != 0).ok());
  }
  Event event{};
  std::size_t flips = 0;
  bool reachable = true;
  while (fabric.poll_event(event)) {
    if (event.kind != Event::Kind::kHostReachable && event.kind != Event::Kind::kHostUnreachable)
      continue;
    CHECK((event.kind == Event::Kind::kHostReachable) == !reachable);
    reachable = !reachable;
    ++flips;
  }
  CHECK(flips == 300);
}

TEST_CASE("fabric time: three refused PINGs in a row take a link down and say why") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  cluster.cut(1, 2, 0);
  // The peer's socket is closed: every packet is answered by a refusal.
  const Instant closed = cluster.now;
  std::uint64_t pings = cluster.status(1, 2, 0).stats.tx_ping.packets;
  REQUIRE(cluster.run_until(
      [&] {
        const std::uint64_t sent = cluster.status(1, 2, 0).stats.tx_ping.packets;
        if (sent > pings) {
          pings = sent;
          cluster.fabric(1).on_path_error(cluster.now,
                                          {.socket = SocketId{0},
                                           .to = address_of(2, 0),
                                           .status = TransmitResult::Status::kRefused});
        }
        return !cluster.connected(1, 2, 0);
      },
      1s));
  cluster.settle();
  CHECK(cluster.now - closed < 300ms);  // by silence it would take 500 ms at least
  CHECK(cluster.node(1).last(Event::Kind::kLinkDown)->event.reason == Event::Reason::kRefused);
  CHECK(cluster.connected(1, 2, 1));
  cluster.cut(1, 2, 0, false);
  CHECK(cluster.run_until([&] { return cluster.connected(1, 2, 0); }));
}

TEST_CASE("fabric time: forged refusals on a living link do not take it down") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  for (int i = 0; i < 2000; ++i) {
    cluster.fabric(1).on_path_error(cluster.now, {.socket = SocketId{0},
                                                  .to = address_of(2, 0),
                                                  .status = TransmitResult::Status::kRefused});
    cluster.run_for(5ms);
  }
  CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);
}

// However many reports come in, the link does not answer each with a PING.
TEST_CASE("fabric time: a flood of reports makes no flood of PINGs") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  const std::uint64_t before = cluster.status(1, 2, 0).stats.tx_ping.packets;
  for (int i = 0; i < 10000; ++i) {
    cluster.fabric(1).on_path_error(cluster.now,
                                    {.socket = SocketId{0},
                                     .to = address_of(2, 0),
                                     .status = i % 2 == 0 ? TransmitResult::Status::kRefused
                                                          : TransmitResult::Status::kUnreachable});
    cluster.run_for(100us);
  }
  CHECK(cluster.status(1, 2, 0).stats.tx_ping.packets - before < 150);
}

TEST_CASE("fabric time: disabling keeps the link connected and enabling uses it at once") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  cluster.node(1).events.clear();
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
  cluster.settle();
  CHECK(cluster.connected(1, 2, 0));
  CHECK_FALSE(*fabric.host_reachable(host_id(2)));
  CHECK(cluster.send(1, kPayload).error == Error::kHostDown);
  cluster.run_for(30s);
  CHECK(cluster.connected(1, 2, 0));
  CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);
  CHECK(cluster.node(1).count(Event::Kind::kHostUnreachable) == 1);
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), true).ok());
  CHECK(*fabric.host_reachable(host_id(2)));
  CHECK(cluster.send(1, kPayload).error == Error::kNone);
  cluster.run_for(2s);
  CHECK(cluster.connected(1, 2, 0));
  CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);
  CHECK(cluster.node(1).count(Event::Kind::kHostReachable) == 1);
}

TEST_CASE("fabric time: a disabled link still answers and does not ask") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  REQUIRE(cluster.fabric(1).link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
  cluster.recording = true;
  cluster.run_for(2s);
  std::size_t pongs = 0;
  for (const Packet& packet : cluster.log) {
    CHECK_FALSE((packet.from == 1 && packet.type() == 0x81));
    pongs += packet.from == 1 && packet.type() == 0x82 ? 1 : 0;
  }
  CHECK(pongs >= 19);
  CHECK(cluster.connected(2, 1, 0));
}

TEST_CASE("fabric time: disabling twice or enabling twice changes nothing") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  const std::string before = observe(cluster.node(1), cluster.now);
  REQUIRE(cluster.fabric(1).link_set_enabled(cluster.now, host_id(2), link_id(0), true).ok());
  CHECK(observe(cluster.node(1), cluster.now) == before);
}

TEST_CASE("fabric time: a link set up and taken away many times leaves nothing behind") {
  Cluster cluster({.nodes = 3});
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  const LinkConfig config = cluster.status(1, 2, 0).config;
  for (int i = 0; i < 500; ++i) {
    REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
    REQUIRE(fabric.link_clear(cluster.now, host_id(2), link_id(0)).ok());
    REQUIRE(fabric.link_configure(cluster.now, host_id(2), link_id(0), config).ok());
    REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), true).ok());
    fabric.on_timeout(cluster.now);  // a PING is queued for a link that is gone the next moment
  }
  cluster.settle();
  CHECK(cluster.node(1).inspect.control_waiting() == 0);
  CHECK(cluster.run_until([&] { return cluster.connected(1, 2, 0); }, 10s));
  CHECK(cluster.connected(1, 3, 0));
}

TEST_CASE("fabric time: latency is what the path takes") {
  Cluster cluster;
  cluster.path(1, 2, 0).delay = 3ms;
  cluster.path(2, 1, 0).delay = 4ms;
  REQUIRE(cluster.connect());
  const LinkStatus status = cluster.status(1, 2, 0);
  CHECK(status.latency == 7ms);
  CHECK(status.stats.latency_min == 7ms);
  CHECK(status.stats.latency_max == 7ms);
  CHECK(status.last_pong <= cluster.now);
  CHECK(status.last_pong + 100ms >= cluster.now);
}

TEST_CASE("fabric time: a hundred hosts come up and settle without a scan going wrong") {
  Cluster cluster({.nodes = 30, .links = 2});
  REQUIRE(cluster.connect());
  CHECK(cluster.send(1, pattern(3000)).error == Error::kNone);
  cluster.run_for(2ms);
  for (unsigned id = 2; id <= 30; ++id)
    REQUIRE(cluster.node(id).received.size() == 1);
}

}  // namespace ringknet::test
