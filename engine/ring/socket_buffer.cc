// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Ask, look what was granted, insist.
#include "engine/ring/socket_buffer.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

namespace ringknet {
namespace {

int enlarge(int descriptor, bool privileged, int option, int force_option, std::size_t& granted) {
  const auto current = [&]() -> int {
    int size = 0;
    socklen_t length = sizeof(size);
    return getsockopt(descriptor, SOL_SOCKET, option, &size, &length) < 0 ? 0 : size;
  };
  if (setsockopt(descriptor, SOL_SOCKET, option, &kSocketBufferSize, sizeof(kSocketBufferSize)) < 0)
    return errno;
  if (current() < kSocketBufferSize && privileged &&
      setsockopt(descriptor, SOL_SOCKET, force_option, &kSocketBufferSize,
                 sizeof(kSocketBufferSize)) < 0) {
    return errno == EPERM ? ENAMETOOLONG : errno;
  }
  granted = std::min(granted, static_cast<std::size_t>(current()));
  return 0;
}

}  // namespace

int enlarge_socket_buffers(int descriptor, bool privileged, std::size_t& granted) {
  granted = kSocketBufferSize;
  if (const int error = enlarge(descriptor, privileged, SO_RCVBUF, SO_RCVBUFFORCE, granted);
      error != 0) {
    return error;
  }
  return enlarge(descriptor, privileged, SO_SNDBUF, SO_SNDBUFFORCE, granted);
}

}  // namespace ringknet
