// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An address that a killed process still holds: knet_link_set_config waits for it, and nobody else
// waits with it.
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "tests/api/support.h"

using knet_test::eventually;

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// More than the address was waited for once, and far less than it is waited for.
constexpr milliseconds kHeld{1000};
// A holder that was late to let go, as the machine was busy, proves nothing.
constexpr milliseconds kLate{2500};

class Holder {
 public:
  Holder() : socket_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    REQUIRE(socket_ >= 0);
    address_ = knet_test::address("127.0.0.1", 0);
    socklen_t size = sizeof(sockaddr_in);
    REQUIRE_OK(bind(socket_, reinterpret_cast<const sockaddr*>(&address_), size));
    REQUIRE_OK(getsockname(socket_, reinterpret_cast<sockaddr*>(&address_), &size));
  }
  ~Holder() { release(); }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  void release() {
    if (socket_ >= 0)
      close(std::exchange(socket_, -1));
  }
  sockaddr_storage address() const { return address_; }

 private:
  int socket_;
  sockaddr_storage address_{};
};

int configure(knet_handle_t handle, uint8_t link, sockaddr_storage source) {
  sockaddr_storage target = knet_test::address("127.0.0.1", knet_test::free_port());
  return knet_link_set_config(handle, 2, link, KNET_TRANSPORT_UDP, &source, &target, 0);
}

unsigned downs(knet_handle_t handle) {
  knet_link_status status{};
  CHECK_OK(knet_link_get_status(handle, 2, 0, &status, sizeof(status)));
  return status.stats.down_count;
}

TEST_CASE("an address that is released within seconds is waited for, and others do not wait") {
  if (knet_test::on_peer())
    return;
  knet_test::Pair pair;
  for (int attempt = 0;; ++attempt) {
    REQUIRE(attempt < 5);
    Holder holder;
    std::atomic<bool> finished{false};
    std::atomic<int> error{0};
    const auto start = Clock::now();
    std::thread waiter([&] {
      error = configure(pair.one, 1, holder.address()) == 0 ? 0 : errno;
      finished = true;
    });
    int answered = 0;
    while (!finished && Clock::now() - start < kHeld) {
      uint8_t policy = 0;
      CHECK_OK(knet_host_get_policy(pair.one, 2, &policy));
      ++answered;
    }
    CHECK_FALSE(finished);
    CHECK(answered > 100);  // each would take seconds if it waited for the other
    holder.release();
    const bool in_time = Clock::now() - start < kLate;
    waiter.join();
    if (in_time || error == 0) {
      CHECK(error == 0);
      break;
    }
  }
  CHECK(downs(pair.one) == 0);
  CHECK_OK(knet_link_clear_config(pair.one, 2, 1));
}

TEST_CASE("a callback does not wait for an address, whichever handle's it is") {
  if (knet_test::on_peer())
    return;
  Holder holder;
  knet_test::Pair pair;
  knet_test::Node other(7);
  REQUIRE_OK(knet_host_add(other, 2));
  std::atomic<int> calls{0};
  std::atomic<int> refused{0};
  std::atomic<milliseconds> took{milliseconds(0)};
  pair.two.set_filter([&](const std::string&, int, unsigned, int8_t*, knet_node_id_t*, size_t*) {
    const auto start = Clock::now();
    refused += configure(other, 0, holder.address()) == -1 && errno == EADDRINUSE ? 1 : 0;
    took = std::chrono::duration_cast<milliseconds>(Clock::now() - start);
    ++calls;
    return 1;
  });
  REQUIRE(knet_send(pair.one, "x", 1, 0) == 1);
  REQUIRE(eventually([&] { return calls > 0; }));
  CHECK(refused == 1);
  // Its own patience is three seconds.
  CHECK(took.load() < milliseconds(2500));
}

TEST_CASE("waiting for an address ends when its host is removed") {
  if (knet_test::on_peer())
    return;
  Holder holder;
  knet_test::Node node(1);
  REQUIRE_OK(knet_host_add(node, 2));
  std::atomic<int> error{0};
  const auto start = Clock::now();
  // The thread has the handle itself: release() below writes to the Node.
  const knet_handle_t handle = node.get();
  std::thread waiter([&] { error = configure(handle, 0, holder.address()) == 0 ? 0 : errno; });
  CHECK_OK(knet_host_remove(node, 2));
  CHECK_OK(knet_handle_free(node.release()));
  const auto took = Clock::now() - start;
  waiter.join();
  CHECK(error == EINVAL);
  CHECK(took < kLate);
}

}  // namespace
