// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What waits when something else happens: sends whose link is taken away meanwhile, PINGs behind a
// full socket, messages for an application whose descriptor fails in the end.
#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>

#include "tests/faults/pair.h"

namespace ringknet::test {
namespace {

EngineStatus clear_link(FaultyNode& node, HostId host, LinkId link) {
  return node.node().engine().run([&](Engine& engine) {
    if (!engine.fabric().link_set_enabled(engine.now(), host, link, false).ok())
      return EngineStatus{.error = Error::kInvalid};
    return engine.link_clear(host, link);
  });
}

// Each way in which a send may have to wait, ended by the end of its link.
TEST_CASE("faults: a link is cleared while its sends wait") {
  enum class Wait { kCompletion, kBuffers, kSocket };
  check_nothing_left([] {
    for (const Wait wait : {Wait::kCompletion, Wait::kBuffers, Wait::kSocket}) {
      CAPTURE(static_cast<int>(wait));
      Pair pair(2);
      pair.a().inject([&](Injector& injector) {
        if (wait == Wait::kBuffers)
          injector.fail(OpKind::kSend, ENOBUFS, 20);
        if (wait == Wait::kSocket) {
          injector.fail(OpKind::kSend, EAGAIN, 20);
          injector.fail(Call::kSendDatagram, EAGAIN, 20);
        }
        if (wait == Wait::kCompletion)
          injector.fail(OpKind::kSend, ENETDOWN, 20);
      });
      REQUIRE(pair.there().write(20));
      CHECK(clear_link(pair.a(), HostId{2}, LinkId{0}).ok());
      // The other link is enough; what was on its way over the first one may be lost.
      pair.run_through_fault(20);
      pair.check_idle();
    }
  });
}

// More PINGs leave at once than may wait for one socket: the rest is refused, and asked again.
TEST_CASE("faults: PINGs to many hosts meet a full socket") {
  check_nothing_left([] {
    Pair pair(1);
    Node& node = pair.a().node();
    for (unsigned id = 3; id < 20; ++id) {
      const EngineStatus status = node.engine().run([&](Engine& engine) {
        const auto host = static_cast<HostId>(id);
        LinkConfig config;
        config.local = loopback_address(10);
        config.remote = loopback_address(100 + id);
        if (!engine.fabric().host_add(host).ok())
          return EngineStatus{.error = Error::kInvalid};
        const EngineStatus configured = engine.link_configure(host, LinkId{0}, config);
        if (!configured.ok())
          return configured;
        const PingTimers timers{std::chrono::milliseconds(20), std::chrono::milliseconds(2000), 64};
        const bool set =
            engine.fabric().link_set_timers(engine.now(), host, LinkId{0}, timers).ok() &&
            engine.fabric().link_set_enabled(engine.now(), host, LinkId{0}, true).ok();
        return EngineStatus{.error = set ? Error::kNone : Error::kInvalid};
      });
      REQUIRE(status.ok());
    }
    pair.a().inject([](Injector& injector) {
      injector.fail(OpKind::kSend, EAGAIN, 200);
      injector.fail(Call::kSendDatagram, EAGAIN, 50);
    });
    CHECK(node.client().wait([](const Recorder& recorder) {
      return std::ranges::any_of(recorder.troubles(), [](const Trouble& trouble) {
        return trouble.kind == Trouble::Kind::kSend && trouble.error == EAGAIN;
      });
    }));
    pair.run_through_fault(40);
    CHECK(node.client().count(Event::Kind::kHostUnreachable) == 0);
  });
}

// The descriptor took nothing for a while, and fails then: what waited is lost, counted and told.
TEST_CASE("faults: a datafd fails while messages wait for it") {
  check_nothing_left([] {
    Pair pair(1);
    pair.b().inject([](Injector& injector) {
      injector.fail(Call::kDatafdSend, EAGAIN);
      injector.then_fail(Call::kDatafdSend, EPERM);
    });
    const std::size_t lost = pair.run_through_fault(20);
    CHECK(lost == 1);
    CHECK(pair.b().node().dropped(Drop::kReaderError) == 1);
    CHECK(pair.b().node().client().wait([](const Recorder& recorder) {
      return recorder.datafds().size() == 1 && recorder.datafds()[0].errno_value == EPERM &&
             recorder.datafds()[0].direction == Direction::kRx;
    }));
  });
}

}  // namespace
}  // namespace ringknet::test
