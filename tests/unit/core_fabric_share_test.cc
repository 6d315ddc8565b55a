// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reassembly buffers are shared among hosts: nobody's partial messages take the room of others.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

void inject_parts(Cluster& cluster, unsigned host, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    cluster.inject(
        1, host, 0,
        data_packet({.host = host, .seq = 1000 + i, .count = 2, .index = 1}, pattern(18)));
  }
}

// Messages of three fragments that arrive at node 1.
unsigned delivered(Cluster& cluster, unsigned from, int messages) {
  const std::size_t before = cluster.node(1).received.size();
  for (int i = 0; i < messages; ++i) {
    const HostId to[] = {host_id(1)};
    REQUIRE(cluster.send(from, pattern(4000), Destinations::to(to)).error == Error::kNone);
    cluster.run_for(10ms);
  }
  return static_cast<unsigned>(cluster.node(1).received.size() - before);
}

}  // namespace

TEST_CASE("fabric share: first fragments in the name of 34 hosts leave the 35th its buffers") {
  Cluster cluster({.nodes = 36, .timers = {.interval = 1s, .timeout = 2s, .precision = 2048}});
  REQUIRE(cluster.connect());
  for (unsigned host = 3; host <= 36; ++host)
    inject_parts(cluster, host, 32);
  CHECK(delivered(cluster, 2, 20) == 20);
  CHECK(delivered(cluster, 36, 20) == 20);
  CHECK(cluster.node(1).inspect.buffers_in_use() <= 1024);
  CHECK(cluster.node(1).drops(Drop::kNoBuffers) == 0);
}

TEST_CASE("fabric share: with more hosts than buffers each has two") {
  Cluster cluster({.nodes = 6,
                   .timers = {.interval = 1s, .timeout = 2s, .precision = 2048},
                   .message_buffers = 3});
  REQUIRE(cluster.connect());
  for (unsigned host = 3; host <= 6; ++host)
    inject_parts(cluster, host, 5);
  CHECK(cluster.node(1).inspect.buffers_in_use() == 8);
  CHECK(cluster.node(1).drops(Drop::kEvicted) == 4 * 3);
  CHECK(delivered(cluster, 2, 5) == 5);
}

TEST_CASE("fabric share: it changes with the number of hosts, and nothing leaks") {
  Cluster cluster({.message_buffers = 8});
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  inject_parts(cluster, 2, 10);
  CHECK(node.inspect.buffers_in_use() == 8);
  const DropCounters before = node.fabric.drops();
  REQUIRE(node.fabric.host_add(host_id(3)).ok());
  CHECK(node.inspect.buffers_in_use() == 4);
  CHECK(drop_text(before, node.fabric.drops()) == "evicted:4");
  // The newest ones are kept, and completed.
  cluster.inject(1, 2, 0,
                 data_packet({.host = 2, .seq = 1009, .count = 2, .index = 2}, pattern(9)));
  CHECK(node.received.size() == 1);
  cluster.inject(1, 2, 0,
                 data_packet({.host = 2, .seq = 1002, .count = 2, .index = 2}, pattern(9)));
  CHECK(node.drops(Drop::kDuplicate) == before[Drop::kDuplicate] + 1);
  REQUIRE(node.fabric.host_remove(host_id(3)).ok());
  inject_parts(cluster, 2, 30);
  CHECK(node.inspect.buffers_in_use() == 8);
  cluster.cut(1, 2, 0);
  REQUIRE(cluster.run_until([&] { return !*node.fabric.host_reachable(host_id(2)); }));
  CHECK(node.inspect.buffers_in_use() == 0);
}

}  // namespace ringknet::test
