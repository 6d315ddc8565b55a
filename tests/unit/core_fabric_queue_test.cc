// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Between send() and the end of a transmit: backpressure, control packets that never wait for data,
// and data that finds another link when a send fails.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

const Bytes kPayload = text_bytes("hello");

std::vector<Packet> data_packets(const Cluster& cluster) {
  std::vector<Packet> packets;
  for (const Packet& packet : cluster.log) {
    if (packet.type() == 0)
      packets.push_back(packet);
  }
  return packets;
}

}  // namespace

TEST_CASE("fabric queue: without buffers a send changes nothing and later works") {
  Cluster cluster({.transmit_slabs = 6});
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  node.holding = true;
  std::size_t sent = 0;
  while (node.fabric.can_send()) {
    CHECK(cluster.send(1, pattern(60000, sent)).error == Error::kNone);
    REQUIRE(++sent < 100);
  }
  CHECK(sent >= 3);
  // What is short still finds room behind them, until that is full, too.
  std::size_t short_ones = 0;
  for (; node.fabric.can_send(1000); ++short_ones) {
    CHECK(cluster.send(1, pattern(1000, short_ones)).error == Error::kNone);
    REQUIRE(short_ones < 100);
  }
  CHECK(short_ones > 0);
  const std::string before = observe(node, cluster.now);
  const MessageSeq seq_before = node.inspect.last_seq();
  CHECK(cluster.send(1, pattern(1000)).error == Error::kNoBuffers);
  CHECK(cluster.send(1, pattern(65536)).error == Error::kNoBuffers);
  CHECK(observe(node, cluster.now) == before);
  CHECK(node.inspect.last_seq() == seq_before);
  cluster.finish_held(1);
  CHECK(node.fabric.can_send());
  node.holding = false;
  CHECK(cluster.send(1, pattern(60000, sent)).error == Error::kNone);
  ++sent;
  cluster.run_for(2ms);
  REQUIRE(cluster.node(2).received.size() == sent + short_ones);
  std::size_t next_long = 0;
  std::size_t next_short = 0;
  for (const Received& received : cluster.node(2).received) {
    const bool is_short = received.bytes.size() == 1000;
    CHECK(
        same(received.bytes, is_short ? pattern(1000, next_short++) : pattern(60000, next_long++)));
  }
}

TEST_CASE("fabric queue: many small messages that wait push back as well") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  std::size_t sent = 0;
  // Sizes that do not share runs, so that runs are what is short.
  while (fabric.can_send()) {
    REQUIRE(
        fabric.send(cluster.now, Channel{0}, pattern(1 + sent % 1400), Destinations::all()).error ==
        Error::kNone);
    REQUIRE(++sent < 100000);
  }
  CHECK(fabric.send(cluster.now, Channel{0}, kPayload, Destinations::all()).error ==
        Error::kNoBuffers);
  cluster.settle();
  CHECK(fabric.can_send());
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == sent);
}

TEST_CASE("fabric queue: can_send keeps its word until nothing goes any more") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Cluster cluster({.nodes = 4,
                     .links = 3,
                     .policy = static_cast<Policy>(seed % 3),
                     .transmit_slabs = random.between(6, 48)});
    REQUIRE(cluster.connect());
    Node& node = cluster.node(1);
    node.holding = true;
    std::size_t sent = 0;
    for (int step = 0; step < 3000; ++step) {
      const std::size_t size =
          random.chance(0.1) ? random.between(1, 65536) : random.between(1, 3000);
      if (node.fabric.can_send(size)) {
        REQUIRE(
            node.fabric.send(cluster.now, Channel{0}, pattern(size), Destinations::all()).error ==
            Error::kNone);
        ++sent;
      }
      if (random.chance(0.02))
        cluster.settle();
      if (random.chance(0.02))
        cluster.finish_held(1);
    }
    CHECK(sent > 50);
    node.holding = false;
    cluster.settle();
    cluster.finish_held(1);
    cluster.settle();
    CHECK(node.inspect.in_flight() == 0);
    cluster.run_for(100ms);  // many round trips: send windows hold data back
    for (unsigned other = 2; other <= 4; ++other)
      REQUIRE(cluster.node(other).received.size() == sent);
  }
}

TEST_CASE("fabric queue: control packets go before data") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  fabric.send(cluster.now, Channel{0}, pattern(3000), Destinations::all());
  cluster.inject(1, 2, 0, ping_packet({.host = 2}));
  cluster.inject(1, 2, 0, mtu_packet({.host = 2}, 100));
  std::vector<unsigned> types;
  Transmit transmit;
  while (fabric.poll_transmit(cluster.now, transmit)) {
    types.push_back(std::to_integer<unsigned>(transmit.bytes[1]));
    fabric.on_transmit_done(cluster.now, transmit.id, {});
  }
  CHECK(types == std::vector<unsigned>{0x82, 0x84, 0});
}

TEST_CASE("fabric queue: control_only leaves data where it is") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  fabric.send(cluster.now, Channel{0}, kPayload, Destinations::all());
  cluster.inject(1, 2, 0, ping_packet({.host = 2}));
  Transmit transmit;
  REQUIRE(fabric.poll_transmit(cluster.now, transmit, true));
  CHECK(transmit.kind == Transmit::Kind::kControl);
  fabric.on_transmit_done(cluster.now, transmit.id, {});
  CHECK_FALSE(fabric.poll_transmit(cluster.now, transmit, true));
  REQUIRE(fabric.poll_transmit(cluster.now, transmit));
  CHECK(transmit.kind == Transmit::Kind::kData);
  fabric.on_transmit_done(cluster.now, transmit.id, {});
}

TEST_CASE("fabric queue: PINGs and PONGs still leave when all data memory is in flight") {
  Cluster cluster({.transmit_slabs = 6});
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  node.holding = true;
  while (node.fabric.can_send())
    cluster.send(1, pattern(60000));
  CHECK(node.fabric.data_pending());
  // Data never ends, for a long time: control packets end at once.
  for (int i = 0; i < 2000; ++i) {
    cluster.now += 10ms;
    if (node.fabric.next_deadline() <= cluster.now)
      node.fabric.on_timeout(cluster.now);
    cluster.inject(1, 2, 0, ping_packet({.host = 2, .clock = cluster.now}));
    std::size_t left = 0;
    Transmit transmit;
    while (node.fabric.poll_transmit(cluster.now, transmit)) {
      REQUIRE(transmit.kind != Transmit::Kind::kData);
      Bytes answer(transmit.bytes.begin(), transmit.bytes.end());
      if (answer[1] == std::byte{0x81}) {
        answer[1] = std::byte{0x82};
        answer[3] = std::byte{2};
        cluster.inject(1, 2, 0, answer);
      }
      node.fabric.on_transmit_done(cluster.now, transmit.id, {});
      ++left;
    }
    REQUIRE(left >= 1);
  }
  CHECK(cluster.connected(1, 2, 0));
  cluster.finish_held(1);
}

// Answers that find no memory are not lost: they leave when sends have ended.
TEST_CASE("fabric queue: control packets without memory wait") {
  Cluster cluster({.transmit_slabs = 3});
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  // Probes of 64 KB that do not end take all memory there is.
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
  std::vector<TransmitId> held;
  Transmit transmit;
  bool starved = false;
  for (int i = 0; i < 20 && !starved; ++i) {
    REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
    REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), true).ok());
    while (fabric.poll_transmit(cluster.now, transmit))
      held.push_back(transmit.id);
    starved = cluster.node(1).inspect.probes_waiting() > 0;
  }
  REQUIRE(starved);
  // A search that begins anew meanwhile has no second one waiting.
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), true).ok());
  CHECK(cluster.node(1).inspect.probes_waiting() == 1);
  for (const TransmitId id : held)
    fabric.on_transmit_done(cluster.now, id, {});
  REQUIRE(fabric.poll_transmit(cluster.now, transmit));
  CHECK(transmit.kind == Transmit::Kind::kProbe);
  fabric.on_transmit_done(cluster.now, transmit.id, {});
  CHECK(cluster.run_until([&] { return cluster.status(1, 2, 0).mtu == 1446; }, 10s));
}

TEST_CASE("fabric queue: more failed sends than can be tried again are counted as errors") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  node.holding = true;
  cluster.cut(1, 2, 0);
  std::size_t sent = 0;
  while (sent < 700) {
    REQUIRE(cluster.send(1, pattern(100)).error == Error::kNone);
    ++sent;
  }
  cluster.finish_held(1, {.status = TransmitResult::Status::kFailed});
  const std::uint64_t errors = cluster.status(1, 2, 0).stats.data_trouble.errors;
  CHECK(errors > sent);  // each failed, and some found no second try
  node.holding = false;
  cluster.settle();
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == sent - (errors - sent));
}

TEST_CASE("fabric queue: a failed send goes over another link once") {
  for (const Policy policy : {Policy::kPassive, Policy::kRoundRobin}) {
    Cluster cluster({.links = 3, .policy = policy});
    REQUIRE(cluster.connect());
    cluster.path(1, 2, 0).status = TransmitResult::Status::kUnreachable;
    for (unsigned i = 0; i < 6; ++i)
      CHECK(cluster.send(1, pattern(3000, i)).error == Error::kNone);
    cluster.run_for(2ms);
    REQUIRE(cluster.node(2).received.size() == 6);
    CHECK(cluster.status(1, 2, 0).stats.data_trouble.errors == 1);  // from then on it was avoided
    CHECK(cluster.node(1).count(Event::Kind::kLinkSuspect) == 1);
  }
}

// The ring has sent it in pieces.
TEST_CASE("fabric queue: data that was too big for the kernel is not sent again") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  fabric.send(cluster.now, Channel{0}, pattern(1000), Destinations::all());
  Transmit out;
  REQUIRE(fabric.poll_transmit(cluster.now, out));
  REQUIRE(out.kind == Transmit::Kind::kData);
  fabric.on_transmit_done(cluster.now, out.id,
                          {.status = TransmitResult::Status::kTooBig, .mtu = 1000});
  CHECK_FALSE(fabric.data_pending());
}

TEST_CASE("fabric queue: for the second try a suspect link is better than none") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  cluster.fabric(1).on_path_error(cluster.now, {.socket = SocketId{1}, .to = address_of(2, 1)});
  cluster.path(1, 2, 0).status = TransmitResult::Status::kFailed;
  CHECK(cluster.send(1, pattern(3000)).error == Error::kNone);
  CHECK(cluster.node(1).count(Event::Kind::kLinkSuspect) == 2);
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == 1);
}

TEST_CASE("fabric queue: when the second try fails as well the message is lost and counted") {
  Cluster cluster({.links = 3});
  REQUIRE(cluster.connect());
  for (unsigned link = 0; link < 3; ++link)
    cluster.path(1, 2, link).status = TransmitResult::Status::kFailed;
  cluster.send(1, kPayload);
  std::uint64_t errors = 0;
  std::uint64_t packets = 0;
  for (unsigned link = 0; link < 3; ++link) {
    errors += cluster.status(1, 2, link).stats.data_trouble.errors;
    packets += cluster.status(1, 2, link).stats.tx_data.packets;
  }
  CHECK(errors == 2);
  CHECK(packets == 2);
  CHECK_FALSE(cluster.fabric(1).data_pending());
}

TEST_CASE("fabric queue: ACTIVE does not send again what other links have anyway") {
  Cluster cluster({.links = 2, .policy = Policy::kActive});
  REQUIRE(cluster.connect());
  cluster.path(1, 2, 0).status = TransmitResult::Status::kUnreachable;
  cluster.recording = true;
  cluster.send(1, kPayload);
  CHECK(data_packets(cluster).size() == 2);
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == 1);
}

TEST_CASE("fabric queue: a failed send to one host does not touch the others") {
  Cluster cluster({.nodes = 4});
  REQUIRE(cluster.connect());
  cluster.path(1, 3, 0).status = TransmitResult::Status::kUnreachable;
  CHECK(cluster.send(1, pattern(5000)).error == Error::kNone);
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == 1);
  CHECK(cluster.node(3).received.empty());
  CHECK(cluster.node(4).received.size() == 1);
  CHECK(cluster.status(1, 2, 0).stats.data_trouble.errors == 0);
  CHECK(cluster.status(1, 3, 0).stats.data_trouble.errors == 2);  // its only link, twice
}

TEST_CASE("fabric queue: where no other link will do, the same one is tried once more") {
  Cluster::Settings settings;
  SUBCASE("PASSIVE") {}
  SUBCASE("ACTIVE") {
    settings.policy = Policy::kActive;
  }
  Cluster cluster(settings);
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  fabric.send(cluster.now, Channel{0}, kPayload, Destinations::all());
  const auto next_data = [&](Transmit& out) {
    while (fabric.poll_transmit(cluster.now, out)) {
      if (out.kind == Transmit::Kind::kData)
        return true;
      fabric.on_transmit_done(cluster.now, out.id, {});
    }
    return false;
  };
  const TransmitResult failed{.status = TransmitResult::Status::kFailed};
  Transmit first;
  Transmit again;
  REQUIRE(next_data(first));
  fabric.on_transmit_done(cluster.now, first.id, failed);
  REQUIRE(next_data(again));
  CHECK(again.to == first.to);
  CHECK(again.bytes.data() == first.bytes.data());
  fabric.on_transmit_done(cluster.now, again.id, failed);
  CHECK_FALSE(next_data(again));
  CHECK_FALSE(fabric.data_pending());
}

TEST_CASE("fabric queue: another link is taken only if it carries the packets") {
  Cluster cluster({.links = 2});
  cluster.both_ways(1, 2, 1, [](Path& path) { path.silent_mtu = 1000; });
  REQUIRE(cluster.connect());
  cluster.path(1, 2, 0).status = TransmitResult::Status::kUnreachable;
  cluster.recording = true;
  cluster.send(1, pattern(1400));
  for (const Packet& packet : data_packets(cluster))
    CHECK(packet.link == 0);  // link 1 cannot carry it as it is
  cluster.log.clear();
  cluster.run_for(1ms);
  cluster.send(1, pattern(1400));  // cut for link 1 from the start
  CHECK(data_packets(cluster).size() == 2);
}

TEST_CASE("fabric queue: data that waits for a link which goes down takes another one") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  fabric.send(cluster.now, Channel{0}, pattern(3000), Destinations::all());
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
  cluster.settle();
  cluster.run_for(2ms);
  CHECK(cluster.node(2).received.size() == 1);
  CHECK(cluster.status(1, 2, 1).stats.tx_data.packets == 3);
}

TEST_CASE("fabric queue: errors and retries are counted for each class of packets") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Fabric& fabric = cluster.fabric(1);
  const auto end_all = [&](TransmitResult::Status status) {
    Transmit transmit;
    while (fabric.poll_transmit(cluster.now, transmit))
      fabric.on_transmit_done(cluster.now, transmit.id, {.status = status, .retries = 3});
  };
  fabric.send(cluster.now, Channel{0}, kPayload, Destinations::all());
  cluster.inject(1, 2, 0, ping_packet({.host = 2}));
  cluster.inject(1, 2, 0, mtu_packet({.host = 2}, 100));
  end_all(TransmitResult::Status::kSent);
  LinkStats stats = cluster.status(1, 2, 0).stats;
  CHECK(stats.data_trouble.retries == 3);
  CHECK(stats.pong_trouble.retries == 3);
  CHECK(stats.mtu_trouble.retries == 3);
  CHECK(stats.data_trouble.errors + stats.pong_trouble.errors + stats.mtu_trouble.errors == 0);
  cluster.inject(1, 2, 0, ping_packet({.host = 2}));
  end_all(TransmitResult::Status::kFailed);
  stats = cluster.status(1, 2, 0).stats;
  CHECK(stats.pong_trouble.errors == 1);
}

TEST_CASE("fabric queue: a send may end after its link and host are gone") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  node.holding = true;
  cluster.send(1, pattern(3000));
  cluster.inject(1, 2, 0, ping_packet({.host = 2}));
  cluster.settle();
  REQUIRE(node.held.size() >= 2);
  REQUIRE(node.fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
  REQUIRE(node.fabric.link_clear(cluster.now, host_id(2), link_id(0)).ok());
  REQUIRE(node.fabric.host_remove(host_id(2)).ok());
  cluster.finish_held(1, {.status = TransmitResult::Status::kUnreachable});
  CHECK(node.inspect.in_flight() == 0);
  CHECK_FALSE(node.fabric.data_pending());
}

}  // namespace ringknet::test
