// SPDX-License-Identifier: LGPL-2.1-or-later
//
// xz containers without an integrity check. The library has no reusable state: it allocates for
// each message.
#include <lzma.h>

#include "engine/compress/codecs/models.h"

namespace ringknet::lzma {
namespace {

// What the decoder may allocate: enough for every preset's dictionary (preset 9 needs 65 MiB), and
// an end to what a forged header can ask for.
constexpr std::uint64_t kDecoderMemoryMax = std::uint64_t{96} << 20;

const std::uint8_t* octets(ConstBytes bytes) {
  return reinterpret_cast<const std::uint8_t*>(bytes.data());
}
std::uint8_t* octets(MutableBytes bytes) {
  return reinterpret_cast<std::uint8_t*>(bytes.data());
}

class Encode final : public Compressor {
 public:
  explicit Encode(std::uint32_t preset) : preset_(preset) {}
  std::size_t compress(ConstBytes in, MutableBytes out) override {
    std::size_t size = 0;
    const lzma_ret result = lzma_easy_buffer_encode(preset_, LZMA_CHECK_NONE, nullptr, octets(in),
                                                    in.size(), octets(out), &size, out.size());
    return result == LZMA_OK ? size : 0;
  }

 private:
  const std::uint32_t preset_;
};

class Decode final : public Decompressor {
 public:
  std::size_t decompress(ConstBytes in, MutableBytes out) override {
    std::uint64_t memory = kDecoderMemoryMax;
    std::size_t consumed = 0;
    std::size_t size = 0;
    const lzma_ret result = lzma_stream_buffer_decode(&memory, 0, nullptr, octets(in), &consumed,
                                                      in.size(), octets(out), &size, out.size());
    return result == LZMA_OK ? size : 0;
  }
};

}  // namespace

std::unique_ptr<Compressor> compressor(int preset) {
  return preset >= 0 && preset <= 9 ? std::make_unique<Encode>(static_cast<std::uint32_t>(preset))
                                    : nullptr;
}
std::unique_ptr<Decompressor> decompressor() {
  return std::make_unique<Decode>();
}

}  // namespace ringknet::lzma
