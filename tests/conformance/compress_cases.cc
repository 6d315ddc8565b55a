// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about compression: the order of checks, levels and thresholds, when a message is
// compressed, and that it arrives as it was.
#include <climits>

#include "tests/conformance/field.h"
#include "tests/conformance/world.h"

namespace conformance {
namespace {

knet_handle_compress_cfg config(const char* model, uint32_t threshold, int level) {
  knet_handle_compress_cfg made{};
  fill_field(made.compress_model, model);
  made.compress_threshold = threshold;
  made.compress_level = level;
  return made;
}

Outcome set(Node& node, knet_handle_compress_cfg cfg) {
  return call([&] { return knet_handle_compress(node, &cfg); });
}

// The models of the peer are plug-ins, which may be missing.
void need_model(Node& node, const char* model, int level) {
  if (on_peer() && set(node, config(model, 0, level)).text != kOk.text) {
    skip(std::string("the peer has no plug-in for ") + model);
  }
}

uint64_t compressed(Node& node) {
  knet_handle_stats stats{};
  NEED(knet_handle_get_stats(node, &stats, sizeof(stats)) == 0);
  return stats.tx_compressed_packets;
}

}  // namespace

CONFORMANCE_CASE(compress_arguments) {
  Node node;
  need_model(node, "zlib", 1);
  CALL(fails(EINVAL), knet_handle_compress(node, nullptr));
  for (const char* model : {"", "NONE", "ZLIB", "zli", "zlib2", "nonesuch"}) {
    VALUE(fails(EINVAL), set(node, config(model, 0, 1)));
  }
  VALUE(kOk, set(node, config("none", UINT32_MAX, INT_MIN)));
  VALUE(kOk, set(node, config("zlib", 65536, 1)));
  VALUE(fails(EINVAL), set(node, config("zlib", 65537, 1)));
  VALUE(fails(EINVAL), set(node, config("zlib", UINT32_MAX, 1)));
  VALUE(kOk, set(node, config("zlib", 0, 1)));
  VALUE(kOk, set(node, config("zlib", 1, 1)));
}

CONFORMANCE_CASE(compress_levels) {
  struct Range {
    const char* model;
    int good;
    std::vector<int> accepted;
    std::vector<int> refused;
  };
  const std::vector<Range> ranges{{"zlib", 1, {-1, 0, 9}, {-2, 10, 1000}},
                                  {"bzip2", 1, {1, 9}, {-1, 0, 10}},
                                  {"lzma", 1, {0, 9}, {-1, 10}},
                                  {"lz4", 1, {-1000, 0, 1, 100000}, {}},
                                  {"lz4hc", 1, {-1000, 0, 12, 100000}, {}},
                                  {"lzo2", 1, {-1000, 0, 1, 11, 12, 15, 999}, {}},
                                  {"zstd", 1, {-1000, 0, 1, 22, 100000}, {}}};
  for (const Range& range : ranges) {
    Node node;
    need_model(node, range.model, range.good);
    for (const int level : range.accepted) {
      VALUE(kOk, set(node, config(range.model, 0, level)));
    }
    for (const int level : range.refused) {
      VALUE(fails(EINVAL), set(node, config(range.model, 0, level)));
    }
  }
}

CONFORMANCE_CASE(compress_messages) {
  Pair pair;
  const std::string long_message(20000, 'z');
  for (const char* model : {"zlib", "lz4", "lz4hc", "lzo2", "lzma", "bzip2", "zstd"}) {
    need_model(pair.one, model, 1);
    VALUE(kOk, set(pair.one, config(model, 0, 1)));
    if (std::string(model) == "zstd") {  // see the next case
      VALUE(kOk, set(pair.two, config(model, 0, 1)));
    }
    const uint64_t before = compressed(pair.one);
    VALUE(true, pair.one.send(long_message));
    VALUE(true, pair.two.receive() == long_message);
    VALUE(1, compressed(pair.one) - before);
  }
  knet_handle_stats stats{};
  CALL(kOk, knet_handle_get_stats(pair.two, &stats, sizeof(stats)));
  VALUE(7, stats.rx_compressed_packets);
  VALUE(140000, stats.rx_compressed_original_bytes);
  VALUE(true, stats.rx_compressed_size_bytes < 7000);
}

CONFORMANCE_CASE(compress_zstd_for_any_receiver) {
  NOT_ON_PEER("a zstd message kills a receiver that has not configured zstd itself") {
    Pair pair;
    const std::string message(20000, 'z');
    VALUE(kOk, set(pair.one, config("zstd", 0, 1)));
    NEED(pair.one.send(message));
    VALUE(true, pair.two.receive() == message);
  }
}

CONFORMANCE_CASE(compress_threshold_is_exclusive) {
  Pair pair;
  need_model(pair.one, "zlib", 1);
  VALUE(kOk, set(pair.one, config("zlib", 0, 1)));
  const std::string at_threshold(KNET_COMPRESS_THRESHOLD, 'z');
  NEED(pair.one.send(at_threshold));
  VALUE(true, pair.two.receive() == at_threshold);
  VALUE(0, compressed(pair.one));
  NEED(pair.one.send(at_threshold + "z"));
  VALUE(true, pair.two.receive() == at_threshold + "z");
  VALUE(1, compressed(pair.one));
  knet_handle_stats stats{};
  CALL(kOk, knet_handle_get_stats(pair.one, &stats, sizeof(stats)));
  VALUE(1, stats.tx_uncompressed_packets);
  VALUE(101, stats.tx_compressed_original_bytes);
}

CONFORMANCE_CASE(compress_none_after_another) {
  Pair pair;
  need_model(pair.one, "zlib", 1);
  const std::string message(1000, 'z');
  VALUE(kOk, set(pair.one, config("zlib", 0, 1)));
  VALUE(kOk, set(pair.one, config("none", 0, 0)));
  NEED(pair.one.send(message));
  VALUE(true, pair.two.receive() == message);
  VALUE(differs("model none switches compression off", 0, 1), compressed(pair.one));
}

CONFORMANCE_CASE(compress_failure_keeps_the_model) {
  Pair pair;
  need_model(pair.one, "zlib", 1);
  const std::string message(1000, 'z');
  VALUE(kOk, set(pair.one, config("zlib", 0, 1)));
  VALUE(fails(EINVAL), set(pair.one, config("nosuch", 0, 1)));
  VALUE(fails(EINVAL), set(pair.one, config("zlib", 65537, 1)));
  NEED(pair.one.send(message));
  VALUE(true, pair.two.receive() == message);
  VALUE(1, compressed(pair.one));
  VALUE(fails(EINVAL), set(pair.one, config("zlib", 0, 10)));
  NEED(pair.one.send(message));
  VALUE(true, pair.two.receive() == message);
  VALUE(differs("a refused level leaves compression as it was", 2, 1), compressed(pair.one));
}

}  // namespace conformance
