// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Calls: from many threads at once, from callbacks, synchronous sends, the destination filter.
#include <doctest/doctest.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include "tests/ring/node.h"

namespace ringknet::test {
namespace {

int to_host(unsigned host, HostId* hosts, std::size_t& count) {
  hosts[0] = static_cast<HostId>(host);
  count = 1;
  return 0;
}

TEST_CASE("engine: calls from many threads all run, one at a time, on one thread") {
  Node a(1);
  constexpr int kThreads = 8;
  constexpr int kCalls = 3000;
  int counter = 0;  // not atomic on purpose: the engine thread is the only one that touches it
  std::thread::id engine_thread;
  a.engine().run([&](Engine&) { engine_thread = std::this_thread::get_id(); });
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kCalls; ++j) {
        const int before = a.engine().run([&](Engine& engine) {
          if (std::this_thread::get_id() != engine_thread || !engine.on_engine_thread())
            ++wrong;
          // A call inside a call runs inline.
          return engine.run([&](Engine&) { return counter++; });
        });
        if (before < 0)
          ++wrong;
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  CHECK(wrong == 0);
  CHECK(a.engine().run([&](Engine&) { return counter; }) == kThreads * kCalls);
  CHECK_FALSE(a.engine().on_engine_thread());
}

TEST_CASE(
    "engine: a call may return nothing, a value that cannot be copied, or take a const function") {
  Node a(1);
  a.engine().run([](Engine&) {});
  CHECK(*a.engine().run([](Engine&) { return std::make_unique<int>(7); }) == 7);
  const auto constant = [](Engine& engine) { return engine.now() > Instant{}; };
  CHECK(a.engine().run(constant));
  const auto nothing = [](Engine&) {};
  a.engine().run(nothing);
}

TEST_CASE("drop: messages for a node that does not forward") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int fd_b = b.open_channel(0);
  REQUIRE(join(a, b));
  b.engine().set_forwarding(false);
  REQUIRE(write_message(fd_a, std::string("unheard")));
  CHECK(b.client().wait(
      [](const Recorder& recorder) { return recorder.count(Trouble::Kind::kDropped) == 1; }));
  CHECK(b.dropped(Drop::kForwardingOff) == 1);
  b.engine().set_forwarding(true);
  REQUIRE(write_message(fd_a, std::string("heard")));
  CHECK(read_text(fd_b) == "heard");
  CHECK(b.dropped(Drop::kForwardingOff) == 1);
}

TEST_CASE("engine: links and datafds come and go under traffic") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int fd_b = b.open_channel(0);
  REQUIRE(join(a, b));
  std::atomic<bool> stop = false;
  std::jthread writer([&] {
    const auto message = pattern(3000, 1);
    while (!stop) {
      if (send(fd_a, message.data(), message.size(), MSG_NOSIGNAL) < 0) {
        pollfd state{fd_a, POLLOUT, 0};
        poll(&state, 1, 10);
      }
    }
  });
  std::jthread reader([&] {
    std::vector<std::byte> bytes(kMessageSizeMax);
    while (!stop) {
      pollfd state{fd_b, POLLIN, 0};
      if (poll(&state, 1, 10) > 0)
        while (recv(fd_b, bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) {
        }
    }
  });
  for (int round = 0; round < 30; ++round) {
    // The same address again at once: nothing may hold the old socket.
    for (Node* node : {&a, &b}) {
      Node& other = node == &a ? b : a;
      node->engine().run([&](Engine& engine) {
        CHECK(engine.fabric().link_set_enabled(engine.now(), other.id(), LinkId{0}, false).ok());
        CHECK(engine.link_clear(other.id(), LinkId{0}).ok());
      });
      node->connect(other, 0);
    }
    for (Node* node : {&a, &b}) {
      node->engine().run([&](Engine& engine) {
        int application = -1;
        CHECK(engine.datafd_add(0, Channel{9}, application).ok());
        CHECK(send(application, "x", 1, MSG_DONTWAIT) == 1);
        engine.datafd_remove(Channel{9});
      });
    }
  }
  stop = true;
  writer.join();
  reader.join();
  // Once more from the beginning, and it works as ever.
  while (recv(fd_b, nullptr, 0, MSG_DONTWAIT | MSG_TRUNC) >= 0) {
  }
  REQUIRE(a.wait_reachable(2));
  for (std::uint32_t number = 1;; ++number) {
    // The links have just been made: messages go nowhere until they are up.
    REQUIRE(write_message(fd_a, pattern(500, number)));
    pollfd state{fd_b, POLLIN, 0};
    if (poll(&state, 1, 20) > 0)
      break;
    REQUIRE(number < 1000);
  }
  CHECK(read_message(fd_b).size() > 0);
}

TEST_CASE("engine: synchronous sends answer as they went") {
  Node a(1);
  Node b(2);
  a.open_channel(0);
  const int fd_b = b.open_channel(0);
  const auto send_sync = [&](std::size_t size = 10, unsigned channel = 0) {
    return a.engine().send_sync(static_cast<Channel>(channel), pattern(size, 1));
  };
  CHECK(send_sync() == Error::kNoFilter);
  std::atomic<int> verdict = 0;
  std::atomic<std::size_t> listed = 1;
  std::atomic<unsigned> first = 2;
  const auto filter = [&](Direction direction, ConstBytes, HostId self, HostId source, std::int8_t&,
                          HostId* hosts, std::size_t& count) {
    if (direction == Direction::kTx && self != source)
      return -5;
    hosts[0] = static_cast<HostId>(direction == Direction::kTx ? first.load() : raw(self));
    hosts[1] = HostId{77};
    count = direction == Direction::kTx ? listed.load() : 1;
    return verdict.load();
  };
  a.engine().run([&](Engine&) { a.client().filter_function = filter; });
  CHECK(send_sync(10, 1) == Error::kInvalid);
  CHECK(send_sync() == Error::kForwardingOff);
  REQUIRE(join(a, b));
  CHECK(send_sync() == Error::kNone);
  CHECK(read_message(fd_b) == pattern(10, 1));
  CHECK(send_sync(65536) == Error::kNone);
  CHECK(read_message(fd_b) == pattern(65536, 1));
  CHECK(send_sync(65537) == Error::kInvalid);
  verdict = -1;
  CHECK(send_sync() == Error::kFilterFailed);
  verdict = 1;
  CHECK(send_sync() == Error::kTooManyDestinations);
  verdict = 0;
  listed = 2;
  CHECK(send_sync() == Error::kTooManyDestinations);
  listed = 0;
  CHECK(send_sync() == Error::kNoDestination);
  listed = 70000;
  CHECK(send_sync() == Error::kNoDestination);
  listed = 1;
  first = 3;
  CHECK(send_sync() == Error::kHostDown);
}

TEST_CASE("engine: many synchronous senders and a datafd share the buffers, nothing is lost") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int fd_b = b.open_channel(0);
  a.client().filter_function = [](Direction, ConstBytes, HostId, HostId, std::int8_t&,
                                  HostId* hosts,
                                  std::size_t& count) { return to_host(2, hosts, count); };
  REQUIRE(join(a, b));
  // More senders than there are transmit buffers, so that some have to wait for them.
  constexpr int kThreads = 64;
  constexpr int kMessages = 10;
  const auto message = pattern(65536, 5);
  std::counting_semaphore<> ahead(24);  // of the reader: what its socket surely holds
  std::atomic<int> failed = 0;
  std::vector<std::jthread> threads;
  threads.reserve(kThreads + 1);
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < kMessages; ++j) {
        if (!ahead.try_acquire_for(kLimit) ||
            a.engine().send_sync(Channel{0}, message) != Error::kNone)
          ++failed;
      }
    });
  }
  threads.emplace_back([&] {
    for (int j = 0; j < kMessages; ++j) {
      if (!ahead.try_acquire_for(kLimit) || !write_message(fd_a, message))
        ++failed;
    }
  });
  int wrong = 0;
  for (int i = 0; i < (kThreads + 1) * kMessages && wrong == 0; ++i) {
    if (read_message(fd_b) != message)
      ++wrong;
    ahead.release();
  }
  threads.clear();
  CHECK(failed == 0);
  CHECK(wrong == 0);
}

TEST_CASE("engine: the filter decides on both sides and may change the channel") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int fd_b0 = b.open_channel(0);
  const int fd_b5 = b.open_channel(5);
  const int fd_b6 = b.open_channel(6);
  REQUIRE(join(a, b));
  a.engine().run([&](Engine&) {
    a.client().filter_function = [](Direction, ConstBytes message, HostId, HostId,
                                    std::int8_t& channel, HostId* hosts, std::size_t& count) {
      channel = static_cast<std::int8_t>(message[0]);
      return to_host(2, hosts, count);
    };
  });
  b.engine().run([&](Engine&) {
    b.client().filter_function = [](Direction direction, ConstBytes message, HostId self,
                                    HostId source, std::int8_t& channel, HostId* hosts,
                                    std::size_t& count) {
      if (direction != Direction::kRx || self != HostId{2} || source != HostId{1})
        return -1;
      if (channel == 5)
        channel = static_cast<std::int8_t>(message[1]);
      if (message[2] == std::byte{'n'})
        return to_host(3, hosts, count);
      if (message[2] == std::byte{'-'})
        return -1;
      return message[2] == std::byte{'b'} ? 1 : to_host(2, hosts, count);
    };
  });
  const auto send_three = [&](char tx_channel, char rx_channel, char verdict) {
    std::string message{tx_channel, rx_channel, verdict};
    REQUIRE(write_message(fd_a, message));
    return message;
  };
  const std::string plain = send_three(0, 0, 'u');
  CHECK(read_text(fd_b0) == plain);
  const std::string changed = send_three(5, 6, 'u');
  CHECK(read_text(fd_b6) == changed);
  const std::string broadcast = send_three(5, 5, 'b');
  CHECK(read_text(fd_b5) == broadcast);
  send_three(0, 0, 'n');    // listed another host
  send_three(0, 0, '-');    // refused
  send_three(5, 100, 'u');  // no such channel, at the receiver
  send_three(5, -1, 'u');
  send_three(100, 0, 'u');  // no such channel, at the sender
  send_three(-3, 0, 'u');
  const std::string last = send_three(0, 0, 'b');
  CHECK(read_text(fd_b0) == last);
  CHECK(b.dropped(Drop::kFilter) == 2);
  CHECK(b.dropped(Drop::kChannelClosed) == 2);
  CHECK(a.client().wait(
      [](const Recorder& recorder) { return recorder.count(Trouble::Kind::kRefusedSend) == 2; }));
}

TEST_CASE("engine: everything may be called from the filter") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  a.open_channel(1);
  const int fd_b = b.open_channel(0);
  const int sync_b = b.open_channel(1);
  REQUIRE(join(a, b));
  std::atomic<int> outer = 0;
  a.engine().run([&](Engine&) {
    a.client().filter_function = [&](Direction, ConstBytes, HostId, HostId, std::int8_t& channel,
                                     HostId* hosts, std::size_t& count) {
      to_host(2, hosts, count);
      if (channel == 0) {
        ++outer;
        // The inner send calls this filter again, for channel 1, and must not disturb our list.
        hosts[0] = HostId{2};
        CHECK(a.engine().send_sync(Channel{1}, pattern(30, 3)) == Error::kNone);
        CHECK(hosts[0] == HostId{2});
        a.engine().run([](Engine& engine) {
          int application = -1;
          CHECK(engine.datafd_add(0, Channel{2}, application).ok());
          engine.datafd_remove(Channel{2});
        });
      }
      return 0;
    };
  });
  // On the receiving side, the filter removes the very channel the message is for.
  REQUIRE(write_message(fd_a, pattern(100, 1)));
  CHECK(read_message(fd_b) == pattern(100, 1));
  CHECK(read_message(sync_b) == pattern(30, 3));
  CHECK(outer == 1);
  b.engine().run([&](Engine&) {
    b.client().filter_function = [&](Direction, ConstBytes, HostId, HostId, std::int8_t& channel,
                                     HostId* hosts, std::size_t& count) {
      if (channel == 0)
        b.engine().run([](Engine& engine) { engine.datafd_remove(Channel{0}); });
      return to_host(2, hosts, count);
    };
  });
  REQUIRE(write_message(fd_a, pattern(100, 2)));
  CHECK(read_message(sync_b) == pattern(30, 3));
  CHECK(b.client().wait(
      [](const Recorder& recorder) { return recorder.count(Trouble::Kind::kDropped) == 1; }));
  CHECK(b.dropped(Drop::kChannelClosed) == 1);
}

TEST_CASE("engine: a channel closed in a filter has been given what came before") {
  constexpr std::uint32_t kSent = 40;
  constexpr std::uint32_t kBefore = 9;
  Node a(1);
  Node b(2);
  int pair[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
  const int fd_a = a.open_channel(0);
  REQUIRE(join(a, b));
  std::uint32_t seen = 0;
  b.engine().run([&](Engine& engine) {
    int application = -1;
    CHECK(engine.datafd_add(pair[0], Channel{0}, application).ok());
    b.client().filter_function = [&](Direction, ConstBytes, HostId, HostId, std::int8_t&,
                                     HostId* hosts, std::size_t& count) {
      if (++seen == kBefore + 1)
        b.engine().run([](Engine& inner) { inner.datafd_remove(Channel{0}); });
      return to_host(2, hosts, count);
    };
  });
  for (std::uint32_t i = 1; i <= kSent; ++i)
    REQUIRE(write_message(fd_a, pattern(1000, i)));
  for (std::uint32_t i = 1; i <= kBefore; ++i)
    CHECK(read_message(pair[1]) == pattern(1000, i));
  CHECK(b.client().wait([](const Recorder& recorder) {
    return recorder.count(Trouble::Kind::kDropped) == kSent - kBefore;
  }));
  CHECK(b.dropped(Drop::kChannelClosed) == kSent - kBefore);
  for (const int end : pair)
    close(end);
}

TEST_CASE("engine: a link may be cleared in the filter of a message that came through it") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int fd_b = b.open_channel(0);
  REQUIRE(join(a, b));
  b.engine().run([&](Engine&) {
    b.client().filter_function = [&](Direction, ConstBytes, HostId, HostId, std::int8_t&,
                                     HostId* hosts, std::size_t& count) {
      b.engine().run([&](Engine& engine) {
        if (!engine.fabric().link_status(a.id(), LinkId{0}))
          return;
        CHECK(engine.fabric().link_set_enabled(engine.now(), a.id(), LinkId{0}, false).ok());
        CHECK(engine.link_clear(a.id(), LinkId{0}).ok());
      });
      return to_host(2, hosts, count);
    };
  });
  // Several in one go, so that the rest of the burst belongs to a socket that is gone.
  for (std::uint32_t i = 1; i <= 40; ++i)
    REQUIRE(write_message(fd_a, pattern(1000, i)));
  CHECK(read_message(fd_b) == pattern(1000, 1));
  b.engine().run([](Engine&) {});
}

TEST_CASE("engine: a loopback link delivers to the node itself") {
  Node a(1);
  const int fd = a.open_channel(0);
  const int other = a.open_channel(1);
  a.engine().run([&](Engine& engine) {
    Fabric& fabric = engine.fabric();
    CHECK(fabric.host_add(a.id()).ok());
    LinkConfig config;
    config.transport = Transport::kLoopback;
    config.local = loopback_address(1);
    CHECK(engine.link_configure(a.id(), LinkId{0}, config).ok());
    CHECK(fabric.link_set_enabled(engine.now(), a.id(), LinkId{0}, true).ok());
  });
  a.engine().set_forwarding(true);
  REQUIRE(write_message(fd, pattern(65536, 1)));
  CHECK(read_message(fd) == pattern(65536, 1));
  a.engine().run([&](Engine&) {
    a.client().filter_function = [](Direction, ConstBytes, HostId, HostId, std::int8_t& channel,
                                    HostId* hosts, std::size_t& count) {
      channel = 1;
      return to_host(1, hosts, count);
    };
  });
  CHECK(a.engine().send_sync(Channel{0}, pattern(50, 2)) == Error::kNone);
  CHECK(read_message(other) == pattern(50, 2));
}

}  // namespace
}  // namespace ringknet::test
