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

// Two nodes that both were held up find each other's PINGs by the dozen; if each were asked back,
// they would go on for ever.
TEST_CASE("native fabric: many PINGs that prove nothing are asked back once") {
  Secured secured(kNative);
  Cluster& cluster = *secured.cluster;
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
  cluster.run_for(10ms);
  const std::uint64_t before = cluster.status(2, 1, 0).stats.tx_ping.packets;
  for (const Packet& packet : recorded)
    cluster.inject(2, 1, 0, packet.bytes);
  cluster.run_for(5ms);
  CHECK(cluster.status(2, 1, 0).stats.tx_ping.packets <= before + 1);
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
