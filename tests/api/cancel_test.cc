// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Threads that are cancelled in a call, signal handlers that call in while their thread is in a
// call, and forks meanwhile. No call is a cancellation point: it ends, and what it was to do is
// done. On the classic library some of this hangs, so all of it is for ours.
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "tests/api/support.h"

using knet_test::eventually;
using knet_test::Node;
using knet_test::on_peer;

namespace {

// Makes one call in a thread that has a cancellation request pending all the time.
struct Cancelled {
  std::function<void()> call;
  bool ended = false;      // the call came to its end...
  bool cancelled = false;  // ...and the request acted afterwards
  static void* run(void* self) {
    auto& cancelled = *static_cast<Cancelled*>(self);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
    pthread_cancel(pthread_self());
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
    cancelled.call();
    cancelled.ended = true;
    pthread_testcancel();
    return nullptr;
  }

  explicit Cancelled(std::function<void()> function) : call(std::move(function)) {
    pthread_t thread{};
    REQUIRE(pthread_create(&thread, nullptr, run, this) == 0);
    void* result = nullptr;
    REQUIRE(pthread_join(thread, &result) == 0);
    cancelled = result == PTHREAD_CANCELED;
  }
};

void check_survives(Node& node, const char* name, const std::function<void()>& call) {
  CAPTURE(name);
  const Cancelled thread(call);
  REQUIRE(thread.ended);
  REQUIRE(thread.cancelled);
  unsigned int mtu = 0;
  REQUIRE_OK(knet_handle_pmtud_get(node, &mtu));
}

// What the handler of SIGUSR1 does; set while it is installed.
std::atomic<void (*)()> handler_work = nullptr;
std::atomic<int> handled = 0;
std::atomic<int> handler_failures = 0;
std::atomic<int> handler_refused = 0;  // with EDEADLK
std::atomic<knet_handle_t> handler_handle = nullptr;

// Interrupts a thread again and again.
class Interrupter {
 public:
  explicit Interrupter(void (*work)()) {
    handler_work = work;
    handled = handler_failures = handler_refused = 0;
    struct sigaction action {};
    action.sa_handler = [](int) {
      const int error = errno;
      handler_work.load()();
      ++handled;
      errno = error;
    };
    action.sa_flags = SA_RESTART;
    REQUIRE(sigaction(SIGUSR1, &action, &before_) == 0);
  }
  ~Interrupter() { sigaction(SIGUSR1, &before_, nullptr); }
  Interrupter(const Interrupter&) = delete;
  Interrupter& operator=(const Interrupter&) = delete;

  // One after the other: each has been handled before the next.
  bool interrupt(std::thread& thread) {
    const int before = handled;
    return pthread_kill(thread.native_handle(), SIGUSR1) == 0 &&
           eventually_soon([&] { return handled != before; });
  }

 private:
  static bool eventually_soon(const std::function<bool()>& condition) {
    for (int turn = 0; turn < 1000; ++turn) {
      if (condition())
        return true;
      std::this_thread::yield();
    }
    return eventually(condition);
  }

  struct sigaction before_ {};
};

}  // namespace

TEST_CASE("a thread that is cancelled in a call ends after it") {
  if (on_peer()) {
    return;
  }
  Node node(1);
  int datafd = 0;
  int8_t channel = -1;
  knet_node_id_t ids[16];
  size_t count = 0;
  char buffer[16];
  check_survives(node, "host_add", [&] { CHECK_OK(knet_host_add(node, 2)); });
  check_survives(node, "host_list", [&] { CHECK_OK(knet_host_get_host_list(node, ids, &count)); });
  CHECK(count == 1);
  check_survives(node, "host_remove", [&] { CHECK_OK(knet_host_remove(node, 2)); });
  check_survives(node, "add_datafd",
                 [&] { CHECK_OK(knet_handle_add_datafd(node, &datafd, &channel)); });
  check_survives(node, "setfwd(1)", [&] { CHECK_OK(knet_handle_setfwd(node, 1)); });
  check_survives(node, "send", [&] { CHECK(knet_send(node, "x", 1, channel) == 1); });
  check_survives(node, "recv",
                 [&] { CHECK_CALL(-1, EAGAIN, knet_recv(node, buffer, sizeof(buffer), channel)); });
  check_survives(node, "send_sync",
                 [&] { CHECK_CALL(-1, ENETDOWN, knet_send_sync(node, "x", 1, channel)); });
  check_survives(node, "setfwd(0)", [&] { CHECK_OK(knet_handle_setfwd(node, 0)); });
  check_survives(node, "remove_datafd", [&] { CHECK_OK(knet_handle_remove_datafd(node, datafd)); });
  knet_handle_t other = nullptr;
  check_survives(node, "new", [&] { other = knet_handle_new_ex(2, 0, 0, 0); });
  REQUIRE(other != nullptr);
  check_survives(node, "free", [&] { CHECK_OK(knet_handle_free(other)); });
  CHECK_FAILS(EINVAL, knet_handle_free(other));
}

TEST_CASE("a signal handler may call in while its thread is in a call") {
  if (on_peer()) {
    return;
  }
  Node node(1);
  node.open_channel(0);
  handler_handle = node;
  Interrupter interrupter([] {
    unsigned int mtu = 0;
    const bool good = knet_handle_pmtud_get(handler_handle, &mtu) == 0;
    handler_failures += good ? 0 : 1;
  });
  std::atomic<bool> stop = false;
  std::thread worker([&] {
    unsigned int mtu = 0;
    while (!stop) {
      CHECK(knet_handle_pmtud_get(node, &mtu) == 0);
      CHECK(knet_send(node, "x", 1, 0) == 1);
    }
  });
  for (int turn = 0; turn < 3000; ++turn)
    REQUIRE(interrupter.interrupt(worker));
  stop = true;
  worker.join();
  CHECK(handler_failures == 0);
}

TEST_CASE("a signal handler that would have to wait for the call it interrupts is refused") {
  if (on_peer()) {
    return;
  }
  Node node(1);
  REQUIRE_OK(knet_host_add(node, 2));  // so that freeing is refused (EBUSY) outside of calls
  node.open_channel(0);
  handler_handle = node;
  std::atomic<bool> stop = false;
  {
    Interrupter interrupter([] {
      const bool refused = knet_handle_free(handler_handle) == -1;
      handler_refused += refused && errno == EDEADLK ? 1 : 0;
      handler_failures += refused && (errno == EDEADLK || errno == EBUSY) ? 0 : 1;
    });
    std::thread worker([&] {
      unsigned int mtu = 0;
      while (!stop)
        CHECK(knet_handle_pmtud_get(node, &mtu) == 0);
    });
    CHECK(eventually([&] { return interrupter.interrupt(worker) && handler_refused > 0; }));
    stop = true;
    worker.join();
    CHECK(handler_failures == 0);
  }
  stop = false;
  Interrupter interrupter([] {
    int datafd = 0;
    if (knet_handle_get_datafd(handler_handle, 0, &datafd) != 0)
      return;
    const bool removed = knet_handle_remove_datafd(handler_handle, datafd) == 0;
    handler_refused += !removed && errno == EDEADLK ? 1 : 0;
    handler_failures += removed || errno == EDEADLK ? 0 : 1;
  });
  std::thread worker([&] {
    while (!stop) {
      if (knet_send(node, "x", 1, 0) != 1 && errno == EINVAL) {
        int datafd = 0;
        int8_t channel = 0;
        knet_handle_add_datafd(node, &datafd, &channel);
      }
    }
  });
  CHECK(eventually([&] { return interrupter.interrupt(worker) && handler_refused > 0; }));
  stop = true;
  worker.join();
  CHECK(handler_failures == 0);
}

TEST_CASE("a process may fork while others are in calls") {
  if (on_peer()) {
    return;
  }
#if defined(__SANITIZE_THREAD__)
  knet_test::skip("ThreadSanitizer allows no threads in the child of a process with threads");
  return;
#elif defined(__SANITIZE_ADDRESS__)
  // A child in 30 waits for ever where a thread of AddressSanitizer's begins.
  knet_test::skip(
      "AddressSanitizer's allocator may be locked in the child of a process with threads");
  return;
#endif
  Node node(1);
  node.open_channel(0);
  std::atomic<bool> stop = false;
  std::vector<std::thread> workers;
  for (int index = 0; index < 3; ++index) {
    workers.emplace_back([&] {
      unsigned int mtu = 0;
      while (!stop) {
        knet_handle_pmtud_get(node, &mtu);
        knet_send(node, "x", 1, 0);
      }
    });
  }
  for (int turn = 0; turn < 10; ++turn) {
    const pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      alarm(60);
      unsigned int mtu = 0;
      const bool gone = knet_handle_pmtud_get(node, &mtu) == -1 && errno == EINVAL;
      bool fine = gone;
      for (int index = 0; index < 3; ++index) {
        knet_handle_t own = knet_handle_new_ex(2, 0, 0, 0);
        fine = fine && own != nullptr && knet_host_add(own, 2) == 0 &&
               knet_host_remove(own, 2) == 0 && knet_handle_free(own) == 0;
      }
      _exit(fine ? 0 : 1);
    }
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  stop = true;
  for (std::thread& worker : workers)
    worker.join();
}
