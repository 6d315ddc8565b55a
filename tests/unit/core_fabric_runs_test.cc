// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Runs of packets between whole fabrics: paths that take a run for one long packet and drop it.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

// Sends `count` messages of `size` bytes, one each `pause`; answers how many of them arrived.
std::size_t stream(Cluster& cluster, std::size_t count, std::size_t size, Duration pause = 5ms) {
  const std::size_t before = cluster.node(2).received.size();
  for (std::size_t i = 0; i < count; ++i) {
    CHECK(cluster.send(1, Bytes(size)).error == Error::kNone);
    cluster.run_for(pause);
  }
  cluster.run_for(150ms);
  return cluster.node(2).received.size() - before;
}

TEST_CASE("fabric: where nothing is in their way, runs soon leave in one piece") {
  Cluster cluster;
  cluster.run_for(3s);
  Node& sender = cluster.node(1);
  CHECK(stream(cluster, 200, 20000) == 200);
  CHECK(sender.whole_runs > 180);
  CHECK(sender.count(Event::Kind::kLinkRunsVanish) == 0);
  CHECK(cluster.node(1).drops(Drop::kMtuReplyUnmatched) == 0);
  CHECK(sender.inspect.in_flight() == 0);
}

TEST_CASE("fabric: a rule that is there from the start costs no message") {
  for (const std::uint32_t manual : {0u, 1400u}) {
    for (const std::size_t size : {3000, 9000, 60000}) {
      CAPTURE(manual);
      CAPTURE(size);
      Cluster cluster;
      if (manual != 0)
        REQUIRE(cluster.fabric(1).set_manual_mtu(cluster.now, manual).ok());
      cluster.both_ways(1, 2, 0, [](Path& path) { path.run_max = 1472; });
      cluster.run_for(3s);
      Node& sender = cluster.node(1);
      CHECK(stream(cluster, 200, size) == 200);
      CHECK(sender.whole_runs == 0);
      CHECK(sender.count(Event::Kind::kLinkRunsVanish) == 1);
      CHECK(sender.count(Event::Kind::kLinkDown) == 0);
      // Long after the rule has gone, runs are tried again.
      cluster.both_ways(1, 2, 0, [](Path& path) { path.run_max = 65536; });
      cluster.run_for(61s);
      CHECK(stream(cluster, 200, size) == 200);
      CHECK(sender.whole_runs > 0);
      CHECK(sender.count(Event::Kind::kLinkRunsPass) == 1);
    }
  }
}

TEST_CASE("fabric: bursts of small messages are runs, too") {
  Cluster cluster;
  cluster.both_ways(1, 2, 0, [](Path& path) { path.run_max = 1472; });
  cluster.run_for(3s);
  for (int round = 0; round < 300; ++round) {
    for (int i = 0; i < 50; ++i)
      CHECK(cluster.fabric(1).send(cluster.now, Channel{0}, Bytes(100), {}).error == Error::kNone);
    cluster.settle();
    cluster.run_for(5ms);
  }
  cluster.run_for(20ms);
  CHECK(cluster.node(2).received.size() == 300 * 50);
  CHECK(cluster.node(1).whole_runs == 0);
  CHECK(cluster.node(1).count(Event::Kind::kLinkRunsVanish) == 1);
}

TEST_CASE("fabric: a rule that appears under traffic is found out within a second of it") {
  for (const Duration round_trip : {1ms, 20ms, 100ms}) {
    CAPTURE(round_trip / 1ms);
    Cluster cluster;
    cluster.both_ways(1, 2, 0, [&](Path& path) { path.delay = round_trip / 2; });
    cluster.run_for(3s);
    Node& sender = cluster.node(1);
    CHECK(stream(cluster, 400, 9000) >= 390);
    cluster.run_for(1s);
    CHECK(cluster.node(2).received.size() == 400);
    CHECK(stream(cluster, 100, 9000) > 0);
    CHECK(sender.whole_runs > 0);
    cluster.path(1, 2, 0).run_max = 1472;
    stream(cluster, 140, 9000);  // 700 ms of it
    const Instant when = cluster.now;
    cluster.run_for(1s);
    const std::size_t whole = sender.whole_runs;
    CHECK(stream(cluster, 100, 9000, 10ms) == 100);
    CHECK(sender.whole_runs == whole);
    const Happened* told = sender.last(Event::Kind::kLinkRunsVanish);
    REQUIRE(told != nullptr);
    CHECK(told->at <= when + 500ms);
    CHECK(sender.count(Event::Kind::kLinkRunsVanish) == 1);
    CHECK(sender.count(Event::Kind::kLinkDown) == 0);
  }
}

TEST_CASE("fabric: runs of each link are judged by themselves") {
  Cluster cluster({.links = 2, .policy = Policy::kActive});
  cluster.path(1, 2, 0).run_max = 1472;
  cluster.run_for(3s);
  Node& sender = cluster.node(1);
  CHECK(stream(cluster, 200, 9000) == 200);
  CHECK(sender.count(Event::Kind::kLinkRunsVanish) == 1);
  CHECK(sender.last(Event::Kind::kLinkRunsVanish)->event.link == LinkId{0});
  CHECK(sender.whole_runs > 150);
}

TEST_CASE("fabric: a path that loses much of everything does not end runs") {
  Cluster cluster;
  cluster.run_for(3s);
  cluster.both_ways(1, 2, 0, [](Path& path) { path.loss = 0.3; });
  stream(cluster, 4000, 3000);
  CHECK(cluster.node(1).count(Event::Kind::kLinkRunsVanish) == 0);
  CHECK(cluster.node(1).whole_runs > 2000);
}

}  // namespace
}  // namespace ringknet::test
