// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Configuration: what is accepted, what is refused and with which error, and what status calls read
// back.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

constexpr Instant kNow{1000s};

struct Fixture {
  Fabric fabric{Fabric::Config{.self = host_id(1)}};

  Fixture() {
    REQUIRE(fabric.host_add(host_id(1)).ok());
    REQUIRE(fabric.host_add(host_id(2)).ok());
  }
  Error configure(unsigned host, unsigned link, const LinkConfig& config) {
    const Error checked = fabric.link_check(host_id(host), link_id(link), config).error();
    const Error done = fabric.link_configure(kNow, host_id(host), link_id(link), config).error();
    CHECK(checked == done);
    return done;
  }
};

LinkConfig udp(unsigned host, unsigned link = 0) {
  return {.socket = SocketId(link), .local = address_of(1, link), .remote = address_of(host, link)};
}
LinkConfig loopback() {
  return {.transport = Transport::kLoopback, .local = address_of(1, 0)};
}

}  // namespace

TEST_CASE("fabric command: hosts are added once and listed newest first") {
  Fixture fixture;
  Fabric& fabric = fixture.fabric;
  CHECK(fabric.host_add(host_id(2)).error() == Error::kHostExists);
  CHECK(fabric.host_add(host_id(65535)).ok());
  CHECK(fabric.host_add(host_id(0)).ok());
  std::vector<unsigned> ids;
  for (const HostId id : fabric.hosts())
    ids.push_back(raw(id));
  CHECK(ids == std::vector<unsigned>{0, 65535, 2, 1});
  CHECK(fabric.host_exists(host_id(0)));
  CHECK_FALSE(fabric.host_exists(host_id(3)));
}

TEST_CASE("fabric command: a host with links cannot be removed") {
  Fixture fixture;
  Fabric& fabric = fixture.fabric;
  CHECK(fabric.host_remove(host_id(9)).error() == Error::kUnknownHost);
  REQUIRE(fixture.configure(2, 0, udp(2)) == Error::kNone);
  CHECK(fabric.host_remove(host_id(2)).error() == Error::kBusy);
  REQUIRE(fabric.link_clear(kNow, host_id(2), link_id(0)).ok());
  CHECK(fabric.host_remove(host_id(2)).ok());
  CHECK_FALSE(fabric.host_exists(host_id(2)));
  CHECK(fabric.hosts().size() == 1);
}

TEST_CASE("fabric command: policies") {
  Fixture fixture;
  Fabric& fabric = fixture.fabric;
  CHECK(*fabric.host_policy(host_id(2)) == Policy::kPassive);
  for (const Policy policy : {Policy::kActive, Policy::kRoundRobin, Policy::kPassive}) {
    CHECK(fabric.host_set_policy(kNow, host_id(2), policy).ok());
    CHECK(*fabric.host_policy(host_id(2)) == policy);
  }
  CHECK(fabric.host_set_policy(kNow, host_id(2), static_cast<Policy>(3)).error() ==
        Error::kInvalid);
  CHECK(fabric.host_set_policy(kNow, host_id(9), Policy::kActive).error() == Error::kUnknownHost);
  CHECK(fabric.host_policy(host_id(9)).error() == Error::kUnknownHost);
  CHECK(fabric.host_reachable(host_id(9)).error() == Error::kUnknownHost);
}

TEST_CASE("fabric command: links that may not be configured") {
  Fixture fixture;
  CHECK(fixture.configure(2, 8, udp(2)) == Error::kInvalid);
  CHECK(fixture.configure(3, 0, udp(3)) == Error::kUnknownHost);
  LinkConfig config = udp(2);
  config.local = {};
  CHECK(fixture.configure(2, 0, config) == Error::kInvalid);
  config = udp(2);
  config.remote = {};
  CHECK(fixture.configure(2, 0, config) == Error::kInvalid);
  config = udp(2);
  config.remote = address_of(2, 0, Address::Family::kIpv6);
  CHECK(fixture.configure(2, 0, config) == Error::kInvalid);
  config = udp(2);
  config.transport = Transport::kSctp;
  CHECK(fixture.configure(2, 0, config) == Error::kInvalid);
  CHECK(fixture.configure(2, 0, udp(2)) == Error::kNone);
  CHECK(fixture.configure(2, 0, udp(2)) == Error::kBusy);
}

TEST_CASE("fabric command: loopback goes to the own host alone") {
  Fixture fixture;
  CHECK(fixture.configure(2, 0, loopback()) == Error::kLoopbackConflict);
  CHECK(fixture.configure(1, 0, loopback()) == Error::kNone);
  CHECK(fixture.configure(1, 1, loopback()) == Error::kLoopbackConflict);
  CHECK(fixture.configure(1, 1, udp(1, 1)) == Error::kLoopbackConflict);
  CHECK(*fixture.fabric.host_reachable(host_id(1)));
  const auto status = fixture.fabric.link_status(host_id(1), link_id(0));
  CHECK(status->mtu == 65535);
  CHECK(status->connected);
  REQUIRE(fixture.fabric.link_clear(kNow, host_id(1), link_id(0)).ok());
  CHECK_FALSE(*fixture.fabric.host_reachable(host_id(1)));
  CHECK(fixture.configure(1, 1, udp(1, 1)) == Error::kNone);
  CHECK(fixture.configure(1, 0, loopback()) == Error::kLoopbackConflict);
  Event event{};
  CHECK_FALSE(fixture.fabric.poll_event(event));  // nobody is told about the own host
}

TEST_CASE("fabric command: settings of the own host change nothing about loopback") {
  Fixture fixture;
  Fabric& fabric = fixture.fabric;
  REQUIRE(fixture.configure(1, 0, loopback()) == Error::kNone);
  REQUIRE(fabric.link_set_enabled(kNow, host_id(1), link_id(0), true).ok());
  CHECK(fabric.host_set_policy(kNow, host_id(1), Policy::kActive).ok());
  CHECK(fabric.link_set_priority(kNow, host_id(1), link_id(0), 3).ok());
  fabric.set_mtu_interval(kNow, 7s);
  CHECK(fabric.set_manual_mtu(kNow, 1500).ok());
  CHECK(fabric.set_manual_mtu(kNow, 1500).ok());
  CHECK(*fabric.host_reachable(host_id(1)));
  CHECK(fabric.link_status(host_id(1), link_id(0))->mtu == 65535);
  CHECK(fabric.next_deadline() == kNever);
  Event event{};
  CHECK_FALSE(fabric.poll_event(event));
}

TEST_CASE("fabric command: static and dynamic links cannot share a local address") {
  Fixture fixture;
  REQUIRE(fixture.configure(2, 0, udp(2)) == Error::kNone);
  LinkConfig dynamic{.dynamic = true, .local = address_of(1, 0)};
  CHECK(fixture.configure(2, 1, dynamic) == Error::kAddressConflict);
  CHECK(fixture.configure(1, 1, dynamic) == Error::kAddressConflict);
  LinkConfig shared = udp(2, 1);
  shared.local = address_of(1, 0);
  CHECK(fixture.configure(2, 1, shared) == Error::kNone);
  dynamic.local.port = 6000;
  CHECK(fixture.configure(2, 2, dynamic) == Error::kNone);
  CHECK(fixture.configure(1, 3, dynamic) == Error::kNone);
}

TEST_CASE("fabric command: what was configured is read back") {
  Fixture fixture;
  Fabric& fabric = fixture.fabric;
  LinkConfig config = udp(2, 3);
  config.flags = 0x1234;
  REQUIRE(fixture.configure(2, 3, config) == Error::kNone);
  LinkStatus status = *fabric.link_status(host_id(2), link_id(3));
  CHECK(status.config.remote == config.remote);
  CHECK(status.config.local == config.local);
  CHECK(status.config.flags == 0x1234);
  CHECK(status.timers.interval == 1000ms);
  CHECK(status.timers.timeout == 2000ms);
  CHECK(status.timers.precision == 2048);
  CHECK(status.pong_count == 5);
  CHECK(status.priority == 0);
  CHECK_FALSE(status.enabled);
  CHECK_FALSE(status.connected);
  CHECK(status.last_pong == kNever);
  CHECK(status.mtu == 522);
  CHECK(status.overhead == 0);
  const PingTimers timers{.interval = 20ms, .timeout = 60ms, .precision = 10};
  CHECK(fabric.link_set_timers(kNow, host_id(2), link_id(3), timers).ok());
  CHECK(fabric.link_set_pong_count(host_id(2), link_id(3), 255).ok());
  CHECK(fabric.link_set_priority(kNow, host_id(2), link_id(3), 7).ok());
  CHECK(fabric.link_set_enabled(kNow, host_id(2), link_id(3), true).ok());
  status = *fabric.link_status(host_id(2), link_id(3));
  CHECK(status.timers.interval == 20ms);
  CHECK(status.timers.precision == 10);
  CHECK(status.pong_count == 255);
  CHECK(status.priority == 7);
  CHECK(status.enabled);
}

TEST_CASE("fabric command: settings out of range are refused") {
  Fixture fixture;
  Fabric& fabric = fixture.fabric;
  REQUIRE(fixture.configure(2, 0, udp(2)) == Error::kNone);
  const auto set = [&](const PingTimers& timers) {
    return fabric.link_set_timers(kNow, host_id(2), link_id(0), timers).error();
  };
  CHECK(set({.interval = 0ms}) == Error::kInvalid);
  CHECK(set({.interval = -1ms}) == Error::kInvalid);
  CHECK(set({.timeout = 0ms}) == Error::kInvalid);
  CHECK(set({.precision = 0}) == Error::kInvalid);
  CHECK(set({}) == Error::kNone);
  CHECK(fabric.link_set_pong_count(host_id(2), link_id(0), 0).error() == Error::kInvalid);
}

TEST_CASE("fabric command: every link call names what is missing") {
  Fixture fixture;
  Fabric& fabric = fixture.fabric;
  const auto all = [&](HostId host, LinkId link, Error expected) {
    CHECK(fabric.link_clear(kNow, host, link).error() == expected);
    CHECK(fabric.link_set_enabled(kNow, host, link, true).error() == expected);
    CHECK(fabric.link_set_timers(kNow, host, link, {}).error() == expected);
    CHECK(fabric.link_set_pong_count(host, link, 1).error() == expected);
    CHECK(fabric.link_set_priority(kNow, host, link, 1).error() == expected);
    CHECK(fabric.link_status(host, link).error() == expected);
  };
  all(host_id(2), link_id(8), Error::kInvalid);
  all(host_id(9), link_id(0), Error::kUnknownHost);
  all(host_id(2), link_id(0), Error::kUnknownLink);
}

TEST_CASE("fabric command: an enabled link cannot be cleared and a cleared one is forgotten") {
  Fixture fixture;
  Fabric& fabric = fixture.fabric;
  REQUIRE(fixture.configure(2, 0, udp(2)) == Error::kNone);
  REQUIRE(fabric.link_set_enabled(kNow, host_id(2), link_id(0), true).ok());
  CHECK(fabric.link_clear(kNow, host_id(2), link_id(0)).error() == Error::kBusy);
  REQUIRE(fabric.link_set_enabled(kNow, host_id(2), link_id(0), false).ok());
  REQUIRE(fabric.link_set_priority(kNow, host_id(2), link_id(0), 9).ok());
  const auto cleared = fabric.link_clear(kNow, host_id(2), link_id(0));
  REQUIRE(cleared.ok());
  CHECK(cleared->remote == address_of(2, 0));
  CHECK(fabric.link_status(host_id(2), link_id(0)).error() == Error::kUnknownLink);
  CHECK(fabric.next_deadline() == kNever);
  REQUIRE(fixture.configure(2, 0, udp(2)) == Error::kNone);
  CHECK(fabric.link_status(host_id(2), link_id(0))->priority == 0);
}

TEST_CASE("fabric command: links are listed in ascending order") {
  Fixture fixture;
  for (const unsigned link : {5u, 0u, 7u})
    REQUIRE(fixture.configure(2, link, udp(2, link)) == Error::kNone);
  std::array<LinkId, kLinksPerHost> ids{};
  REQUIRE(*fixture.fabric.link_list(host_id(2), ids) == 3);
  CHECK(raw(ids[0]) == 0);
  CHECK(raw(ids[1]) == 5);
  CHECK(raw(ids[2]) == 7);
  CHECK(*fixture.fabric.link_list(host_id(1), ids) == 0);
  CHECK(fixture.fabric.link_list(host_id(9), ids).error() == Error::kUnknownHost);
}

TEST_CASE("fabric command: clearing statistics starts them anew") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  CHECK(cluster.status(1, 2, 0).stats.tx_ping.packets > 0);
  cluster.fabric(1).clear_link_stats();
  const LinkStats stats = cluster.status(1, 2, 0).stats;
  CHECK(stats.tx_ping.packets == 0);
  CHECK(stats.ups.count == 0);
  CHECK(stats.latency_samples == 0);
  CHECK(cluster.connected(1, 2, 0));
  CHECK(cluster.status(1, 2, 0).latency == 2ms);  // the link's own memory stays
  cluster.run_for(200ms);
  CHECK(cluster.status(1, 2, 0).stats.latency_min == 2ms);
}

TEST_CASE("fabric command: MTU interval and manual MTU are range checked") {
  Fixture fixture;
  CHECK(fixture.fabric.mtu_interval() == 60s);
  fixture.fabric.set_mtu_interval(kNow, 5s);
  CHECK(fixture.fabric.mtu_interval() == 5s);
  CHECK(fixture.fabric.set_manual_mtu(kNow, 65535).ok());
  CHECK(fixture.fabric.set_manual_mtu(kNow, 65536).error() == Error::kInvalid);
  CHECK(fixture.fabric.data_mtu() == 482);
}

TEST_CASE("fabric command: access lists belong to dynamic links") {
  Fixture fixture;
  Fabric& fabric = fixture.fabric;
  REQUIRE(fixture.configure(2, 0, udp(2)) == Error::kNone);
  const LinkConfig dynamic{.dynamic = true, .local = address_of(1, 4)};
  REQUIRE(fixture.configure(2, 4, dynamic) == Error::kNone);
  const AccessEntry entry{.first = address_of(2, 0)};
  CHECK(fabric.access_insert(host_id(2), link_id(0), -1, entry).error() == Error::kInvalid);
  CHECK(fabric.access_remove(host_id(2), link_id(0), entry).error() == Error::kInvalid);
  CHECK(fabric.access_clear(host_id(2), link_id(0)).error() == Error::kInvalid);
  CHECK(fabric.access_insert(host_id(2), link_id(5), -1, entry).error() == Error::kUnknownLink);
  CHECK(fabric.access_insert(host_id(2), link_id(4), -1, entry).ok());
  CHECK(fabric.access_insert(host_id(2), link_id(4), 0, entry).error() == Error::kEntryExists);
  CHECK(fabric.access_remove(host_id(2), link_id(4), entry).ok());
  CHECK(fabric.access_remove(host_id(2), link_id(4), entry).error() == Error::kEntryUnknown);
  CHECK(fabric.access_clear(host_id(2), link_id(4)).ok());
}

}  // namespace ringknet::test
