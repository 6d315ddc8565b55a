// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whole fabrics that encrypt, with real sealers, under a virtual clock: links and MTU, changes of
// keys under traffic, and what somebody achieves who records packets and sends them again.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include "tests/crypto/support.h"
#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

const NamedSuite kClassic{"openssl", "aes256", "sha256"};
const NamedSuite kOtherClassic{"nss", "aes128", "sha1"};
const NamedSuite kNative{"wolfssl", "aes256gcm", "none"};
const NamedSuite kOtherNative{"wolfssl", "chachapoly1305", "none"};
const NamedSuite kHashOnly{"openssl", "none", "sha512"};
const Buffer kKey = counting(200);
const Buffer kOtherKey = counting(200, 7);

void install(Fabric& fabric, Instant now, std::size_t slot, const NamedSuite& suite,
             const Buffer& key) {
  REQUIRE(fabric.crypto_install(now, slot, must_make(fabric.keyring(), suite, key)));
}

// A cluster in which every process that starts has `suite` in slot 1, uses it and wants no clear
// traffic.
struct Secured {
  explicit Secured(const NamedSuite& suite, Cluster::Settings settings = {}) {
    settings.random = &random;
    settings.equip = [suite](unsigned, Fabric& fabric) {
      install(fabric, Instant{}, 1, suite, kKey);
      REQUIRE(fabric.crypto_use(Instant{}, 1));
      fabric.keyring().allow_clear(false);
    };
    cluster = std::make_unique<Cluster>(settings);
  }
  SeededRandom random{1};
  std::unique_ptr<Cluster> cluster;
};

// Sends `count` numbered messages of several sizes each way and waits for all of them.
void exchange(Cluster& cluster, std::size_t count) {
  const std::array<std::size_t, 6> sizes = {1, 100, 1400, 1500, 20000, 65536};
  for (unsigned from = 1; from <= 2; ++from) {
    const unsigned to = 3 - from;
    const std::size_t before = cluster.node(to).received.size();
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes message = pattern(sizes[i % sizes.size()], i);
      REQUIRE(cluster.send(from, message).error == Error::kNone);
      cluster.run_for(3ms);
      CAPTURE(drop_text({}, cluster.node(to).fabric.drops()));
      REQUIRE(cluster.node(to).received.size() == before + i + 1);
      REQUIRE(same(cluster.node(to).received.back().bytes, message));
    }
  }
}

// Whether this is a packet that anybody could read.
bool is_clear(const Packet& packet) {
  Bytes copy = packet.bytes;
  return !std::holds_alternative<Drop>(parse_packet(copy));
}

// What somebody has recorded of node 1, whom node 2 does not know any more.
std::vector<Packet> pings_of_before(Cluster& cluster) {
  cluster.recording = true;
  REQUIRE(cluster.connect());
  cluster.run_for(10s);
  std::vector<Packet> recorded;
  std::ranges::copy_if(cluster.log, std::back_inserter(recorded), [](const Packet& packet) {
    return packet.from == 1 && packet.bytes.size() == kPingSize + 32;
  });
  REQUIRE(recorded.size() > 100);
  cluster.cut(1, 2, 0);
  cluster.restart(2);
  return recorded;
}

}  // namespace

TEST_CASE("secured fabric: room that can_send() sees is enough for the envelopes") {
  for (const NamedSuite& suite : {kClassic, kNative, kHashOnly}) {
    CAPTURE(label(suite));
    Secured secured(suite, {.transmit_slabs = 4});
    Cluster& cluster = *secured.cluster;
    REQUIRE(cluster.connect());
    Fabric& fabric = cluster.fabric(1);
    REQUIRE(fabric.set_manual_mtu(cluster.now, 576));  // the smallest packets, so the most of them
    Node& node = cluster.node(1);
    Random random(1);
    std::size_t refused = 0;
    for (int round = 0; round < 50; ++round) {
      node.holding = true;
      for (int step = 0; step < 400; ++step) {
        const std::size_t size = random.between(1, 1600);
        const bool room = fabric.can_send(size);
        refused += room ? 0 : 1;
        const Error expected = room ? Error::kNone : Error::kNoBuffers;
        REQUIRE(cluster.send(1, pattern(size)).error == expected);
      }
      node.holding = false;
      cluster.finish_held(1);
      cluster.run_for(5ms);
    }
    CHECK(refused > 1000);
  }
}

TEST_CASE("secured fabric: links, MTU and messages of every size") {
  for (const NamedSuite& suite : {kClassic, kOtherClassic, kNative, kOtherNative, kHashOnly}) {
    CAPTURE(label(suite));
    Secured secured(suite, {.links = 2});
    Cluster& cluster = *secured.cluster;
    cluster.recording = true;
    REQUIRE(cluster.connect());
    exchange(cluster, 12);
    // What is left of 1500 bytes after the headers, reckoned as classic nodes do, and the envelope.
    const SealShape shape = cluster.fabric(1).keyring().shape();
    const std::size_t packet = 28 + shape.size(cluster.status(1, 2, 0).mtu + kReservedHeaderSize);
    CHECK(packet <= 1500);
    CHECK(packet + std::max<std::size_t>(shape.block, 2) > 1500);
    if (suite.hash != kHashOnly.hash)
      CHECK(std::ranges::none_of(cluster.log, is_clear));
  }
}

TEST_CASE("secured fabric: nobody without the key is heard") {
  for (const NamedSuite& suite : {kClassic, kNative}) {
    CAPTURE(label(suite));
    Secured secured(suite);
    Cluster& cluster = *secured.cluster;
    install(cluster.fabric(2), cluster.now, 1, suite, kOtherKey);
    cluster.run_for(3s);
    CHECK_FALSE(cluster.connected(1, 2, 0));
    CHECK_FALSE(cluster.connected(2, 1, 0));
    CHECK(cluster.node(1).drops(Drop::kSealMac) > 10);
  }
}

TEST_CASE("secured fabric: a node without a key is called that, however short its packets are") {
  for (const NamedSuite& suite : {kClassic, kNative, kHashOnly}) {
    CAPTURE(label(suite));
    Secured secured(suite);
    Cluster& cluster = *secured.cluster;
    Fabric& fabric = cluster.fabric(1);
    const DropCounters before = fabric.drops();
    const Address peer = cluster.address(2, 0);
    for (Bytes packet : {ping_packet({.host = 2}), data_packet({.host = 2}, pattern(1)),
                         data_packet({.host = 2}, pattern(1400)), mtu_packet({.host = 2}, 1472)})
      CHECK_FALSE(fabric.on_datagram(cluster.now, SocketId{0}, peer, packet));
    CHECK(drop_text(before, fabric.drops()) == "clear refused:4");
    const Offence& offence = fabric.offences().places()[0];
    CHECK(offence.reason == Drop::kClearRefused);
    CHECK(offence.from == peer);
    CHECK(offence.host == host_id(2));
    CHECK(offence.count == 4);
    CHECK(fabric.still_offends(offence));
    fabric.keyring().allow_clear(true);
    CHECK_FALSE(fabric.still_offends(offence));
  }
}

TEST_CASE("secured fabric: keys are changed under traffic and nothing is lost or sent in clear") {
  struct Change {
    const NamedSuite* from;
    const NamedSuite* to;
  };
  for (const Change change :
       {Change{&kClassic, &kOtherClassic}, Change{&kClassic, &kNative}, Change{&kNative, &kClassic},
        Change{&kNative, &kOtherNative}, Change{&kNative, &kNative}}) {
    CAPTURE(label(*change.from) + " -> " + label(*change.to));
    Secured secured(*change.from, {.nodes = 3, .links = 2, .policy = Policy::kActive});
    Cluster& cluster = *secured.cluster;
    REQUIRE(cluster.connect());
    cluster.recording = true;
    std::size_t sent = 0;
    const auto traffic = [&](Duration duration) {
      const Instant end = cluster.now + duration;
      while (cluster.now < end) {
        for (unsigned from = 1; from <= 3; ++from)
          REQUIRE(cluster.send(from, pattern(1 + sent * 37 % 4000, sent)).error == Error::kNone);
        ++sent;
        cluster.run_for(1ms);
      }
    };
    traffic(300ms);
    for (unsigned id = 1; id <= 3; ++id) {
      install(cluster.fabric(id), cluster.now, 2, *change.to, kOtherKey);
      traffic(20ms);
    }
    traffic(300ms);  // pings are answered under the new slot's rules before it is used
    for (unsigned id = 1; id <= 3; ++id) {
      REQUIRE(cluster.fabric(id).crypto_use(cluster.now, 2));
      traffic(20ms);
    }
    traffic(300ms);
    for (unsigned id = 1; id <= 3; ++id) {
      REQUIRE(cluster.fabric(id).keyring().erase(1));
      traffic(20ms);
    }
    traffic(300ms);
    cluster.run_for(10ms);
    for (unsigned id = 1; id <= 3; ++id) {
      CHECK(cluster.node(id).received.size() == 2 * sent);
      CHECK(cluster.node(id).count(Event::Kind::kLinkDown) == 0);
    }
    CHECK(std::ranges::none_of(cluster.log, is_clear));
  }
}

// PINGs are a second apart, so all of it is what the keys themselves cause.
TEST_CASE("native fabric: nodes that get a key prove themselves in one and a half round trips") {
  for (const bool reverse : {false, true}) {
    CAPTURE(reverse);
    Secured secured(kClassic, {.timers = {.interval = 1s, .timeout = 5s, .precision = 2048}});
    Cluster& cluster = *secured.cluster;
    REQUIRE(cluster.connect());
    cluster.run_for(300ms);
    const std::array<unsigned, 2> order = reverse ? std::array{2u, 1u} : std::array{1u, 2u};
    for (const unsigned id : order) {
      install(cluster.fabric(id), cluster.now, 2, kNative, kOtherKey);
      cluster.run_for(3ms);
    }
    for (const unsigned id : order) {
      REQUIRE(cluster.fabric(id).crypto_use(cluster.now, 2));
      exchange(cluster, 6);
    }
  }
}

TEST_CASE("native fabric: data that proves nothing has its sender asked") {
  Secured secured(kClassic, {.timers = {.interval = 1s, .timeout = 5s, .precision = 2048}});
  Cluster& cluster = *secured.cluster;
  REQUIRE(cluster.connect());
  cluster.run_for(300ms);
  // What they say of the new key is lost.
  cluster.cut(1, 2, 0);
  for (const unsigned id : {1u, 2u})
    install(cluster.fabric(id), cluster.now, 2, kNative, kOtherKey);
  cluster.run_for(50ms);
  cluster.cut(1, 2, 0, false);
  for (const unsigned id : {1u, 2u})
    REQUIRE(cluster.fabric(id).crypto_use(cluster.now, 2));
  const std::uint64_t pings = cluster.status(2, 1, 0).stats.tx_ping.packets;
  for (int i = 0; i < 4; ++i) {
    REQUIRE(cluster.send(1, pattern(100)).error == Error::kNone);
    cluster.run_for(1ms);
  }
  CHECK(cluster.node(2).drops(Drop::kSealUnverified) > 0);
  CHECK(cluster.status(2, 1, 0).stats.tx_ping.packets <= pings + 2);
  exchange(cluster, 6);
}

TEST_CASE("secured fabric: from clear to encrypted and back, without a loss") {
  SeededRandom random{1};
  Cluster cluster({.random = &random});
  REQUIRE(cluster.connect());
  exchange(cluster, 6);
  for (unsigned id = 1; id <= 2; ++id)
    install(cluster.fabric(id), cluster.now, 1, kNative, kKey);
  exchange(cluster, 6);
  cluster.run_for(500ms);
  for (unsigned id = 1; id <= 2; ++id) {
    REQUIRE(cluster.fabric(id).crypto_use(cluster.now, 1));
    exchange(cluster, 6);
  }
  for (unsigned id = 1; id <= 2; ++id)
    cluster.fabric(id).keyring().allow_clear(false);
  exchange(cluster, 6);
  for (unsigned id = 1; id <= 2; ++id)
    cluster.fabric(id).keyring().allow_clear(true);
  for (unsigned id = 1; id <= 2; ++id) {
    REQUIRE(cluster.fabric(id).crypto_use(cluster.now, 0));
    exchange(cluster, 6);
  }
}

TEST_CASE("native fabric: a packet that is sent again changes nothing") {
  Secured secured(kNative, {.links = 2});
  Cluster& cluster = *secured.cluster;
  cluster.recording = true;
  REQUIRE(cluster.connect());
  exchange(cluster, 12);
  cluster.run_for(300ms);
  const std::vector<Packet> recorded = cluster.log;
  cluster.recording = false;
  Node& node = cluster.node(2);
  const std::string before = observe(node, cluster.now);
  const std::size_t received = node.received.size();
  std::size_t injected = 0;
  for (const Packet& packet : recorded) {
    if (packet.from != 1 || packet.bytes.size() + 28 > 1500)  // the device refused those
      continue;
    for (unsigned link = 0; link < 2; ++link) {
      cluster.inject(2, 1, link, packet.bytes);
      ++injected;
    }
  }
  REQUIRE(injected > 200);
  CHECK(observe(node, cluster.now) == before);
  CHECK(node.received.size() == received);
  CHECK(node.drops(Drop::kSealReplay) + node.drops(Drop::kSealStale) >= injected);
  // Our own packets, sent back to us.
  const std::uint64_t reflected = node.drops(Drop::kSealReflected);
  injected = 0;
  for (const Packet& packet : recorded) {
    if (packet.from == 2) {
      cluster.inject(2, 1, 0, packet.bytes);
      ++injected;
    }
  }
  CHECK(node.drops(Drop::kSealReflected) == reflected + injected);
  CHECK(observe(node, cluster.now) == before);
}

TEST_CASE("native fabric: a node that restarted is not led astray by what was recorded before") {
  Secured secured(kNative);
  Cluster& cluster = *secured.cluster;
  cluster.recording = true;
  REQUIRE(cluster.connect());
  exchange(cluster, 12);
  const std::vector<Packet> recorded = cluster.log;
  cluster.recording = false;
  cluster.cut(1, 2, 0);
  cluster.restart(2);
  cluster.run_for(10ms);
  Node& node = cluster.node(2);
  for (int round = 0; round < 3; ++round) {
    for (const Packet& packet : recorded) {
      if (packet.from != 1)
        continue;
      cluster.inject(2, 1, 0, packet.bytes);
      cluster.run_for(100us);
    }
  }
  CHECK_FALSE(cluster.connected(2, 1, 0));
  CHECK_FALSE(cluster.status(2, 1, 0).last_pong != kNever);
  CHECK(node.received.empty());
  CHECK(node.drops(Drop::kSealUnverified) > 100);
  CHECK(node.inspect.link(1, 0).stats.latency_samples == 0);
  // And the real one is welcome.
  cluster.cut(1, 2, 0, false);
  CHECK(cluster.run_until([&] { return cluster.connected(1, 2, 0) && cluster.connected(2, 1, 0); },
                          5s));
  cluster.run_for(1s);
  exchange(cluster, 6);
}

// PINGs carry challenges and no clock: that one was sent before the first message shows in its
// counter.
TEST_CASE("native fabric: a PING that was overtaken by the first messages is no restart") {
  Secured secured(kNative, {.links = 2});
  Cluster& cluster = *secured.cluster;
  cluster.both_ways(1, 2, 1, [](Path& path) { path.delay = 80ms; });
  REQUIRE(cluster.connect());
  cluster.run_for(1s);
  Node& node = cluster.node(2);
  for (int round = 0; round < 40; ++round) {
    cluster.run_for(10ms);
    REQUIRE(cluster.send(1, pattern(100, 1)).error == Error::kNone);
  }
  cluster.run_for(1s);
  CHECK(node.count(Event::Kind::kPeerRestarted) == 0);
  CHECK(node.received.size() == 40);
}

// Its first PINGs prove nothing yet, so they do not tell that it started anew; its epoch does.
TEST_CASE("native fabric: what a process says first after a quick restart is not taken for old") {
  Secured secured(kNative);
  Cluster& cluster = *secured.cluster;
  REQUIRE(cluster.connect());
  exchange(cluster, 12);
  Node& node = cluster.node(2);
  for (const Duration away : {5ms, 60ms, 300ms}) {
    CAPTURE(away.count());
    cluster.cut(1, 2, 0);
    cluster.cut(2, 1, 0);
    cluster.restart(1);
    cluster.run_for(away);
    cluster.cut(1, 2, 0, false);
    cluster.cut(2, 1, 0, false);
    const std::size_t before = node.received.size();
    REQUIRE(cluster.run_until([&] { return cluster.connected(1, 2, 0); }, 3s));
    cluster.run_for(100ms);
    for (unsigned i = 0; i < 5; ++i)
      REQUIRE(cluster.send(1, pattern(100, i)).error == Error::kNone);
    cluster.run_for(10ms);
    CAPTURE(drop_text({}, node.fabric.drops()));
    CHECK(node.received.size() == before + 5);
  }
}

// It does not ask, so a PONG is the first that is heard of it, and what follows may come in another
// envelope, which names no boot.
TEST_CASE("native fabric: a PONG tells that its sender started anew") {
  Secured secured(kNative);
  Cluster& cluster = *secured.cluster;
  REQUIRE(cluster.connect());
  exchange(cluster, 6);
  Node& node = cluster.node(1);
  cluster.restart(2);
  REQUIRE(cluster.fabric(2).link_set_enabled(cluster.now, host_id(1), link_id(0), false));
  cluster.run_for(300ms);
  CHECK(cluster.status(1, 2, 0).connected);
  CHECK(cluster.status(2, 1, 0).stats.tx_ping.packets == 0);
  CHECK(node.count(Event::Kind::kPeerRestarted) == 1);
}

// It was in another envelope before, which names no boot, and says that it has sent nothing in
// PINGs that prove nothing yet.
TEST_CASE("native fabric: what a process says before it is proven is remembered") {
  SeededRandom random{1};
  NamedSuite suite = kClassic;
  Cluster cluster({.timers = {.interval = 1s, .timeout = 5s, .precision = 2048},
                   .random = &random,
                   .equip = [&suite](unsigned, Fabric& fabric) {
                     install(fabric, Instant{}, 1, suite, kKey);
                     REQUIRE(fabric.crypto_use(Instant{}, 1));
                   }});
  REQUIRE(cluster.connect());
  exchange(cluster, 12);
  install(cluster.fabric(1), cluster.now, 2, kNative, kKey);
  REQUIRE(cluster.fabric(1).crypto_use(cluster.now, 2));
  cluster.run_for(100ms);  // longer than a packet may be late
  suite = kNative;
  cluster.restart(2);
  cluster.run_for(20ms);
  CHECK(cluster.status(2, 1, 0).stats.tx_ping.packets == 1);
  CHECK(cluster.node(1).count(Event::Kind::kPeerRestarted) == 1);
}

namespace {

// Small messages from node 2 to node 1 but for one in `every`, which takes four packets. Answers
// how many arrived.
std::size_t stream(Cluster& cluster, unsigned count, unsigned every) {
  cluster.node(1).received.clear();
  for (unsigned i = 0; i < count; ++i) {
    const bool large = every != 0 && i % every == 0;
    REQUIRE(cluster.send(2, pattern(large ? 5000 : 50, i)).error == Error::kNone);
    cluster.run_for(50us);
  }
  cluster.run_for(20ms);
  return cluster.node(1).received.size();
}

}  // namespace

// Its counter says that it is late.
TEST_CASE("native fabric: a packet that was held back for 40,000 messages costs none") {
  Secured secured(kNative, {.links = 2, .policy = Policy::kRoundRobin});
  Cluster& cluster = *secured.cluster;
  REQUIRE(cluster.connect());
  CHECK(stream(cluster, 100, 10) == 100);
  std::vector<Packet> held;
  cluster.tap = [&](const Packet& packet) {
    if (!held.empty() || packet.from != 2 || packet.link != 1 ||
        packet.bytes.size() != 50 + 14 + 32)
      return true;
    held.push_back(packet);
    return false;
  };
  CHECK(stream(cluster, 40000, 0) == 39999);
  REQUIRE(held.size() == 1);
  Node& node = cluster.node(1);
  for (const bool silent : {false, true}) {
    if (silent)
      cluster.run_for(300ms);
    const std::uint64_t before = node.fabric.drops().total();
    cluster.inject(1, 2, 1, held[0].bytes);
    CHECK(node.fabric.drops().total() == before + 1);
    CHECK(stream(cluster, 2000, 10) == 2000);
  }
}

// Nothing tells that it is late but its number.
TEST_CASE("secured fabric: a recorded packet that is sent again 36,000 messages later costs none") {
  Secured secured(kClassic);
  Cluster& cluster = *secured.cluster;
  REQUIRE(cluster.connect());
  std::vector<Packet> recorded;
  cluster.tap = [&](const Packet& packet) {
    if (recorded.empty() && packet.from == 2 && packet.bytes.size() > 110 &&
        packet.bytes.size() < 140)
      recorded.push_back(packet);
    return true;
  };
  CHECK(stream(cluster, 36000, 0) == 36000);
  REQUIRE(recorded.size() == 1);
  cluster.inject(1, 2, 0, recorded[0].bytes);
  CHECK(stream(cluster, 2000, 10) == 2000);
}

// Two nodes that both were held up find each other's PINGs by the dozen; if each were asked back,
// they would go on for ever.
TEST_CASE("native fabric: many PINGs that prove nothing are asked back once") {
  Secured secured(kNative);
  Cluster& cluster = *secured.cluster;
  const std::vector<Packet> recorded = pings_of_before(cluster);
  cluster.run_for(10ms);
  const std::uint64_t before = cluster.status(2, 1, 0).stats.tx_ping.packets;
  for (const Packet& packet : recorded)
    cluster.inject(2, 1, 0, packet.bytes);
  cluster.run_for(5ms);
  CHECK(cluster.status(2, 1, 0).stats.tx_ping.packets <= before + 1);
}

TEST_CASE("native fabric: PINGs that prove nothing cause one packet each, and not many") {
  Secured secured(kNative);
  Cluster& cluster = *secured.cluster;
  const std::vector<Packet> recorded = pings_of_before(cluster);
  cluster.run_for(30ms);
  Node& node = cluster.node(2);
  const auto out = [&] {
    const LinkStats stats = cluster.status(2, 1, 0).stats;
    return stats.tx_ping.packets + stats.tx_pong.packets;
  };
  std::uint64_t before = out();
  cluster.inject(2, 1, 0, recorded[0].bytes);
  cluster.settle();
  CHECK(out() == before + 2);  // the first of an epoch: asked and answered
  cluster.run_for(30ms);
  before = out();
  // PONGs are among them.
  for (std::size_t i = 1; i <= 4; ++i)
    cluster.inject(2, 1, 0, recorded[i].bytes);
  cluster.settle();
  CHECK(out() > before);
  CHECK(out() < before + 4);
  before = out();
  const std::uint64_t refused = node.drops(Drop::kSealUnverified);
  const Instant began = cluster.now;
  for (int round = 0; round < 100; ++round) {
    for (std::size_t i = 0; i < 100; ++i)
      cluster.inject(2, 1, 0, recorded[i].bytes);
    cluster.run_for(1ms);
  }
  const Duration gone = cluster.now - began;
  CHECK(out() - before <= static_cast<std::uint64_t>(gone / Link::kUnverifiedGap) +
                              Link::kUnverifiedBurst + 12);  // and asking, every 12 ms
  CHECK(node.drops(Drop::kSealUnverified) >= refused + 90);
}

namespace {

// Node 1 learns where node 2 is.
void make_dynamic(Cluster& cluster) {
  Fabric& fabric = cluster.fabric(1);
  const PingTimers timers = cluster.status(1, 2, 0).timers;
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
  REQUIRE(fabric.link_clear(cluster.now, host_id(2), link_id(0)).ok());
  const LinkConfig config{.dynamic = true, .socket = SocketId{0}, .local = address_of(1, 0)};
  REQUIRE(fabric.link_configure(cluster.now, host_id(2), link_id(0), config).ok());
  REQUIRE(fabric.link_set_timers(cluster.now, host_id(2), link_id(0), timers).ok());
  REQUIRE(fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), true).ok());
}

}  // namespace

TEST_CASE("secured fabric: a dynamic link follows who proves itself, and no repetition") {
  for (const NamedSuite& suite : {kNative, kClassic}) {
    const bool native = suite.model == kNative.model;
    CAPTURE(native);
    Secured secured(suite);
    Cluster& cluster = *secured.cluster;
    make_dynamic(cluster);
    REQUIRE(cluster.connect());
    const std::size_t size = cluster.fabric(1).keyring().shape().size(kPingSize);
    // A PING that is kept from arriving, while PONGs pass; both look the same from outside.
    std::vector<Packet> kept;
    cluster.tap = [&](const Packet& packet) {
      const bool is_ping = packet.from == 2 && packet.bytes.size() == size &&
                           packet.at.time_since_epoch() % 100ms == 1ms;
      if (is_ping)
        kept.push_back(packet);
      return !is_ping;
    };
    REQUIRE(cluster.run_until([&] { return kept.size() >= 2; }, 1s));
    const auto receive = [&](const Packet& packet, const Address& from) {
      Bytes bytes = packet.bytes;
      cluster.fabric(1).on_datagram(cluster.now, SocketId{0}, from, bytes);
    };
    const Address home = address_of(2, 0);
    Address elsewhere = home;
    elsewhere.port = 40001;
    receive(kept[1], elsewhere);
    CHECK(cluster.status(1, 2, 0).config.remote == (native ? elsewhere : home));
    // What was sent before that one, and what came already, lead nowhere.
    receive(kept[0], address_of(9, 0));
    receive(kept[1], address_of(9, 0));
    CHECK(cluster.status(1, 2, 0).config.remote == (native ? elsewhere : home));
  }
}

TEST_CASE("native fabric: a member that speaks for another is not believed") {
  Secured secured(kNative, {.nodes = 3});
  Cluster& cluster = *secured.cluster;
  REQUIRE(cluster.connect());
  Node& node = cluster.node(2);
  // Node 3 seals a packet that names node 1.
  Keyring& keyring = cluster.fabric(3).keyring();
  const Bytes clear = ping_packet({.host = 1});
  const SealShape shape = keyring.shape();
  Bytes sealed(shape.size(clear.size()));
  std::ranges::copy(clear, sealed.begin() + static_cast<std::ptrdiff_t>(shape.lead));
  REQUIRE(keyring.seal(sealed, clear.size()));
  const std::string before = observe(node, cluster.now);
  cluster.inject(2, 1, 0, sealed);
  CHECK(node.drops(Drop::kSealImpostor) == 1);
  CHECK(observe(node, cluster.now) == before);
}

TEST_CASE("secured fabric: damaged packets are dropped and counted, whatever the damage") {
  for (const NamedSuite& suite : {kClassic, kNative}) {
    CAPTURE(label(suite));
    Secured secured(suite);
    Cluster& cluster = *secured.cluster;
    cluster.recording = true;
    REQUIRE(cluster.connect());
    exchange(cluster, 6);
    const std::vector<Packet> recorded = cluster.log;
    cluster.recording = false;
    Node& node = cluster.node(2);
    const std::string before = observe(node, cluster.now);
    const std::size_t received = node.received.size();
    Random random(5);
    for (const Packet& packet : recorded) {
      if (packet.from != 1)
        continue;
      Bytes damaged = packet.bytes;
      if (random.chance(0.5)) {
        damaged[random.between(0, damaged.size() - 1)] ^= std::byte{1};
      } else {
        damaged.resize(random.between(1, damaged.size() - 1));
      }
      cluster.inject(2, 1, 0, damaged);
    }
    CHECK(observe(node, cluster.now) == before);
    CHECK(node.received.size() == received);
  }
}

TEST_CASE("drop: control packets that cannot be sealed for want of randomness") {
  Secured secured(kClassic);
  Cluster& cluster = *secured.cluster;
  REQUIRE(cluster.connect());
  secured.random.working = false;
  cluster.run_for(1s);
  CHECK(cluster.node(1).drops(Drop::kSealFailed) > 0);
  CHECK(cluster.node(2).drops(Drop::kSealFailed) > 0);
  CHECK(cluster.send(1, pattern(100)).error != Error::kNone);
  // It was for a moment only.
  secured.random.working = true;
  REQUIRE(cluster.run_until([&] {
    return *cluster.fabric(1).host_reachable(host_id(2)) &&
           *cluster.fabric(2).host_reachable(host_id(1));
  }));
  exchange(cluster, 6);
}

}  // namespace ringknet::test
