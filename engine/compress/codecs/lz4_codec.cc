// SPDX-License-Identifier: LGPL-2.1-or-later
//
// lz4 and lz4hc: one raw block each, the same decoder for both.
#include <lz4.h>
#include <lz4hc.h>

#include "engine/compress/codecs/models.h"

namespace ringknet::lz4 {
namespace {

const char* chars(ConstBytes bytes) {
  return reinterpret_cast<const char*>(bytes.data());
}
char* chars(MutableBytes bytes) {
  return reinterpret_cast<char*>(bytes.data());
}
int length(ConstBytes bytes) {
  return static_cast<int>(bytes.size());
}
std::size_t written(int result) {
  return result > 0 ? static_cast<std::size_t>(result) : 0;
}

class Fast final : public Compressor {
 public:
  explicit Fast(int acceleration) : acceleration_(acceleration) {}
  std::size_t compress(ConstBytes in, MutableBytes out) override {
    return written(LZ4_compress_fast_extState(&state_, chars(in), chars(out), length(in),
                                              length(out), acceleration_));
  }

 private:
  const int acceleration_;
  LZ4_stream_t state_;
};

class High final : public Compressor {
 public:
  explicit High(int level) : level_(level) {}
  std::size_t compress(ConstBytes in, MutableBytes out) override {
    return written(LZ4_compress_HC_extStateHC(&state_, chars(in), chars(out), length(in),
                                              length(out), level_));
  }

 private:
  const int level_;
  LZ4_streamHC_t state_;
};

class Block final : public Decompressor {
 public:
  std::size_t decompress(ConstBytes in, MutableBytes out) override {
    return written(LZ4_decompress_safe(chars(in), chars(out), length(in), length(out)));
  }
};

}  // namespace

std::unique_ptr<Compressor> compressor(int acceleration) {
  return std::make_unique<Fast>(acceleration);
}
std::unique_ptr<Compressor> high_compressor(int level) {
  return std::make_unique<High>(level);
}
std::unique_ptr<Decompressor> decompressor() {
  return std::make_unique<Block>();
}

}  // namespace ringknet::lz4
