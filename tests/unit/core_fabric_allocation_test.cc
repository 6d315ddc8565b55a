// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The packet path allocates nothing: every operator new of this program is counted while messages
// of several sizes, PINGs and PONGs go between two fabrics in a steady state.
#include <doctest/doctest.h>

#include <cstdlib>
#include <cstring>
#include <new>

#include "tests/unit/allocations.h"
#include "tests/unit/fabric_kit.h"

namespace ringknet::test {

std::size_t allocations = 0;

}  // namespace ringknet::test

namespace {

void* counted(std::size_t size) {
  ++ringknet::test::allocations;
  void* memory =
      ringknet::test::AllocationsLeft::take() ? std::malloc(size != 0 ? size : 1) : nullptr;
  if (memory == nullptr)
    throw std::bad_alloc();
  return memory;
}

}  // namespace

// Not inlined: g++ would see free() meet operator new and warn of a mismatch.
__attribute__((noinline)) void* operator new(std::size_t size) {
  return counted(size);
}
__attribute__((noinline)) void* operator new[](std::size_t size) {
  return counted(size);
}
__attribute__((noinline)) void operator delete(void* memory) noexcept {
  std::free(memory);
}
__attribute__((noinline)) void operator delete[](void* memory) noexcept {
  std::free(memory);
}
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
__attribute__((noinline)) void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace ringknet::test {
namespace {

// Carries packets between two fabrics without any memory of its own.
struct Pump {
  Cluster& cluster;
  std::array<std::byte, 65536> datagram{};
  std::size_t received = 0;
  std::size_t control = 0;

  void move(unsigned from, unsigned to) {
    Transmit transmit;
    while (cluster.fabric(from).poll_transmit(cluster.now, transmit)) {
      control += transmit.kind == Transmit::Kind::kControl ? 1 : 0;
      const unsigned link = raw(transmit.socket);
      const Address source = address_of(from, link);
      for (std::size_t at = 0; at < transmit.bytes.size(); at += transmit.segment_size) {
        const ConstBytes part = transmit.bytes.subspan(
            at, std::min<std::size_t>(transmit.segment_size, transmit.bytes.size() - at));
        std::memcpy(datagram.data(), part.data(), part.size());
        const auto delivery = cluster.fabric(to).on_datagram(
            cluster.now, SocketId(link), source, MutableBytes(datagram).first(part.size()));
        if (!delivery)
          continue;
        ++received;
        if (delivery->buffer != MessageBufferId::kNone)
          cluster.fabric(to).release_message(delivery->buffer);
      }
      cluster.fabric(from).on_transmit_done(cluster.now, transmit.id, {});
    }
  }
  void turn() {
    for (const unsigned id : {1u, 2u}) {
      if (cluster.fabric(id).next_deadline() <= cluster.now)
        cluster.fabric(id).on_timeout(cluster.now);
      Event event{};
      while (cluster.fabric(id).poll_event(event)) {
      }
    }
    move(1, 2);
    move(2, 1);
    cluster.now += 1ms;
  }
};

}  // namespace

TEST_CASE("allocation: a steady stream allocates nothing") {
  for (const Policy policy : {Policy::kPassive, Policy::kActive, Policy::kRoundRobin}) {
    Cluster cluster({.links = 2, .policy = policy});
    REQUIRE(cluster.connect());
    cluster.run_for(10ms);
    auto pump = std::make_unique<Pump>(Pump{cluster});
    const Bytes messages[] = {pattern(1), pattern(100), pattern(1446), pattern(8192),
                              pattern(65536)};
    const auto stream = [&](int turns) {
      for (int i = 0; i < turns; ++i) {
        for (const Bytes& message : messages) {
          cluster.fabric(1).send(cluster.now, Channel{0}, message, Destinations::all());
          cluster.fabric(2).send(cluster.now, Channel{0}, message, Destinations::all());
        }
        pump->turn();
      }
    };
    stream(500);  // buffers are made on first use
    const std::size_t received = pump->received;
    const std::size_t control = pump->control;
    const std::size_t before = allocations;
    stream(2000);
    CHECK(allocations - before == 0);
    CHECK(pump->received - received == 2 * 5 * 2000);
    CHECK(pump->control - control > 40);  // PINGs and PONGs went along
  }
}

TEST_CASE("allocation: the counter counts") {
  const std::size_t before = allocations;
  const auto memory = std::make_unique<int>(1);
  CHECK(allocations == before + 1);
}

}  // namespace ringknet::test
