// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Many threads on one handle, and knet_handle_free among them. What is looked for is what a race
// would break: a crash, a hang, a report of ThreadSanitizer or AddressSanitizer, an errno that no
// call may give here.
#include <atomic>
#include <thread>

#include "tests/api/support.h"

using knet_test::Node;
using knet_test::on_peer;
using knet_test::Pair;

namespace {

class Crew {
 public:
  // Runs the function over and over on a thread of its own until stop().
  void start(std::function<void()> work) {
    threads_.emplace_back([this, work = std::move(work)] {
      while (!stop_) {
        work();
        ++rounds_;
      }
    });
  }
  // Everybody has done something since the call.
  void let_work(size_t rounds) {
    const size_t goal = rounds_ + rounds;
    REQUIRE(knet_test::eventually([&] { return rounds_ >= goal; }));
  }
  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      thread.join();
    }
    threads_.clear();
  }
  ~Crew() { stop(); }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<size_t> rounds_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace

TEST_CASE("calls from many threads") {
  if (on_peer()) {
    return;
  }
  Pair pair;
  std::atomic<int> failures = 0;
  const auto expect = [&](bool good) { failures += good ? 0 : 1; };
  Crew crew;
  crew.start([&] {
    expect(knet_host_add(pair.one, 10) == 0);
    expect(knet_host_remove(pair.one, 10) == 0);
  });
  crew.start([&] {
    knet_link_status status{};
    expect(knet_link_get_status(pair.one, 2, 0, &status, sizeof(status)) == 0);
  });
  crew.start([&] {
    int datafd = 0;
    int8_t channel = 20;
    expect(knet_handle_add_datafd(pair.one, &datafd, &channel) == 0);
    expect(knet_handle_remove_datafd(pair.one, datafd) == 0);
  });
  crew.start([&] {
    // The channel comes and goes; whatever happens, no foreign descriptor may be written to.
    const ssize_t sent = knet_send(pair.one, "probe", 5, 20);
    expect(sent == 5 || errno == EINVAL || errno == EAGAIN);
    std::array<char, 16> buffer{};
    expect(knet_recv(pair.one, buffer.data(), buffer.size(), 20) >= -1);
  });
  crew.start([&] {
    const ssize_t sent = knet_send(pair.one, "message", 7, 0);
    expect(sent == 7 || errno == EAGAIN);
  });
  crew.start([&] {
    std::array<char, 16> buffer{};
    const ssize_t got = knet_recv(pair.two, buffer.data(), buffer.size(), 0);
    expect(got == 7 || errno == EAGAIN);
  });
  crew.let_work(3000);
  crew.stop();
  CHECK(failures == 0);
}

TEST_CASE("a handle may be freed while other threads use it") {
  if (on_peer()) {
    return;
  }
  for (int turn = 0; turn < 30; ++turn) {
    Node node(1);
    node.open_channel(0);
    REQUIRE_OK(knet_handle_setfwd(node, 1));
    knet_handle_t handle = node.release();
    std::atomic<int> failures = 0;
    const auto expect = [&](bool good) { failures += good || errno == EINVAL ? 0 : 1; };
    Crew crew;
    crew.start([&] { expect(knet_send(handle, "message", 7, 0) == 7 || errno == EAGAIN); });
    crew.start([&] {
      unsigned int mtu = 0;
      expect(knet_handle_pmtud_get(handle, &mtu) == 0);
    });
    crew.start([&] { expect(knet_handle_setfwd(handle, 1) == 0); });
    crew.let_work(30);
    CHECK_OK(knet_handle_free(handle));
    crew.stop();
    CHECK(failures == 0);
    unsigned int mtu = 0;
    CHECK_FAILS(EINVAL, knet_handle_pmtud_get(handle, &mtu));
  }
}

TEST_CASE("of several threads that free a handle one succeeds") {
  if (on_peer()) {
    return;
  }
  for (int turn = 0; turn < 30; ++turn) {
    knet_handle_t handle = Node(1).release();
    std::atomic<int> freed = 0;
    std::atomic<int> refused = 0;
    std::vector<std::thread> threads;
    threads.reserve(4);
    for (int index = 0; index < 4; ++index) {
      threads.emplace_back([&] {
        const bool done = knet_handle_free(handle) == 0;
        freed += done ? 1 : 0;
        refused += !done && errno == EINVAL ? 1 : 0;
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    CHECK(freed == 1);
    CHECK(refused == 3);
  }
}

TEST_CASE("handles come and go on many threads") {
  if (on_peer()) {
    return;
  }
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  threads.reserve(4);
  for (int index = 0; index < 4; ++index) {
    threads.emplace_back([&failures] {
      for (int turn = 0; turn < 10; ++turn) {
        knet_handle_t handle = knet_handle_new_ex(1, 0, 0, 0);
        failures += handle != nullptr && knet_host_add(handle, 2) == 0 &&
                            knet_host_remove(handle, 2) == 0 && knet_handle_free(handle) == 0
                        ? 0
                        : 1;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  CHECK(failures == 0);
}
