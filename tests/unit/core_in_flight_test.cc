// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sends in flight: slots are reused, ids are not.
#include "engine/core/in_flight.h"

#include <doctest/doctest.h>

#include <set>

#include "tests/unit/bytes_kit.h"

namespace ringknet::test {

TEST_CASE("in flight: an entry comes back by its id in any order") {
  InFlightTable table;
  std::vector<TransmitId> ids;
  for (unsigned i = 0; i < 10; ++i) {
    ids.push_back(table.add({.kind = i % 2 == 0 ? InFlight::Kind::kData : InFlight::Kind::kPing,
                             .link = {host_id(i), link_id(0), 1},
                             .run = {}}));
  }
  CHECK(table.size() == 10);
  CHECK(table.data() == 5);
  for (const unsigned i : {3u, 0u, 9u, 4u})
    CHECK(raw(table.take(ids[i]).link.host) == i);
  CHECK(table.size() == 6);
  CHECK(table.data() == 3);
}

TEST_CASE("in flight: a reused slot has another id") {
  InFlightTable table;
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 100; ++i) {
    const TransmitId id = table.add({});
    CHECK(seen.insert(id.value).second);
    table.take(id);
  }
  CHECK(table.size() == 0);
}

}  // namespace ringknet::test
