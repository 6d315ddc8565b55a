// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The makers of each library's compressor and decompressor, for the table in codecs.cc.
#pragma once

#include <memory>

#include "engine/compress/codec.h"

namespace ringknet {

namespace lz4 {
std::unique_ptr<Compressor> compressor(int acceleration);
std::unique_ptr<Compressor> high_compressor(int level);
std::unique_ptr<Decompressor> decompressor();
}  // namespace lz4

namespace zlib {
std::unique_ptr<Compressor> compressor(int level);
std::unique_ptr<Decompressor> decompressor();
}  // namespace zlib

namespace lzo2 {
std::unique_ptr<Compressor> compressor(int level);
std::unique_ptr<Decompressor> decompressor();
}  // namespace lzo2

namespace lzma {
std::unique_ptr<Compressor> compressor(int preset);
std::unique_ptr<Decompressor> decompressor();
}  // namespace lzma

namespace bzip2 {
std::unique_ptr<Compressor> compressor(int level);
std::unique_ptr<Decompressor> decompressor();
}  // namespace bzip2

namespace zstd {
std::unique_ptr<Compressor> compressor(int level);
std::unique_ptr<Decompressor> decompressor();
}  // namespace zstd

}  // namespace ringknet
