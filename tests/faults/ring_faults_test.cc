// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The ring itself fails: io_uring_enter refuses, completions overflow, buffers run out; and an
// engine that cannot be made leaves nothing behind.
#include <doctest/doctest.h>

#include <array>
#include <cerrno>

#include "tests/faults/pair.h"

namespace ringknet::test {
namespace {

TEST_CASE("faults: io_uring_enter is interrupted or refused") {
  check_nothing_left([&] {
    Pair pair(1);
    for (const int error : {EINTR, EAGAIN, EBUSY, ENOMEM}) {
      for (const unsigned count : {1U, 30U, 1000U}) {
        const std::string name = error_name(error);
        CAPTURE(name);
        CAPTURE(count);
        for (FaultyNode* node : {&pair.a(), &pair.b()})
          node->inject([&](Injector& injector) { injector.fail(Call::kEnter, error, count); });
        CHECK(pair.run_through_fault(40) == 0);
      }
      pair.check_idle();
    }
    CHECK(pair.a().node().client().count(Event::Kind::kLinkDown) == 0);
    CHECK(pair.b().node().client().count(Event::Kind::kLinkDown) == 0);
  });
}

// The smallest rings: every turn fills the submission queue, and what completes does not fit.
TEST_CASE("faults: the completion queue overflows") {
  check_nothing_left([&] {
    Pair pair(2, 4, 4);
    for (int round = 0; round < 5; ++round) {
      // While an engine stands in a call, its completions gather.
      for (FaultyNode* node : {&pair.a(), &pair.b()}) {
        node->node().engine().run([&](Engine&) {
          for (int i = 0; i < 100; ++i)
            CHECK((pair.there().write_marker() && pair.back().write_marker()));
        });
      }
      CHECK(pair.run_through_fault(100) == 0);
    }
    for (FaultyNode* node : {&pair.a(), &pair.b()})
      CHECK(node->inject([](const Injector& injector) { return injector.overflows(); }) > 0);
    pair.check_idle();
    CHECK(pair.a().node().client().count(Event::Kind::kLinkDown) == 0);
    CHECK(pair.b().node().client().count(Event::Kind::kLinkDown) == 0);
  });
}

// More datagrams, and more messages of the application, than there are buffers.
TEST_CASE("faults: receive buffers run out") {
  check_nothing_left([&] {
    Pair pair(1);
    const auto starved = [&](FaultyNode& node, OpKind kind) {
      return node.inject([&](const Injector& injector) { return injector.starved(kind); });
    };
    for (int round = 0; round < 60 && starved(pair.b(), OpKind::kReceive) == 0; ++round) {
      pair.b().node().engine().run([&](Engine&) {
        for (int i = 0; i < 100; ++i) {
          CHECK(pair.there().write_marker());
          // A turn of the sender for each message: each in a datagram, and a buffer, of its own.
          pair.a().inject([](const Injector&) {});
        }
      });
      CHECK(pair.run_through_fault(20) == 0);
    }
    CHECK(starved(pair.b(), OpKind::kReceive) > 0);
    for (int round = 0; round < 3; ++round) {
      pair.a().node().engine().run([&](Engine&) {
        for (int i = 0; i < 100; ++i)
          CHECK(pair.there().write_marker());
      });
      CHECK(pair.run_through_fault(20) == 0);
    }
    CHECK(starved(pair.a(), OpKind::kRead) >= 3);
    pair.check_idle();
    CHECK(pair.a().node().client().count(Event::Kind::kLinkDown) == 0);
  });
}

template <typename Plan>
void check_creation(bool expected, int error, Plan&& plan) {
  Injector injector;
  Recorder client;
  plan(injector);
  injector.use_for_next_engine();
  Engine::Created created = Engine::create({.self = HostId{1}}, client);
  CHECK((created.engine != nullptr) == expected);
  if (!expected) {
    CHECK(created.system == error);
    CHECK(std::string(created.cause) != "");
  }
  created.engine.reset();
  CHECK(injector.injected() > 0);
}

TEST_CASE("faults: an engine that cannot be made says why and leaves nothing") {
  check_nothing_left([&] {
    for (const int error : {EPERM, ENOSYS, ENOMEM, EMFILE, ENFILE}) {
      const std::string name = error_name(error);
      CAPTURE(name);
      check_creation(false, error, [&](Injector& i) { i.fail(Call::kQueueInit, error); });
      check_creation(false, error, [&](Injector& i) { i.fail(Call::kRegister, error); });
    }
    // Older kernels know fewer flags.
    check_creation(true, 0, [](Injector& i) { i.fail(Call::kQueueInit, EINVAL, 1); });
    check_creation(true, 0, [](Injector& i) { i.fail(Call::kQueueInit, EINVAL, 2); });
    check_creation(false, EINVAL, [](Injector& i) { i.fail(Call::kQueueInit, EINVAL, 3); });
    // The operation that proves that the ring works.
    check_creation(false, EIO, [](Injector& i) { i.fail(OpKind::kNone, EPERM); });
    check_creation(false, EPERM, [](Injector& i) { i.fail(Call::kEnter, EPERM); });
    check_creation(true, 0, [](Injector& i) { i.fail(Call::kEnter, EINTR, 3); });
    for (unsigned maps = 1; maps <= 2; ++maps)
      check_creation(false, ENOMEM, [&](Injector& i) { i.fail(Call::kMap, ENOMEM, maps); });
  });
}

// Without memory for it, what does not fit into the application's socket is dropped and counted.
TEST_CASE("faults: no memory for messages that wait for their reader") {
  check_nothing_left([&] {
    Pair pair(1);
    pair.b().inject([](Injector& injector) {
      injector.fail(Call::kDatafdSend, EAGAIN, 3);
      injector.fail(Call::kMap, ENOMEM, 2);
    });
    CHECK(pair.run_through_fault(40) == 2);
    CHECK(pair.b().node().dropped(Drop::kReaderSlow) == 2);
    pair.check_idle();
  });
}

}  // namespace
}  // namespace ringknet::test
