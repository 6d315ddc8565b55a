// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The table of codecs and their trial.
#include "engine/compress/codecs/codecs.h"

#include <algorithm>
#include <array>
#include <vector>

#include "engine/compress/codecs/models.h"

namespace ringknet {
namespace {

constexpr auto kModels = std::to_array<CodecModel>({
#ifdef RINGKNET_HAVE_ZLIB
    {"zlib", CompressId::kZlib, zlib::compressor, zlib::decompressor, -1},
#endif
    {"lz4", CompressId::kLz4, lz4::compressor, lz4::decompressor, 1},
    {"lz4hc", CompressId::kLz4hc, lz4::high_compressor, lz4::decompressor, 9},
#ifdef RINGKNET_HAVE_LZO2
    {"lzo2", CompressId::kLzo2, lzo2::compressor, lzo2::decompressor, 1},
#endif
#ifdef RINGKNET_HAVE_LZMA
    {"lzma", CompressId::kLzma, lzma::compressor, lzma::decompressor, 6},
#endif
#ifdef RINGKNET_HAVE_BZIP2
    {"bzip2", CompressId::kBzip2, bzip2::compressor, bzip2::decompressor, 9},
#endif
#ifdef RINGKNET_HAVE_ZSTD
    {"zstd", CompressId::kZstd, zstd::compressor, zstd::decompressor, 3},
#endif
});

constexpr auto kNames = std::to_array<std::string_view>(
    {"none", "zlib", "lz4", "lz4hc", "lzo2", "lzma", "bzip2", "zstd"});

constexpr std::size_t kTrialSize = 65536;

// How many bytes the trial block takes compressed, 0 if it did not survive the way there and back.
std::size_t try_out(const CodecModel& model, Compressor& compressor) {
  const std::vector<std::byte> zeros(kTrialSize);
  std::vector<std::byte> packed(compress_bound(kTrialSize));
  std::vector<std::byte> back(kTrialSize, std::byte{1});
  const std::size_t size = compressor.compress(zeros, packed);
  if (size == 0) {
    return 0;
  }
  const auto decompressor = model.decompressor();
  const bool same = decompressor != nullptr &&
                    decompressor->decompress(ConstBytes(packed).first(size), back) == kTrialSize &&
                    back == zeros;
  return same ? size : 0;
}

}  // namespace

std::span<const CodecModel> codec_models() {
  return kModels;
}

const CodecModel* find_codec(std::string_view name) {
  const auto match = std::ranges::find(
      kModels, name, [](const CodecModel& model) { return std::string_view(model.name); });
  return match == kModels.end() ? nullptr : &*match;
}

const CodecModel* find_codec(CompressId id) {
  const auto match = std::ranges::find(kModels, id, &CodecModel::id);
  return match == kModels.end() ? nullptr : &*match;
}

bool is_codec_name(std::string_view name) {
  return std::ranges::find(kNames, name) != kNames.end();
}

std::unique_ptr<Compressor> make_tested_compressor(const CodecModel& model, int level) {
  for (const int attempt : {level, model.default_level}) {
    auto compressor = model.compressor(attempt);
    if (compressor == nullptr) {
      return nullptr;
    }
    const std::size_t size = try_out(model, *compressor);
    if (size == 0) {
      return nullptr;
    }
    if (size < kTrialSize) {
      return compressor;
    }
  }
  return nullptr;
}

}  // namespace ringknet
