// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Handles without a thread: one thread drives, whatever it waits with.
#include <poll.h>

#include <atomic>
#include <thread>

#include "api/libknet_ext.h"
#include "tests/api/support.h"

using knet_test::address;

namespace {

constexpr int8_t kChannel = 0;
constexpr int64_t kMillisecond = 1000000;

// A handle that the test's thread drives, with one link and one channel.
class Driven {
 public:
  explicit Driven(knet_node_id_t id)
      : handle_(knet_ext_handle_new(id, 0, 0, KNET_EXT_CALLER_DRIVEN)) {
    REQUIRE(handle_ != nullptr);
    int8_t channel = kChannel;
    REQUIRE_OK(knet_ext_open_channel(handle_, &channel, on_message, nullptr, this));
    REQUIRE_OK(knet_handle_setfwd(handle_, 1));
  }
  ~Driven() {
    knet_link_set_enable(handle_, peer_, 0, 0);
    knet_link_clear_config(handle_, peer_, 0);
    knet_host_remove(handle_, peer_);
    CHECK_OK(knet_handle_free(handle_));
  }
  Driven(const Driven&) = delete;
  Driven& operator=(const Driven&) = delete;

  void join(knet_node_id_t peer, uint16_t port, uint16_t peer_port) {
    peer_ = peer;
    sockaddr_storage local = address("127.0.0.1", port);
    sockaddr_storage remote = address("127.0.0.1", peer_port);
    REQUIRE_OK(knet_host_add(handle_, peer));
    REQUIRE_OK(knet_link_set_config(handle_, peer, 0, KNET_TRANSPORT_UDP, &local, &remote, 0));
    REQUIRE_OK(knet_link_set_ping_timers(handle_, peer, 0, 50, 1000, 2048));
    REQUIRE_OK(knet_link_set_enable(handle_, peer, 0, 1));
  }
  bool reachable() {
    knet_host_status status{};
    return knet_host_get_status(handle_, peer_, &status) == 0 && status.reachable == 1;
  }
  knet_handle_t get() { return handle_; }

  std::function<void()> reaction;
  std::vector<std::string> messages;

 private:
  static void on_message(void* self, const void* message, size_t size, knet_node_id_t, int8_t) {
    auto& node = *static_cast<Driven*>(self);
    node.messages.emplace_back(static_cast<const char*>(message), size);
    if (node.reaction)
      node.reaction();
  }

  knet_handle_t handle_;
  knet_node_id_t peer_ = 0;
};

struct DrivenPair {
  Driven one{1};
  Driven two{2};

  DrivenPair() {
    const uint16_t port_one = knet_test::free_port();
    const uint16_t port_two = knet_test::free_port();
    one.join(2, port_one, port_two);
    two.join(1, port_two, port_one);
  }
  template <typename Condition>
  bool drive_until(Condition&& condition) {
    const auto end = std::chrono::steady_clock::now() + knet_test::kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end)
        return false;
      CHECK_OK(knet_ext_run_once(one.get(), 0));
      CHECK_OK(knet_ext_run_once(two.get(), kMillisecond));
    }
    return true;
  }
};

TEST_CASE("driven: two nodes in one thread") {
  DrivenPair pair;
  REQUIRE(pair.drive_until([&] { return pair.one.reachable() && pair.two.reachable(); }));
  std::vector<std::string> expected;
  for (std::size_t i = 0; i < 50; ++i) {
    expected.emplace_back(1 + i * 1300, static_cast<char>('a' + i % 26));
    while (knet_ext_send(pair.one.get(), kChannel, expected.back().data(), expected.back().size(),
                         0) != 0) {
      REQUIRE(errno == EAGAIN);
      CHECK_OK(knet_ext_run_once(pair.one.get(), kMillisecond));
      CHECK_OK(knet_ext_run_once(pair.two.get(), 0));
    }
  }
  REQUIRE(pair.drive_until([&] { return pair.two.messages.size() >= expected.size(); }));
  CHECK(pair.two.messages == expected);
}

TEST_CASE("driven: other threads' calls and messages wait for the one that drives") {
  DrivenPair pair;
  REQUIRE(pair.drive_until([&] { return pair.one.reachable() && pair.two.reachable(); }));
  std::atomic<bool> done{false};
  std::thread other([&] {
    CHECK_OK(knet_host_set_policy(pair.one.get(), 2, KNET_LINK_POLICY_ACTIVE));
    CHECK_OK(knet_ext_send(pair.one.get(), kChannel, "from another thread", 19, 0));
    CHECK_FAILS(EPERM, knet_ext_run_once(pair.one.get(), 0));
    CHECK_FAILS(EPERM, knet_handle_free(pair.one.get()));
    CHECK_CALL(-1, EPERM, knet_ext_get_fd(pair.one.get()));
    done = true;
  });
  REQUIRE(pair.drive_until([&] { return done && !pair.two.messages.empty(); }));
  other.join();
  CHECK(pair.two.messages.front() == "from another thread");
}

TEST_CASE("driven: what cannot be is refused") {
  DrivenPair pair;
  struct Seen {
    knet_handle_t handle;
    int hosts = 0;
    int mtus = 0;
    void check() const {
      CHECK_FAILS(EDEADLK, knet_ext_run_once(handle, 0));
      CHECK_FAILS(EDEADLK, knet_handle_free(handle));
    }
  } seen{pair.two.get()};
  REQUIRE_OK(knet_host_enable_status_change_notify(
      pair.two.get(), &seen, [](void* data, knet_node_id_t, uint8_t, uint8_t, uint8_t) {
        ++static_cast<Seen*>(data)->hosts;
        static_cast<Seen*>(data)->check();
      }));
  REQUIRE_OK(knet_handle_enable_pmtud_notify(pair.two.get(), &seen, [](void* data, unsigned) {
    ++static_cast<Seen*>(data)->mtus;
    static_cast<Seen*>(data)->check();
  }));
  REQUIRE(pair.drive_until([&] { return pair.one.reachable() && pair.two.reachable(); }));
  CHECK(pair.drive_until([&] { return seen.hosts > 0 && seen.mtus > 0; }));
  pair.two.reaction = [&] {
    CHECK_FAILS(EDEADLK, knet_ext_run_once(pair.two.get(), 0));
    CHECK_FAILS(EDEADLK, knet_handle_free(pair.two.get()));
  };
  REQUIRE_OK(knet_ext_send(pair.one.get(), kChannel, "x", 1, 0));
  REQUIRE(pair.drive_until([&] { return !pair.two.messages.empty(); }));
  knet_test::Node threaded(7);
  CHECK_FAILS(EPERM, knet_ext_run_once(threaded, 0));
  CHECK_CALL(-1, EPERM, knet_ext_get_fd(threaded));
  CHECK_FAILS(EINVAL, knet_ext_run_once(nullptr, 0));
}

TEST_CASE("driven: freeing answers the calls that are on their way") {
  std::atomic<bool> started{false};
  std::atomic<bool> stop{false};
  std::thread other;
  {
    Driven node(1);
    node.join(2, knet_test::free_port(), knet_test::free_port());
    other = std::thread([&, handle = node.get()] {
      knet_node_id_t hosts[KNET_MAX_HOST];
      size_t count = 0;
      while (!stop && knet_host_get_host_list(handle, hosts, &count) == 0)
        started = true;
      CHECK((stop || errno == EINVAL));
    });
    while (!started)
      CHECK_OK(knet_ext_run_once(node.get(), kMillisecond));
  }
  stop = true;
  other.join();
}

TEST_CASE("driven: what a callback sends leaves while its driver waits for the descriptor") {
  DrivenPair pair;
  REQUIRE(knet_ext_get_fd(pair.two.get()) >= 0);
  REQUIRE(pair.drive_until([&] { return pair.one.reachable() && pair.two.reachable(); }));
  pair.two.reaction = [&] { CHECK_OK(knet_ext_send(pair.two.get(), kChannel, "answer", 6, 0)); };
  REQUIRE_OK(knet_ext_send(pair.one.get(), kChannel, "question", 8, 0));
  CHECK_OK(knet_ext_run_once(pair.one.get(), 0));
  REQUIRE(knet_test::eventually([&] {
    CHECK_OK(knet_ext_run_once(pair.two.get(), kMillisecond));
    return !pair.two.messages.empty();
  }));
  // The second one is not driven any more.
  CHECK(knet_test::eventually([&] {
    knet_ext_run_once(pair.one.get(), kMillisecond);
    return !pair.one.messages.empty();
  }));
}

TEST_CASE("driven: a synchronous send leaves with the next turn") {
  DrivenPair pair;
  knet_handle_t one = pair.one.get();
  REQUIRE_OK(
      knet_handle_enable_sock_notify(one, nullptr, [](void*, int, int8_t, uint8_t, int, int) {}));
  int datafd = 0;
  int8_t channel = 1;
  REQUIRE_OK(knet_handle_add_datafd(one, &datafd, &channel));
  const auto to_two = [](void*, const unsigned char*, ssize_t, uint8_t, knet_node_id_t,
                         knet_node_id_t, int8_t* to, knet_node_id_t* hosts, size_t* count) {
    *to = kChannel;
    hosts[0] = 2;
    *count = 1;
    return 0;
  };
  REQUIRE_OK(knet_handle_enable_filter(one, nullptr, to_two));
  REQUIRE(pair.drive_until([&] { return pair.one.reachable() && pair.two.reachable(); }));
  CHECK_OK(knet_ext_run_once(one, 0));  // nothing else is left to be sent
  REQUIRE_OK(knet_send_sync(one, "x", 1, channel));
  CHECK_OK(knet_ext_run_once(one, 0));
  // Only the receiver is driven now.
  CHECK(knet_test::eventually([&] {
    knet_ext_run_once(pair.two.get(), kMillisecond);
    return !pair.two.messages.empty();
  }));
  CHECK_OK(knet_handle_remove_datafd(one, datafd));
}

TEST_CASE("driven: by a descriptor in somebody's loop, which sleeps in between") {
  DrivenPair pair;
  pollfd descriptors[] = {{knet_ext_get_fd(pair.one.get()), POLLIN, 0},
                          {knet_ext_get_fd(pair.two.get()), POLLIN, 0}};
  REQUIRE(descriptors[0].fd >= 0);
  REQUIRE(descriptors[1].fd >= 0);
  std::size_t turns = 0;
  const auto drive = [&](std::chrono::milliseconds time, auto&& enough) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (!enough() && std::chrono::steady_clock::now() < end) {
      poll(descriptors, 2, 100);
      for (Driven* node : {&pair.one, &pair.two}) {
        if (descriptors[node == &pair.two].revents != 0) {
          CHECK_OK(knet_ext_run_once(node->get(), 0));
          ++turns;
        }
      }
    }
  };
  drive(knet_test::kPatience, [&] { return pair.one.reachable() && pair.two.reachable(); });
  REQUIRE(pair.one.reachable());
  REQUIRE(pair.two.reachable());
  turns = 0;
  drive(std::chrono::seconds(1), [] { return false; });
  // 20 PINGs a second and as many answers on each side, and what the path MTU takes.
  CHECK(turns < 1000);
  CHECK(pair.one.reachable());
  REQUIRE_OK(knet_ext_send(pair.one.get(), kChannel, "x", 1, 0));
  CHECK_OK(knet_ext_run_once(pair.one.get(), 0));
  drive(knet_test::kPatience, [&] { return !pair.two.messages.empty(); });
  CHECK(pair.two.messages.size() == 1);
}

}  // namespace
