// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Refusals leak nothing: whatever is refused, dropped or lost, the slabs, buffers and slots that
// are taken are counted after each one, and not only what the drop counter says.
#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

// Everything a fabric holds for traffic.
struct Held {
  std::size_t slabs;
  std::size_t buffers;
  std::size_t sends;
  std::size_t control;
  bool data;

  explicit Held(const Node& node)
      : slabs(node.inspect.free_slabs()),
        buffers(node.inspect.buffers_in_use()),
        sends(node.inspect.in_flight()),
        control(node.inspect.control_waiting() + node.inspect.probes_waiting()),
        data(node.fabric.data_pending()) {}
  friend bool operator==(const Held&, const Held&) = default;
};

// An envelope that refuses to seal the packet after the next `left` ones, in rows or one by one.
class RefusingSealer final : public Sealer {
 public:
  RefusingSealer(int& left, bool rows)
      : Sealer({.block = 0, .lead = 3, .mac = 5}), left_(left), rows_(rows) {}
  std::string_view name() const override { return "refusing"; }
  bool seal(MutableBytes buffer, std::size_t clear) override {
    CHECK(buffer.size() == shape().size(clear));
    return left_-- > 0;
  }
  bool seals_rows() const override { return rows_; }
  OpenResult open(MutableBytes buffer) override {
    if (buffer.size() < 8)
      return Drop::kSealShort;
    return Opened{.clear = buffer.subspan(3, buffer.size() - 8), .proof = Proof::kKey};
  }

 private:
  int& left_;
  bool rows_;
};

constexpr int kAlways = 1'000'000'000;

// A cluster in which node 1 seals with a RefusingSealer, and node 2 with one that never refuses.
struct Refusing {
  explicit Refusing(bool rows, std::size_t slabs = 12) {
    cluster = std::make_unique<Cluster>(Cluster::Settings{
        .transmit_slabs = slabs, .equip = [this, rows](unsigned id, Fabric& fabric) {
          int& count = id == 1 ? left : never;
          REQUIRE(
              fabric.crypto_install(Instant{}, 1, std::make_unique<RefusingSealer>(count, rows)));
          REQUIRE(fabric.crypto_use(Instant{}, 1));
        }});
    REQUIRE(cluster->connect());
    // The slab that data is written to is open from here on.
    REQUIRE(cluster->send(1, pattern(60000)).error == Error::kNone);
    cluster->run_for(5ms);
  }
  int left = kAlways;
  int never = kAlways;
  std::unique_ptr<Cluster> cluster;
};

class FailingDecompressor final : public Decompressor {
 public:
  std::size_t decompress(ConstBytes, MutableBytes) override { return 0; }
};

}  // namespace

TEST_CASE("refusal: a message that cannot be sealed holds nothing, whichever packet it is") {
  for (const bool rows : {false, true}) {
    CAPTURE(rows);
    Refusing refusing(rows);
    Node& node = refusing.cluster->node(1);
    const Held before(node);
    for (int round = 0; round < 100; ++round) {
      CAPTURE(round);
      refusing.left = round % 7;
      const std::size_t size = round % 7 == 0 ? 100 : 14000;
      REQUIRE(refusing.cluster->fabric(1)
                  .send(refusing.cluster->now, Channel{0}, pattern(size), Destinations::all())
                  .error == Error::kSealFailed);
      REQUIRE(Held(node) == before);
    }
    refusing.left = kAlways;
    const std::size_t received = refusing.cluster->node(2).received.size();
    REQUIRE(refusing.cluster->send(1, pattern(14000)).error == Error::kNone);
    refusing.cluster->run_for(5ms);
    CHECK(refusing.cluster->node(2).received.size() == received + 1);
  }
}

TEST_CASE("refusal: control packets and probes that cannot be sealed hold nothing") {
  Refusing refusing(false);
  Cluster& cluster = *refusing.cluster;
  Node& node = cluster.node(1);
  cluster.run_for(300ms);
  const Held before(node);
  refusing.left = 0;
  for (int round = 0; round < 200; ++round) {
    cluster.inject(1, 2, 0, Bytes(8));
    Bytes ping = ping_packet({.host = 2, .clock = cluster.now});
    ping.insert(ping.begin(), 3, std::byte{0});
    ping.insert(ping.end(), 5, std::byte{0});
    cluster.inject(1, 2, 0, ping);
    REQUIRE(node.fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), false).ok());
    REQUIRE(node.fabric.link_set_enabled(cluster.now, host_id(2), link_id(0), true).ok());
    Transmit transmit;
    REQUIRE_FALSE(node.fabric.poll_transmit(cluster.now, transmit));
    REQUIRE(Held(node) == before);
  }
  CHECK(node.drops(Drop::kSealFailed) >= 400);  // a PONG and a probe each time
}

TEST_CASE("refusal: what send() refuses holds nothing") {
  Cluster cluster({.nodes = 3});
  REQUIRE(cluster.connect());
  cluster.send(1, pattern(60000));
  cluster.run_for(5ms);
  cluster.cut(1, 3, 0);
  cluster.run_for(2s);
  Node& node = cluster.node(1);
  const Held before(node);
  const std::vector<HostId> down = {host_id(3)};
  const std::vector<HostId> unknown = {host_id(9)};
  for (int round = 0; round < 50; ++round) {
    CHECK(cluster.send(1, {}).error == Error::kInvalid);
    CHECK(cluster.send(1, pattern(kMessageSizeMax + 1)).error == Error::kInvalid);
    CHECK(cluster.send(1, pattern(10), Destinations::all(), kChannelCount).error ==
          Error::kInvalid);
    CHECK(cluster.send(1, pattern(50000), Destinations::to(down)).error == Error::kHostDown);
    CHECK(cluster.send(1, pattern(50000), Destinations::to(unknown)).error == Error::kHostDown);
    REQUIRE(Held(node) == before);
  }
}

TEST_CASE("refusal: data that is lost for good gives its slabs back, however it is lost") {
  Cluster cluster({.links = 2, .transmit_slabs = 12});
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  cluster.send(1, pattern(60000));
  cluster.run_for(5ms);
  const auto quiet = [&] {
    cluster.run_for(300ms);  // a window that nobody answers opens again
    CHECK_FALSE(node.fabric.data_pending());
    CHECK(node.inspect.in_flight() == 0);
    CHECK(node.inspect.free_slabs() + 2 >= 12);
  };
  quiet();
  SUBCASE("both links refuse it") {
    for (unsigned link = 0; link < 2; ++link)
      cluster.path(1, 2, link).status = TransmitResult::Status::kFailed;
    for (int round = 0; round < 100; ++round) {
      cluster.send(1, pattern(60000));
      quiet();
    }
  }
  SUBCASE("its links are disabled while it waits") {
    for (int round = 0; round < 100; ++round) {
      REQUIRE(
          node.fabric.send(cluster.now, Channel{0}, pattern(60000), Destinations::all()).error ==
          Error::kNone);
      for (unsigned link = 0; link < 2; ++link)
        REQUIRE(node.fabric.link_set_enabled(cluster.now, host_id(2), link_id(link), false).ok());
      quiet();
      for (unsigned link = 0; link < 2; ++link)
        REQUIRE(node.fabric.link_set_enabled(cluster.now, host_id(2), link_id(link), true).ok());
      quiet();
    }
    CHECK(node.drops(Drop::kLinkGone) > 0);
  }
  SUBCASE("its link and its host are removed while it waits, and while it is sent") {
    node.holding = true;
    for (int message = 0; message < 6; ++message)
      cluster.send(1, pattern(60000));
    for (int message = 0; message < 2; ++message)
      node.fabric.send(cluster.now, Channel{0}, pattern(1000), Destinations::all());
    for (unsigned link = 0; link < 2; ++link) {
      REQUIRE(node.fabric.link_set_enabled(cluster.now, host_id(2), link_id(link), false).ok());
      REQUIRE(node.fabric.link_clear(cluster.now, host_id(2), link_id(link)).ok());
    }
    REQUIRE(node.fabric.host_remove(host_id(2)).ok());
    node.holding = false;
    cluster.finish_held(1, {.status = TransmitResult::Status::kFailed});
    quiet();
    CHECK(node.fabric.next_deadline() == kNever);
  }
}

TEST_CASE("refusal: what cannot be decompressed holds no buffer, whole or in pieces") {
  Cluster cluster({.prepare = [](Fabric::Config& config) {
    config.decompressors[2] = std::make_unique<FailingDecompressor>();
  }});
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  for (unsigned round = 0; round < 50; ++round) {
    const unsigned compress = round % 2 == 0 ? 2 : 7;  // fails, and is not there
    const RawData whole{.host = 2, .seq = 100 + 2 * round, .compress = compress};
    cluster.inject(1, 2, 0, data_packet(whole, pattern(100)));
    RawData piece{.host = 2, .seq = 101 + 2 * round, .compress = compress, .count = 2, .index = 1};
    cluster.inject(1, 2, 0, data_packet(piece, pattern(1000)));
    REQUIRE(node.inspect.buffers_in_use() == 1);
    piece.index = 2;
    cluster.inject(1, 2, 0, data_packet(piece, pattern(500)));
    REQUIRE(node.inspect.buffers_in_use() == 0);
  }
  CHECK(node.drops(Drop::kDecompress) == 50);
  CHECK(node.drops(Drop::kCompressUnsupported) == 50);
}

TEST_CASE("refusal: a fragment that is refused holds no buffer") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  const auto give = [&](const RawData& raw, std::size_t size) {
    cluster.inject(1, 2, 0, data_packet(raw, pattern(size)));
    return node.inspect.buffers_in_use();
  };
  // First of its message and beyond its end.
  for (unsigned seq = 10; seq < 60; ++seq) {
    REQUIRE(give({.host = 2, .seq = seq, .count = 60, .index = 1}, 1400) == 0);
    REQUIRE(give({.host = 2, .seq = seq, .count = 60, .index = 60}, 1400) == 0);
  }
  // Of a message that has begun: repeated, of another size, of another message of that number.
  REQUIRE(give({.host = 2, .seq = 100, .count = 3, .index = 1}, 1000) == 1);
  for (int round = 0; round < 50; ++round) {
    REQUIRE(give({.host = 2, .seq = 100, .count = 3, .index = 1}, 1000) == 1);
    REQUIRE(give({.host = 2, .seq = 100, .count = 3, .index = 2}, 900) == 1);
    REQUIRE(give({.host = 2, .seq = 100, .count = 3, .index = 3}, 1001) == 1);
    REQUIRE(give({.host = 2, .seq = 100, .count = 4, .index = 2}, 1000) == 1);
    REQUIRE(give({.host = 2, .seq = 100, .count = 3, .index = 2, .channel = 1}, 1000) == 1);
    REQUIRE(give({.host = 2, .seq = 100, .compress = 1, .count = 3, .index = 2}, 1000) == 1);
  }
  const std::size_t received = node.received.size();
  REQUIRE(give({.host = 2, .seq = 100, .count = 3, .index = 2}, 1000) == 1);
  REQUIRE(give({.host = 2, .seq = 100, .count = 3, .index = 3}, 10) == 0);
  CHECK(node.received.size() == received + 1);
}

TEST_CASE("refusal: more failed sends than can be tried again give their slabs back") {
  Cluster cluster({.links = 2});
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  node.holding = true;
  for (std::size_t sent = 0; sent < 700; ++sent)
    REQUIRE(cluster.send(1, pattern(1400)).error == Error::kNone);  // many slabs full
  cluster.finish_held(1, {.status = TransmitResult::Status::kFailed});
  node.holding = false;
  cluster.settle();
  cluster.run_for(5ms);
  CHECK(node.inspect.in_flight() == 0);
  CHECK(node.inspect.free_slabs() + 2 >= 48);
}

// The number comes round again before the partial message is old: by then nothing is left of it.
TEST_CASE(
    "refusal: a partial message that whole ones left behind holds nothing and joins nothing") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  Node& node = cluster.node(1);
  RawData piece{.host = 2, .seq = 10, .count = 2, .index = 1};
  cluster.inject(1, 2, 0, data_packet(piece, pattern(1000)));
  REQUIRE(node.inspect.buffers_in_use() == 1);
  const Bytes payload = text_bytes("whole");
  for (unsigned next = 11; next != 10; next = next == 65535 ? 1 : next + 1)
    cluster.inject(1, 2, 0, data_packet({.host = 2, .seq = next}, payload));
  CHECK(node.inspect.buffers_in_use() == 0);
  const std::size_t received = node.received.size();
  CHECK(received == 65534);
  piece.index = 2;
  cluster.inject(1, 2, 0, data_packet(piece, pattern(500)));
  CHECK(node.received.size() == received);
  CHECK(node.inspect.buffers_in_use() == 1);
}

}  // namespace ringknet::test
