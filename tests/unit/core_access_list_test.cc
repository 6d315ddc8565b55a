// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Access lists: the three kinds of entries at their borders, the first match that decides, and the
// places where entries go.
#include "engine/core/access_list.h"

#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

using Type = AccessEntry::Type;
using Action = AccessEntry::Action;

Address ipv4(unsigned a, unsigned b, unsigned c, unsigned d) {
  Address address{.port = 5405, .family = Address::Family::kIpv4};
  address.ip = {static_cast<std::uint8_t>(a), static_cast<std::uint8_t>(b),
                static_cast<std::uint8_t>(c), static_cast<std::uint8_t>(d)};
  return address;
}

AccessEntry entry(Type type, const Address& first, const Address& second = {},
                  Action action = Action::kAccept) {
  return {type, action, first, second};
}

}  // namespace

TEST_CASE("access list: empty it rejects everybody") {
  AccessList list;
  CHECK_FALSE(list.accepts(ipv4(10, 0, 0, 1)));
  CHECK(list.size() == 0);
}

TEST_CASE("access list: an address matches whatever the port") {
  AccessList list;
  REQUIRE(list.insert(-1, entry(Type::kAddress, ipv4(10, 0, 0, 1))).ok());
  Address from = ipv4(10, 0, 0, 1);
  from.port = 1;
  CHECK(list.accepts(from));
  CHECK_FALSE(list.accepts(ipv4(10, 0, 0, 2)));
}

TEST_CASE("access list: a mask matches its network") {
  const AccessEntry network = entry(Type::kMask, ipv4(10, 1, 0, 0), ipv4(255, 255, 0, 0));
  CHECK(network.matches(ipv4(10, 1, 0, 0)));
  CHECK(network.matches(ipv4(10, 1, 255, 255)));
  CHECK_FALSE(network.matches(ipv4(10, 2, 0, 0)));
  CHECK_FALSE(network.matches(ipv4(11, 1, 0, 0)));
  CHECK(entry(Type::kMask, ipv4(0, 0, 0, 0), ipv4(0, 0, 0, 0)).matches(ipv4(1, 2, 3, 4)));
}

TEST_CASE("access list: a range includes both ends in numeric order") {
  const AccessEntry range = entry(Type::kRange, ipv4(10, 0, 0, 250), ipv4(10, 0, 1, 5));
  CHECK_FALSE(range.matches(ipv4(10, 0, 0, 249)));
  CHECK(range.matches(ipv4(10, 0, 0, 250)));
  CHECK(range.matches(ipv4(10, 0, 1, 0)));
  CHECK(range.matches(ipv4(10, 0, 1, 5)));
  CHECK_FALSE(range.matches(ipv4(10, 0, 1, 6)));
}

TEST_CASE("access list: families never match each other") {
  const Address ipv6 = address_of(1, 0, Address::Family::kIpv6);
  CHECK(entry(Type::kAddress, ipv6).matches(ipv6));
  Address same_bytes = ipv6;
  same_bytes.family = Address::Family::kIpv4;
  CHECK_FALSE(entry(Type::kAddress, ipv6).matches(same_bytes));
  CHECK_FALSE(entry(Type::kMask, ipv4(0, 0, 0, 0), ipv4(0, 0, 0, 0)).matches(ipv6));
  CHECK_FALSE(entry(Type::kRange, ipv4(0, 0, 0, 0), ipv4(255, 255, 255, 255)).matches(ipv6));
}

TEST_CASE("access list: the first match decides") {
  AccessList list;
  const AccessEntry network = entry(Type::kMask, ipv4(10, 0, 0, 0), ipv4(255, 0, 0, 0));
  const AccessEntry enemy = entry(Type::kAddress, ipv4(10, 0, 0, 9), {}, Action::kReject);
  REQUIRE(list.insert(-1, network).ok());
  REQUIRE(list.insert(-1, enemy).ok());
  CHECK(list.accepts(ipv4(10, 0, 0, 9)));
  REQUIRE(list.remove(enemy).ok());
  REQUIRE(list.insert(0, enemy).ok());
  CHECK_FALSE(list.accepts(ipv4(10, 0, 0, 9)));
  CHECK(list.accepts(ipv4(10, 0, 0, 8)));
}

TEST_CASE("access list: an entry goes to exactly its position") {
  AccessList list;
  // Each new one rejects or accepts the same address: whichever stands first decides.
  const Address all = ipv4(0, 0, 0, 0);
  const auto numbered = [&](unsigned number, Action action) {
    return entry(Type::kRange, all, ipv4(255, 255, 255, number), action);
  };
  REQUIRE(list.insert(-1, numbered(1, Action::kReject)).ok());
  REQUIRE(list.insert(1, numbered(2, Action::kAccept)).ok());
  CHECK_FALSE(list.accepts(ipv4(1, 1, 1, 1)));
  REQUIRE(list.insert(0, numbered(3, Action::kAccept)).ok());
  CHECK(list.accepts(ipv4(1, 1, 1, 1)));
  // Position 1 is behind the first one, not behind the second.
  REQUIRE(list.insert(1, numbered(4, Action::kReject)).ok());
  REQUIRE(list.remove(numbered(3, Action::kAccept)).ok());
  CHECK_FALSE(list.accepts(ipv4(1, 1, 1, 1)));
  REQUIRE(list.remove(numbered(4, Action::kReject)).ok());
  REQUIRE(list.remove(numbered(1, Action::kReject)).ok());
  CHECK(list.accepts(ipv4(1, 1, 1, 1)));
  REQUIRE(list.insert(99, numbered(5, Action::kReject)).ok());
  CHECK(list.accepts(ipv4(1, 1, 1, 1)));
  list.clear();
  CHECK(list.size() == 0);
}

TEST_CASE("access list: the very same entry is refused and the nearly same is not") {
  AccessList list;
  const AccessEntry range = entry(Type::kRange, ipv4(10, 0, 0, 1), ipv4(10, 0, 0, 9));
  REQUIRE(list.insert(-1, range).ok());
  CHECK(list.insert(0, range).error() == Error::kEntryExists);
  AccessEntry other = range;
  other.action = Action::kReject;
  CHECK(list.insert(-1, other).ok());
  other = range;
  other.second.port = 1;
  CHECK(list.insert(-1, other).ok());
  other = range;
  other.type = Type::kAddress;
  CHECK(list.insert(-1, other).ok());
  other.second = {};  // unused by an address
  CHECK(list.insert(-1, other).error() == Error::kEntryExists);
  CHECK(list.size() == 4);
  CHECK(list.remove(entry(Type::kRange, ipv4(10, 0, 0, 1), ipv4(10, 0, 0, 8))).error() ==
        Error::kEntryUnknown);
  CHECK(list.remove(other).ok());
  CHECK(list.size() == 3);
}

}  // namespace ringknet::test
