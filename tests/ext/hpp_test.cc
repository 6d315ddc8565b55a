// SPDX-License-Identifier: LGPL-2.1-or-later
//
// knet.hpp: owners close what they own, callables live as long as they are called, errors come
// back as values, and a message costs no allocation.
#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "api/knet.hpp"
#include "tests/api/support.h"

using knet::Handle;
using knet::HostId;
using knet::LinkId;
using knet::Message;
using knet_test::eventually;
using std::chrono::milliseconds;

namespace {

// Allocations of this thread by new, those of the library among them, while somebody counts.
thread_local bool counting = false;
thread_local std::size_t allocations = 0;

void* counted(std::size_t size) {
  allocations += counting ? 1 : 0;
  return std::malloc(size);
}

}  // namespace

// Not inlined: g++ would see free() meet operator new and warn of a mismatch.
__attribute__((noinline)) void* operator new(std::size_t size) {
  void* memory = counted(size);
  if (memory == nullptr)
    throw std::bad_alloc();
  return memory;
}
__attribute__((noinline)) void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted(size);
}
__attribute__((noinline)) void operator delete(void* memory) noexcept {
  std::free(memory);
}
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace {

template <typename Value>
Value got(knet::Result<Value> result) {
  REQUIRE_MESSAGE(result, result.error().message());
  return *std::move(result);
}

void fine(std::error_code error) {
  CHECK_MESSAGE(!error, error.message());
}

Handle make(unsigned id, bool driven = false) {
  return got(Handle::create({.self = HostId(id), .caller_driven = driven}));
}

std::string text_of(const Message& message) {
  return {reinterpret_cast<const char*>(message.bytes.data()), message.bytes.size()};
}
std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

void join(const Handle& from, unsigned host, std::uint16_t port, std::uint16_t peer_port) {
  const knet::Host peer = got(from.add_host(HostId(host)));
  const knet::Link link = got(peer.add_link(LinkId(0), got(knet::address("127.0.0.1", port)),
                                            got(knet::address("127.0.0.1", peer_port))));
  fine(link.set_ping_timers(milliseconds(20), milliseconds(1000)));
  fine(link.set_pong_count(1));
  fine(link.enable());
  fine(from.set_forwarding(true));
}

// Nodes 1 and 2 with a link between them.
struct Two {
  Handle one;
  Handle two;
  explicit Two(bool driven = false) : one(make(1, driven)), two(make(2, driven)) {
    const std::uint16_t port_one = knet_test::free_port();
    const std::uint16_t port_two = knet_test::free_port();
    join(one, 2, port_one, port_two);
    join(two, 1, port_two, port_one);
  }
  bool reachable() const {
    return *one.host(HostId(2)).reachable() && *two.host(HostId(1)).reachable();
  }
  bool drive_until(const std::function<bool()>& condition) const {
    return eventually([&] {
      fine(one.run_once(milliseconds(1)));
      fine(two.run_once(milliseconds(1)));
      return condition();
    });
  }
};

TEST_CASE("hpp: messages both ways, from and to callables that have state") {
  const Two nodes;
  REQUIRE(eventually([&] { return nodes.reachable(); }));
  std::atomic<int> echoes = 0;
  const knet::Channel asking = got(nodes.one.open_channel([&](const Message& message) {
    CHECK(message.source == HostId(2));
    CHECK(text_of(message) == "question");
    ++echoes;
  }));
  // The callable needs its own channel, which is there before the first message.
  std::atomic<const knet::Channel*> own = nullptr;
  const knet::Channel answering =
      got(nodes.two.open_channel([&own, held = std::make_unique<int>(7)](const Message& message) {
        CHECK(*held == 7);
        CHECK(message.channel == own.load()->id());
        fine(own.load()->send(message.bytes));
      }));
  own = &answering;
  CHECK(asking.id() == answering.id());
  for (int i = 0; i < 10; ++i)
    fine(asking.send(bytes_of("question")));
  CHECK(eventually([&] { return echoes == 10; }));
}

TEST_CASE("hpp: a driven pair, with its descriptors, sends without an allocation") {
  const Two nodes(true);
  std::size_t received = 0;
  const std::string text(100, 'x');
  const knet::Channel sending = got(nodes.one.open_channel([](const Message&) {}));
  const knet::Channel receiving = got(
      nodes.two.open_channel([&](const Message& message) { received += message.bytes.size(); }));
  REQUIRE(nodes.drive_until([&] { return nodes.reachable(); }));
  const auto send_100 = [&] {
    received = 0;
    for (int i = 0; i < 100; ++i)
      (void)sending.send(bytes_of(text));
    for (int turn = 0; turn < 20000 && received < 100 * text.size(); ++turn) {
      (void)nodes.one.run_once(milliseconds(0));
      (void)nodes.two.run_once(milliseconds(1));
    }
    return received == 100 * text.size();
  };
  // The library makes buffers when it first needs them; a message that cost one would do so in
  // every round.
  constexpr int kRounds = 20;
  int round = 0;
  do {
    allocations = 0;
    counting = true;
    const bool arrived = send_100();
    counting = false;
    CHECK(arrived);
  } while (allocations != 0 && ++round < kRounds);
  CHECK(allocations == 0);
  std::array<pollfd, 2> waiting = {pollfd{got(nodes.one.descriptor()), POLLIN, 0},
                                   pollfd{got(nodes.two.descriptor()), POLLIN, 0}};
  // There are PINGs to send every 20 ms.
  CHECK(::poll(waiting.data(), waiting.size(), 20000) > 0);
}

TEST_CASE("hpp: full, then room") {
  const Two nodes(true);
  std::size_t received = 0;
  int rooms = 0;
  const std::string text(60000, 'x');
  const knet::Channel sending =
      got(nodes.one.open_channel([](const Message&) {}, [&] { ++rooms; }));
  const knet::Channel receiving = got(nodes.two.open_channel([&](const Message&) { ++received; }));
  REQUIRE(nodes.drive_until([&] { return nodes.reachable(); }));
  std::size_t sent = 0;
  std::error_code error;
  while (!(error = sending.try_send(bytes_of(text))) && sent < 100000)
    ++sent;
  CHECK(error == std::errc::resource_unavailable_try_again);
  CHECK(rooms == 0);
  CHECK(nodes.drive_until([&] { return rooms == 1 && received == sent; }));
}

TEST_CASE("hpp: owners move, and end what they own once") {
  auto watched = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = watched;
  Handle moved = make(5);
  {
    Handle handle = make(6);
    const knet_handle_t raw = handle.get();
    knet::Channel channel =
        got(handle.open_channel([kept = std::move(watched)](const Message&) {}));
    knet::Channel other = std::move(channel);
    moved = std::move(handle);
    CHECK(moved.get() == raw);
    CHECK(handle.get() == nullptr);  // NOLINT(bugprone-use-after-move): it owns nothing now
    CHECK(!handle.close());
    CHECK(!channel.close());  // NOLINT(bugprone-use-after-move)
    CHECK_FALSE(watch.expired());
    const auto taken = moved.open_channel([](const Message&) {}, [] {}, other.id());
    CHECK(taken.error() == std::errc::device_or_resource_busy);
  }
  CHECK(watch.expired());
  const auto again = moved.open_channel([](const Message&) {}, [] {}, knet::ChannelId(0));
  CHECK(again);
  join(moved, 9, knet_test::free_port(), knet_test::free_port());
  CHECK(!moved.close());
  CHECK(moved.get() == nullptr);
}

TEST_CASE("hpp: hosts are told of, filtered, and a callable is replaced") {
  Two nodes;
  std::atomic<int> told = 0;
  std::atomic<int> told_later = 0;
  fine(nodes.one.set_host_callback([&](HostId, bool) { ++told; }));
  fine(nodes.one.set_host_callback([&](HostId host, bool reachable) {
    CHECK(host == HostId(2));
    told_later += reachable ? 1 : 100;
  }));
  REQUIRE(eventually([&] { return nodes.reachable(); }));
  std::atomic<int> came = 0;
  const knet::Channel sending = got(nodes.one.open_channel([](const Message&) {}));
  const knet::Channel unwanted = got(nodes.two.open_channel([](const Message&) { CHECK(false); }));
  const knet::Channel wanted = got(nodes.two.open_channel([&](const Message&) { ++came; }));
  fine(nodes.one.set_filter([](knet::Filtered& message) {
    CHECK(message.outgoing);
    CHECK(message.self == HostId(1));
    if (message.bytes.size() == 1)
      return knet::Route::kNowhere;
    message.channel = knet::ChannelId(1);
    message.list(HostId(2));
    return knet::Route::kListed;
  }));
  fine(sending.send(bytes_of("x")));
  fine(sending.send(bytes_of("to channel 1")));
  CHECK(eventually([&] { return came == 1; }));
  fine(nodes.two.host(HostId(1)).link(LinkId(0)).disable());
  fine(nodes.two.close());
  // Its answers stay away.
  CHECK(eventually([&] { return told_later == 101 || told + told_later >= 101; }));
}

TEST_CASE("hpp: errors are values") {
  CHECK(knet::address("no address", 1).error() == std::errc::invalid_argument);
  CHECK(Handle::create({.self = HostId(1), .log_descriptor = -1}).error() ==
        std::errc::invalid_argument);
  Handle handle = make(1);
  const knet::Host host = got(handle.add_host(HostId(2)));
  CHECK(handle.add_host(HostId(2)).error() == std::errc::file_exists);
  CHECK(host.link(LinkId(0)).enable() == std::errc::invalid_argument);
  CHECK(host.link(LinkId(0)).status().error() == std::errc::invalid_argument);
  CHECK(handle.host(HostId(3)).reachable().error() == std::errc::invalid_argument);
  CHECK(handle.run_once(milliseconds(0)) == std::errc::operation_not_permitted);
  CHECK(handle.descriptor().error() == std::errc::operation_not_permitted);
  CHECK(handle.set_busy_poll(std::chrono::seconds(2)) == std::errc::invalid_argument);
  fine(handle.set_busy_poll(std::chrono::microseconds(50)));
  fine(handle.set_offload(false));
  const knet::Channel channel = got(handle.open_channel([](const Message&) {}));
  CHECK(channel.send({}) == std::errc::invalid_argument);
  CHECK(channel.try_send(bytes_of("forwarding is off")) == std::errc::operation_canceled);
  fine(host.set_policy(knet::Policy::kActive));
  fine(host.remove());
  CHECK(host.remove() == std::errc::invalid_argument);
}

TEST_CASE("hpp: a driven handle that the wrong thread lets go of lives on") {
  Handle handle = make(1, true);
  fine(handle.set_host_callback([](HostId, bool) {}));
  const knet_handle_t raw = handle.get();
  std::error_code refused;
  std::atomic<bool> answered = false;
  std::thread other([&] {
    refused = handle.close();
    answered = true;
  });
  while (!answered)
    fine(handle.run_once(milliseconds(1)));
  other.join();
  CHECK(refused == std::errc::operation_not_permitted);
  CHECK(handle.get() == raw);
  CHECK(!handle.close());
}

}  // namespace
