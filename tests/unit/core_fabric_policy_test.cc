// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The policies on the wire: which links a host's messages really take while links come, go and get
// into trouble.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "tests/model/routing_model.h"
#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

const Bytes kPayload = text_bytes("hello");

// The links that the next message from node 1 to node 2 takes.
std::set<unsigned> taken(Cluster& cluster, std::size_t size = 5) {
  cluster.recording = true;
  cluster.log.clear();
  CHECK(cluster.send(1, Bytes(size)).error == Error::kNone);
  std::set<unsigned> links;
  for (const Packet& packet : cluster.log) {
    if (packet.type() == 0 && packet.to == 2)
      links.insert(packet.link);
  }
  return links;
}

void set_priority(Cluster& cluster, unsigned link, std::uint8_t priority) {
  REQUIRE(
      cluster.fabric(1).link_set_priority(cluster.now, host_id(2), link_id(link), priority).ok());
}

using Ids = std::set<unsigned>;

}  // namespace

TEST_CASE("policy: PASSIVE uses the best link only and follows priorities at once") {
  Cluster cluster({.links = 3});
  REQUIRE(cluster.connect());
  CHECK(taken(cluster) == Ids{0});
  set_priority(cluster, 2, 10);
  CHECK(taken(cluster) == Ids{2});
  set_priority(cluster, 1, 10);
  CHECK(taken(cluster) == Ids{1});
  set_priority(cluster, 0, 11);
  CHECK(taken(cluster) == Ids{0});
}

TEST_CASE("policy: PASSIVE changes over when its link goes down and back when it is up") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  CHECK(taken(cluster) == Ids{0});
  cluster.cut(1, 2, 0);
  REQUIRE(cluster.run_until([&] { return !cluster.connected(1, 2, 0); }));
  CHECK(taken(cluster) == Ids{1});
  CHECK(*cluster.fabric(1).host_reachable(host_id(2)));
  cluster.cut(1, 2, 0, false);
  REQUIRE(cluster.run_until([&] { return cluster.connected(1, 2, 0); }));
  CHECK(taken(cluster) == Ids{0});
}

TEST_CASE("policy: ACTIVE uses every usable link") {
  Cluster cluster({.links = 3, .policy = Policy::kActive});
  REQUIRE(cluster.connect());
  CHECK(taken(cluster) == Ids{0, 1, 2});
  cluster.cut(1, 2, 1);
  REQUIRE(cluster.run_until([&] { return !cluster.connected(1, 2, 1); }));
  CHECK(taken(cluster) == Ids{0, 2});
}

TEST_CASE("policy: round robin takes one link per message in turn with all its fragments") {
  Cluster cluster({.links = 3, .policy = Policy::kRoundRobin});
  REQUIRE(cluster.connect());
  for (unsigned i = 0; i < 9; ++i)
    CHECK(taken(cluster, 4000) == Ids{i % 3});
  cluster.cut(1, 2, 1);
  REQUIRE(cluster.run_until([&] { return !cluster.connected(1, 2, 1); }));
  std::map<unsigned, int> counts;
  for (int i = 0; i < 10; ++i) {
    const Ids links = taken(cluster);
    REQUIRE(links.size() == 1);
    ++counts[*links.begin()];
  }
  CHECK(counts == std::map<unsigned, int>{{0, 5}, {2, 5}});
}

TEST_CASE("policy: round robin turns for each host by itself") {
  Cluster cluster({.nodes = 3, .links = 2, .policy = Policy::kRoundRobin});
  REQUIRE(cluster.connect());
  const std::vector<HostId> three = {host_id(3)};
  CHECK(taken(cluster) == Ids{0});
  cluster.send(1, kPayload, Destinations::to(three));
  CHECK(taken(cluster) == Ids{1});
}

TEST_CASE("policy: changing it applies at once") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  CHECK(taken(cluster) == Ids{0});
  REQUIRE(cluster.fabric(1).host_set_policy(cluster.now, host_id(2), Policy::kActive).ok());
  CHECK(taken(cluster) == Ids{0, 1});
  REQUIRE(cluster.fabric(1).host_set_policy(cluster.now, host_id(2), Policy::kRoundRobin).ok());
  CHECK(taken(cluster).size() == 1);
}

TEST_CASE("policy: a suspect link is passed over until it answers") {
  for (const Policy policy : {Policy::kPassive, Policy::kRoundRobin}) {
    Cluster cluster({.links = 2, .policy = policy});
    REQUIRE(cluster.connect());
    cluster.fabric(1).on_path_error(cluster.now, {.socket = SocketId{0},
                                                  .to = address_of(2, 0),
                                                  .status = TransmitResult::Status::kUnreachable});
    cluster.settle();
    CHECK(cluster.node(1).count(Event::Kind::kLinkSuspect) == 1);
    CHECK(cluster.connected(1, 2, 0));
    for (int i = 0; i < 4; ++i)
      CHECK(taken(cluster) == Ids{1});
    cluster.run_for(15ms);  // it was asked soon, and answered
    Ids used;
    for (int i = 0; i < 4; ++i)
      used.merge(taken(cluster));
    CHECK(used.contains(0));
    CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);
  }
}

TEST_CASE("policy: a suspect link still carries data when there is no other") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  cluster.fabric(1).on_path_error(cluster.now, {.socket = SocketId{0}, .to = address_of(2, 0)});
  CHECK(*cluster.fabric(1).host_reachable(host_id(2)));
  CHECK(taken(cluster) == Ids{0});
}

TEST_CASE("policy: trouble on a path concerns the link with that socket and address only") {
  Cluster cluster({.nodes = 3, .links = 2});
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  fabric.on_path_error(cluster.now, {.socket = SocketId{1}, .to = address_of(2, 0)});
  fabric.on_path_error(cluster.now, {.socket = SocketId{0}, .to = address_of(2, 1)});
  fabric.on_path_error(cluster.now, {.socket = SocketId{0}, .to = address_of(9, 0)});
  Address other_port = address_of(2, 0);
  other_port.port = 1;
  fabric.on_path_error(cluster.now, {.socket = SocketId{0}, .to = other_port});
  cluster.settle();
  CHECK(cluster.node(1).count(Event::Kind::kLinkSuspect) == 0);
  fabric.on_path_error(cluster.now, {.socket = SocketId{0}, .to = address_of(3, 0)});
  cluster.settle();
  CHECK(cluster.node(1).count(Event::Kind::kLinkSuspect) == 1);
  CHECK(cluster.node(1).last(Event::Kind::kLinkSuspect)->event.host == host_id(3));
}

TEST_CASE("policy: links taken equal the naive model while links come and go") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Cluster cluster({.links = 5});
    REQUIRE(cluster.connect());
    std::set<unsigned> last;
    bool settled_state = false;
    for (int step = 0; step < 200; ++step) {
      CAPTURE(step);
      const auto link = static_cast<unsigned>(random.below(5));
      settled_state = false;
      switch (random.below(6)) {
        case 0:
          cluster.cut(1, 2, link, random.chance(0.5));
          cluster.run_for(1s);
          break;
        case 1:
          set_priority(cluster, link, static_cast<std::uint8_t>(random.below(4)));
          break;
        case 2:
          REQUIRE(
              cluster.fabric(1)
                  .host_set_policy(cluster.now, host_id(2), static_cast<Policy>(random.below(3)))
                  .ok());
          break;
        case 3:
          REQUIRE(cluster.fabric(1)
                      .link_set_enabled(cluster.now, host_id(2), link_id(link), random.chance(0.7))
                      .ok());
          break;
        case 4:
          cluster.fabric(1).on_path_error(cluster.now,
                                          {.socket = SocketId(link), .to = address_of(2, link)});
          break;
        default:
          settled_state = true;
          break;
      }
      std::vector<model::RoutingLink> links;
      for (unsigned i = 0; i < 5; ++i) {
        const LinkStatus status = cluster.status(1, 2, i);
        links.push_back({i, status.enabled, status.connected,
                         cluster.node(1).inspect.link(2, i).suspect(), status.priority});
      }
      const Policy policy = *cluster.fabric(1).host_policy(host_id(2));
      const Ids expected = model::routes(policy, links);
      REQUIRE(*cluster.fabric(1).host_reachable(host_id(2)) == !expected.empty());
      if (expected.empty()) {
        REQUIRE(cluster.send(1, kPayload).error == Error::kHostDown);
        continue;
      }
      const Ids used = taken(cluster);
      if (policy == Policy::kRoundRobin) {
        REQUIRE(used.size() == 1);
        REQUIRE(expected.contains(*used.begin()));
        if (settled_state && expected.size() > 1)
          REQUIRE(taken(cluster) != used);
      } else {
        REQUIRE(used == expected);
      }
    }
  }
}

}  // namespace ringknet::test
