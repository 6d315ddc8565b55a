// SPDX-License-Identifier: LGPL-2.1-or-later
//
// fork, unshare, exec, kill, wait.
#include "tools/bench/worker_process.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "tools/bench/netns.h"
#include "tools/bench/plugins.h"

namespace ringknet::bench {
namespace {

constexpr int kControlInWorker = 3;
constexpr const char* kLibraryName = "libknet.so.1";

// In the child. The controller's death, even by SIGKILL, is to end the worker and with it its
// namespace.
void die_with(pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(1);
  }
}

void prefer_library(const std::string& folder) {
  if (folder.empty()) {
    return;
  }
  const char* others = std::getenv("LD_LIBRARY_PATH");
  const std::string path =
      others == nullptr || *others == '\0' ? folder : fmt::format("{}:{}", folder, others);
  ::setenv("LD_LIBRARY_PATH", path.c_str(), 1);
}

// Does not return.
void become_worker(const WorkerStart& start, int control, pid_t parent) {
  die_with(parent);
  try {
    if (start.own_namespace) {
      enter_network_namespace();
    }
    prefer_library(start.library_folder);
    if (start.plugins) {
      show_plugins(start.library_folder);
    }
  } catch (const Failure& failure) {
    fmt::print(stderr, "knet-bench: {}\n", failure.what());
    ::_exit(1);
  }
  // dup2 also takes close-on-exec off, except onto itself.
  const int target = control == kControlInWorker ? ::dup(control) : control;
  ::dup2(target, kControlInWorker);
  std::string descriptor = fmt::to_string(kControlInWorker);
  std::array<const char*, 5> arguments = {"knet-bench", "--worker", descriptor.c_str(),
                                          start.own_namespace ? "--own-namespace" : nullptr,
                                          nullptr};
  ::execv("/proc/self/exe", const_cast<char* const*>(arguments.data()));
  fmt::print(stderr, "knet-bench: cannot start a worker: {}\n", std::strerror(errno));
  ::_exit(1);
}

}  // namespace

pid_t start_worker(const WorkerStart& start, const Descriptor& control) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) {
    throw failure_from_errno("cannot start a worker");
  }
  if (child == 0) {
    become_worker(start, control.get(), parent);
  }
  return child;
}

std::string library_folder(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    if (!fs::exists(fs::path(path) / kLibraryName, error)) {
      throw Failure(fmt::format("--against: there is no {} in the folder {}", kLibraryName, path));
    }
    return fs::canonical(path).string();
  }
  if (!fs::exists(path, error)) {
    throw Failure(fmt::format("--against: {} does not exist", path));
  }
  const fs::path folder = fs::absolute(path).parent_path();
  if (!fs::equivalent(path, folder / kLibraryName, error)) {
    throw Failure(fmt::format(
        "--against: a program asks for {0}, and {1} is not what that name finds in {2}; make a "
        "link {0} to it in a folder of its own and give that",
        kLibraryName, path, folder.string()));
  }
  return fs::canonical(folder).string();
}

WorkerProcess::WorkerProcess(std::string name, const WorkerStart& start) : name_(std::move(name)) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw failure_from_errno("no socket pair");
  }
  control_ = ControlChannel(Descriptor(ends[0]));
  const Descriptor theirs(ends[1]);
  pid_ = start_worker(start, theirs);
}

WorkerProcess::WorkerProcess(std::string name, Descriptor connection)
    : name_(std::move(name)), control_(std::move(connection)) {}

WorkerProcess::~WorkerProcess() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

std::string WorkerProcess::fate() {
  if (pid_ <= 0) {
    return "has gone: the connection to it has ended";
  }
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  if (WIFSIGNALED(status)) {
    return fmt::format("was ended by signal {} ({})", WTERMSIG(status),
                       ::strsignal(WTERMSIG(status)));
  }
  return fmt::format("has ended with status {}", WEXITSTATUS(status));
}

}  // namespace ringknet::bench
