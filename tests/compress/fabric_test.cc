// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Fabrics that compress: what arrives, what is counted, and when trying is given up.
#include <doctest/doctest.h>

#include "engine/compress/codecs/codecs.h"
#include "engine/core/compress_gauge.h"
#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

Cluster::Settings with_codecs() {
  Cluster::Settings settings;
  settings.prepare = [](Fabric::Config& config) {
    for (const CodecModel& model : codec_models())
      config.decompressors[static_cast<std::size_t>(model.id)] = model.decompressor();
  };
  return settings;
}

void compress_with(Fabric& fabric, const CodecModel& model, std::size_t threshold = 100) {
  fabric.set_compressor(make_tested_compressor(model, model.default_level), model.id, threshold);
}

Bytes zeros(std::size_t size) {
  return Bytes(size, std::byte{0});
}

}  // namespace

TEST_CASE("compressed fabric: every model, every size, mixed with what does not shrink") {
  Cluster cluster(with_codecs());
  REQUIRE(cluster.connect());
  const Node& receiver = cluster.node(2);
  std::size_t sent = 0;
  for (const CodecModel& model : codec_models()) {
    CAPTURE(model.name);
    compress_with(cluster.fabric(1), model);
    for (const std::size_t size : {1, 100, 101, 1446, 3000, 65536}) {
      CAPTURE(size);
      for (const Bytes& message : {zeros(size), pattern(size, size)}) {
        REQUIRE(cluster.send(1, message).error == Error::kNone);
        cluster.run_for(3ms);
        REQUIRE(receiver.received.size() == ++sent);
        CHECK(same(receiver.received.back().bytes, message));
      }
    }
  }
  const HandleStats& out = cluster.fabric(1).stats();
  const HandleStats& in = cluster.fabric(2).stats();
  CHECK(in.rx_compressed == codec_models().size() * 4);  // zeros of more than 100 bytes
  CHECK(in.rx_compressed_to == codec_models().size() * (101 + 1446 + 3000 + 65536));
  CHECK(in.rx_compressed_from < in.rx_compressed_to / 10);
  CHECK(out.tx_compressed >= in.rx_compressed);
  CHECK(out.tx_uncompressed == sent - in.rx_compressed);
  CHECK(cluster.node(2).inspect.buffers_in_use() == 0);
}

TEST_CASE("compressed fabric: the threshold, and none switches off") {
  Cluster cluster(with_codecs());
  REQUIRE(cluster.connect());
  compress_with(cluster.fabric(1), *find_codec("lz4"), 5000);
  const HandleStats& stats = cluster.fabric(1).stats();
  cluster.send(1, zeros(5000));
  CHECK(stats.tx_compressed == 0);
  CHECK(stats.tx_uncompressed == 1);
  cluster.send(1, zeros(5001));
  CHECK(stats.tx_compressed == 1);
  cluster.fabric(1).set_compressor(nullptr, CompressId::kNone, 0);
  cluster.send(1, zeros(60000));
  CHECK(stats.tx_compressed == 1);
  cluster.run_for(3ms);
  CHECK(cluster.node(2).received.size() == 3);
}

TEST_CASE("compressed fabric: a model that the receiver lacks is dropped and counted") {
  Cluster cluster;  // no decompressors
  REQUIRE(cluster.connect());
  compress_with(cluster.fabric(1), *find_codec("lz4"));
  cluster.send(1, zeros(1000));
  cluster.send(1, zeros(60000));
  cluster.run_for(3ms);
  CHECK(cluster.node(2).received.empty());
  CHECK(cluster.node(2).drops(Drop::kCompressUnsupported) == 2);
  CHECK(cluster.node(2).inspect.buffers_in_use() == 0);
}

TEST_CASE("drop: a payload that cannot be decompressed") {
  Cluster cluster(with_codecs());
  REQUIRE(cluster.connect());
  Node& receiver = cluster.node(2);
  std::uint64_t dropped = 0;
  for (const CodecModel& model : codec_models()) {
    CAPTURE(model.name);
    Bytes packed(compress_bound(60000));
    packed.resize(model.compressor(model.default_level)->compress(zeros(60000), packed));
    const auto id = static_cast<unsigned>(model.id);
    const auto seq = static_cast<unsigned>(++dropped);
    // Half of it.
    packed.resize(packed.size() / 2);
    cluster.inject(2, 1, 0, data_packet({.host = 1, .seq = seq, .compress = id}, packed));
    CHECK(receiver.drops(Drop::kDecompress) == dropped);
  }
  CHECK(receiver.received.empty());
  CHECK(receiver.inspect.buffers_in_use() == 0);
}

TEST_CASE("compressed fabric: what does not shrink is soon not tried any more, and shows") {
  Cluster cluster(with_codecs());
  REQUIRE(cluster.connect());
  compress_with(cluster.fabric(1), *find_codec("lz4"));
  const HandleStats& stats = cluster.fabric(1).stats();
  Random random(9);
  for (int i = 0; i < 1000; ++i) {
    Bytes message(500);
    for (std::byte& byte : message)
      byte = static_cast<std::byte>(random.next() & 0xff);
    cluster.send(1, message);
    cluster.run_for(1ms);
  }
  CHECK(stats.tx_compressed < 50);
  CHECK(stats.tx_compress_skipped > 950);
  CHECK(stats.tx_uncompressed == 1000);
  // And it notices when things change: within the longest pause.
  for (int i = 0; i < 300; ++i) {
    cluster.send(1, zeros(500));
    cluster.run_for(1ms);
  }
  CHECK(stats.tx_compressed > 40);
  CHECK(cluster.node(2).received.size() == 1300);
}

TEST_CASE("compress gauge: pauses grow to a bound and end with the first success") {
  CompressGauge gauge;
  int tries = 0;
  for (int i = 0; i < 100000; ++i) {
    if (gauge.worth_trying()) {
      ++tries;
      gauge.failed();
    }
  }
  CHECK(tries > 300);
  CHECK(tries < 500);
  while (!gauge.worth_trying()) {
  }
  gauge.shrank();
  for (int i = 0; i < 8; ++i) {
    CHECK(gauge.worth_trying());
    gauge.failed();
  }
  CHECK_FALSE(gauge.worth_trying());
}

}  // namespace ringknet::test
