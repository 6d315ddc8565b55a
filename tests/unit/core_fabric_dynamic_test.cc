// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Dynamic links: whose packets teach an address, and whose do not.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

const Bytes kPayload = text_bytes("hello");

struct Out {
  unsigned type = 0;
  Address to;
  Bytes bytes;
};

// Node 1 has a dynamic link 0 to host 2: a PING a second, a timeout of two.
struct Dynamic {
  Fabric fabric{Fabric::Config{.self = host_id(1)}};
  FabricInspector inspect{fabric};
  Instant now{1000s};

  Dynamic() {
    const LinkConfig config{.dynamic = true, .socket = SocketId{3}, .local = address_of(1, 0)};
    REQUIRE(fabric.host_add(host_id(2)).ok());
    REQUIRE(fabric.link_configure(now, host_id(2), link_id(0), config).ok());
    REQUIRE(fabric.link_set_enabled(now, host_id(2), link_id(0), true).ok());
  }
  void receive(const Bytes& packet, const Address& from, unsigned socket = 3) {
    Bytes bytes = packet;
    fabric.on_datagram(now, SocketId(socket), from, bytes);
  }
  void ping(const Address& from) { receive(ping_packet({.host = 2, .clock = now}), from); }
  LinkStatus status() const { return *fabric.link_status(host_id(2), link_id(0)); }
  Address peer() const { return status().config.remote; }
  std::uint64_t refused() const { return fabric.drops()[Drop::kSourceAddress]; }
  // Everything that goes out now.
  std::vector<Out> sent() {
    std::vector<Out> packets;
    Transmit transmit;
    if (fabric.next_deadline() <= now)
      fabric.on_timeout(now);
    while (fabric.poll_transmit(now, transmit)) {
      packets.push_back({std::to_integer<unsigned>(transmit.bytes[1]), transmit.to,
                         Bytes(transmit.bytes.begin(), transmit.bytes.end())});
      fabric.on_transmit_done(now, transmit.id, {});
    }
    return packets;
  }
  std::vector<Event> learned() {
    std::vector<Event> moves;
    Event event{};
    while (fabric.poll_event(event)) {
      if (event.kind == Event::Kind::kLinkLearned)
        moves.push_back(event);
    }
    return moves;
  }
  // The peer at `where` answers what is sent to it and asks every second; whoever else is sent a
  // PING is silent. PINGs that went elsewhere are counted.
  unsigned live(const Address& where, Duration duration, bool asks = true) {
    unsigned elsewhere = 0;
    for (const Instant end = now + duration; now < end; now += 5ms) {
      if (asks && now.time_since_epoch() % 1s == 500ms)
        ping(where);
      for (const Out& out : sent()) {
        if (out.type != 0x81)
          continue;
        if (!(out.to == where)) {
          ++elsewhere;
          continue;
        }
        Bytes answer = out.bytes;
        answer[1] = std::byte{0x82};
        answer[3] = std::byte{2};
        receive(answer, where);
      }
    }
    return elsewhere;
  }
  void connect(const Address& where) {
    live(where, 10s);
    REQUIRE(status().connected);
    REQUIRE(peer() == where);
    learned();
  }
};

const Address kHome = address_of(7, 0);
const Address kElsewhere = address_of(8, 0);
const Address kStranger = address_of(9, 0);

}  // namespace

TEST_CASE("fabric dynamic: silent until a PING names it, and then one packet for one") {
  Dynamic node;
  node.now += 10s;
  CHECK(node.sent().empty());
  CHECK(node.fabric.next_deadline() == kNever);
  node.receive(data_packet({.host = 2}, kPayload), kHome);
  CHECK_FALSE(node.status().learned);
  node.now += 100ms;
  node.ping(kHome);
  CHECK(node.status().learned);
  CHECK(node.peer() == kHome);
  const auto moves = node.learned();
  REQUIRE(moves.size() == 1);
  CHECK(moves[0].address == kHome);
  CHECK_FALSE(moves[0].previous.known());
  auto sent = node.sent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].type == 0x82);
  CHECK(sent[0].to == kHome);
  // Its own PING leaves at the next multiple of the interval.
  CHECK(node.fabric.next_deadline() == Instant{1011s});
  node.now = Instant{1011s};
  sent = node.sent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].type == 0x81);
  CHECK(sent[0].to == kHome);
}

TEST_CASE("fabric dynamic: nothing but a PING teaches an address") {
  for (const Bytes& packet : {ping_packet({.type = 0x82, .host = 2}), mtu_packet({.host = 2}, 100),
                              mtu_packet({.type = 0x84, .host = 2})}) {
    Dynamic node;
    node.receive(packet, kHome);
    CHECK_FALSE(node.status().learned);
    CHECK(node.refused() == 1);
    CHECK(node.sent().empty());
    node.connect(kHome);
    const std::uint64_t before = node.refused();
    node.sent();
    node.receive(packet, kStranger);
    CHECK(node.peer() == kHome);
    CHECK(node.refused() == before + 1);
    CHECK(node.sent().empty());
  }
}

TEST_CASE("fabric dynamic: an address that never answered is given up for the next one") {
  Dynamic node;
  Address where = kHome;
  node.ping(where);
  node.ping(where);
  CHECK(node.learned().size() == 1);
  where.port = 40001;
  node.ping(where);
  CHECK(node.peer() == kHome);  // it has had no time to answer
  CHECK(node.refused() == 1);
  node.now += 125ms;
  node.ping(where);
  CHECK(node.peer() == where);
  const auto moves = node.learned();
  REQUIRE(moves.size() == 1);
  CHECK(moves[0].previous == kHome);
  CHECK(moves[0].address == where);
  node.now += 125ms;
  node.receive(ping_packet({.host = 2}), kElsewhere, 4);
  CHECK(node.peer() == kElsewhere);
  CHECK(node.status().config.socket == SocketId{4});
  for (const Out& out : node.sent())
    CHECK(out.to == kElsewhere);
}

TEST_CASE("fabric dynamic: an address that does not answer is not asked for ever") {
  Dynamic node;
  node.ping(kHome);
  unsigned packets = 0;
  for (const Instant end = node.now + 60s; node.now < end; node.now += 10ms)
    packets += static_cast<unsigned>(node.sent().size());
  CHECK(packets >= 2);
  CHECK(packets <= 4);  // a PONG, and PINGs until the timeout of two intervals
  CHECK_FALSE(node.status().learned);
  CHECK(node.fabric.next_deadline() == kNever);
}

TEST_CASE("fabric dynamic: a link whose peer answers is led away by nobody") {
  Dynamic node;
  node.connect(kHome);
  const std::uint64_t before = node.refused();
  unsigned strangers = 0;
  for (int i = 0; i < 100; ++i) {
    for (int k = 0; k < 5; ++k) {
      node.ping(kStranger);
      ++strangers;
    }
    REQUIRE(node.live(kHome, 50ms) == 0);
    REQUIRE(node.status().connected);
  }
  CHECK(node.peer() == kHome);
  CHECK(node.learned().empty());
  CHECK(node.refused() == before + strangers);
}

// Who is not answered by us is asked himself, and that not for each packet.
TEST_CASE("fabric dynamic: a stranger's PING causes one packet at most, to the peer") {
  Dynamic node;
  node.connect(kHome);
  node.sent();
  node.now += 200ms;
  node.ping(kStranger);
  auto sent = node.sent();
  REQUIRE(sent.size() == 1);
  CHECK(sent[0].type == 0x81);
  CHECK(sent[0].to == kHome);
  for (int i = 0; i < 100; ++i)
    node.ping(kStranger);
  CHECK(node.sent().empty());
}

TEST_CASE("fabric dynamic: a peer that moved is followed when its old address is silent") {
  Dynamic node;
  node.connect(kHome);
  const std::uint64_t downs = node.status().stats.downs.count;
  const Instant moved = node.now;
  node.live(kElsewhere, 3s);
  CHECK(node.peer() == kElsewhere);
  const auto moves = node.learned();
  REQUIRE(moves.size() == 1);
  CHECK(moves[0].address == kElsewhere);
  CHECK(moves[0].previous == kHome);
  CHECK(node.status().connected);
  CHECK(node.status().stats.downs.count == downs);
  CHECK(node.status().last_pong > moved);
}

TEST_CASE("fabric dynamic: a peer that moved before its link was up is followed as soon") {
  Dynamic node;
  REQUIRE(node.fabric
              .link_set_timers(node.now, host_id(2), link_id(0),
                               {.interval = 1s, .timeout = 20s, .precision = 2048})
              .ok());
  REQUIRE(node.fabric.link_set_pong_count(host_id(2), link_id(0), 5).ok());
  node.live(kHome, 2s);
  CHECK(node.status().stats.rx_pong.packets > 0);
  CHECK_FALSE(node.status().connected);
  node.live(kElsewhere, 3s);
  CHECK(node.peer() == kElsewhere);
  node.live(kElsewhere, 6s);
  CHECK(node.status().connected);
  CHECK(node.status().stats.downs.count == 0);
}

TEST_CASE("fabric dynamic: a PONG from another address is no sign of life") {
  Dynamic node;
  node.connect(kHome);
  const Instant last = node.status().last_pong;
  // Even one that answers a PING of ours.
  for (int i = 0; i < 1000 && node.status().connected; ++i, node.now += 10ms) {
    for (const Out& out : node.sent()) {
      Bytes answer = out.bytes;
      answer[1] = std::byte{0x82};
      answer[3] = std::byte{2};
      node.receive(answer, kStranger);
    }
    if (node.status().connected)
      CHECK(node.status().last_pong == last);
  }
  CHECK_FALSE(node.status().connected);
}

TEST_CASE("fabric dynamic: forged trouble reports do not help to lead a link away") {
  Dynamic node;
  node.connect(kHome);
  for (int i = 0; i < 50; ++i) {
    node.fabric.on_path_error(node.now, {.socket = SocketId{3}, .to = kHome});
    node.ping(kStranger);
    REQUIRE(node.peer() == kHome);
    node.live(kHome, 40ms);
  }
}

TEST_CASE("fabric dynamic: a peer that fell silent is waited for") {
  Dynamic node;
  node.connect(kHome);
  for (int i = 0; i < 100 && node.status().connected; ++i) {
    node.now = std::max(node.now, node.fabric.next_deadline());
    node.sent();
  }
  CHECK_FALSE(node.status().connected);
  CHECK_FALSE(node.status().learned);
  node.now += 10s;
  CHECK(node.sent().empty());
  CHECK(node.fabric.next_deadline() == kNever);
  // The same address again: learned again.
  node.ping(kHome);
  CHECK(node.status().learned);
  CHECK(node.sent().size() == 1);
}

}  // namespace ringknet::test
