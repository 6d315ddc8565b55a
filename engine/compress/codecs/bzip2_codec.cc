// SPDX-License-Identifier: LGPL-2.1-or-later
//
// bzip2 streams. The library has no reusable state: it allocates for each message.
#include <bzlib.h>

#include "engine/compress/codecs/models.h"

namespace ringknet::bzip2 {
namespace {

char* chars(ConstBytes bytes) {
  return reinterpret_cast<char*>(const_cast<std::byte*>(bytes.data()));
}

class Compress final : public Compressor {
 public:
  explicit Compress(int level) : level_(level) {}
  std::size_t compress(ConstBytes in, MutableBytes out) override {
    auto size = static_cast<unsigned>(out.size());
    const int result = BZ2_bzBuffToBuffCompress(chars(out), &size, chars(in),
                                                static_cast<unsigned>(in.size()), level_, 0, 0);
    return result == BZ_OK ? size : 0;
  }

 private:
  const int level_;
};

class Decompress final : public Decompressor {
 public:
  std::size_t decompress(ConstBytes in, MutableBytes out) override {
    auto size = static_cast<unsigned>(out.size());
    const int result = BZ2_bzBuffToBuffDecompress(chars(out), &size, chars(in),
                                                  static_cast<unsigned>(in.size()), 0, 0);
    return result == BZ_OK ? size : 0;
  }
};

}  // namespace

std::unique_ptr<Compressor> compressor(int level) {
  return level >= 1 && level <= 9 ? std::make_unique<Compress>(level) : nullptr;
}
std::unique_ptr<Decompressor> decompressor() {
  return std::make_unique<Decompress>();
}

}  // namespace ringknet::bzip2
