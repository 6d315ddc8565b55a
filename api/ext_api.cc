// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The extension: channels without descriptors, handles without a thread.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>

#include "api/channels.h"
#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet_ext.h"
#include "api/registry.h"

using ringknet::Channel;
using ringknet::ConstBytes;
using ringknet::Duration;
using ringknet::Engine;
using ringknet::finish;
using ringknet::Handle;
using ringknet::registry;

namespace {

// Whether this thread may drive the handle now; an errno.
int drivable(const Engine& engine) {
  if (!engine.caller_driven() || !engine.on_engine_thread()) {
    return EPERM;
  }
  return engine.in_callback() ? EDEADLK : 0;
}

bool is_channel(int8_t channel) {
  return channel >= 0 && channel < KNET_DATAFD_MAX;
}

}  // namespace

int knet_ext_open_channel(knet_handle_t knet_h, int8_t* channel, knet_ext_message_fn message,
                          knet_ext_room_fn room, void* private_data) {
  const auto handle = registry().pin(knet_h);
  if (!handle || channel == nullptr || message == nullptr || *channel >= KNET_DATAFD_MAX) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    const std::optional<Channel> chosen = ringknet::choose_channel(engine, *channel);
    if (!chosen) {
      return EBUSY;
    }
    engine.channel_open(*chosen);
    handle->receiver(*chosen) = {message, room, private_data};
    *channel = static_cast<int8_t>(raw(*chosen));
    return 0;
  });
}

int knet_ext_close_channel(knet_handle_t knet_h, int8_t channel) {
  const auto handle = registry().pin(knet_h);
  if (!handle || !is_channel(channel)) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    if (!engine.channel_is_open(Channel(channel))) {
      return EINVAL;
    }
    engine.channel_close(Channel(channel));
    handle->receiver(Channel(channel)) = {};
    return 0;
  });
}

int knet_ext_send(knet_handle_t knet_h, int8_t channel, const void* message, size_t size,
                  unsigned int flags) {
  const auto handle = registry().pin(knet_h);
  if (!handle || !is_channel(channel) || message == nullptr ||
      (flags & ~static_cast<unsigned int>(KNET_EXT_DONTWAIT)) != 0) {
    return finish(EINVAL);
  }
  const Engine::Entry entry(handle->engine());
  if (!entry) {
    return finish(EDEADLK);
  }
  const ConstBytes bytes{static_cast<const std::byte*>(message), size};
  const bool wait = (flags & KNET_EXT_DONTWAIT) == 0;
  return finish(to_errno(handle->engine().send(Channel(channel), bytes, wait)));
}

knet_handle_t knet_ext_handle_new(knet_node_id_t host_id, int log_fd, uint8_t default_log_level,
                                  uint64_t flags) {
  return ringknet::new_handle(host_id, log_fd, default_log_level, flags & ~KNET_EXT_CALLER_DRIVEN,
                              (flags & KNET_EXT_CALLER_DRIVEN) != 0);
}

int knet_ext_run_once(knet_handle_t knet_h, int64_t timeout) {
  const auto handle = registry().pin(knet_h);
  if (!handle) {
    return finish(EINVAL);
  }
  Engine& engine = handle->engine();
  if (const int error = drivable(engine); error != 0) {
    return finish(error);
  }
  const Engine::Entry entry(engine);
  if (!entry) {
    return finish(EDEADLK);
  }
  // A century is as good as anything longer, and can be added to the present time.
  constexpr Duration kLongest = std::chrono::hours(100 * 365 * 24);
  engine.run_once(timeout < 0 ? std::nullopt
                              : std::optional(std::min(Duration(timeout), kLongest)));
  return finish(0);
}

int knet_ext_get_fd(knet_handle_t knet_h) {
  const auto handle = registry().pin(knet_h);
  if (!handle) {
    return finish(EINVAL);
  }
  Engine& engine = handle->engine();
  if (!engine.caller_driven() || !engine.on_engine_thread()) {
    return finish(EPERM);
  }
  const Engine::Entry entry(engine);
  int error = EDEADLK;
  const int descriptor = entry ? engine.descriptor(error) : -1;
  errno = error;
  return descriptor;
}

int knet_ext_set_offload(knet_handle_t knet_h, int on) {
  const auto handle = registry().pin(knet_h);
  if (!handle || (on != 0 && on != 1)) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    engine.set_offload(on == 1);
    return 0;
  });
}

int knet_ext_set_busy_poll(knet_handle_t knet_h, int64_t most) {
  constexpr int64_t kMost = 1'000'000'000;
  const auto handle = registry().pin(knet_h);
  if (!handle || most < 0 || most > kMost) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    engine.set_busy_poll(Duration(most));
    return 0;
  });
}
