// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Raw LZO1X blocks; the level selects the algorithm, all of them have the same decoder. Only the
// bounded decoder is used.
#include <lzo/lzo1x.h>

#include <vector>

#include "engine/compress/codecs/models.h"

namespace ringknet::lzo2 {
namespace {

const unsigned char* octets(ConstBytes bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* octets(MutableBytes bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

struct Algorithm {
  lzo_compress_t run;
  std::size_t memory;
};

Algorithm algorithm(int level) {
  switch (level) {
    case 11:
      return {lzo1x_1_11_compress, LZO1X_1_11_MEM_COMPRESS};
    case 12:
      return {lzo1x_1_12_compress, LZO1X_1_12_MEM_COMPRESS};
    case 15:
      return {lzo1x_1_15_compress, LZO1X_1_15_MEM_COMPRESS};
    case 999:
      return {lzo1x_999_compress, LZO1X_999_MEM_COMPRESS};
    default:
      return {lzo1x_1_compress, LZO1X_1_MEM_COMPRESS};
  }
}

class Compress final : public Compressor {
 public:
  explicit Compress(int level) : algorithm_(algorithm(level)), memory_(algorithm_.memory) {}
  std::size_t compress(ConstBytes in, MutableBytes out) override {
    // The library is not told how much room there is; it needs this much at most.
    if (out.size() < in.size() + in.size() / 16 + 64 + 3) {
      return 0;
    }
    lzo_uint size = out.size();
    const int result = algorithm_.run(octets(in), in.size(), octets(out), &size, memory_.data());
    return result == LZO_E_OK ? size : 0;
  }

 private:
  const Algorithm algorithm_;
  std::vector<unsigned char> memory_;
};

class Decompress final : public Decompressor {
 public:
  std::size_t decompress(ConstBytes in, MutableBytes out) override {
    lzo_uint size = out.size();
    const int result = lzo1x_decompress_safe(octets(in), in.size(), octets(out), &size, nullptr);
    return result == LZO_E_OK ? size : 0;
  }
};

}  // namespace

std::unique_ptr<Compressor> compressor(int level) {
  return lzo_init() == LZO_E_OK ? std::make_unique<Compress>(level) : nullptr;
}
std::unique_ptr<Decompressor> decompressor() {
  return lzo_init() == LZO_E_OK ? std::make_unique<Decompress>() : nullptr;
}

}  // namespace ringknet::lzo2
