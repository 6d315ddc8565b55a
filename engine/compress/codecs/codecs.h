// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The compression libraries of this build, by name and by wire id. lz4 is always there; the others
// where the library was found when ringknet was built. Every object has its own library state, made
// once: compressing a message allocates nothing where the library allows it (lz4, zlib, zstd, lzo2
// do; bzip2 and xz do not).
#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "engine/compress/codec.h"

namespace ringknet {

struct CodecModel {
  const char* name;  // as users write it
  CompressId id;
  // Null where the level is none of the library's.
  std::unique_ptr<Compressor> (*compressor)(int level);
  std::unique_ptr<Decompressor> (*decompressor)();
  int default_level;
};

// Those of this build, in the order in which they are listed to users.
std::span<const CodecModel> codec_models();
const CodecModel* find_codec(std::string_view name);
const CodecModel* find_codec(CompressId id);
// Whether any version of the protocol knows the name, "none" included, built in or not.
bool is_codec_name(std::string_view name);

// A compressor that was tried out on a block of zeros and back: nothing if the library refuses the
// level. A level that does not shrink even that (zlib's 0) is replaced by the library's default.
std::unique_ptr<Compressor> make_tested_compressor(const CodecModel& model, int level);

}  // namespace ringknet
