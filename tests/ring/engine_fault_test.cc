// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whole engines when something fails around them: a peer that closes, a path cut, a device whose
// MTU shrinks, a process that was held up, no segmentation.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/resource.h>

#include <atomic>
#include <thread>

#include "tests/ring/network.h"
#include "tests/ring/node.h"

namespace ringknet::test {
namespace {

// The descriptor that a link of this process is bound to.
int descriptor_of(const Address& local) {
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in bound{};
    socklen_t size = sizeof(bound);
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) == 0 &&
        bound.sin_family == AF_INET && ntohs(bound.sin_port) == local.port &&
        std::memcmp(&bound.sin_addr, local.ip.data(), 4) == 0) {
      return fd;
    }
  }
  return -1;
}

void exchange(int from, int to, std::size_t size, std::uint32_t number) {
  REQUIRE(write_message(from, pattern(size, number)));
  REQUIRE(read_message(to) == pattern(size, number));
}

TEST_CASE("engine: a closed peer does not disturb the link to another") {
  Node a(1);
  const int fd_a = a.open_channel(0);
  Node b(2);
  const int fd_b = b.open_channel(0);
  auto c = std::make_unique<Node>(3);
  REQUIRE(join(a, b));
  // Both links of a share one socket.
  a.connect(*c, 0, loopback_address(10), loopback_address(30));
  c->connect(a, 0, loopback_address(30), loopback_address(10));
  REQUIRE(a.wait_reachable(2));
  c.reset();
  std::uint32_t number = 0;
  const auto told = [](const Recorder& recorder) {
    for (const Event& event : recorder.events()) {
      if (event.host == HostId{3} &&
          (event.kind == Event::Kind::kLinkSuspect || event.kind == Event::Kind::kLinkDown)) {
        return true;
      }
    }
    return false;
  };
  // Every message goes to both; the answers of the closed one meet the sends to the other.
  const auto until = std::chrono::steady_clock::now() + kLimit;
  bool noticed = false;
  while (!noticed && std::chrono::steady_clock::now() < until) {
    for (int i = 0; i < 50; ++i)
      exchange(fd_a, fd_b, 3000, ++number);
    noticed = a.engine().run([&](Engine&) { return told(a.client()); });
  }
  CHECK(noticed);
  for (int i = 0; i < 500; ++i)
    exchange(fd_a, fd_b, 3000, ++number);
  for (const Event& event : a.client().events()) {
    if (event.host == HostId{2}) {
      CHECK(event.kind != Event::Kind::kLinkDown);
      CHECK(event.kind != Event::Kind::kLinkSuspect);
    }
  }
}

TEST_CASE("engine: without segmentation in the kernel everything still arrives") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int fd_b = b.open_channel(0);
  REQUIRE(join(a, b));
  const int fd = descriptor_of(loopback_address(10));
  REQUIRE(fd >= 0);
  const int on = 1;
  REQUIRE(setsockopt(fd, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)) == 0);
  // While the engine stands in a call, messages gather; then they leave as one run.
  for (std::uint32_t round = 0; round < 20; ++round) {
    a.engine().run([&](Engine&) {
      for (std::uint32_t i = 0; i < 30; ++i)
        CHECK(write_message(fd_a, pattern(1000, i)));
    });
    for (std::uint32_t i = 0; i < 30; ++i)
      REQUIRE(read_message(fd_b) == pattern(1000, i));
  }
  CHECK(a.client().wait(
      [](const Recorder& recorder) { return recorder.count(Trouble::Kind::kOffload) == 1; }));
}

TEST_CASE("engine: a device whose MTU shrinks under traffic loses nothing") {
  in_own_network([] {
    REQUIRE(run_command("ip link set lo mtu 9000"));
    // Engine threads inherit the namespace of the thread that makes them.
    Node a(1);
    Node b(2);
    const int fd_a = a.open_channel(0);
    const int fd_b = b.open_channel(0);
    REQUIRE(join(a, b));
    const auto mtu_is = [&](auto&& predicate) {
      return a.client().wait([&](const Recorder& recorder) {
        std::uint32_t mtu = 0;  // the last one told
        for (const Event& event : recorder.events()) {
          if (event.kind == Event::Kind::kLinkMtu) {
            mtu = event.mtu;
          }
        }
        return predicate(mtu);
      });
    };
    REQUIRE(mtu_is([](std::uint32_t mtu) { return mtu > 8000; }));
    std::uint32_t number = 0;
    for (int i = 0; i < 20; ++i)
      exchange(fd_a, fd_b, 60000, ++number);
    REQUIRE(run_command("ip link set lo mtu 1500"));
    for (int i = 0; i < 200; ++i)
      exchange(fd_a, fd_b, 60000, ++number);
    CHECK(mtu_is([](std::uint32_t mtu) { return mtu < 1500 && mtu > 1300; }));
    CHECK(a.client().count(Event::Kind::kLinkDown) == 0);
  });
}

TEST_CASE("engine: two links, one cut: messages go on over the other") {
  in_own_network([] {
    Node a(1);
    Node b(2);
    const int fd_a = a.open_channel(0);
    const int fd_b = b.open_channel(0);
    REQUIRE(join(a, b, 2));
    std::uint32_t number = 0;
    for (int i = 0; i < 20; ++i)
      exchange(fd_a, fd_b, 5000, ++number);
    const Address cut = loopback_address(20);
    const std::string route = "ip route add unreachable 127." + std::to_string(cut.ip[1]) + "." +
                              std::to_string(cut.ip[2]) + ".20/32 table local";
    REQUIRE(run_command(route.c_str()));
    for (int i = 0; i < 200; ++i)
      exchange(fd_a, fd_b, 5000, ++number);
    CHECK(a.client().wait([](const Recorder& recorder) {
      for (const Event& event : recorder.events()) {
        if (event.link == LinkId{0} &&
            (event.kind == Event::Kind::kLinkSuspect || event.kind == Event::Kind::kLinkDown)) {
          return true;
        }
      }
      return false;
    }));
    CHECK(a.client().count(Trouble::Kind::kSend) > 0);
    CHECK(a.client().count(Event::Kind::kHostUnreachable) == 0);
  });
}

TEST_CASE("engine: a process that was held up hears its peers before it judges them") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int fd_b = b.open_channel(0);
  REQUIRE(join(a, b));
  for (Node* node : {&a, &b}) {
    Node& other = node == &a ? b : a;
    node->engine().run([&](Engine& engine) {
      const PingTimers timers{std::chrono::milliseconds(20), std::chrono::milliseconds(100), 64};
      CHECK(engine.fabric().link_set_timers(engine.now(), other.id(), LinkId{0}, timers).ok());
    });
  }
  exchange(fd_a, fd_b, 100, 1);
  for (int round = 0; round < 3; ++round) {
    // As if the whole process had been stopped for five times the timeout.
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(500);
    const auto hold = [&](Engine&) { std::this_thread::sleep_until(until); };
    std::jthread first([&] { a.engine().run(hold); });
    std::jthread second([&] { b.engine().run(hold); });
  }
  exchange(fd_a, fd_b, 100, 2);
  CHECK(a.client().count(Event::Kind::kLinkDown) == 0);
  CHECK(b.client().count(Event::Kind::kLinkDown) == 0);
}

}  // namespace
}  // namespace ringknet::test
