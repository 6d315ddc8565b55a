// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Who waits for whom: freeing a handle waits for the calls on that handle and for no other, and a
// thread that waits in a callback goes on answering the calls to its own handle. What comes from
// the caller's thread in a handle without one: its signals, its cancellation, its endless patience.
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <csignal>
#include <thread>

#include "api/libknet_ext.h"
#include "tests/api/support.h"

using knet_test::eventually;
using knet_test::Node;
using knet_test::Pipe;

namespace {

bool is_live(knet_handle_t handle) {
  uint8_t level = 0;
  return knet_log_get_loglevel(handle, 0, &level) == 0;
}

// A socket whose end of file is told in a callback once it is added; and again when it was removed
// and is added once more.
class Ended {
 public:
  Ended() {
    REQUIRE_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_));
    close(ends_[1]);
  }
  ~Ended() { close(ends_[0]); }
  Ended(const Ended&) = delete;
  Ended& operator=(const Ended&) = delete;

  int add_to(knet_handle_t handle) const {
    int datafd = ends_[0];
    int8_t channel = -1;
    return knet_handle_add_datafd(handle, &datafd, &channel);
  }
  int fd() const { return ends_[0]; }

 private:
  int ends_[2];
};

}  // namespace

TEST_CASE("waiting: freeing a handle does not wait for a younger one in its place") {
  std::atomic<int> tokens = 1;
  std::atomic<int> filtered = 0;
  Node node(1);
  node.open_channel(0);
  node.set_filter([&](const std::string&, int, unsigned, int8_t*, knet_node_id_t*, size_t*) {
    ++filtered;
    while (tokens.load() <= 0)
      std::this_thread::yield();
    --tokens;
    return -1;
  });
  REQUIRE_OK(knet_handle_setfwd(node, 1));
  for (int index = 0; index < 200; ++index)
    CHECK(knet_send(node, "x", 1, 0) == 1);
  REQUIRE(eventually([&] { return filtered > 0; }));
  knet_handle_t handle = node.release();
  std::atomic<bool> flushed = false;
  std::atomic<bool> freed = false;
  std::thread flusher([&] {
    knet_handle_setfwd(handle, 0);
    flushed = true;
  });
  std::thread freer([&] {
    CHECK_OK(knet_handle_free(handle));
    freed = true;
  });
  // One message more at a time, until the handle is out of the registry and, most of the time, the
  // call that flushes is still waiting.
  REQUIRE(eventually([&] {
    if (is_live(handle) && tokens.load() <= 0)
      ++tokens;
    return !is_live(handle);
  }));
  std::atomic<knet_handle_t> younger = nullptr;
  std::atomic<bool> stop = false;
  std::thread driver([&] {
    younger = knet_ext_handle_new(1, 0, 0, KNET_EXT_CALLER_DRIVEN);
    while (!stop)
      knet_ext_run_once(younger, -1);
    CHECK_OK(knet_handle_free(younger));
  });
  REQUIRE(eventually([&] { return younger.load() != nullptr; }));
  tokens = 100000;
  CHECK(eventually([&] { return flushed.load(); }));
  CHECK(eventually([&] { return freed.load(); }));
  stop = true;
  unsigned int mtu = 0;
  CHECK_OK(knet_handle_pmtud_get(younger, &mtu));  // ends the turn
  driver.join();
  flusher.join();
  freer.join();
}

TEST_CASE("waiting: a handle freed in a callback may be asking the one whose callback it is") {
  for (int turn = 0; turn < 20; ++turn) {
    const Ended ended_one;
    const Ended ended_two;
    Node one(1);
    Node two(2);
    knet_handle_t one_handle = one;
    knet_handle_t two_handle = two;
    std::atomic<bool> asking = false;
    std::atomic<bool> done = false;
    std::atomic<int> result = 1;
    // Each callback of `two` asks `one` and causes the next one.
    two.on_callback([&](const knet_test::Event&) {
      unsigned int mtu = 0;
      CHECK(knet_handle_pmtud_get(one_handle, &mtu) == 0);
      asking = true;
      if (knet_handle_remove_datafd(two_handle, ended_two.fd()) == 0)
        ended_two.add_to(two_handle);
    });
    one.on_callback([&](const knet_test::Event&) {
      if (!done.exchange(true))
        result = knet_handle_free(two_handle);
    });
    REQUIRE_OK(ended_two.add_to(two));
    REQUIRE(eventually([&] { return asking.load(); }));
    // Others hold `two` while they wait for it.
    std::atomic<bool> stop = false;
    std::vector<std::thread> callers;
    for (int index = 0; index < 2; ++index) {
      callers.emplace_back([&] {
        unsigned int mtu = 0;
        while (!stop && knet_handle_pmtud_get(two_handle, &mtu) == 0) {
        }
      });
    }
    REQUIRE_OK(ended_one.add_to(one));
    const bool freed = eventually([&] { return result.load() != 1; });
    CHECK(freed);
    CHECK(result == 0);
    if (result == 0)
      two.release();
    stop = true;
    for (std::thread& caller : callers)
      caller.join();
    REQUIRE(freed);
  }
}

TEST_CASE("waiting: a pipe that has lost its reader does not kill the thread that drives") {
  signal(SIGPIPE, SIG_DFL);
  knet_handle_t handle = knet_ext_handle_new(1, 0, 0, KNET_EXT_CALLER_DRIVEN);
  REQUIRE(handle != nullptr);
  static int errors = 0;
  errors = 0;
  REQUIRE_OK(knet_handle_enable_sock_notify(
      handle, nullptr, [](void*, int, int8_t, uint8_t direction, int error, int errno_value) {
        errors += direction == KNET_NOTIFY_RX && error == -1 && errno_value == EPIPE ? 1 : 0;
      }));
  sockaddr_storage here = knet_test::address("127.0.0.1", knet_test::free_port());
  REQUIRE_OK(knet_host_add(handle, 1));
  REQUIRE_OK(knet_link_set_config(handle, 1, 0, KNET_TRANSPORT_LOOPBACK, &here, &here, 0));
  REQUIRE_OK(knet_link_set_enable(handle, 1, 0, 1));
  // What one channel sends the filter turns to the pipe's.
  Pipe pipe(0);
  int writer = pipe.writer();
  int8_t pipe_channel = 5;
  REQUIRE_OK(knet_handle_add_datafd(handle, &writer, &pipe_channel));
  int8_t channel = 0;
  REQUIRE_OK(knet_ext_open_channel(
      handle, &channel, [](void*, const void*, size_t, knet_node_id_t, int8_t) {}, nullptr,
      nullptr));
  REQUIRE_OK(
      knet_handle_enable_filter(handle, nullptr,
                                [](void*, const unsigned char*, ssize_t, uint8_t, knet_node_id_t,
                                   knet_node_id_t, int8_t* to, knet_node_id_t*, size_t*) {
                                  *to = 5;
                                  return 1;
                                }));
  REQUIRE_OK(knet_handle_setfwd(handle, 1));
  pipe.close_reader();
  REQUIRE_OK(knet_ext_send(handle, channel, "x", 1, 0));
  CHECK(eventually([&] {
    CHECK_OK(knet_ext_run_once(handle, 1000000));
    return errors == 1;
  }));
  sigset_t pending;
  sigpending(&pending);
  CHECK(sigismember(&pending, SIGPIPE) == 0);
  REQUIRE_OK(knet_handle_setfwd(handle, 0));
  REQUIRE_OK(knet_link_set_enable(handle, 1, 0, 0));
  REQUIRE_OK(knet_link_clear_config(handle, 1, 0));
  REQUIRE_OK(knet_host_remove(handle, 1));
  REQUIRE_OK(knet_handle_free(handle));
}

TEST_CASE("waiting: as long as can be said") {
  knet_handle_t handle = knet_ext_handle_new(1, 0, 0, KNET_EXT_CALLER_DRIVEN);
  REQUIRE(handle != nullptr);
  std::atomic<bool> stop = false;
  std::atomic<bool> ended = false;
  std::thread asker([&] {
    unsigned int mtu = 0;
    while (!stop)
      CHECK_OK(knet_handle_pmtud_get(handle, &mtu));
    ended = true;
  });
  for (const int64_t busy_poll : {int64_t{0}, int64_t{1000000000}}) {
    REQUIRE_OK(knet_ext_set_busy_poll(handle, busy_poll));
    for (const int64_t timeout : {INT64_MAX, INT64_MAX - 1, INT64_MAX / 2, int64_t{-1}}) {
      for (int turn = 0; turn < 3; ++turn)
        CHECK_OK(knet_ext_run_once(handle, timeout));
    }
  }
  stop = true;
  while (!ended)
    CHECK_OK(knet_ext_run_once(handle, 0));
  asker.join();
  REQUIRE_OK(knet_handle_free(handle));
}

TEST_CASE("waiting: a signal handler is refused in the midst of what the thread that drives does") {
  static knet_handle_t handle;
  static std::atomic<int> refused;
  static std::atomic<int> others;
  static std::atomic<int> handled;
  handle = knet_ext_handle_new(1, 0, 0, KNET_EXT_CALLER_DRIVEN);
  REQUIRE(handle != nullptr);
  refused = others = handled = 0;
  struct sigaction action {};
  struct sigaction before {};
  action.sa_handler = [](int) {
    const int error = errno;
    unsigned int mtu = 0;
    if (knet_handle_pmtud_get(handle, &mtu) != 0)
      ++(errno == EDEADLK ? refused : others);
    ++handled;
    errno = error;
  };
  REQUIRE(sigaction(SIGUSR2, &action, &before) == 0);
  const pthread_t driver = pthread_self();
  std::atomic<bool> stop = false;
  std::thread sender([&] {
    while (!stop) {
      const int count = handled;
      pthread_kill(driver, SIGUSR2);
      while (!stop && handled == count)
        std::this_thread::yield();
    }
  });
  const auto end = std::chrono::steady_clock::now() + knet_test::kPatience;
  while (refused < 100 && std::chrono::steady_clock::now() < end) {
    unsigned int mtu = 0;
    CHECK_OK(knet_ext_run_once(handle, 100000));
    CHECK_OK(knet_handle_pmtud_get(handle, &mtu));
  }
  stop = true;
  sender.join();
  CHECK(refused >= 100);
  CHECK(others == 0);
  sigaction(SIGUSR2, &before, nullptr);
  REQUIRE_OK(knet_handle_free(handle));
}

TEST_CASE("waiting: a thread that is cancelled as it drives ends after the turn") {
  struct Driver {
    knet_handle_t handle = nullptr;
    int after = 0;
    ~Driver() { knet_handle_free(handle); }

    static void* run(void* self) {
      auto& driver = *static_cast<Driver*>(self);
      int before = 0;
      pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &before);
      Driver inner;  // freed as the thread unwinds, by the thread that drives
      inner.handle = knet_ext_handle_new(1, 0, 0, KNET_EXT_CALLER_DRIVEN);
      knet_handle_enable_sock_notify(inner.handle, self,
                                     [](void* outer, int, int8_t, uint8_t, int, int) {
                                       pthread_cancel(pthread_self());
                                       ++static_cast<Driver*>(outer)->after;
                                     });
      const Ended ended;
      ended.add_to(inner.handle);
      for (;;)
        knet_ext_run_once(inner.handle, 1000000000);
      driver.after = -1;
      return nullptr;
    }
  };
  Driver outer;
  pthread_t thread{};
  REQUIRE(pthread_create(&thread, nullptr, Driver::run, &outer) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  CHECK(outer.after == 1);  // the callback came to its end
}
