// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The link's up/down machine with exact times: 20 ms PINGs, a timeout of 60 ms.
#include "engine/core/link.h"

#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

constexpr Duration kInterval = 20ms;
constexpr Duration kTimeout = 60ms;
constexpr Duration kRoundTrip = 2ms;

// A link and its peer: every PING is answered after one round trip, while `answering`.
struct Fixture {
  explicit Fixture(bool dynamic = false) {
    link.set_timers(now, {.interval = kInterval, .timeout = kTimeout, .precision = 2048});
    if (dynamic)
      link.config.remote = {};
  }

  Link link{LinkRef{host_id(2), link_id(0), 1},
            LinkConfig{.local = address_of(1, 0), .remote = address_of(2, 0)}, Envelope{}, 60s};
  Instant now{1000s};
  bool answering = true;
  std::vector<Instant> pings;
  std::vector<Instant> pong_due;
  std::vector<Instant> ups;
  std::vector<Instant> downs;
  std::vector<Instant> overdue;

  void step(Instant at) {
    now = at;
    while (!pong_due.empty() && pong_due.front() <= now) {
      pong_due.erase(pong_due.begin());
      if (link.on_pong(now, now - kRoundTrip)) {
        link.up(now);
        ups.push_back(now);
      }
    }
    if (link.next_deadline() > now)
      return;
    const bool was_suspect = link.suspect();
    const Link::Due due = link.on_timeout(now);
    if (link.suspect() && !was_suspect)
      CHECK(due.overdue);  // never unsaid
    if (due.silent) {
      if (link.connected())
        downs.push_back(now);
      link.down(now);
    }
    if (due.overdue)
      overdue.push_back(now);
    if (due.ping) {
      pings.push_back(now);
      if (answering)
        pong_due.push_back(now + kRoundTrip);
    }
  }
  void run_until(Instant end) {
    for (;;) {
      const Instant pong = pong_due.empty() ? kNever : pong_due.front();
      const Instant next = std::max(now, std::min(pong, link.next_deadline()));
      if (next > end)
        break;
      step(next);
    }
    now = end;
  }
  void run_for(Duration duration) { run_until(now + duration); }
  void connect() {
    link.set_enabled(now, true);
    run_for(kInterval * (link.pong_count + 2));
    REQUIRE(link.connected());
  }
};

}  // namespace

TEST_CASE("link: a new one is disabled and asks for nothing") {
  Fixture fixture;
  CHECK_FALSE(fixture.link.enabled());
  CHECK_FALSE(fixture.link.connected());
  CHECK(fixture.link.next_deadline() == kNever);
  CHECK(fixture.link.slice == 522);
  CHECK(fixture.link.pong_count == 5);
}

TEST_CASE("link: the slices before anything was measured") {
  const auto slice = [](bool dynamic, Address::Family family) {
    const LinkConfig config{.dynamic = dynamic,
                            .local = address_of(1, 0, family),
                            .remote = dynamic ? Address{} : address_of(2, 0, family)};
    return Link({}, config, Envelope{}, 60s).slice;
  };
  CHECK(slice(false, Address::Family::kIpv4) == 522);
  CHECK(slice(false, Address::Family::kIpv6) == 1206);
  CHECK(slice(true, Address::Family::kIpv4) == 482);
  CHECK(slice(true, Address::Family::kIpv6) == 482);
}

TEST_CASE("link: a loopback link is connected and silent") {
  Link link({}, LinkConfig{.transport = Transport::kLoopback}, Envelope{}, 60s);
  link.set_enabled(Instant{1s}, true);
  CHECK(link.connected());
  CHECK(link.usable());
  CHECK(link.slice == 65535);
  CHECK(link.next_deadline() == kNever);
}

TEST_CASE("link: PINGs go out at once and then exactly at every interval") {
  Fixture fixture;
  const Instant start = fixture.now;
  fixture.link.set_enabled(start, true);
  fixture.run_for(200ms);
  REQUIRE(fixture.pings.size() == 11);
  for (std::size_t i = 0; i < fixture.pings.size(); ++i)
    CHECK(fixture.pings[i] == start + i * kInterval);
}

TEST_CASE("link: it comes up with the PONG after pong_count PONGs") {
  for (const std::uint8_t count : {1, 2, 5, 255}) {
    Fixture fixture;
    fixture.link.pong_count = count;
    const Instant start = fixture.now;
    fixture.link.set_enabled(start, true);
    fixture.run_for(kInterval * 300);
    CHECK(fixture.ups == std::vector<Instant>{start + count * kInterval + kRoundTrip});
  }
}

TEST_CASE("link: silence takes it down within timeout and interval of the cut") {
  for (const Duration phase : {0ms, 1ms, 3ms, 10ms, 19ms}) {
    CAPTURE(phase.count());
    Fixture fixture;
    fixture.connect();
    fixture.run_for(500ms + phase);
    fixture.answering = false;
    fixture.pong_due.clear();
    const Instant cut = fixture.now;
    const Instant last_pong = fixture.link.last_pong();
    fixture.run_for(1s);
    REQUIRE(fixture.downs.size() == 1);
    CHECK(fixture.downs[0] <= cut + kTimeout + kInterval);
    CHECK(fixture.downs[0] >= last_pong + kTimeout);
    CHECK_FALSE(fixture.link.connected());
    CHECK(fixture.link.last_pong() == kNever);
  }
}

TEST_CASE("link: one lost PONG or two take nothing down") {
  Fixture fixture;
  fixture.connect();
  for (int i = 0; i < 20; ++i) {
    fixture.answering = false;
    fixture.run_for(2 * kInterval);
    fixture.answering = true;
    fixture.run_for(2 * kInterval);
  }
  CHECK(fixture.downs.empty());
}

TEST_CASE("link: down it goes on asking and comes up again") {
  Fixture fixture;
  fixture.connect();
  fixture.answering = false;
  fixture.run_for(300ms);
  REQUIRE(fixture.downs.size() == 1);
  const std::size_t asked = fixture.pings.size();
  fixture.run_for(200ms);
  CHECK(fixture.pings.size() == asked + 10);
  fixture.answering = true;
  fixture.run_for(200ms);
  CHECK(fixture.ups.size() == 2);
  CHECK(fixture.link.connected());
}

TEST_CASE("link: PONGs before it is up must not be interrupted by silence") {
  Fixture fixture;
  fixture.link.pong_count = 5;
  fixture.link.set_enabled(fixture.now, true);
  fixture.run_for(3 * kInterval + 5ms);  // four PONGs
  CHECK(fixture.link.answered());
  fixture.answering = false;
  fixture.pong_due.clear();
  fixture.run_for(200ms);
  CHECK_FALSE(fixture.link.answered());
  fixture.answering = true;
  const Instant again = fixture.now;
  fixture.run_for(300ms);
  REQUIRE(fixture.ups.size() == 1);
  CHECK(fixture.ups[0] >= again + 5 * kInterval);
}

TEST_CASE("link: a process that was stopped for five seconds does not blame its peer") {
  Fixture fixture;
  fixture.connect();
  fixture.run_for(105ms);
  fixture.pong_due.clear();  // even if nothing waits in the socket
  fixture.step(fixture.now + 5s);
  CHECK(fixture.downs.empty());
  fixture.run_for(500ms);
  CHECK(fixture.downs.empty());
  CHECK(fixture.link.connected());
}

TEST_CASE("link: after the pause a dead peer is found out in the usual time") {
  Fixture fixture;
  fixture.connect();
  fixture.run_for(105ms);
  fixture.answering = false;
  fixture.pong_due.clear();
  fixture.step(fixture.now + 5s);
  const Instant woke = fixture.now;
  fixture.run_for(500ms);
  REQUIRE(fixture.downs.size() == 1);
  CHECK(fixture.downs[0] <= woke + kTimeout + kInterval);
}

TEST_CASE("link: many short pauses are not blamed on the peer either") {
  Fixture fixture;
  fixture.connect();
  for (int i = 0; i < 50; ++i) {
    fixture.pong_due.clear();
    fixture.step(fixture.now + 90ms);
    fixture.run_for(5ms);
  }
  CHECK(fixture.downs.empty());
}

TEST_CASE("link: after a pause PINGs continue at the interval without a burst") {
  Fixture fixture;
  fixture.connect();
  const std::size_t before = fixture.pings.size();
  fixture.step(fixture.now + 5s);
  const Instant woke = fixture.now;
  fixture.run_for(100ms);
  REQUIRE(fixture.pings.size() == before + 6);
  CHECK(fixture.pings[before] == woke);
  CHECK(fixture.pings[before + 1] == woke + kInterval);
}

TEST_CASE("link: a PONG that took longer than the timeout is a sign of life only") {
  Fixture fixture;
  fixture.answering = false;
  fixture.link.set_enabled(fixture.now, true);
  for (int i = 0; i < 20; ++i) {
    fixture.run_for(kInterval);
    CHECK_FALSE(fixture.link.on_pong(fixture.now, fixture.now - kTimeout - 1ns));
  }
  CHECK(fixture.link.last_pong() == fixture.now);
  CHECK(fixture.link.latency().samples() == 0);
  CHECK_FALSE(fixture.link.answered());
}

TEST_CASE("link: latency is counted and kept when the link goes down") {
  Fixture fixture;
  fixture.connect();
  CHECK(fixture.link.latency().mean() == kRoundTrip);
  CHECK(fixture.link.stats.latency_min == kRoundTrip);
  CHECK(fixture.link.stats.latency_max == kRoundTrip);
  const auto samples = fixture.link.stats.latency_samples;
  CHECK(samples == 7);
  fixture.answering = false;
  fixture.run_for(300ms);
  CHECK(fixture.link.latency().mean() == kRoundTrip);
  CHECK(fixture.link.latency().samples() >= samples);
}

TEST_CASE("link: ups and downs are counted with their times") {
  Fixture fixture;
  fixture.connect();
  fixture.answering = false;
  fixture.run_for(300ms);
  fixture.answering = true;
  fixture.run_for(300ms);
  CHECK(fixture.link.stats.ups.count == 2);
  CHECK(fixture.link.stats.downs.count == 1);
  CHECK(fixture.link.stats.ups.at[0] == fixture.ups[0]);
  CHECK(fixture.link.stats.ups.at[1] == fixture.ups[1]);
  CHECK(fixture.link.stats.downs.at[0] == fixture.downs[0]);
}

TEST_CASE("link: the 17th event time overwrites the first") {
  EventTimes times;
  for (int i = 1; i <= 17; ++i)
    times.add(Instant{i * 1s});
  CHECK(times.count == 17);
  CHECK(times.at[0] == Instant{17s});
  CHECK(times.at[1] == Instant{2s});
  CHECK(times.next == 1);
}

TEST_CASE("link: disabling and enabling keeps it connected") {
  Fixture fixture;
  fixture.connect();
  fixture.link.set_enabled(fixture.now, false);
  CHECK(fixture.link.connected());
  CHECK_FALSE(fixture.link.usable());
  CHECK(fixture.link.next_deadline() == kNever);
  const std::size_t asked = fixture.pings.size();
  fixture.run_for(10s);
  CHECK(fixture.pings.size() == asked);
  CHECK(fixture.link.connected());
  fixture.link.set_enabled(fixture.now, true);
  CHECK(fixture.link.usable());
  fixture.run_for(500ms);
  CHECK(fixture.downs.empty());
  CHECK(fixture.link.connected());
}

TEST_CASE("link: a peer that died while the link was disabled is found out after it is enabled") {
  Fixture fixture;
  fixture.connect();
  fixture.link.set_enabled(fixture.now, false);
  fixture.answering = false;
  fixture.run_for(10s);
  fixture.link.set_enabled(fixture.now, true);
  const Instant enabled = fixture.now;
  fixture.run_for(500ms);
  REQUIRE(fixture.downs.size() == 1);
  CHECK(fixture.downs[0] <= enabled + kTimeout + kInterval);
}

TEST_CASE("link: shorter intervals apply at once") {
  Fixture fixture;
  fixture.link.set_timers(fixture.now, {.interval = 10s, .timeout = 30s, .precision = 2048});
  fixture.link.set_enabled(fixture.now, true);
  fixture.run_for(1s);
  CHECK(fixture.pings.size() == 1);
  fixture.link.set_timers(fixture.now, {.interval = kInterval, .timeout = kTimeout});
  fixture.run_for(100ms);
  CHECK(fixture.pings.size() == 6);
}

TEST_CASE("link: one refusal makes it suspect and asks soon") {
  Fixture fixture;
  fixture.connect();
  fixture.run_for(5ms);
  const std::size_t asked = fixture.pings.size();
  CHECK(fixture.link.on_trouble(fixture.now, true) == Link::Verdict::kAsk);
  CHECK(fixture.link.suspect());
  CHECK(fixture.link.connected());
  CHECK(fixture.link.next_deadline() <= fixture.now + 10ms);
  fixture.run_for(14ms);
  CHECK(fixture.pings.size() == asked + 1);
  CHECK_FALSE(fixture.link.suspect());  // the PONG cleared it
}

TEST_CASE("link: a late answer is asked for again and then the link is suspect") {
  Fixture fixture;
  fixture.connect();
  fixture.run_for(200ms);
  CHECK(fixture.overdue.empty());
  fixture.answering = false;
  const std::size_t asked = fixture.pings.size();
  const Instant last = fixture.pings.back();
  fixture.run_until(last + 2 * kInterval - 1ns);
  // One PING in turn and one in between.
  CHECK(fixture.pings.size() == asked + 2);
  CHECK(fixture.pings[asked] == last + kInterval);
  REQUIRE(fixture.overdue.size() == 1);
  CHECK(fixture.overdue[0] < last + 2 * kInterval);
  CHECK(fixture.link.suspect());
  CHECK(fixture.link.connected());
  // Told once, and the rhythm goes on.
  fixture.run_until(last + 2 * kInterval);
  CHECK(fixture.overdue.size() == 1);
  CHECK(fixture.pings.back() == last + 2 * kInterval);
  fixture.answering = true;
  fixture.run_for(kInterval + kRoundTrip);
  CHECK_FALSE(fixture.link.suspect());
  CHECK(fixture.downs.empty());
}

TEST_CASE("link: one lost PONG does not make it suspect") {
  Fixture fixture;
  fixture.connect();
  for (int i = 0; i < 50; ++i) {
    fixture.run_until(fixture.pings.back() + kInterval);  // a PING just left
    fixture.pong_due.clear();                             // and its PONG is lost
    fixture.run_for(3 * kInterval);
  }
  CHECK(fixture.overdue.empty());
  CHECK(fixture.downs.empty());
}

TEST_CASE("link: a pause does not make it suspect") {
  Fixture fixture;
  fixture.connect();
  for (int i = 0; i < 20; ++i) {
    fixture.run_for(57ms + i * 1ms);
    fixture.pong_due.clear();
    fixture.step(fixture.now + 5s);
    fixture.step(fixture.now);
    fixture.run_for(100ms);
  }
  CHECK(fixture.overdue.empty());
}

TEST_CASE("link: several refusals of one PING count once") {
  Fixture fixture;
  fixture.connect();
  fixture.run_for(5ms);
  fixture.answering = false;
  CHECK(fixture.link.on_trouble(fixture.now, true) == Link::Verdict::kAsk);
  for (int i = 0; i < 20; ++i)
    CHECK(fixture.link.on_trouble(fixture.now, true) == Link::Verdict::kKnown);
  CHECK(fixture.link.connected());
}

TEST_CASE("link: three PINGs in a row refused take it down") {
  Fixture fixture;
  fixture.connect();
  fixture.run_for(5ms);
  fixture.answering = false;
  const Instant closed = fixture.now;
  Link::Verdict verdict = fixture.link.on_trouble(fixture.now, true);
  int refusals = 1;
  while (verdict != Link::Verdict::kDown && refusals < 10) {
    const std::size_t asked = fixture.pings.size();
    while (fixture.pings.size() == asked)
      fixture.run_for(1ms);
    verdict = fixture.link.on_trouble(fixture.now, true);
    ++refusals;
  }
  CHECK(refusals == 3);
  CHECK(fixture.now - closed < kTimeout);  // sooner than by silence
}

TEST_CASE("link: a PONG between refusals starts the count again") {
  Fixture fixture;
  fixture.connect();
  for (int i = 0; i < 10; ++i) {
    fixture.run_for(kInterval);
    CHECK(fixture.link.on_trouble(fixture.now, true) != Link::Verdict::kDown);
    fixture.run_for(kInterval);  // answered
  }
  CHECK(fixture.link.connected());
}

TEST_CASE("link: reports that PONGs refute again and again do not make it ask for ever") {
  Fixture fixture;
  fixture.connect();
  fixture.link.set_timers(fixture.now, {.interval = 1s, .timeout = 5s, .precision = 2048});
  for (const bool refused : {true, false}) {
    const std::size_t before = fixture.pings.size();
    for (int i = 0; i < 5000; ++i) {  // for ten seconds
      CHECK(fixture.link.on_trouble(fixture.now, refused) != Link::Verdict::kDown);
      fixture.run_for(2ms);
    }
    // One a second, and a few that followed the first reports.
    CHECK(fixture.pings.size() - before <= 20);
    CHECK(fixture.pings.size() - before >= 10);
    fixture.run_for(20s);
    CHECK_FALSE(fixture.link.suspect());
  }
  // After a rest a report is believed again.
  const std::size_t asked = fixture.pings.size();
  fixture.link.on_trouble(fixture.now, true);
  fixture.run_for(14ms);
  CHECK(fixture.pings.size() >= asked + 1);
}

TEST_CASE("link: unreachable reports never take it down by themselves") {
  Fixture fixture;
  fixture.connect();
  for (int i = 0; i < 100; ++i) {
    CHECK(fixture.link.on_trouble(fixture.now, false) != Link::Verdict::kDown);
    fixture.run_for(7ms);
  }
  CHECK(fixture.link.connected());
}

TEST_CASE("link: trouble on a link that is not in use says nothing") {
  Fixture fixture;
  CHECK(fixture.link.on_trouble(fixture.now, true) == Link::Verdict::kKnown);
  CHECK_FALSE(fixture.link.suspect());
}

TEST_CASE("link: refusals before it is up do not stop it from coming up") {
  Fixture fixture;
  fixture.link.set_enabled(fixture.now, true);
  for (int i = 0; i < 10; ++i) {
    fixture.run_for(kInterval / 2);
    CHECK(fixture.link.on_trouble(fixture.now, true) != Link::Verdict::kDown);
  }
  CHECK_FALSE(fixture.link.suspect());
  fixture.run_for(200ms);
  CHECK(fixture.link.connected());
}

TEST_CASE("link: a slow path is judged with its round trip in mind") {
  Fixture fixture;
  fixture.connect();
  // 25 ms round trips: two thirds of the interval more than the timeout, but no more than it.
  for (int i = 0; i < 100; ++i)
    fixture.link.on_pong(fixture.now, fixture.now - 25ms);
  fixture.answering = false;
  fixture.pong_due.clear();
  const Instant last = fixture.link.last_pong();
  fixture.run_for(1s);
  REQUIRE(fixture.downs.size() == 1);
  CHECK(fixture.downs[0] <= last + kTimeout + kInterval);
  CHECK(fixture.downs[0] > last + kTimeout);
}

TEST_CASE("link: a dynamic one is silent until its peer is known") {
  const LinkConfig config{.dynamic = true, .local = address_of(1, 0)};
  Link link({}, config, Envelope{}, 60s);
  Instant now{1000s};
  link.set_enabled(now, true);
  CHECK_FALSE(link.addressable());
  CHECK(link.next_deadline() == kNever);
  link.config.remote = address_of(2, 0);
  link.learned = true;
  link.wake(now);
  CHECK(link.next_deadline() == now);
  CHECK(link.on_timeout(now).ping);
  // Down: silent again until it is heard.
  link.down(now);
  CHECK_FALSE(link.addressable());
  CHECK(link.next_deadline() == kNever);
}

// Asked every millisecond, whoever has to prove itself gets a PING each eighth of an interval, and
// never more often than each 10 ms.
TEST_CASE("link: who has to prove itself is asked an eighth of the interval apart") {
  for (const Duration interval : {Duration(1s), Duration(20ms)}) {
    CAPTURE(interval.count());
    Link link{LinkRef{host_id(2), link_id(0), 1},
              LinkConfig{.local = address_of(1, 0), .remote = address_of(2, 0)}, Envelope{}, 60s};
    Instant now{1000s};
    link.set_timers(now, {.interval = interval, .timeout = 4 * interval, .precision = 16});
    link.set_enabled(now, true);
    int pings = 0;
    for (const Instant end = now + 1s; now < end; now += 1ms) {
      link.ask(now);
      pings += link.next_deadline() <= now && link.on_timeout(now).ping ? 1 : 0;
    }
    const auto asked = static_cast<int>(1s / std::max<Duration>(10ms, interval / 8));
    const auto timed = static_cast<int>(1s / interval);
    CHECK(pings >= asked);
    CHECK(pings <= asked + timed + 1);
  }
}

}  // namespace ringknet::test
