// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Moving descriptors, and three ways around SIGPIPE: an engine's own thread has it blocked; Linux
// 6.18 and later can be told by each write; before that it is blocked around the write and taken
// back, at two system calls more, or three.
#include "engine/ring/descriptor.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>

namespace ringknet {
namespace {

// RWF_NOSIGNAL of newer headers.
constexpr int kNoSignal = 0x100;
std::atomic<bool> kernel_knows_no_signal = true;

constinit thread_local bool sigpipe_is_blocked = false;

ssize_t write_pipe(int descriptor, ConstBytes bytes, int flags) {
  if (flags == 0)
    return write(descriptor, bytes.data(), bytes.size());
  const iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
  return pwritev2(descriptor, &part, 1, -1, flags);
}

// The write raises SIGPIPE for the calling thread alone. One that was pending before stays.
ssize_t write_with_signal_held(int descriptor, ConstBytes bytes, int flags) {
  sigset_t signal;
  sigset_t before;
  sigset_t pending;
  sigemptyset(&signal);
  sigaddset(&signal, SIGPIPE);
  sigemptyset(&pending);
  pthread_sigmask(SIG_BLOCK, &signal, &before);
  const bool was_blocked = sigismember(&before, SIGPIPE) == 1;
  if (was_blocked)
    sigpending(&pending);
  const ssize_t written = write_pipe(descriptor, bytes, flags);
  const int error = errno;
  if (written < 0 && error == EPIPE && sigismember(&pending, SIGPIPE) != 1) {
    const timespec none{};
    while (sigtimedwait(&signal, nullptr, &none) < 0 && errno == EINTR) {
    }
  }
  if (!was_blocked)
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return written;
}

}  // namespace

int off_standard(int descriptor) {
  if (descriptor < 0 || descriptor > STDERR_FILENO)
    return descriptor;
  const int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  const int error = errno;
  close(descriptor);
  errno = error;
  return moved;
}

DescriptorKind kind_of(int descriptor) {
  struct stat status {};
  if (fstat(descriptor, &status) != 0)
    return DescriptorKind::kOther;
  if (S_ISFIFO(status.st_mode))
    return DescriptorKind::kPipe;
  return S_ISSOCK(status.st_mode) ? DescriptorKind::kSocket : DescriptorKind::kOther;
}

ssize_t write_silently(int descriptor, DescriptorKind kind, ConstBytes bytes) {
  switch (kind) {
    case DescriptorKind::kSocket:
      return send(descriptor, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    case DescriptorKind::kPipe:
      return write_pipe_silently(descriptor, bytes, 0);
    case DescriptorKind::kOther:
      break;
  }
  return write(descriptor, bytes.data(), bytes.size());
}

ssize_t write_pipe_silently(int descriptor, ConstBytes bytes, int flags) {
  if (sigpipe_is_blocked)
    return write_pipe(descriptor, bytes, flags);
  if (!kernel_knows_no_signal.load(std::memory_order_relaxed))
    return write_with_signal_held(descriptor, bytes, flags);
  ssize_t written = write_pipe(descriptor, bytes, flags | kNoSignal);
  if (written >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
    return written;
  // Either flag may be the one that the kernel does not know.
  written = write_with_signal_held(descriptor, bytes, flags);
  if (written >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
    kernel_knows_no_signal.store(false, std::memory_order_relaxed);
  return written;
}

void sigpipe_is_blocked_here() {
  sigpipe_is_blocked = true;
}

}  // namespace ringknet
