// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: compression of messages.
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>

#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/registry.h"
#include "engine/compress/codecs/codecs.h"

using ringknet::CodecModel;
using ringknet::CompressId;
using ringknet::Compressor;
using ringknet::Engine;
using ringknet::finish;
using ringknet::registry;

int knet_handle_compress(knet_handle_t knet_h,
                         struct knet_handle_compress_cfg* knet_handle_compress_cfg) {
  const auto handle = registry().pin(knet_h);
  if (!handle || knet_handle_compress_cfg == nullptr) {
    return finish(EINVAL);
  }
  const struct knet_handle_compress_cfg& cfg = *knet_handle_compress_cfg;
  const std::string_view model{cfg.compress_model,
                               strnlen(cfg.compress_model, sizeof(cfg.compress_model))};
  // A refusal leaves everything as it was, so the new compressor is made before the old one goes.
  std::unique_ptr<Compressor> compressor;
  CompressId id = CompressId::kNone;
  if (model != "none") {
    const CodecModel* codec = ringknet::find_codec(model);
    if (codec == nullptr || cfg.compress_threshold > KNET_MAX_PACKET_SIZE) {
      return finish(EINVAL);
    }
    try {
      compressor = make_tested_compressor(*codec, cfg.compress_level);
    } catch (const std::bad_alloc&) {
      return finish(ENOMEM);
    }
    if (compressor == nullptr) {
      return finish(EINVAL);
    }
    id = codec->id;
  }
  const std::size_t threshold =
      cfg.compress_threshold == 0 ? KNET_COMPRESS_THRESHOLD : cfg.compress_threshold;
  return handle->command([&](Engine& engine) {
    engine.fabric().set_compressor(std::move(compressor), id, threshold);
    return 0;
  });
}

int knet_get_compress_list(struct knet_compress_info* compress_list,
                           size_t* compress_list_entries) {
  if (compress_list_entries == nullptr) {
    return finish(EINVAL);
  }
  std::size_t count = 0;
  for (const CodecModel& model : ringknet::codec_models()) {
    if (compress_list != nullptr) {
      compress_list[count].name = model.name;
    }
    ++count;
  }
  *compress_list_entries = count;
  return finish(0);
}
