// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: messages into and out of channels. knet_send and knet_recv are one system call on the
// application's end of the channel, made in the caller's thread.
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/registry.h"

using ringknet::Channel;
using ringknet::ConstBytes;
using ringknet::DescriptorKind;
using ringknet::Engine;
using ringknet::finish;
using ringknet::registry;

namespace {

bool is_message(const char* buff, size_t buff_len, int8_t channel) {
  return buff != nullptr && buff_len != 0 && buff_len <= KNET_MAX_PACKET_SIZE && channel >= 0 &&
         channel < KNET_DATAFD_MAX;
}

ssize_t finish_transfer(ssize_t moved) {
  if (moved >= 0) {
    errno = 0;
  }
  return moved;
}

}  // namespace

ssize_t knet_recv(knet_handle_t knet_h, char* buff, const size_t buff_len, const int8_t channel) {
  const auto handle = registry().pin(knet_h);
  if (!handle || !is_message(buff, buff_len, channel)) {
    return finish(EINVAL);
  }
  const auto datafd = handle->channels().use(Channel(channel));
  if (!datafd) {
    return finish(EINVAL);
  }
  return finish_transfer(datafd.kind() == DescriptorKind::kSocket
                             ? recv(datafd.fd(), buff, buff_len, MSG_DONTWAIT)
                             : read(datafd.fd(), buff, buff_len));
}

ssize_t knet_send(knet_handle_t knet_h, const char* buff, const size_t buff_len,
                  const int8_t channel) {
  const auto handle = registry().pin(knet_h);
  if (!handle || !is_message(buff, buff_len, channel)) {
    return finish(EINVAL);
  }
  const auto datafd = handle->channels().use(Channel(channel));
  if (!datafd) {
    return finish(EINVAL);
  }
  const ConstBytes message{reinterpret_cast<const std::byte*>(buff), buff_len};
  return finish_transfer(ringknet::write_silently(datafd.fd(), datafd.kind(), message));
}

int knet_send_sync(knet_handle_t knet_h, const char* buff, const size_t buff_len,
                   const int8_t channel) {
  const auto handle = registry().pin(knet_h);
  if (!handle || !is_message(buff, buff_len, channel)) {
    return finish(EINVAL);
  }
  const Engine::Entry entry(handle->engine());
  if (!entry) {
    return finish(EDEADLK);
  }
  const ConstBytes message{reinterpret_cast<const std::byte*>(buff), buff_len};
  return finish(to_errno(handle->engine().send_sync(Channel(channel), message)));
}
