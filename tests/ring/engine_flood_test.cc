// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A flood that comes faster than it can be worked on: timers fire and calls are answered between
// its bursts.
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "engine/wire/packet.h"
#include "tests/ring/node.h"

namespace ringknet::test {
namespace {

constexpr HostId kFlooder{3};
constexpr LinkId kLink{0};

sockaddr_in name_of(const Address& address) {
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(address.port);
  std::memcpy(&name.sin_addr, address.ip.data(), sizeof(name.sin_addr));
  return name;
}

// A bound socket; what comes to it stays there.
int bound_socket(const Address& address) {
  const int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const sockaddr_in name = name_of(address);
  REQUIRE(bind(descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) == 0);
  return descriptor;
}

// Sends the same packet from one address to another as fast as it goes: many in one run, which the
// kernel hands over as one.
class Flood {
 public:
  Flood(const Address& from, const Address& to, ConstBytes packet)
      : socket_(bound_socket(from)), segment_(static_cast<int>(packet.size())) {
    const sockaddr_in remote = name_of(to);
    REQUIRE(connect(socket_, reinterpret_cast<const sockaddr*>(&remote), sizeof(remote)) == 0);
    setsockopt(socket_, IPPROTO_UDP, UDP_SEGMENT, &segment_, sizeof(segment_));
    for (std::size_t i = 0; i < kRun; ++i)
      bytes_.insert(bytes_.end(), packet.begin(), packet.end());
    thread_ = std::thread([this] {
      while (!stop_)
        send(socket_, bytes_.data(), bytes_.size(), MSG_NOSIGNAL);
    });
  }
  ~Flood() {
    stop_ = true;
    thread_.join();
    close(socket_);
  }
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;

 private:
  static constexpr std::size_t kRun = 60;

  int socket_;
  int segment_;
  std::vector<std::byte> bytes_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

std::vector<std::byte> ping_of_flooder() {
  std::vector<std::byte> packet(64);
  packet.resize(
      encode(PingPacket{.sender = kFlooder, .link = kLink, .seq = MessageSeq{1}}, packet));
  return packet;
}

// A host with one link, for an engine that nothing else is known of.
EngineStatus add_host(Engine& engine, HostId host, const Address& local, const Address& remote) {
  LinkConfig config;
  config.local = local;
  config.remote = remote;
  Fabric& fabric = engine.fabric();
  if (const Result<> added = fabric.host_add(host); !added.ok())
    return {.error = added.error()};
  if (const EngineStatus status = engine.link_configure(host, kLink, config); !status.ok())
    return status;
  const PingTimers timers{std::chrono::milliseconds(20), std::chrono::milliseconds(2000), 64};
  if (const Result<> set = fabric.link_set_timers(engine.now(), host, kLink, timers); !set.ok())
    return {.error = set.error()};
  return {.error = fabric.link_set_enabled(engine.now(), host, kLink, true).error()};
}

// Each PING counts once here; those whose answer gave way to a newer one count as a drop, too.
std::uint64_t taken_of_flood(Engine& engine) {
  const auto link = engine.fabric().link_status(kFlooder, kLink);
  return link ? link->stats.rx_ping.packets : 0;
}

// An engine that is late hears first what came meanwhile. That has an end, however much comes:
// what a socket can hold, and what one round takes.
TEST_CASE("engine: catching up under a flood comes to an end in every turn") {
  constexpr std::uint64_t kTurnMax = 32768;
  Recorder client;
  const Engine::Created created =
      Engine::create({.self = HostId{1}, .caller_driven = true}, client);
  REQUIRE(created.engine != nullptr);
  Engine& engine = *created.engine;
  const Address local = loopback_address(18);
  const Address remote = loopback_address(38);
  const int sink = bound_socket(loopback_address(28));
  REQUIRE(add_host(engine, HostId{2}, loopback_address(17), loopback_address(28)).ok());
  REQUIRE(add_host(engine, kFlooder, local, remote).ok());
  const Flood flood(remote, local, ping_of_flooder());
  for (int turn = 0; turn < 10; ++turn) {
    std::this_thread::sleep_for(std::chrono::milliseconds(25));  // PINGs are overdue
    const std::uint64_t before = taken_of_flood(engine);
    engine.run_once(Duration::zero());
    CHECK(taken_of_flood(engine) - before < kTurnMax);
  }
  CHECK(taken_of_flood(engine) > 0);
  close(sink);
}

// Links of which one is flooded from its peer's address; the other has a socket of its own.
TEST_CASE("engine: under a flood of PINGs own PINGs leave, and another link stays up") {
  constexpr std::uint64_t kFlooded = 200'000;
  constexpr std::uint64_t kPings = 10;
  Node a(1);
  Node b(2);
  REQUIRE(join(a, b));
  const Address local = loopback_address(18);
  const Address remote = loopback_address(38);
  REQUIRE(a.engine().run(
      [&](Engine& engine) { return add_host(engine, kFlooder, local, remote).ok(); }));
  std::uint64_t taken = 0;
  std::uint64_t pings = 0;
  const auto look = [&](Engine& engine) {
    taken = taken_of_flood(engine);
    const auto link = engine.fabric().link_status(b.id(), kLink);
    pings = link ? link->stats.tx_ping.packets : 0;
  };
  a.engine().run(look);
  const std::uint64_t enough = pings + kPings;
  {
    const Flood flood(remote, local, ping_of_flooder());
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while ((taken < kFlooded || pings < enough) && std::chrono::steady_clock::now() < end)
      a.engine().run(look);
  }
  CHECK(taken >= kFlooded);
  CHECK(pings >= enough);
  CHECK(a.client_.count(Event::Kind::kLinkDown) == 0);
  CHECK(b.client_.count(Event::Kind::kLinkDown) == 0);
}

}  // namespace
}  // namespace ringknet::test
