// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The table of hosts: found by id, listed newest first.
#include "engine/core/host_table.h"

#include <doctest/doctest.h>

#include "tests/unit/bytes_kit.h"

namespace ringknet::test {

TEST_CASE("host table: ids at the ends and page borders") {
  MessagePool pool(4);
  HostTable table;
  for (const unsigned id : {0u, 255u, 256u, 65535u}) {
    CHECK(table.find(host_id(id)) == nullptr);
    const Host& added = table.add(host_id(id), pool);
    CHECK(&added == table.find(host_id(id)));
    CHECK(raw(table.find(host_id(id))->id) == id);
  }
  CHECK(table.find(host_id(1)) == nullptr);
  std::vector<unsigned> order;
  table.for_each([&](Host& host) { order.push_back(raw(host.id)); });
  CHECK(order == std::vector<unsigned>{65535, 256, 255, 0});
}

TEST_CASE("host table: removing one leaves the others in order") {
  MessagePool pool(4);
  HostTable table;
  for (const unsigned id : {3u, 1u, 2u})
    table.add(host_id(id), pool);
  table.remove(host_id(1));
  CHECK(table.find(host_id(1)) == nullptr);
  REQUIRE(table.order().size() == 2);
  CHECK(raw(table.order()[0]) == 2);
  CHECK(raw(table.order()[1]) == 3);
  table.add(host_id(1), pool);
  CHECK(raw(table.order()[0]) == 1);
}

}  // namespace ringknet::test
