// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: channels and their descriptors.
#include <cerrno>
#include <optional>

#include "api/channels.h"
#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/registry.h"

using ringknet::Channel;
using ringknet::Engine;
using ringknet::EngineStatus;
using ringknet::finish;
using ringknet::Handle;
using ringknet::kChannelCount;
using ringknet::registry;

namespace {

bool is_installed(const Engine& engine, int fd) {
  for (std::size_t index = 0; index < kChannelCount; ++index) {
    if (engine.datafd(Channel(index)).application_fd == fd) {
      return true;
    }
  }
  return false;
}

int add(Handle& handle, Engine& engine, int& datafd, std::int8_t& channel) {
  if (handle.sock_notify().function == nullptr) {
    return EINVAL;
  }
  if (datafd > 0 && is_installed(engine, datafd)) {
    return EEXIST;
  }
  const std::optional<Channel> chosen = ringknet::choose_channel(engine, channel);
  if (!chosen) {
    return EBUSY;
  }
  int application_fd = -1;
  if (const EngineStatus status = engine.datafd_add(datafd, *chosen, application_fd);
      !status.ok()) {
    return to_errno(status);
  }
  handle.channels().open(*chosen, application_fd, ringknet::kind_of(application_fd));
  handle.log().write(KNET_SUB_COMMON, KNET_LOG_DEBUG, "channel {} opened on descriptor {}",
                     raw(*chosen), application_fd);
  datafd = application_fd;
  channel = static_cast<std::int8_t>(raw(*chosen));
  return 0;
}

}  // namespace

int knet_handle_add_datafd(knet_handle_t knet_h, int* datafd, int8_t* channel) {
  const auto handle = registry().pin(knet_h);
  if (!handle || datafd == nullptr || channel == nullptr || *channel >= KNET_DATAFD_MAX) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) { return add(*handle, engine, *datafd, *channel); });
}

int knet_handle_remove_datafd(knet_handle_t knet_h, int datafd) {
  const auto handle = registry().pin(knet_h);
  if (!handle || datafd <= 0) {
    return finish(EINVAL);
  }
  // In a signal handler that interrupts knet_send or knet_recv: it would wait for itself.
  if (handle->channels().used_by_this_thread(datafd)) {
    return finish(EDEADLK);
  }
  const std::optional<Channel> channel = handle->channels().close(datafd);
  if (!channel) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    engine.datafd_remove(*channel);
    handle->log().write(KNET_SUB_COMMON, KNET_LOG_DEBUG, "channel {} closed", raw(*channel));
    return 0;
  });
}

int knet_handle_get_channel(knet_handle_t knet_h, const int datafd, int8_t* channel) {
  const auto handle = registry().pin(knet_h);
  if (!handle || datafd <= 0 || channel == nullptr) {
    return finish(EINVAL);
  }
  const std::optional<Channel> found = handle->channels().channel(datafd);
  *channel = found ? static_cast<int8_t>(raw(*found)) : int8_t{-1};
  return finish(found ? 0 : EINVAL);
}

int knet_handle_get_datafd(knet_handle_t knet_h, const int8_t channel, int* datafd) {
  const auto handle = registry().pin(knet_h);
  if (!handle || channel < 0 || channel >= KNET_DATAFD_MAX || datafd == nullptr) {
    return finish(EINVAL);
  }
  const std::optional<int> found = handle->channels().fd(Channel(channel));
  if (found) {
    *datafd = *found;
  }
  return finish(found ? 0 : EINVAL);
}
