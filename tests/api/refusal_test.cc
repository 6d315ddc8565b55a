// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Where no handle can be made: io_uring forbidden, no descriptors, no memory; and forked children.
// Each case runs in a child of its own, and what it must get is an errno and a line in the log, or
// a handle that works - never half of one.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <string>

#include "tests/api/support.h"

namespace {

// Runs `body` in a child; its answer, 0..99, or 100 and more for an end by a signal.
int in_child(const std::function<int()>& body) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    alarm(20);  // a hang is a failure, not a wait
    _exit(body());
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

// The system call answers with this errno from now on.
bool forbid(int number, int error) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(number), 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(filter), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Everything that is in the log by now, as one text.
std::string log_text(const knet_test::Pipe& pipe) {
  std::string text;
  knet_log_msg record;
  while (read(pipe.reader(), &record, sizeof(record)) == sizeof(record)) {
    text += record.msg;
    text += '\n';
  }
  return text;
}

std::size_t descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// Creation with a log must fail with this errno and say this in the log, and leave nothing behind.
int check_refusal(int expected, const char* said) {
  const knet_test::Pipe pipe(O_NONBLOCK);
  const std::size_t before = descriptors();
  errno = kErrnoUntouched;
  if (knet_handle_new_ex(1, pipe.writer(), KNET_LOG_DEBUG, 0) != nullptr)
    return 1;
  if (errno != expected)
    return 2;
  if (log_text(pipe).find(said) == std::string::npos)
    return 3;
  return descriptors() == before ? 0 : 4;
}

}  // namespace

TEST_CASE("where io_uring is forbidden the handle is refused and the log says why") {
  if (knet_test::on_peer())
    return;
  for (const int number : {SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register}) {
    CAPTURE(number);
    CHECK(in_child([number] {
            return forbid(number, EPERM) ? check_refusal(EPERM, "io_uring is forbidden") : 50;
          }) == 0);
  }
  CHECK(in_child([] {
          return forbid(SYS_io_uring_setup, ENOSYS) ? check_refusal(ENOSYS, "no io_uring") : 50;
        }) == 0);
}

TEST_CASE("without descriptors left the handle is refused or works, whichever comes") {
#if defined(__SANITIZE_ADDRESS__)
  knet_test::skip("UBSan looks at objects through a pipe of its own");
  return;
#endif
  const int result = in_child([] {
    const knet_test::Pipe pipe(O_NONBLOCK);
    const std::size_t before = descriptors();
    bool refused = false;
    bool made = false;
    for (rlim_t spare = 0; spare < 24; ++spare) {
      rlimit limit{};
      getrlimit(RLIMIT_NOFILE, &limit);
      const int next = dup(0);  // the lowest free number
      close(next);
      limit.rlim_cur = static_cast<rlim_t>(next) + spare;
      setrlimit(RLIMIT_NOFILE, &limit);
      errno = kErrnoUntouched;
      knet_handle_t handle = knet_handle_new_ex(1, pipe.writer(), KNET_LOG_ERR, 0);
      const int error = errno;
      limit.rlim_cur = limit.rlim_max;
      setrlimit(RLIMIT_NOFILE, &limit);
      if (handle == nullptr) {
        refused = true;
        if (error != EMFILE)
          return 1;
        if (!knet_test::on_peer() &&
            log_text(pipe).find(std::strerror(EMFILE)) == std::string::npos)
          return 2;
      } else {
        made = true;
        if (knet_host_add(handle, 2) != 0 || knet_host_remove(handle, 2) != 0 ||
            knet_handle_free(handle) != 0)
          return 3;
      }
      if (descriptors() != before)
        return 4;
    }
    return refused && made ? 0 : 5;
  });
  CHECK(result == 0);
}

TEST_CASE("without memory left the handle is refused or works, whichever comes") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  knet_test::skip("sanitizers need address space without limit");
#else
  const int result = in_child([] {
    rlimit before{};
    getrlimit(RLIMIT_AS, &before);
    long pages = 0;
    if (FILE* file = std::fopen("/proc/self/statm", "r")) {
      if (std::fscanf(file, "%ld", &pages) != 1)
        return 50;
      std::fclose(file);
    }
    bool refused = false;
    bool made = false;
    for (rlim_t spare = 0; spare < 128; spare += 2) {
      rlimit limit = before;
      limit.rlim_cur = static_cast<rlim_t>(pages) * 4096 + spare * 1024 * 1024;
      setrlimit(RLIMIT_AS, &limit);
      errno = kErrnoUntouched;
      knet_handle_t handle = knet_handle_new_ex(1, 0, 0, 0);
      const int error = errno;
      setrlimit(RLIMIT_AS, &before);
      if (handle == nullptr) {
        refused = true;
        if (error != ENOMEM && error != EAGAIN)
          return 1;
      } else {
        made = true;
        if (knet_handle_free(handle) != 0)
          return 2;
      }
    }
    return refused && made ? 0 : 3;
  });
  CHECK(result == 0);
#endif
}

TEST_CASE("a process with no right to lock memory gets a handle, or is told") {
  const int result = in_child([] {
    const rlimit none{0, 0};
    const uid_t nobody = 65534;
    if (setrlimit(RLIMIT_MEMLOCK, &none) != 0 ||
        (geteuid() == 0 && setresuid(nobody, nobody, nobody) != 0))
      return 50;
    errno = kErrnoUntouched;
    knet_handle_t handle = knet_handle_new_ex(1, 0, 0, 0);
    if (handle == nullptr)
      return errno == ENOMEM ? 0 : 1;
    return knet_handle_free(handle) == 0 ? 0 : 2;
  });
  CHECK(result == 0);
}

TEST_CASE("in a forked child the parent's handle is none, and a new one works") {
  if (knet_test::on_peer())
    return;  // hangs there
#if defined(__SANITIZE_THREAD__)
  knet_test::skip("ThreadSanitizer allows no threads in the child of a process with threads");
  return;
#endif
  knet_test::Node node(1);
  const int datafd = node.open_channel();
  CHECK_OK(knet_host_add(node, 2));
  const int result = in_child([&] {
    errno = 0;
    if (knet_host_add(node, 3) != -1 || errno != EINVAL)
      return 1;
    if (knet_send(node, "x", 1, 0) != -1 || errno != EINVAL)
      return 2;
    if (knet_handle_free(node) != -1 || errno != EINVAL)
      return 3;
    knet_handle_t own = knet_handle_new_ex(1, 0, 0, 0);
    if (own == nullptr || knet_host_add(own, 2) != 0 || knet_host_remove(own, 2) != 0)
      return 4;
    return knet_handle_free(own) == 0 ? 0 : 5;
  });
  CHECK(result == 0);
  // And the parent's is as it was.
  CHECK_FAILS(EEXIST, knet_host_add(node, 2));
  CHECK(knet_test::is_open(datafd));
  CHECK_OK(knet_host_remove(node, 2));
}
