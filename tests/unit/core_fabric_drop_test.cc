// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Every reason for which the core drops something, reached one by one, and that a drop does nothing
// else. Reasons that the I/O engine counts (forwarding off, filter, channel closed, reader slow,
// reader error) are not the core's; its counter for them is tested at the end.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

// Two connected nodes; tests speak to node 1 as if they were node 2 on link 0.
struct Fixture {
  Fixture() {
    REQUIRE(cluster.connect());
    cluster.run_for(50ms);
    // From here on nothing moves by itself.
    cluster.both_ways(1, 2, 0, [](Path& path) { path.cut = true; });
    cluster.run_for(5ms);
  }

  Cluster cluster;
  Node& node = cluster.node(1);

  // What node 1 counts when this packet comes in, having made sure that nothing else happens.
  std::string dropped(const Bytes& bytes, const Address& from, bool with_receive_counters) {
    const std::string before = observe(node, cluster.now, with_receive_counters);
    const DropCounters counters = node.fabric.drops();
    const std::size_t received = node.received.size();
    Bytes copy = bytes;
    const auto delivery = node.fabric.on_datagram(cluster.now, SocketId{0}, from, copy);
    CHECK_FALSE(delivery);
    CHECK(observe(node, cluster.now, with_receive_counters) == before);
    CHECK(node.received.size() == received);
    CHECK(same(copy, bytes));
    return drop_text(counters, node.fabric.drops());
  }
  // For bytes that are wrong by themselves: not even a received packet is counted.
  std::string malformed(const Bytes& bytes) { return dropped(bytes, cluster.address(2, 0), true); }
  // For legal bytes in the wrong place.
  std::string misplaced(const Bytes& bytes) { return dropped(bytes, cluster.address(2, 0), false); }

  // The link still works: a message gets through.
  void works() {
    cluster.both_ways(1, 2, 0, [](Path& path) { path.cut = false; });
    const std::size_t before = node.received.size();
    const Bytes message = pattern(3000);
    CHECK(cluster.send(2, message).error == Error::kNone);
    cluster.run_for(10ms);
    REQUIRE(node.received.size() == before + 1);
    CHECK(same(node.received.back().bytes, message));
  }
};

const Bytes kPayload = text_bytes("hello");

}  // namespace

TEST_CASE("drop: too short") {
  Fixture fixture;
  CHECK(fixture.malformed({}) == "too short:1");
  CHECK(fixture.malformed(hex("01 00 00 02 00")) == "too short:1");
  CHECK(fixture.malformed(hex("01 81 00 02 00 00 00")) == "too short:1");
  CHECK(fixture.malformed(hex("01 83 00 02 00 00 00 dc")) == "too short:1");
  const Bytes data = data_packet({.host = 2}, kPayload);
  CHECK(fixture.malformed(Bytes(data.begin(), data.begin() + 13)) == "too short:1");
  fixture.works();
}

TEST_CASE("drop: too long") {
  Fixture fixture;
  CHECK(fixture.malformed(data_packet({.host = 2}, Bytes(65537))) == "too long:1");
  fixture.works();
}

TEST_CASE("drop: version") {
  Fixture fixture;
  for (const unsigned version : {0u, 2u, 255u}) {
    Bytes packet = data_packet({.host = 2}, kPayload);
    packet[0] = std::byte(version);
    CHECK(fixture.malformed(packet) == "version:1");
  }
  fixture.works();
}

TEST_CASE("drop: type") {
  Fixture fixture;
  for (const unsigned type : {0x01u, 0x7fu, 0x80u, 0x85u, 0xffu}) {
    Bytes packet = ping_packet({.host = 2});
    packet[1] = std::byte(type);
    CHECK(fixture.malformed(packet) == "type:1");
  }
  fixture.works();
}

TEST_CASE("drop: link id") {
  Fixture fixture;
  for (const unsigned link : {8u, 9u, 255u}) {
    CHECK(fixture.malformed(ping_packet({.host = 2, .link = link})) == "link id:1");
    CHECK(fixture.malformed(ping_packet({.type = 0x82, .host = 2, .link = link})) == "link id:1");
    CHECK(fixture.malformed(mtu_packet({.host = 2, .link = link}, 1472)) == "link id:1");
    CHECK(fixture.malformed(mtu_packet({.type = 0x84, .host = 2, .link = link})) == "link id:1");
  }
  fixture.works();
}

TEST_CASE("drop: channel") {
  Fixture fixture;
  for (const unsigned channel : {32u, 127u, 128u, 255u})
    CHECK(fixture.malformed(data_packet({.host = 2, .channel = channel}, kPayload)) == "channel:1");
  fixture.works();
}

TEST_CASE("drop: sequence zero") {
  Fixture fixture;
  CHECK(fixture.malformed(data_packet({.host = 2, .seq = 0}, kPayload)) == "sequence zero:1");
  fixture.works();
}

TEST_CASE("drop: compress id") {
  Fixture fixture;
  CHECK(fixture.malformed(data_packet({.host = 2, .compress = 8}, kPayload)) == "compress id:1");
  CHECK(fixture.malformed(data_packet({.host = 2, .compress = 255}, kPayload)) == "compress id:1");
  fixture.works();
}

TEST_CASE("drop: fragment count") {
  Fixture fixture;
  CHECK(fixture.malformed(data_packet({.host = 2, .count = 0}, kPayload)) == "fragment count:1");
  CHECK(fixture.malformed(data_packet({.host = 2, .count = 255, .index = 1}, kPayload)) ==
        "fragment count:1");
  fixture.works();
}

TEST_CASE("drop: fragment index") {
  Fixture fixture;
  CHECK(fixture.malformed(data_packet({.host = 2, .count = 3, .index = 0}, kPayload)) ==
        "fragment index:1");
  CHECK(fixture.malformed(data_packet({.host = 2, .count = 3, .index = 4}, kPayload)) ==
        "fragment index:1");
  fixture.works();
}

TEST_CASE("drop: empty") {
  Fixture fixture;
  CHECK(fixture.malformed(data_packet({.host = 2}, {})) == "empty:1");
  CHECK(fixture.malformed(data_packet({.host = 2, .count = 2, .index = 2}, {})) == "empty:1");
  fixture.works();
}

TEST_CASE("drop: unknown host") {
  Fixture fixture;
  for (const unsigned host : {0u, 1u, 3u, 65535u}) {
    CHECK(fixture.malformed(data_packet({.host = host}, kPayload)) == "unknown host:1");
    CHECK(fixture.malformed(ping_packet({.host = host})) == "unknown host:1");
    CHECK(fixture.malformed(mtu_packet({.host = host}, 1472)) == "unknown host:1");
  }
  fixture.works();
}

TEST_CASE("drop: unknown link") {
  Fixture fixture;
  CHECK(fixture.malformed(ping_packet({.host = 2, .link = 1})) == "unknown link:1");
  CHECK(fixture.malformed(ping_packet({.type = 0x82, .host = 2, .link = 7})) == "unknown link:1");
  CHECK(fixture.malformed(mtu_packet({.type = 0x84, .host = 2, .link = 1})) == "unknown link:1");
  fixture.works();
}

TEST_CASE("drop: source address of control packets on static links") {
  Fixture fixture;
  const Address stranger = fixture.cluster.address(9, 0);
  CHECK(fixture.dropped(ping_packet({.host = 2}), stranger, true) == "source address:1");
  CHECK(fixture.dropped(ping_packet({.type = 0x82, .host = 2}), stranger, true) ==
        "source address:1");
  CHECK(fixture.dropped(mtu_packet({.host = 2}, 1472), stranger, true) == "source address:1");
  fixture.works();
}

TEST_CASE("drop: no source link for data from an address that no link has") {
  Fixture fixture;
  CHECK(fixture.dropped(data_packet({.host = 2}, kPayload), fixture.cluster.address(9, 0), true) ==
        "no source link:1");
  fixture.works();
}

TEST_CASE("drop: data from a host that has proven no link yet") {
  Cluster cluster({.enabled = false});
  Node& node = cluster.node(1);
  const DropCounters before = node.fabric.drops();
  cluster.inject(1, 2, 0, data_packet({.host = 2}, kPayload));
  CHECK(drop_text(before, node.fabric.drops()) == "host unreachable:1");
  CHECK(node.received.empty());
}

TEST_CASE("drop: duplicate") {
  Fixture fixture;
  const Bytes packet = data_packet({.host = 2, .seq = 77}, kPayload);
  fixture.cluster.inject(1, 2, 0, packet);
  REQUIRE(fixture.node.received.size() == 1);
  CHECK(fixture.misplaced(packet) == "duplicate:1");
  // Fragments of a message that is done with, too, whatever they say.
  CHECK(fixture.misplaced(data_packet({.host = 2, .seq = 77, .count = 3, .index = 2}, kPayload)) ==
        "duplicate:1");
}

namespace {

// Sends fragments 1 and 3 of a three-fragment message, lets `between` do its worst, and completes
// it.
void with_partial(Fixture& fixture, const std::function<void()>& between) {
  const Bytes message = pattern(45);
  const ConstBytes bytes = message;
  const auto part = [&](unsigned index) {
    return data_packet({.host = 2, .seq = 500, .count = 3, .index = index, .channel = 4},
                       bytes.subspan((index - 1) * 18, index == 3 ? 9 : 18));
  };
  fixture.cluster.inject(1, 2, 0, part(1));
  fixture.cluster.inject(1, 2, 0, part(3));
  between();
  CHECK(fixture.node.received.empty());
  fixture.cluster.inject(1, 2, 0, part(2));
  REQUIRE(fixture.node.received.size() == 1);
  CHECK(same(fixture.node.received[0].bytes, message));
  CHECK(fixture.node.received[0].channel == 4);
  CHECK(fixture.node.inspect.buffers_in_use() == 0);
}

Bytes bad_fragment(RawData raw, std::size_t size) {
  raw.host = 2;
  raw.seq = 500;
  raw.channel = raw.channel == 0 ? 4 : raw.channel;
  return data_packet(raw, pattern(size, 99));
}

}  // namespace

TEST_CASE("drop: fragment repeated") {
  Fixture fixture;
  with_partial(fixture, [&] {
    CHECK(fixture.misplaced(bad_fragment({.count = 3, .index = 1}, 18)) == "fragment repeated:1");
    CHECK(fixture.misplaced(bad_fragment({.count = 3, .index = 3}, 9)) == "fragment repeated:1");
  });
}

TEST_CASE("drop: fragment changed") {
  Fixture fixture;
  with_partial(fixture, [&] {
    CHECK(fixture.misplaced(bad_fragment({.count = 4, .index = 2}, 18)) == "fragment changed:1");
    CHECK(fixture.misplaced(bad_fragment({.count = 3, .index = 2, .channel = 5}, 18)) ==
          "fragment changed:1");
    CHECK(fixture.misplaced(bad_fragment({.compress = 1, .count = 3, .index = 2}, 18)) ==
          "fragment changed:1");
  });
}

TEST_CASE("drop: slice size changed in mid-message") {
  Fixture fixture;
  with_partial(fixture, [&] {
    for (const std::size_t size : {1u, 17u, 19u, 1446u})
      CHECK(fixture.misplaced(bad_fragment({.count = 3, .index = 2}, size)) == "slice size:1");
  });
}

TEST_CASE("drop: fragment offset beyond the largest message") {
  Fixture fixture;
  CHECK(fixture.misplaced(bad_fragment({.count = 254, .index = 254}, 1446)) == "fragment offset:1");
  CHECK(fixture.misplaced(bad_fragment({.count = 254, .index = 1}, 1446)) == "fragment offset:1");
  // Its last fragment would have to be empty.
  CHECK(fixture.misplaced(bad_fragment({.count = 2, .index = 1}, 65536)) == "fragment offset:1");
  fixture.works();
}

TEST_CASE("drop: compression that this build cannot decode") {
  Fixture fixture;
  const DropCounters before = fixture.node.fabric.drops();
  fixture.cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = 5, .compress = 7}, kPayload));
  fixture.cluster.inject(
      1, 2, 0, data_packet({.host = 2, .seq = 6, .compress = 7, .count = 2, .index = 1}, kPayload));
  fixture.cluster.inject(
      1, 2, 0, data_packet({.host = 2, .seq = 6, .compress = 7, .count = 2, .index = 2}, kPayload));
  CHECK(drop_text(before, fixture.node.fabric.drops()) == "compression unsupported:2");
  CHECK(fixture.node.received.empty());
  CHECK(fixture.node.inspect.buffers_in_use() == 0);
}

// Partial messages have their share of the buffers; what the owner does not release is not in it.
TEST_CASE("drop: no buffers when the owner keeps complete messages") {
  Cluster cluster({.message_buffers = 2});
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  const auto receive = [&](unsigned number, unsigned index) {
    Bytes part = data_packet({.host = 2, .seq = number, .count = 2, .index = index}, kPayload);
    return node.fabric.on_datagram(cluster.now, SocketId{0}, cluster.address(2, 0), part);
  };
  const DropCounters before = node.fabric.drops();
  std::vector<MessageBufferId> kept;
  unsigned number = 0;
  while (drop_text(before, node.fabric.drops()).empty()) {
    receive(++number, 1);
    if (const auto delivery = receive(number, 2))
      kept.push_back(delivery->buffer);
    REQUIRE(number < 100);
  }
  CHECK(kept.size() >= 4);
  CHECK(drop_text(before, node.fabric.drops()) == "no buffers:2");
  // It is not lost for good: when there is room its fragments are taken.
  node.fabric.release_message(kept.back());
  CHECK_FALSE(receive(number, 1));
  CHECK(receive(number, 2));
}

TEST_CASE("drop: the longest waiting partial message is evicted by the 33rd") {
  Fixture fixture;
  const DropCounters before = fixture.node.fabric.drops();
  for (unsigned number = 1; number <= 33; ++number) {
    fixture.cluster.now += 1us;
    fixture.cluster.inject(
        1, 2, 0, data_packet({.host = 2, .seq = number, .count = 2, .index = 1}, kPayload));
  }
  CHECK(drop_text(before, fixture.node.fabric.drops()) == "evicted:1");
  // The rest of the evicted one is too late; that of another one is not.
  CHECK(fixture.misplaced(data_packet({.host = 2, .seq = 1, .count = 2, .index = 2}, kPayload)) ==
        "duplicate:1");
  fixture.cluster.inject(1, 2, 0,
                         data_packet({.host = 2, .seq = 2, .count = 2, .index = 2}, kPayload));
  CHECK(fixture.node.received.size() == 1);
}

TEST_CASE("drop: a partial message whose rest never comes expires") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  cluster.node(2).inspect.set_last_seq(seq(9));  // what its PINGs say agrees with the data
  cluster.run_for(200ms);
  const DropCounters before = node.fabric.drops();
  cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = 9, .count = 2, .index = 1}, kPayload));
  cluster.run_for(9s);
  CHECK(node.inspect.buffers_in_use() == 1);
  CHECK(drop_text(before, node.fabric.drops()).empty());
  cluster.run_for(2s);
  CHECK(node.inspect.buffers_in_use() == 0);
  CHECK(drop_text(before, node.fabric.drops()) == "expired:1");
  cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = 9, .count = 2, .index = 2}, kPayload));
  CHECK(node.received.empty());
  CHECK(node.drops(Drop::kDuplicate) == before[Drop::kDuplicate] + 1);
}

TEST_CASE("drop: partial messages of a sender that restarted are reset") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  const auto ping = [&](unsigned number) {
    cluster.now += 100ms;
    cluster.inject(1, 2, 0, ping_packet({.host = 2, .clock = cluster.now, .seq = number}));
  };
  cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = 9, .count = 2, .index = 1}, kPayload));
  cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = 8, .count = 2, .index = 2}, kPayload));
  ping(9);
  const DropCounters before = node.fabric.drops();
  ping(0);
  CHECK(drop_text(before, node.fabric.drops()) == "reset:2");
  CHECK(node.inspect.buffers_in_use() == 0);
}

TEST_CASE("drop: partial messages of a host that went away are reset") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = 9, .count = 2, .index = 1}, kPayload));
  const DropCounters before = node.fabric.drops();
  cluster.cut(1, 2, 0);
  REQUIRE(cluster.run_until([&] { return !*node.fabric.host_reachable(host_id(2)); }));
  CHECK(drop_text(before, node.fabric.drops()) == "reset:1");
  CHECK(node.inspect.buffers_in_use() == 0);
}

TEST_CASE("drop: an answer that newer ones of its link leave no room for") {
  Fixture fixture;
  Node& node = fixture.node;
  const DropCounters before = node.fabric.drops();
  for (unsigned number = 0; number < LinkControl::kPongsMax + 2; ++number)
    fixture.cluster.inject(
        1, 2, 0, ping_packet({.host = 2, .clock = fixture.cluster.now, .seq = 500 + number}));
  CHECK(drop_text(before, node.fabric.drops()) == "control queue full:2");
  for (unsigned size = 0; size < LinkControl::kMtuAnswersMax + 1; ++size)
    fixture.cluster.inject(1, 2, 0, mtu_packet({.host = 2, .size = 100 + size}, 100));
  CHECK(drop_text(before, node.fabric.drops()) == "control queue full:3");
  // One answer does for all probes of a size, in whatever order they come.
  for (unsigned size = 0; size < LinkControl::kMtuAnswersMax; ++size)
    fixture.cluster.inject(1, 2, 0, mtu_packet({.host = 2, .size = 101 + size}, 100));
  CHECK(drop_text(before, node.fabric.drops()) == "control queue full:3");
  // The newest are answered, in their order.
  fixture.cluster.recording = true;
  fixture.cluster.settle();
  std::vector<unsigned> pongs;
  std::vector<unsigned> sizes;
  for (const Packet& packet : fixture.cluster.log) {
    if (packet.type() == 0x82)
      pongs.push_back(packet.seq());
    if (packet.type() == 0x84)
      sizes.push_back(std::to_integer<unsigned>(packet.bytes[7]));
  }
  REQUIRE(pongs.size() == LinkControl::kPongsMax);
  CHECK(pongs.front() == 502);
  CHECK(pongs.back() == 501 + LinkControl::kPongsMax);
  REQUIRE(sizes.size() == LinkControl::kMtuAnswersMax);
  CHECK(sizes.front() == 101);
  CHECK(sizes.back() == 100 + LinkControl::kMtuAnswersMax);
}

TEST_CASE("drop: an MTU answer that nobody waits for") {
  Fixture fixture;
  CHECK(fixture.misplaced(mtu_packet({.type = 0x84, .host = 2, .size = 1500})) ==
        "unmatched mtu reply:1");
  CHECK(fixture.misplaced(mtu_packet({.type = 0x84, .host = 2, .size = 65535})) ==
        "unmatched mtu reply:1");
  fixture.works();
}

TEST_CASE("drop: a PONG that answers no PING of ours") {
  Fixture fixture;
  RawPing pong{.type = 0x82, .host = 2, .clock = fixture.cluster.now + 1ns};
  CHECK(fixture.misplaced(ping_packet(pong)) == "pong stamp:1");
  for (const Instant past : {Instant{}, fixture.cluster.now - 1ms, fixture.cluster.now}) {
    pong.clock = past;
    CHECK(fixture.misplaced(ping_packet(pong)) == "pong stamp:1");
  }
  Bytes garbled = ping_packet(pong);
  std::fill(garbled.begin() + 7, garbled.begin() + 23, std::byte{0xff});
  CHECK(fixture.misplaced(garbled) == "pong stamp:1");
}

TEST_CASE("drop: data whose link went away before it left") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  const DropCounters before = node.fabric.drops();
  CHECK(node.fabric.send(cluster.now, Channel{0}, kPayload, Destinations::all()).error ==
        Error::kNone);
  CHECK(node.fabric.data_pending());
  CHECK(node.fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
  Transmit transmit;
  CHECK_FALSE(node.fabric.poll_transmit(cluster.now, transmit));
  CHECK(drop_text(before, node.fabric.drops()) == "link gone:1");
  CHECK_FALSE(node.fabric.data_pending());
}

TEST_CASE("drop: a sender that the access list rejects") {
  Fixture fixture;
  Fabric& fabric = fixture.node.fabric;
  const HostId host = host_id(3);
  REQUIRE(fabric.host_add(host).ok());
  LinkConfig config{.dynamic = true, .socket = SocketId{5}, .local = address_of(1, 5)};
  REQUIRE(fabric.link_configure(fixture.cluster.now, host, link_id(0), config).ok());
  fabric.set_access_lists(true);
  const Address stranger = address_of(3, 5);
  CHECK(fixture.dropped(ping_packet({.host = 3}), stranger, true) == "access list:1");
  CHECK_FALSE(fabric.link_status(host, link_id(0))->learned);
  REQUIRE(fabric.access_insert(host, link_id(0), -1, {.first = stranger}).ok());
  fixture.cluster.inject(1, 3, 5, ping_packet({.host = 3}));
  fixture.cluster.settle();
  CHECK(fabric.link_status(host, link_id(0))->learned);
  // Data learns nothing but is checked as well.
  REQUIRE(fabric.access_clear(host, link_id(0)).ok());
  CHECK(fixture.dropped(data_packet({.host = 3}, kPayload), stranger, false) == "access list:1");
}

TEST_CASE("drop: the owner's own reasons are counted for it") {
  Cluster cluster;
  Fabric& fabric = cluster.fabric(1);
  for (const Drop reason : {Drop::kForwardingOff, Drop::kFilter, Drop::kChannelClosed,
                            Drop::kReaderSlow, Drop::kReaderError}) {
    fabric.count_drop(reason);
    CHECK(fabric.drops()[reason] == 1);
  }
  CHECK(fabric.drops().total() == 5);
}

TEST_CASE("drop: random damage to real traffic never does harm") {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    Cluster cluster({.links = 2, .policy = Policy::kActive});
    REQUIRE(cluster.connect());
    cluster.recording = true;
    std::vector<Bytes> sent;
    for (unsigned i = 0; i < 20; ++i) {
      sent.push_back(pattern(random.between(1, 6000), i));
      cluster.send(2, sent.back());
      cluster.run_for(10ms);
    }
    const std::vector<Packet> log = cluster.log;
    cluster.recording = false;
    for (int i = 0; i < 3000; ++i) {
      Bytes bytes = log[random.below(log.size())].bytes;
      for (std::uint64_t flips = random.between(1, 4); flips > 0; --flips)
        bytes[random.below(std::min<std::size_t>(bytes.size(), 30))] = std::byte(random.below(256));
      if (random.chance(0.1))
        bytes.resize(random.below(bytes.size() + 1));
      cluster.inject(1, 2, static_cast<unsigned>(random.below(2)), bytes);
      if (random.chance(0.02))
        cluster.run_for(1ms);
    }
    // Whatever was forged: the nodes find together again and talk.
    REQUIRE(cluster.run_until([&] {
      cluster.send(2, text_bytes("still here"));
      return std::ranges::any_of(cluster.node(1).received, [](const Received& received) {
        return same(received.bytes, text_bytes("still here"));
      });
    }));
  }
}

}  // namespace ringknet::test
