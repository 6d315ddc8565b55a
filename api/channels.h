// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which channels are free.
#pragma once

#include <optional>

#include "engine/ring/engine.h"

namespace ringknet {

inline bool is_open(const Engine& engine, Channel channel) {
  return engine.datafd(channel).application_fd != -1 || engine.channel_is_open(channel);
}

// The channel asked for, or with -1 the lowest one that is free; nothing if that cannot be had.
inline std::optional<Channel> choose_channel(const Engine& engine, int wanted) {
  if (wanted >= 0)
    return is_open(engine, Channel(wanted)) ? std::nullopt : std::optional(Channel(wanted));
  for (std::size_t index = 0; index < kChannelCount; ++index) {
    if (!is_open(engine, Channel(index)))
      return Channel(index);
  }
  return {};
}

}  // namespace ringknet
