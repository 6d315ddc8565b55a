// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Comparing addresses: who (the IP), where (and the port), exactly (everything).
#include "engine/base/address.h"

#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {

TEST_CASE("address: unknown until set") {
  CHECK_FALSE(Address{}.known());
  CHECK(address_of(1, 0).known());
}

TEST_CASE("address: the port is no part of who but of where") {
  const Address a = address_of(1, 0);
  Address b = a;
  b.port = 9;
  CHECK(a.same_ip(b));
  CHECK_FALSE(a.same_endpoint(b));
  CHECK_FALSE(a == b);
  CHECK(a.same_endpoint(address_of(1, 0)));
}

TEST_CASE("address: zone and flow make another value but the same endpoint") {
  const Address a = address_of(1, 0, Address::Family::kIpv6);
  Address b = a;
  b.scope = 2;
  b.flow = 3;
  CHECK(a.same_endpoint(b));
  CHECK_FALSE(a == b);
}

TEST_CASE("address: families never match") {
  Address a = address_of(1, 0);
  Address b = a;
  b.family = Address::Family::kIpv6;
  CHECK_FALSE(a.same_ip(b));
}

}  // namespace ringknet::test
