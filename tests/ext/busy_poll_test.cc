// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Looking before sleeping: it finds what comes, costs nothing when nothing does, and does not
// happen in a real-time class.
#include <sched.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "api/libknet_ext.h"
#include "tests/api/support.h"

using knet_test::address;

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int8_t kChannel = 0;
// Far longer than what anybody would want, so that looking shows in the time that a thread has run.
constexpr int64_t kLong = 100'000'000;

microseconds processor_time() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  const auto of = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return std::chrono::duration_cast<microseconds>(of(usage.ru_utime) + of(usage.ru_stime));
}

// A handle that this thread drives, with no links: nothing ever happens to it.
class Lone {
 public:
  Lone() : handle_(knet_ext_handle_new(1, 0, 0, KNET_EXT_CALLER_DRIVEN)) {
    REQUIRE(handle_ != nullptr);
    REQUIRE_OK(knet_ext_set_busy_poll(handle_, kLong));
    knet_ext_run_once(handle_, 0);
  }
  ~Lone() { CHECK_OK(knet_handle_free(handle_)); }
  Lone(const Lone&) = delete;
  Lone& operator=(const Lone&) = delete;

  // What 150 ms of waiting cost.
  microseconds wait() {
    const microseconds before = processor_time();
    CHECK_OK(knet_ext_run_once(handle_, 150'000'000));
    return processor_time() - before;
  }

 private:
  knet_handle_t handle_;
};

}  // namespace

TEST_CASE("busy poll: bad arguments") {
  knet_handle_t handle = knet_handle_new(1, 0, 0);
  REQUIRE(handle != nullptr);
  errno = 0;
  CHECK(knet_ext_set_busy_poll(nullptr, 0) == -1);
  CHECK(errno == EINVAL);
  errno = 0;
  CHECK(knet_ext_set_busy_poll(handle, -1) == -1);
  CHECK(errno == EINVAL);
  errno = 0;
  CHECK(knet_ext_set_busy_poll(handle, 1'000'000'001) == -1);
  CHECK(errno == EINVAL);
  CHECK_OK(knet_ext_set_busy_poll(handle, 1'000'000'000));
  CHECK_OK(knet_ext_set_busy_poll(handle, 0));
  CHECK_OK(knet_handle_free(handle));
}

TEST_CASE("busy poll: it looks, and looks less and less in vain") {
  Lone lone;
  CHECK(lone.wait() > milliseconds(6));  // 100 ms, if nobody else needs the processor
  for (int i = 0; i < 4; ++i)
    lone.wait();
  CHECK(lone.wait() < milliseconds(4));
}

TEST_CASE("busy poll: not in a real-time class") {
  const sched_param real_time{.sched_priority = 1};
  const sched_param normal{};
  // As it is often set: with a flag that says nothing about the class.
  if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &real_time) != 0) {
    MESSAGE("SKIPPED: this process may not have a real-time thread: " << std::strerror(errno));
    return;
  }
  microseconds spent{};
  {
    Lone lone;
    spent = lone.wait();
  }
  sched_setscheduler(0, SCHED_OTHER, &normal);
  CHECK(spent < milliseconds(20));  // it would be 100, as nobody else gets the processor
}

TEST_CASE("busy poll: messages, calls and timers are found while it looks") {
  struct Node {
    knet_handle_t handle = nullptr;
    std::atomic<int> received{0};
  };
  Node nodes[2];
  const uint16_t ports[2] = {knet_test::free_port(), knet_test::free_port()};
  for (knet_node_id_t i = 0; i < 2; ++i) {
    const auto peer = static_cast<knet_node_id_t>(2 - i);
    Node& node = nodes[i];
    node.handle = knet_handle_new(static_cast<knet_node_id_t>(i + 1), 0, 0);
    REQUIRE(node.handle != nullptr);
    REQUIRE_OK(knet_ext_set_busy_poll(node.handle, 1'000'000));
    int8_t channel = kChannel;
    const auto count = [](void* self, const void*, size_t, knet_node_id_t, int8_t) {
      static_cast<Node*>(self)->received.fetch_add(1);
    };
    REQUIRE_OK(knet_ext_open_channel(node.handle, &channel, count, nullptr, &node));
    REQUIRE_OK(knet_handle_setfwd(node.handle, 1));
    sockaddr_storage local = address("127.0.0.1", ports[i]);
    sockaddr_storage remote = address("127.0.0.1", ports[1 - i]);
    REQUIRE_OK(knet_host_add(node.handle, peer));
    REQUIRE_OK(knet_link_set_config(node.handle, peer, 0, KNET_TRANSPORT_UDP, &local, &remote, 0));
    REQUIRE_OK(knet_link_set_ping_timers(node.handle, peer, 0, 50, 1000, 2048));
    REQUIRE_OK(knet_link_set_enable(node.handle, peer, 0, 1));
  }
  for (knet_node_id_t i = 0; i < 2; ++i) {
    REQUIRE(knet_test::eventually([&] {
      knet_host_status status{};
      return knet_host_get_status(nodes[i].handle, static_cast<knet_node_id_t>(2 - i), &status) ==
                 0 &&
             status.reachable == 1;
    }));
  }
  constexpr int kMessages = 2000;
  for (int i = 0; i < kMessages; ++i)
    REQUIRE_OK(knet_ext_send(nodes[i % 2].handle, kChannel, &i, sizeof i, 0));
  for (const Node& node : nodes)
    CHECK(knet_test::eventually([&] { return node.received.load() == kMessages / 2; }));
  for (knet_node_id_t i = 0; i < 2; ++i) {
    const auto peer = static_cast<knet_node_id_t>(2 - i);
    CHECK_OK(knet_link_set_enable(nodes[i].handle, peer, 0, 0));
    CHECK_OK(knet_link_clear_config(nodes[i].handle, peer, 0));
    CHECK_OK(knet_host_remove(nodes[i].handle, peer));
    CHECK_OK(knet_handle_free(nodes[i].handle));
  }
}
