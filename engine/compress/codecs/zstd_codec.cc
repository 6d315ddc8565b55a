// SPDX-License-Identifier: LGPL-2.1-or-later
//
// zstd: standard frames with the content size, as ZSTD_compressCCtx writes them.
#include <zstd.h>

#include "engine/compress/codecs/models.h"

namespace ringknet::zstd {
namespace {

std::size_t written(std::size_t result) {
  return ZSTD_isError(result) != 0 ? 0 : result;
}

class Frame final : public Compressor {
 public:
  explicit Frame(int level) : level_(level), context_(ZSTD_createCCtx(), ZSTD_freeCCtx) {}
  std::size_t compress(ConstBytes in, MutableBytes out) override {
    if (!context_) {
      return 0;
    }
    return written(
        ZSTD_compressCCtx(context_.get(), out.data(), out.size(), in.data(), in.size(), level_));
  }

 private:
  const int level_;
  std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> context_;
};

class Unframe final : public Decompressor {
 public:
  Unframe() : context_(ZSTD_createDCtx(), ZSTD_freeDCtx) {}
  std::size_t decompress(ConstBytes in, MutableBytes out) override {
    if (!context_) {
      return 0;
    }
    return written(
        ZSTD_decompressDCtx(context_.get(), out.data(), out.size(), in.data(), in.size()));
  }

 private:
  std::unique_ptr<ZSTD_DCtx, std::size_t (*)(ZSTD_DCtx*)> context_;
};

}  // namespace

std::unique_ptr<Compressor> compressor(int level) {
  return std::make_unique<Frame>(level);
}
std::unique_ptr<Decompressor> decompressor() {
  return std::make_unique<Unframe>();
}

}  // namespace ringknet::zstd
