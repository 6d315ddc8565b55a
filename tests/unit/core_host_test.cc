// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Choosing a host's links: policies, priorities, links in trouble, and the source link of data.
#include "engine/core/host.h"

#include <doctest/doctest.h>

#include "tests/model/routing_model.h"
#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

struct Fixture {
  MessagePool pool{4};
  Host host{host_id(2), pool};
  Instant now{1000s};

  Link& add(unsigned id, bool connected = true) {
    auto& link = host.links[id];
    link = std::make_unique<Link>(
        LinkRef{host.id, link_id(id), id + 1},
        LinkConfig{.socket = SocketId(id), .local = address_of(1, id), .remote = address_of(2, id)},
        Envelope{}, 60s);
    link->set_enabled(now, true);
    if (connected)
      link->up(now);
    return *link;
  }
  void trouble(unsigned id) { host.links[id]->on_trouble(now, false); }
  std::set<unsigned> routes() {
    host.choose_routes();
    std::set<unsigned> ids;
    for (const Link* link : host.routes)
      ids.insert(raw(link->ref.link));
    CHECK(ids.size() == host.routes.size());
    return ids;
  }
};

using Ids = std::set<unsigned>;

}  // namespace

TEST_CASE("host: without links there are no routes") {
  Fixture fixture;
  CHECK_FALSE(fixture.host.has_links());
  CHECK(fixture.routes().empty());
}

TEST_CASE("host: PASSIVE takes the highest priority and among equals the lowest id") {
  Fixture fixture;
  fixture.add(0);
  fixture.add(3);
  fixture.add(7);
  CHECK(fixture.routes() == Ids{0});
  fixture.host.links[7]->priority = 1;
  CHECK(fixture.routes() == Ids{7});
  fixture.host.links[3]->priority = 1;
  CHECK(fixture.routes() == Ids{3});
  fixture.host.links[0]->priority = 255;
  CHECK(fixture.routes() == Ids{0});
}

TEST_CASE("host: ACTIVE and round robin take all usable links in ascending order") {
  for (const Policy policy : {Policy::kActive, Policy::kRoundRobin}) {
    Fixture fixture;
    fixture.host.policy = policy;
    fixture.add(5);
    fixture.add(1);
    fixture.add(2, false);
    fixture.add(4);
    fixture.host.links[4]->set_enabled(fixture.now, false);
    CHECK(fixture.routes() == Ids{1, 5});
    CHECK(raw(fixture.host.routes[0]->ref.link) == 1);
  }
}

TEST_CASE("host: a link in trouble is passed over while others are sound") {
  Fixture fixture;
  fixture.add(0);
  fixture.add(1);
  fixture.host.links[0]->priority = 9;
  fixture.trouble(0);
  CHECK(fixture.routes() == Ids{1});
  fixture.host.policy = Policy::kRoundRobin;
  CHECK(fixture.routes() == Ids{1});
  fixture.host.policy = Policy::kActive;
  CHECK(fixture.routes() == Ids{0, 1});
  fixture.trouble(1);
  fixture.host.policy = Policy::kPassive;
  CHECK(fixture.routes() == Ids{0});
}

TEST_CASE("host: the turn of round robin stays within fewer routes") {
  Fixture fixture;
  fixture.host.policy = Policy::kRoundRobin;
  for (unsigned id = 0; id < 4; ++id)
    fixture.add(id);
  fixture.routes();
  fixture.host.round_robin = 3;
  fixture.host.links[1]->set_enabled(fixture.now, false);
  fixture.routes();
  CHECK(fixture.host.round_robin < fixture.host.routes.size());
}

TEST_CASE("host: routes equal the naive model in every state") {
  constexpr std::uint64_t kSeed = 41;
  CAPTURE(kSeed);
  Random random(kSeed);
  for (int trial = 0; trial < 2000; ++trial) {
    CAPTURE(trial);
    Fixture fixture;
    fixture.host.policy = static_cast<Policy>(random.below(3));
    std::vector<model::RoutingLink> links;
    for (unsigned id = 0; id < kLinksPerHost; ++id) {
      if (random.chance(0.4))
        continue;
      Link& link = fixture.add(id, random.chance(0.7));
      link.priority = static_cast<std::uint8_t>(random.below(3));
      if (random.chance(0.3))
        fixture.trouble(id);
      if (random.chance(0.2))
        link.set_enabled(fixture.now, false);
      links.push_back({id, link.enabled(), link.connected(), link.suspect(), link.priority});
    }
    REQUIRE(fixture.routes() == model::routes(fixture.host.policy, links));
  }
}

TEST_CASE("host: data belongs to the link whose peer has the packet's IP") {
  Fixture fixture;
  fixture.add(0);
  fixture.add(1);
  CHECK(fixture.host.source_link(address_of(2, 1), SocketId{1}) == fixture.host.links[1].get());
  CHECK(fixture.host.source_link(address_of(2, 0), SocketId{9}) == fixture.host.links[0].get());
  CHECK(fixture.host.source_link(address_of(3, 0), SocketId{0}) == nullptr);
  Address moved = address_of(2, 1);
  moved.port = 9;
  CHECK(fixture.host.source_link(moved, SocketId{1}) == fixture.host.links[1].get());
}

TEST_CASE("host: two links from one IP are told apart by port and then by socket") {
  Fixture fixture;
  fixture.add(0);
  fixture.add(1).config.remote = address_of(2, 0);
  Link* first = fixture.host.links[0].get();
  Link* second = fixture.host.links[1].get();
  CHECK(fixture.host.source_link(address_of(2, 0), SocketId{1}) == second);
  CHECK(fixture.host.source_link(address_of(2, 0), SocketId{0}) == first);
  CHECK(fixture.host.source_link(address_of(2, 0), SocketId{5}) == first);
  second->config.remote.port = 7000;
  Address from = address_of(2, 0);
  from.port = 7000;
  CHECK(fixture.host.source_link(from, SocketId{0}) == second);
}

TEST_CASE("host: a loopback link is no source of data and no route") {
  Fixture fixture;
  fixture.host.links[0] = std::make_unique<Link>(
      LinkRef{host_id(2), link_id(0), 1},
      LinkConfig{
          .transport = Transport::kLoopback, .local = address_of(2, 0), .remote = address_of(2, 0)},
      Envelope{}, 60s);
  CHECK(fixture.host.has_loopback());
  CHECK(fixture.host.source_link(address_of(2, 0), SocketId{0}) == nullptr);
  CHECK(fixture.routes().empty());
}

}  // namespace ringknet::test
