// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Who is remembered for packets that were refused: from where, what they claimed, and how little
// memory a flood of them finds.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

std::vector<Offence> known(Fabric& fabric) {
  std::vector<Offence> found;
  for (const Offence& place : fabric.offences().places()) {
    if (place.used())
      found.push_back(place);
  }
  return found;
}

void give(Cluster& cluster, const Address& from, Bytes packet) {
  CHECK_FALSE(cluster.fabric(1).on_datagram(cluster.now, SocketId{0}, from, packet));
}

}  // namespace

TEST_CASE("offences: each reason with the sender and what it claimed") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  const Address peer = cluster.address(2, 0);
  const Address stranger = cluster.address(9, 0);
  Bytes newer = ping_packet({.host = 2});
  newer[0] = std::byte{2};
  give(cluster, peer, newer);
  give(cluster, stranger, ping_packet({.host = 7, .link = 1}));
  give(cluster, peer, ping_packet({.host = 2, .link = 3}));
  give(cluster, stranger, ping_packet({.host = 2}));
  give(cluster, stranger, mtu_packet({.host = 2}, 1472));
  give(cluster, stranger, data_packet({.host = 2}, text_bytes("x")));
  give(cluster, stranger, text_bytes("\1"));  // too short: noise
  const auto found = known(cluster.fabric(1));
  REQUIRE(found.size() == 5);
  const auto check = [&](std::size_t i, Drop reason, const Address& from, unsigned count,
                         std::optional<unsigned> host, std::optional<unsigned> link) {
    CAPTURE(i);
    CHECK(found[i].reason == reason);
    CHECK(found[i].from == from);
    CHECK(found[i].count == count);
    CHECK(found[i].host == (host ? std::optional(HostId(*host)) : std::nullopt));
    CHECK(found[i].link == (link ? std::optional(LinkId(*link)) : std::nullopt));
    CHECK(found[i].last == cluster.now);
    CHECK(cluster.fabric(1).still_offends(found[i]));
  };
  check(0, Drop::kVersion, peer, 1, {}, {});
  check(1, Drop::kUnknownHost, stranger, 1, 7, {1});
  check(2, Drop::kUnknownLink, peer, 1, 2, {3});
  check(3, Drop::kSourceAddress, stranger, 2, 2, {0});
  check(4, Drop::kNoSourceLink, stranger, 1, 2, {});
}

TEST_CASE("offences: configuration ends them") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  const Address stranger = cluster.address(9, 0);
  give(cluster, stranger, ping_packet({.host = 9, .link = 0}));
  const Offence host = known(fabric).at(0);
  CHECK(fabric.still_offends(host));
  REQUIRE(fabric.host_add(host_id(9)));
  CHECK_FALSE(fabric.still_offends(host));
  give(cluster, stranger, ping_packet({.host = 9, .link = 0}));
  const Offence link = known(fabric).at(1);
  CHECK(link.reason == Drop::kUnknownLink);
  CHECK(fabric.still_offends(link));
  REQUIRE(fabric.link_configure(cluster.now, host_id(9), link_id(0),
                                {.local = cluster.address(1, 0), .remote = stranger}));
  CHECK_FALSE(fabric.still_offends(link));
  // Another version from somebody who is nobody's peer is no offence.
  Bytes newer = ping_packet({.host = 2});
  newer[0] = std::byte{2};
  give(cluster, cluster.address(77, 0), newer);
  CHECK_FALSE(fabric.still_offends(known(fabric).at(2)));
}

TEST_CASE("offences: the access list of a dynamic link") {
  Cluster cluster;
  Fabric& fabric = cluster.fabric(1);
  REQUIRE(fabric.host_add(host_id(9)));
  Address local = cluster.address(1, 0);
  local.port = 7000;
  REQUIRE(fabric.link_configure(cluster.now, host_id(9), link_id(2),
                                {.dynamic = true, .local = local}));
  fabric.set_access_lists(true);
  give(cluster, cluster.address(9, 0), ping_packet({.host = 9, .link = 2}));
  const auto found = known(fabric);
  REQUIRE(found.size() == 1);
  CHECK(found[0].reason == Drop::kAccessList);
  CHECK(found[0].link == link_id(2));
}

TEST_CASE("offences: a flood pushes nobody out, and nothing grows") {
  Offences offences;
  Instant now{1s};
  const Address from = address_of(9, 0);
  offences.note(now, Drop::kDuplicate, from);  // the life of a network
  for (const Offence& place : offences.places())
    CHECK_FALSE(place.used());
  offences.note(now, Drop::kUnknownHost, from, HostId(60000));
  for (unsigned host = 0; host < 50000; ++host) {  // for ten seconds
    now += 200us;
    offences.note(now, Drop::kUnknownHost, from, HostId(host));
    if (host % 5000 == 0) {
      offences.note(now, Drop::kUnknownHost, from, HostId(60000));
      offences.note(now, Drop::kSealMac, from);
    }
  }
  CHECK(offences.places().size() == Offences::kMax);
  std::size_t hosts = 0;
  std::uint64_t goes_on = 0;
  std::uint64_t unreadable = 0;
  for (const Offence& place : offences.places()) {
    hosts += place.reason == Drop::kUnknownHost ? 1 : 0;
    goes_on += place.host == HostId(60000) ? place.count : 0;
    unreadable += place.reason == Drop::kSealMac ? place.count : 0;
  }
  CHECK(hosts == Offences::kMaxPerReason);
  CHECK(goes_on == 11);
  CHECK(unreadable == 10);
}

TEST_CASE("offences: who was not heard for a while makes room") {
  Offences offences;
  const Address from = address_of(9, 0);
  for (unsigned host = 0; host < 8; ++host)
    offences.note(Instant{1s}, Drop::kUnknownHost, from, HostId(host));
  offences.note(Instant{5s}, Drop::kUnknownHost, from, HostId(9));
  CHECK(offences.places()[0].host == HostId(0));
  offences.note(Instant{6s}, Drop::kUnknownHost, from, HostId(9));
  CHECK(offences.places()[0].host == HostId(9));
  CHECK(offences.places()[0].first == Instant{6s});
}

TEST_CASE("offences: another key shows as one offence, whatever the length of the packet") {
  Offences offences;
  const Address from = address_of(9, 0);
  offences.note(Instant{1s}, Drop::kSealShort, from);
  offences.note(Instant{2s}, Drop::kSealMac, from);
  offences.note(Instant{3s}, Drop::kSealLong, from);
  CHECK(offences.places()[0].count == 3);
  CHECK(offences.places()[0].first == Instant{1s});
  CHECK(offences.places()[0].last == Instant{3s});
  CHECK_FALSE(offences.places()[1].used());
}

}  // namespace ringknet::test
