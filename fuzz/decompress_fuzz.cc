// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Every decompressor on whatever comes from the network: the first byte chooses the model and how
// much room there is, the rest is the input. What is written must stay within the room; what a
// decompressor accepts must survive being compressed and decompressed again.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "engine/compress/codecs/codecs.h"
#include "engine/wire/size.h"

using ringknet::codec_models;
using ringknet::CodecModel;
using ringknet::ConstBytes;
using ringknet::MutableBytes;

namespace {

constexpr std::byte kGuard{0xa5};
constexpr std::size_t kGuardSize = 64;

void require(bool condition) {
  if (!condition)
    std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0)
    return 0;
  const auto models = codec_models();
  const CodecModel& model = models[data[0] % models.size()];
  const std::size_t room = data[0] >= 128 ? ringknet::kMessageSizeMax : 1000;
  const ConstBytes input{reinterpret_cast<const std::byte*>(data + 1), size - 1};
  // Kept from input to input, as in the library: damaged input must not spoil what comes next.
  static std::vector<std::unique_ptr<ringknet::Decompressor>> decompressors(models.size());
  auto& decompressor = decompressors[data[0] % models.size()];
  if (decompressor == nullptr)
    decompressor = model.decompressor();

  std::vector<std::byte> out(room + kGuardSize, kGuard);
  const std::size_t written = decompressor->decompress(input, MutableBytes(out).first(room));
  require(written <= room);
  for (std::size_t i = room; i < out.size(); ++i)
    require(out[i] == kGuard);
  if (written == 0)
    return 0;

  const auto compressor = model.compressor(model.default_level);
  std::vector<std::byte> again(ringknet::compress_bound(written));
  const std::size_t packed = compressor->compress(ConstBytes(out).first(written), again);
  require(packed > 0);
  std::vector<std::byte> back(written);
  require(decompressor->decompress(ConstBytes(again).first(packed), back) == written);
  require(std::equal(back.begin(), back.end(), out.begin()));
  return 0;
}
