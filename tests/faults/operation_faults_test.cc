// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Every operation of the ring completes with every errno in turn, once and many times over, under
// traffic. Afterwards everything arrives again, nothing came twice or altered, the engines sleep,
// and what they owned is given back. Which faults may cost messages is said where it is so: where
// nothing is said, none is lost.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstdio>

#include "tests/faults/pair.h"

namespace ringknet::test {
namespace {

constexpr std::array kErrors{EAGAIN, ENOBUFS, EPERM, ENETDOWN, EMSGSIZE, ECANCELED, ENOMEM};
constexpr std::array kCounts{1U, 30U};
constexpr std::size_t kDataSize = 60;  // no PING or PONG is as long

// Ends the operations of the kind that are going on, on both nodes; what replaces them fails, too.
void end_repeatedly(Pair& pair, OpKind kind, int error, unsigned count) {
  for (FaultyNode* node : {&pair.a(), &pair.b()}) {
    const unsigned ended = node->inject([&](Injector& injector) {
      injector.fail(kind, error, count - 1);
      return injector.end(kind, error);
    });
    CHECK(ended > 0);
  }
}

void fail_next(Pair& pair, OpKind kind, int error, unsigned count) {
  for (FaultyNode* node : {&pair.a(), &pair.b()}) {
    node->inject([&](Injector& injector) {
      injector.spare_sends_below(kDataSize);
      injector.fail(kind, error, count);
    });
  }
}

std::uint64_t injected(Pair& pair) {
  std::uint64_t sum = 0;
  for (FaultyNode* node : {&pair.a(), &pair.b()})
    sum += node->inject([](const Injector& injector) { return injector.injected(); });
  return sum;
}

std::size_t links_down(Pair& pair) {
  return pair.a().node().client().count(Event::Kind::kLinkDown) +
         pair.b().node().client().count(Event::Kind::kLinkDown);
}

// Segmentation ends where runs are refused, and with it sending by the ring: it begins anew.
void use_ring_again(Pair& pair) {
  for (FaultyNode* node : {&pair.a(), &pair.b()})
    node->node().engine().run([](Engine& engine) { engine.set_offload(true); });
}

// Every errno, once and often; `fault(pair, error, count)` says what fails.
template <typename Fault>
void try_all(unsigned links, Fault&& fault) {
  check_nothing_left([&] {
    Pair pair(links);
    for (const int error : kErrors) {
      for (const unsigned count : kCounts) {
        const std::string name = error_name(error);
        CAPTURE(name);
        CAPTURE(count);
        use_ring_again(pair);
        const std::uint64_t before = injected(pair);
        fault(pair, error, count);
        CHECK(injected(pair) > before);
      }
      pair.check_idle();
    }
    std::printf("%llu faults injected\n", static_cast<unsigned long long>(injected(pair)));
  });
}

TEST_CASE("faults: receiving ends with every errno") {
  try_all(1, [](Pair& pair, int error, unsigned count) {
    end_repeatedly(pair, OpKind::kReceive, error, count);
    CHECK(pair.run_through_fault(40) == 0);
    CHECK(links_down(pair) == 0);
  });
}

TEST_CASE("faults: waiting for calls ends with every errno") {
  try_all(1, [](Pair& pair, int error, unsigned count) {
    end_repeatedly(pair, OpKind::kWake, error, count);
    CHECK(pair.run_through_fault(40) == 0);
    CHECK(links_down(pair) == 0);
  });
}

TEST_CASE("faults: sending fails with every errno, and another link takes over") {
  try_all(2, [](Pair& pair, int error, unsigned) {
    fail_next(pair, OpKind::kSend, error, 1);
    CHECK(pair.run_through_fault(40) == 0);
    CHECK(links_down(pair) == 0);
  });
}

TEST_CASE("faults: sending fails with every errno on the only link") {
  try_all(1, [](Pair& pair, int error, unsigned count) {
    fail_next(pair, OpKind::kSend, error, count);
    const std::size_t lost = pair.run_through_fault(40);
    // A firewall's no is no for good, and so is the cancelling of an operation.
    if (error != EPERM && error != ECANCELED)
      CHECK(lost == 0);
  });
}

// While the engine stands in a call messages gather; then they leave as runs.
void send_runs(FaultyNode& from, int fd_from, int fd_to) {
  constexpr std::uint32_t kCount = 60;
  from.node().engine().run([&](Engine&) {
    for (std::uint32_t i = 0; i < kCount; ++i)
      CHECK(write_message(fd_from, pattern(1000, i)));
  });
  for (std::uint32_t i = 0; i < kCount; ++i)
    REQUIRE(read_message(fd_to) == pattern(1000, i));
}

std::size_t offload_troubles(Pair& pair) {
  return pair.a().node().client().count(Trouble::Kind::kOffload) +
         pair.b().node().client().count(Trouble::Kind::kOffload);
}

TEST_CASE("faults: runs are refused with every errno, and their datagrams are not: none is lost") {
  check_nothing_left([&] {
    for (const int error : {EPERM, EACCES, EINVAL, EIO, EOPNOTSUPP, ENOMSG, EHOSTUNREACH, ECANCELED,
                            ENOBUFS, ENOMEM, EMSGSIZE}) {
      const std::string name = error_name(error);
      CAPTURE(name);
      Pair pair(1);
      for (FaultyNode* node : {&pair.a(), &pair.b()})
        node->inject([&](Injector& injector) { injector.refuse_runs(error); });
      // Until runs were tried, which takes some traffic, and a little more.
      const auto until = std::chrono::steady_clock::now() + kLimit;
      const auto told = [&] { return offload_troubles(pair) == 2; };
      for (int more = 0; more < 3 && std::chrono::steady_clock::now() < until; more += told()) {
        send_runs(pair.a(), pair.fd_a(), pair.fd_b());
        send_runs(pair.b(), pair.fd_b(), pair.fd_a());
      }
      CHECK(injected(pair) > 0);
      CHECK(links_down(pair) == 0);
      for (FaultyNode* node : {&pair.a(), &pair.b()}) {
        CHECK(node->node().client().count(Trouble::Kind::kOffload) == 1);
        CHECK(node->node().client().count(Trouble::Kind::kSend) == 0);
      }
      pair.check_idle();
    }
  });
}

TEST_CASE("faults: sending, PINGs and all, fails for a while") {
  try_all(1, [](Pair& pair, int error, unsigned count) {
    for (FaultyNode* node : {&pair.a(), &pair.b()}) {
      node->inject([&](Injector& injector) {
        injector.spare_sends_below(0);
        injector.fail(OpKind::kSend, error, count * 5);
      });
    }
    pair.run_through_fault(40);
  });
}

// A full socket: what waits for it goes on by plain system calls.
TEST_CASE("faults: waiting for a full link socket ends with every errno") {
  try_all(1, [](Pair& pair, int error, unsigned count) {
    for (FaultyNode* node : {&pair.a(), &pair.b()}) {
      node->inject([&](Injector& injector) {
        injector.spare_sends_below(kDataSize);
        injector.fail(OpKind::kSend, EAGAIN);
        injector.fail(Call::kSendDatagram, EAGAIN, count);
        injector.fail(OpKind::kSocketWritable, error, count);
      });
    }
    CHECK(pair.run_through_fault(40) == 0);
    CHECK(links_down(pair) == 0);
  });
}

TEST_CASE("faults: repeating a send fails with every errno, and the error queue with it") {
  try_all(2, [](Pair& pair, int error, unsigned) {
    for (FaultyNode* node : {&pair.a(), &pair.b()}) {
      node->inject([&](Injector& injector) {
        injector.spare_sends_below(kDataSize);
        injector.fail(OpKind::kSend, EAGAIN);
        injector.fail(Call::kSendDatagram, error);
        injector.fail(Call::kErrorQueue, error, 2);
      });
    }
    CHECK(pair.run_through_fault(40) == 0);
    CHECK(links_down(pair) == 0);
  });
}

std::size_t read_ends(Node& node) {
  std::size_t count = 0;
  for (const DatafdReport& report : node.client().datafds())
    count += report.direction == Direction::kTx ? 1 : 0;
  return count;
}

// What a datafd's descriptor may say for a moment. The rest is told to the application once, and
// the datafd is not read any more.
bool passes(int error) {
  return error == EAGAIN || error == ENOBUFS || error == ECANCELED || error == ENOMEM;
}

TEST_CASE("faults: reading a datafd ends with an errno that passes") {
  try_all(1, [](Pair& pair, int error, unsigned count) {
    if (!passes(error))
      error = EINTR;
    end_repeatedly(pair, OpKind::kRead, error, count);
    CHECK(pair.run_through_fault(40) == 0);
    CHECK(read_ends(pair.a().node()) + read_ends(pair.b().node()) == 0);
  });
}

TEST_CASE("faults: reading a datafd ends with an errno that stays") {
  check_nothing_left([&] {
    for (const int error : kErrors) {
      if (passes(error))
        continue;
      const std::string name = error_name(error);
      CAPTURE(name);
      Pair pair(1);
      end_repeatedly(pair, OpKind::kRead, error, 1);
      for (FaultyNode* node : {&pair.a(), &pair.b()}) {
        CHECK(node->node().client().wait([&](const Recorder& recorder) {
          return recorder.datafds().size() == 1 && recorder.datafds()[0].error == -1 &&
                 recorder.datafds()[0].errno_value == error;
        }));
        node->inject([](Injector&) {});
      }
      // It still writes: what comes from the other side, which has a new datafd, arrives.
      pair.a().node().engine().run([](Engine& engine) { engine.datafd_remove(Channel{0}); });
      Stream there(pair.a().node().open_channel(0), pair.fd_b());
      REQUIRE(there.write(40));
      there.read(kRecovery);
      CHECK(there.complete());
      pair.check_idle();
      CHECK(read_ends(pair.a().node()) == 1);
      CHECK(read_ends(pair.b().node()) == 1);
    }
  });
}

// A pipe is polled first and read then.
TEST_CASE("faults: waiting for a datafd that is a pipe, and reading it, ends with every errno") {
  for (const OpKind kind : {OpKind::kReadable, OpKind::kRead}) {
    check_nothing_left([&] {
      Pair pair(1);
      int ends[2];
      REQUIRE(pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
      // The only reader of this engine is the pipe's.
      pair.a().node().engine().run([](Engine& engine) { engine.datafd_remove(Channel{0}); });
      int application = -1;
      REQUIRE(pair.a()
                  .node()
                  .engine()
                  .run([&](Engine& engine) {
                    return engine.datafd_add(ends[0], Channel{0}, application);
                  })
                  .ok());
      std::uint32_t number = 0;
      for (const int error : kErrors) {
        if (kind == OpKind::kRead && !passes(error))
          continue;
        // A poll that fails makes the engine read at once: one fault a message, no more.
        for (const unsigned count : {1U, 4U}) {
          const std::string name = error_name(error);
          CAPTURE(name);
          CAPTURE(count);
          pair.a().inject([&](Injector& injector) {
            injector.fail(kind, error, count);
            injector.end(kind, error);
          });
          // One at a time: a pipe has no message boundaries.
          for (int i = 0; i < 5; ++i) {
            const std::vector<std::byte> message = pattern(1000, ++number);
            REQUIRE(write(ends[1], message.data(), message.size()) == 1000);
            CHECK(read_message(pair.fd_b()) == message);
          }
          CHECK(pair.a().inject([](const Injector& injector) { return injector.left(); }) == 0);
        }
        pair.check_idle();
      }
      CHECK(read_ends(pair.a().node()) == 0);
      pair.a().node().engine().run([](Engine& engine) { engine.datafd_remove(Channel{0}); });
      close(ends[0]);
      close(ends[1]);
    });
  }
}

// The application's socket is full, as far as the engine can tell; what waits goes out although
// nothing more comes.
TEST_CASE("faults: waiting for a full datafd ends with every errno") {
  try_all(1, [](Pair& pair, int error, unsigned count) {
    pair.b().inject([&](Injector& injector) {
      injector.fail(Call::kDatafdSend, EAGAIN, count + 1);
      injector.fail(OpKind::kDatafdWritable, error, count);
    });
    REQUIRE(pair.there().write_marker());
    pair.there().read(kRecovery);
    CHECK(pair.there().complete());
    CHECK(pair.run_through_fault(40) == 0);
  });
}

TEST_CASE("faults: writing to a datafd fails with every errno") {
  try_all(1, [](Pair& pair, int error, unsigned count) {
    const std::uint64_t slow = pair.b().node().dropped(Drop::kReaderSlow);
    const std::uint64_t before = pair.b().node().dropped(Drop::kReaderError);
    pair.b().inject([&](Injector& injector) { injector.fail(Call::kDatafdSend, error, count); });
    const std::size_t lost = pair.run_through_fault(40);
    // Each one that is lost is counted.
    CHECK(pair.b().node().dropped(Drop::kReaderError) - before == lost);
    CHECK(pair.b().node().dropped(Drop::kReaderSlow) == slow);
    if (error == EAGAIN)
      CHECK(lost == 0);
    else
      CHECK(lost == count);
  });
}

// Cancelling says that there is nothing to cancel, or that it could not; what it was to end is
// still going on.
TEST_CASE("faults: cancelling fails with every errno") {
  check_nothing_left([&] {
    std::vector<int> errors(kErrors.begin(), kErrors.end());
    errors.insert(errors.end(), {ENOENT, EALREADY});
    for (const int error : errors) {
      const std::string name = error_name(error);
      CAPTURE(name);
      Pair pair(2);
      for (FaultyNode* node : {&pair.a(), &pair.b()}) {
        node->inject([&](Injector& injector) { injector.fail(OpKind::kCancel, error, 3); });
        const HostId other = node == &pair.a() ? HostId{2} : HostId{1};
        const EngineStatus status = node->node().engine().run([&](Engine& engine) {
          const bool disabled =
              engine.fabric().link_set_enabled(engine.now(), other, LinkId{1}, false).ok();
          engine.datafd_remove(Channel{0});
          return disabled ? engine.link_clear(other, LinkId{1})
                          : EngineStatus{.error = Error::kInvalid};
        });
        CHECK(status.ok());
        CHECK(node->inject([](const Injector& injector) { return injector.injected(); }) == 3);
      }
      Stream there(pair.a().node().open_channel(0), pair.b().node().open_channel(0));
      REQUIRE(there.write(40));
      there.read(kRecovery);
      CHECK(there.complete());
      // And again when the engines end.
      for (FaultyNode* node : {&pair.a(), &pair.b()})
        node->inject([&](Injector& injector) { injector.fail(OpKind::kCancel, error, 3); });
    }
  });
}

// The socket says that it sent less, which UDP does not do: it is sent.
TEST_CASE("faults: short completions of sends") {
  check_nothing_left([&] {
    Pair pair(1);
    for (FaultyNode* node : {&pair.a(), &pair.b()}) {
      node->inject([](Injector& injector) { injector.shorten(OpKind::kSend, 100, 20); });
    }
    CHECK(pair.run_through_fault(40) == 0);
    CHECK(injected(pair) > 20);  // runs that are split go past the ring
    pair.check_idle();
  });
}

// Fewer bytes than the kernel's own header of a received datagram: it is lost, and nothing else.
TEST_CASE("faults: short completions of receives") {
  check_nothing_left([&] {
    Pair pair(2);
    for (FaultyNode* node : {&pair.a(), &pair.b()}) {
      node->inject([](Injector& injector) { injector.shorten(OpKind::kReceive, 4, 5); });
    }
    pair.run_through_fault(40);
    CHECK(injected(pair) == 10);
    pair.check_idle();
    CHECK(links_down(pair) == 0);
  });
}

// A stream takes what it can; the rest follows.
TEST_CASE("faults: short writes to a datafd that is a stream") {
  check_nothing_left([&] {
    Pair pair(1);
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    int application = -1;
    REQUIRE(pair.b()
                .node()
                .engine()
                .run([&](Engine& engine) {
                  return engine.datafd_add(ends[0], Channel{5}, application);
                })
                .ok());
    const int from = pair.a().node().open_channel(5);
    pair.b().inject([](Injector& injector) {
      injector.shorten(Call::kDatafdSend, 100, 200);
      injector.fail(Call::kDatafdSend, EINTR, 3);
    });
    std::vector<std::byte> sent;
    for (std::uint32_t number = 1; number <= 20; ++number) {
      const std::vector<std::byte> message = pattern(7000, number);
      REQUIRE(write_message(from, message));
      sent.insert(sent.end(), message.begin(), message.end());
      if (number == 10)
        pair.b().inject([](Injector& injector) { injector.fail(Call::kDatafdSend, EAGAIN, 2); });
    }
    std::vector<std::byte> received;
    while (received.size() < sent.size()) {
      const std::vector<std::byte> part = read_message(ends[1]);
      REQUIRE(!part.empty());
      received.insert(received.end(), part.begin(), part.end());
    }
    CHECK(received == sent);
    CHECK(pair.b().inject([](const Injector& injector) { return injector.left(); }) == 0);
    pair.b().node().engine().run([](Engine& engine) { engine.datafd_remove(Channel{5}); });
    close(ends[0]);
    close(ends[1]);
  });
}

}  // namespace
}  // namespace ringknet::test
