// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the core needs of a compression library: one call each way, into memory of known size. Which
// library is behind it, the core does not learn.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/bytes.h"

namespace ringknet {

// Values are those on the wire, fixed for the life of the protocol.
enum class CompressId : std::uint8_t {
  kNone = 0,
  kZlib = 1,
  kLz4 = 2,
  kLz4hc = 3,
  kLzo2 = 4,
  kLzma = 5,
  kBzip2 = 6,
  kZstd = 7,
};
inline constexpr std::size_t kCompressIds = 8;

class Compressor {
 public:
  virtual ~Compressor() = default;
  // Bytes written to `out`, or 0 if it failed or does not fit. `out` has compress_bound(in.size())
  // bytes at least.
  virtual std::size_t compress(ConstBytes in, MutableBytes out) = 0;
};

class Decompressor {
 public:
  virtual ~Decompressor() = default;
  // Bytes written to `out`, or 0 if the input is damaged, longer than `out` when decoded, or empty.
  virtual std::size_t decompress(ConstBytes in, MutableBytes out) = 0;
};

// Room that no codec exceeds, even for what cannot be compressed.
constexpr std::size_t compress_bound(std::size_t size) {
  return size + size / 16 + 1024;
}

}  // namespace ringknet
