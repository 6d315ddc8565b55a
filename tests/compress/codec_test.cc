// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Every codec of this build: there and back for all kinds of content, never beyond the room it is
// given, and damaged input is refused and nothing worse.
#include <doctest/doctest.h>

#include <set>
#include <string>

#include "engine/compress/codecs/codecs.h"
#include "engine/wire/size.h"
#include "tests/unit/bytes_kit.h"

namespace ringknet::test {
namespace {

Bytes zeros(std::size_t size) {
  return Bytes(size, std::byte{0});
}

Bytes words(std::size_t size) {
  static const std::string kText = "the ring, the core, the wire and back again; ";
  Bytes bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>(kText[(i + i / 300) % kText.size()]);
  return bytes;
}

Bytes noise(std::size_t size, std::uint64_t seed) {
  Random random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>(random.next() & 0xff);
  return bytes;
}

}  // namespace

TEST_CASE("codecs: lz4 is always there, and every one has its own name and id") {
  std::set<std::string> names;
  std::set<CompressId> ids;
  for (const CodecModel& model : codec_models()) {
    CHECK(names.insert(model.name).second);
    CHECK(ids.insert(model.id).second);
    CHECK(model.id != CompressId::kNone);
    CHECK(find_codec(model.name) == &model);
    CHECK(find_codec(model.id) == &model);
    CHECK(is_codec_name(model.name));
  }
  CHECK(names.count("lz4") == 1);
  CHECK(names.count("lz4hc") == 1);
  CHECK(find_codec("none") == nullptr);
  CHECK(find_codec("lz") == nullptr);
  CHECK(is_codec_name("none"));
  CHECK_FALSE(is_codec_name(""));
}

TEST_CASE("codecs: there and back") {
  for (const CodecModel& model : codec_models()) {
    CAPTURE(model.name);
    const auto compressor = make_tested_compressor(model, model.default_level);
    const auto decompressor = model.decompressor();
    REQUIRE(compressor != nullptr);
    Bytes small(compress_bound(kMessageSizeMax));
    Bytes back(kMessageSizeMax);
    for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{101},
                                   std::size_t{1446}, std::size_t{30000}, kMessageSizeMax}) {
      CAPTURE(size);
      for (const Bytes& content : {zeros(size), words(size), noise(size, size)}) {
        const std::size_t packed = compressor->compress(content, small);
        REQUIRE(packed > 0);
        REQUIRE(packed <= small.size());
        REQUIRE(decompressor->decompress(ConstBytes(small).first(packed), back) == size);
        CHECK(same(ConstBytes(back).first(size), content));
        // One byte less is not enough room, and nothing is written beyond it.
        if (size > 1) {
          Bytes tight(size, std::byte{0x5a});
          CHECK(decompressor->decompress(ConstBytes(small).first(packed),
                                         MutableBytes(tight).first(size - 1)) == 0);
          CHECK(tight.back() == std::byte{0x5a});
        }
      }
      if (size >= 1446)
        CHECK(compressor->compress(words(size), small) < size);
    }
  }
}

TEST_CASE("codecs: levels that the library does not know are refused or replaced, never used") {
  for (const CodecModel& model : codec_models()) {
    CAPTURE(model.name);
    Bytes small(compress_bound(4000));
    Bytes back(4000);
    for (int level = -20; level <= 40; ++level) {
      CAPTURE(level);
      const auto compressor = make_tested_compressor(model, level);
      if (compressor == nullptr)
        continue;
      const std::size_t packed = compressor->compress(words(4000), small);
      CHECK(packed > 0);
      CHECK(packed < 4000);
      CHECK(model.decompressor()->decompress(ConstBytes(small).first(packed), back) == 4000);
    }
  }
}

TEST_CASE("codecs: damaged input is refused, or gives something within the room") {
  Random random(3);
  for (const CodecModel& model : codec_models()) {
    CAPTURE(model.name);
    const auto compressor = make_tested_compressor(model, model.default_level);
    const auto decompressor = model.decompressor();
    Bytes small(compress_bound(20000));
    Bytes back(kMessageSizeMax);
    const std::size_t packed = compressor->compress(words(20000), small);
    for (int round = 0; round < 300; ++round) {
      Bytes damaged(small.begin(), small.begin() + static_cast<std::ptrdiff_t>(packed));
      for (std::size_t count = random.between(1, 4); count > 0; --count)
        damaged[random.between(0, damaged.size() - 1)] ^= std::byte{1} << random.between(0, 7);
      if (random.chance(0.3))
        damaged.resize(random.between(0, damaged.size()));
      CHECK(decompressor->decompress(damaged, back) <= back.size());
    }
    CHECK(decompressor->decompress({}, back) == 0);
    // The state is sound afterwards.
    CHECK(decompressor->decompress(ConstBytes(small).first(packed), back) == 20000);
    CHECK(same(ConstBytes(back).first(20000), words(20000)));
  }
}

}  // namespace ringknet::test
