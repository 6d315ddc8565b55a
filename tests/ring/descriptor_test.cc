// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Writing to what has lost its reader, on kernels that can be told to raise no signal and on those
// that cannot, and descriptors that stay off the standard ones.
#include "engine/ring/descriptor.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <thread>

namespace {

bool kernel_is_old = false;

}  // namespace

// In place of the C library's: an old kernel refuses flags.
extern "C" ssize_t pwritev2(int descriptor, const iovec* parts, int count, off_t offset,
                            int flags) {
  if (kernel_is_old && flags != 0) {
    errno = EOPNOTSUPP;
    return -1;
  }
  return syscall(SYS_pwritev2, descriptor, parts, count, offset, 0, flags);
}

namespace ringknet {
namespace {

bool is_pending() {
  sigset_t pending;
  sigpending(&pending);
  return sigismember(&pending, SIGPIPE) == 1;
}

void block(int how) {
  sigset_t signal;
  sigemptyset(&signal);
  sigaddset(&signal, SIGPIPE);
  pthread_sigmask(how, &signal, nullptr);
}

bool is_blocked() {
  sigset_t blocked;
  pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  return sigismember(&blocked, SIGPIPE) == 1;
}

ssize_t write_one(int descriptor) {
  const std::byte byte{};
  return write_silently(descriptor, kind_of(descriptor), ConstBytes(&byte, 1));
}

// In a thread with the signal's default action, which would end the program.
void check_silence(const int (&ends)[2]) {
  signal(SIGPIPE, SIG_DFL);
  CHECK(write_one(ends[1]) == 1);
  close(ends[0]);
  const auto refused = [&] { return write_one(ends[1]) == -1 && errno == EPIPE; };
  CHECK(refused());
  CHECK_FALSE(is_pending());
  CHECK_FALSE(is_blocked());
  block(SIG_BLOCK);
  CHECK(refused());
  CHECK_FALSE(is_pending());
  CHECK(is_blocked());
  raise(SIGPIPE);  // the program's own stays
  CHECK(refused());
  CHECK(is_pending());
  signal(SIGPIPE, SIG_IGN);
  block(SIG_UNBLOCK);
  CHECK(refused());
  CHECK_FALSE(is_pending());
  close(ends[1]);
}

}  // namespace

TEST_CASE("descriptor: what has lost its reader is an error and no signal") {
  for (const bool old : {false, true}) {
    CAPTURE(old);
    kernel_is_old = old;
    int ends[2];
    REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
    CHECK(kind_of(ends[1]) == DescriptorKind::kPipe);
    std::thread([&] { check_silence(ends); }).join();
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    CHECK(kind_of(ends[1]) == DescriptorKind::kSocket);
    std::thread([&] { check_silence(ends); }).join();
  }
  kernel_is_old = false;
}

TEST_CASE("descriptor: those of the program and none keep their numbers") {
  CHECK(off_standard(-1) == -1);
  const int descriptor = open("/dev/null", O_RDWR | O_CLOEXEC);
  REQUIRE(descriptor > 2);
  CHECK(off_standard(descriptor) == descriptor);
  CHECK(kind_of(descriptor) == DescriptorKind::kOther);
  CHECK(write_one(descriptor) == 1);
  close(descriptor);
}

}  // namespace ringknet
