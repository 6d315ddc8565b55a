// SPDX-License-Identifier: LGPL-2.1-or-later
//
// zlib streams (RFC 1950). The streams are set up once and reset for each message.
#include <zlib.h>

#include "engine/compress/codecs/models.h"

namespace ringknet::zlib {
namespace {

void point(z_stream& stream, ConstBytes in, MutableBytes out) {
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data()));
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
}

class Deflate final : public Compressor {
 public:
  explicit Deflate(int level) : ready_(deflateInit(&stream_, level) == Z_OK) {}
  ~Deflate() override {
    if (ready_) {
      deflateEnd(&stream_);
    }
  }
  Deflate(const Deflate&) = delete;
  Deflate& operator=(const Deflate&) = delete;

  bool ready() const { return ready_; }
  std::size_t compress(ConstBytes in, MutableBytes out) override {
    if (deflateReset(&stream_) != Z_OK) {
      return 0;
    }
    point(stream_, in, out);
    return deflate(&stream_, Z_FINISH) == Z_STREAM_END ? out.size() - stream_.avail_out : 0;
  }

 private:
  z_stream stream_{};
  const bool ready_;
};

class Inflate final : public Decompressor {
 public:
  Inflate() : ready_(inflateInit(&stream_) == Z_OK) {}
  ~Inflate() override {
    if (ready_) {
      inflateEnd(&stream_);
    }
  }
  Inflate(const Inflate&) = delete;
  Inflate& operator=(const Inflate&) = delete;

  std::size_t decompress(ConstBytes in, MutableBytes out) override {
    if (!ready_ || inflateReset(&stream_) != Z_OK) {
      return 0;
    }
    point(stream_, in, out);
    return inflate(&stream_, Z_FINISH) == Z_STREAM_END ? out.size() - stream_.avail_out : 0;
  }

 private:
  z_stream stream_{};
  const bool ready_;
};

}  // namespace

std::unique_ptr<Compressor> compressor(int level) {
  auto made = std::make_unique<Deflate>(level);
  return made->ready() ? std::move(made) : nullptr;
}
std::unique_ptr<Decompressor> decompressor() {
  return std::make_unique<Inflate>();
}

}  // namespace ringknet::zlib
