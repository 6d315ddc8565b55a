// SPDX-License-Identifier: LGPL-2.1-or-later
//
// unshare on a thread: only that thread moves to the new namespace.
#include "tests/ring/network.h"

#include <doctest/doctest.h>
#include <sched.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <thread>

namespace ringknet::test {

void in_own_network(const std::function<void()>& body) {
  std::exception_ptr failure;
  std::thread thread([&] {
    if (unshare(CLONE_NEWNET) != 0) {
      std::printf("SKIPPED: no network namespace: %s\n", std::strerror(errno));
      return;
    }
    if (!run_command("ip link set lo up")) {
      std::printf("SKIPPED: the command ip does not work\n");
      return;
    }
    try {
      body();
    } catch (...) {
      failure = std::current_exception();  // a REQUIRE that failed ends the test, not the thread
    }
  });
  thread.join();
  if (failure) {
    std::rethrow_exception(failure);
  }
}

bool run_command(const char* command) {
  return std::system(command) == 0;
}

}  // namespace ringknet::test
