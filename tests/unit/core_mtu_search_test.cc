// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The path MTU search against an imagined path: exact answers, few probes, and nothing lowered
// without evidence.
#include "engine/core/mtu_search.h"

#include <doctest/doctest.h>

#include <vector>

#include "engine/base/random.h"

namespace ringknet::test {
namespace {

using namespace std::chrono_literals;

constexpr Duration kGap = 40ms;

// A path with a size limit of its own and the limit of the sender's kernel. Everything the search
// asks for happens at once; time jumps to its deadlines.
struct Trial {
  explicit Trial(const Envelope& envelope = {}, Address::Family family = Address::Family::kIpv4) {
    search.configure(envelope, family);
  }

  MtuSearch search;
  Instant now{1000s};
  Random random{7};
  std::uint32_t path = 65535;    // larger packets vanish
  std::uint32_t device = 65535;  // larger ones are refused...
  bool named = true;             // ...with the size that would do, or without
  double loss = 0;               // of probes, there and back
  double ping_loss = 0;          // of PINGs
  bool dead = false;             // nothing at all comes back
  bool pings_lost = false;       // small packets do not come back either
  int probes = 0;
  int pings = 0;
  int settled = 0;
  int black_holes = 0;
  std::vector<std::uint32_t> sizes;

  void act(MtuSearch::Step step) {
    for (;;) {
      settled += step.settled ? 1 : 0;
      black_holes += step.black_hole ? 1 : 0;
      if (step.ping) {
        ++pings;
        if (!dead && !pings_lost && !(ping_loss > 0 && random.chance(ping_loss)))
          search.on_pong();
      }
      if (!step.probe)
        return;
      ++probes;
      const std::uint32_t size = search.candidate();
      sizes.push_back(size);
      if (size > device) {
        step = search.on_kernel_limit(now, named ? device : 0, size);
        continue;
      }
      if (dead || size > path || random.chance(loss))
        return;
      step = {};
      REQUIRE(search.on_reply(now + 1ms, static_cast<std::uint16_t>(size), step));
    }
  }
  void start() { act(search.start(now, kGap)); }
  // Fires deadlines up to this instant.
  void run_until(Instant end) {
    while (search.deadline() <= end) {
      now = std::max(now, search.deadline());
      act(search.on_timeout(now));
    }
    now = end;
  }
  void run_to_end() {
    for (int i = 0; i < 2000 && search.phase() == MtuSearch::Phase::kSearching; ++i)
      run_until(std::max(now, search.deadline()));
    REQUIRE(search.phase() == MtuSearch::Phase::kSettled);
  }
  std::uint32_t slice() const { return search.slice(search.proven()); }
};

}  // namespace

TEST_CASE("mtu search: idle until started") {
  Trial trial;
  CHECK(trial.search.phase() == MtuSearch::Phase::kIdle);
  CHECK(trial.search.deadline() == kNever);
  CHECK_FALSE(trial.search.measured());
}

TEST_CASE("mtu search: a path without limits takes one probe") {
  Trial trial;
  trial.start();
  CHECK(trial.search.phase() == MtuSearch::Phase::kSettled);
  CHECK(trial.probes == 1);
  CHECK(trial.search.proven() == 65535);
  CHECK(trial.slice() == 65481);
  CHECK(trial.search.measured());
}

TEST_CASE("mtu search: the kernel names the limit and one more probe proves it") {
  Trial trial;
  trial.device = 1500;
  trial.start();
  CHECK(trial.search.phase() == MtuSearch::Phase::kSettled);
  CHECK(trial.sizes == std::vector<std::uint32_t>{65535, 1500});
  CHECK(trial.slice() == 1446);
}

TEST_CASE("mtu search: a kernel that names no limit is bisected") {
  for (const std::uint32_t device : {600u, 1400u, 1500u, 9000u, 65534u}) {
    CAPTURE(device);
    Trial trial;
    trial.device = device;
    trial.named = false;
    trial.start();
    CHECK(trial.search.phase() == MtuSearch::Phase::kSettled);
    CHECK(trial.search.proven() == device);
    CHECK(trial.probes <= 18);
  }
}

TEST_CASE("mtu search: a black hole at 1200 is found exactly") {
  Trial trial;
  trial.device = 1500;
  trial.path = 1200;
  trial.start();
  CHECK(trial.search.proven() == trial.search.floor_size());  // meanwhile the floor is in use
  trial.run_to_end();
  CHECK(trial.search.proven() == 1200);
  CHECK(trial.slice() == 1146);
  CHECK(trial.settled == 1);
  CHECK(trial.black_holes == 0);
}

TEST_CASE("mtu search: every path is found to the byte that its envelope allows") {
  const Envelope envelopes[] = {{0, 0, 0}, {0, 0, 32}, {16, 16, 32}, {16, 16, 64}, {1, 16, 32}};
  constexpr std::uint64_t kSeed = 31;
  CAPTURE(kSeed);
  Random random(kSeed);
  for (const Envelope& envelope : envelopes) {
    for (const auto family : {Address::Family::kIpv4, Address::Family::kIpv6}) {
      for (int i = 0; i < 60; ++i) {
        Trial trial(envelope, family);
        trial.path = static_cast<std::uint32_t>(random.chance(0.5) ? random.between(600, 1600)
                                                                   : random.between(600, 65535));
        trial.device = random.chance(0.5) ? 1500 : 65535;
        trial.named = random.chance(0.5);
        CAPTURE(envelope.block);
        CAPTURE(envelope.mac);
        CAPTURE(trial.path);
        CAPTURE(trial.device);
        trial.start();
        trial.run_to_end();
        const std::uint32_t limit = std::min(trial.path, trial.device);
        const std::size_t best = envelope.slice(limit - ip_overhead(family));
        REQUIRE(trial.slice() == best);
      }
    }
  }
}

TEST_CASE("mtu search: lost probes are tried again") {
  Trial trial;
  trial.device = 1500;
  trial.path = 1200;
  trial.random = Random(5);
  trial.loss = 0.1;
  trial.start();
  trial.run_to_end();
  CHECK(trial.search.proven() == 1200);
}

TEST_CASE("mtu search: the first three probes of a size may be lost") {
  Trial trial;
  trial.device = 1500;
  trial.start();
  // Again with a path that swallows the first three of four.
  Trial second;
  second.dead = true;
  second.act(second.search.start(second.now, kGap));
  second.run_until(second.now + 2 * kGap);
  CHECK(second.probes == 3);
  second.dead = false;
  second.run_until(second.now + kGap);
  CHECK(second.probes == 4);
  CHECK(second.search.proven() == 65535);
}

TEST_CASE("mtu search: a path at the floor ends there") {
  Trial trial;
  trial.path = trial.search.floor_size();
  trial.start();
  trial.run_to_end();
  CHECK(trial.search.proven() == trial.search.floor_size());
  CHECK(trial.slice() == 482);
}

TEST_CASE("mtu search: answers nobody waits for are not counted") {
  Trial trial;
  MtuSearch::Step step;
  CHECK_FALSE(trial.search.on_reply(trial.now, 1500, step));
  trial.device = 1500;
  trial.start();
  CHECK_FALSE(trial.search.on_reply(trial.now, 1500, step));  // settled: this is the second answer
  Trial searching;
  searching.dead = true;
  searching.start();
  CHECK_FALSE(searching.search.on_reply(searching.now, 1499, step));
  CHECK(searching.search.proven() == searching.search.floor_size());
}

TEST_CASE("mtu search: a path that shrinks under large data is found out within a second") {
  Trial trial;
  trial.device = 1500;
  trial.start();
  trial.run_until(trial.now + 5s);
  const Instant shrunk = trial.now;
  trial.path = 1400;
  trial.search.on_data(trial.now, 1488);
  while (trial.black_holes == 0 && trial.now < shrunk + 10s)
    trial.run_until(trial.now + 10ms);
  CHECK(trial.now - shrunk <= 460ms);
  CHECK(trial.pings > 0);
  trial.run_to_end();
  CHECK(trial.search.proven() == 1400);
  CHECK(trial.black_holes == 1);
}

TEST_CASE("mtu search: small data does not ask for confirmation") {
  Trial trial;
  trial.device = 1500;
  trial.start();
  const int before = trial.probes;
  trial.search.on_data(trial.now, trial.search.floor_size());
  trial.run_until(trial.now + 30s);
  CHECK(trial.probes == before);
}

TEST_CASE("mtu search: a confirmed size stays") {
  Trial trial;
  trial.device = 1500;
  trial.start();
  for (int i = 0; i < 20; ++i) {
    trial.search.on_data(trial.now, 1488);
    trial.run_until(trial.now + 1s);
    CHECK(trial.search.proven() == 1500);
    CHECK(trial.search.phase() == MtuSearch::Phase::kSettled);
  }
  CHECK(trial.black_holes == 0);
  CHECK(trial.settled == 1);
}

TEST_CASE("mtu search: single lost probes lower nothing") {
  Trial trial;
  trial.device = 1500;
  trial.start();
  trial.random = Random(9);
  trial.loss = 0.2;
  for (int i = 0; i < 50; ++i) {
    trial.search.on_data(trial.now, 1488);
    trial.run_until(trial.now + 1s);
  }
  CHECK(trial.black_holes == 0);
  CHECK(trial.search.proven() == 1500);
}

// Loss of everything is no black hole. With five lost probes as the only evidence a path that loses
// 30 % each way was misjudged once in 220 times: once a minute under a flow of large data.
TEST_CASE("mtu search: a path that loses a lot is not taken for a black hole") {
  for (const double each_way : {0.05, 0.1, 0.2, 0.3}) {
    CAPTURE(each_way);
    Trial trial;
    trial.device = 1500;
    trial.start();
    trial.random = Random(11);
    trial.loss = trial.ping_loss = 1 - (1 - each_way) * (1 - each_way);
    for (int i = 0; i < 50000; ++i) {
      trial.search.on_data(trial.now, 1488);
      do
        trial.run_until(trial.search.deadline());
      while (trial.search.phase() != MtuSearch::Phase::kSettled);
    }
    CHECK(trial.black_holes <= 2);
  }
}

// The price: where half of everything is lost a hole is found out in seconds, not in half of one.
TEST_CASE("mtu search: a hole in a path that loses a lot is found out, too") {
  Duration longest{};
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    CAPTURE(seed);
    Trial trial;
    trial.device = 1500;
    trial.start();
    trial.random = Random(seed);
    trial.loss = trial.ping_loss = 0.51;
    for (int i = 0; i < 20; ++i) {
      trial.search.on_data(trial.now, 1488);
      trial.run_until(trial.now + 3s);
    }
    const int before = trial.black_holes;
    const Instant shrunk = trial.now;
    trial.path = 1400;
    trial.search.on_data(trial.now, 1488);
    while (trial.black_holes == before && trial.now < shrunk + 20s)
      trial.run_until(trial.now + 10ms);
    longest = std::max<Duration>(longest, trial.now - shrunk);
  }
  CHECK(longest <= 8s);
}

TEST_CASE("mtu search: a dead link says nothing about its MTU") {
  Trial trial;
  trial.device = 1500;
  trial.start();
  trial.dead = true;
  trial.search.on_data(trial.now, 1488);
  trial.run_until(trial.now + 20s);
  CHECK(trial.black_holes == 0);
  CHECK(trial.search.proven() == 1500);
  CHECK(trial.search.phase() == MtuSearch::Phase::kConfirming);
  // It was only away for a while.
  trial.dead = false;
  trial.run_until(trial.now + 1s);
  CHECK(trial.search.phase() == MtuSearch::Phase::kSettled);
  CHECK(trial.search.proven() == 1500);
}

// The PONG may be back before the next probe is due: that one probe was lost proves nothing yet.
TEST_CASE("mtu search: a link that comes back is not taken for a black hole") {
  for (int phase = 0; phase < 40; ++phase) {
    CAPTURE(phase);
    Trial trial;
    trial.device = 1500;
    trial.start();
    trial.dead = true;
    trial.search.on_data(trial.now, 1488);
    trial.run_until(trial.now + 2s + phase * 5ms);
    trial.dead = false;
    trial.search.on_pong();  // the link's own PING was answered
    trial.run_until(trial.now + 2s);
    CHECK(trial.black_holes == 0);
    CHECK(trial.search.proven() == 1500);
  }
}

TEST_CASE("mtu search: our own kernel's word lowers at once") {
  Trial trial;
  trial.device = 9000;
  trial.start();
  CHECK(trial.search.proven() == 9000);
  trial.device = 1500;
  trial.act(trial.search.on_kernel_limit(trial.now, 1500, 8988));
  CHECK(trial.search.proven() == 1500);
  CHECK(trial.settled >= 2);
  trial.run_to_end();
  CHECK(trial.search.proven() == 1500);
}

TEST_CASE("mtu search: a refusal without a number falls to the floor and searches") {
  Trial trial;
  trial.device = 9000;
  trial.start();
  trial.device = 1500;
  trial.named = false;
  const auto step = trial.search.on_kernel_limit(trial.now, 0, 8988);
  CHECK(step.settled);
  CHECK(trial.search.proven() == trial.search.floor_size());
  trial.act(step);
  trial.run_to_end();
  CHECK(trial.search.proven() == 1500);
}

TEST_CASE("mtu search: limits below every legal MTU are not believed") {
  Trial trial;
  trial.device = 1500;
  trial.start();
  for (const std::uint32_t limit : {1u, 68u, 500u}) {
    const auto step = trial.search.on_kernel_limit(trial.now, limit, 1500);
    CHECK_FALSE(step.settled);
    CHECK(trial.search.proven() == 1500);
  }
}

TEST_CASE("mtu search: a larger path is found after the interval") {
  Trial trial;
  trial.device = 1500;
  trial.path = 1200;
  trial.start();
  trial.run_to_end();
  CHECK(trial.search.proven() == 1200);
  const int before = trial.probes;
  trial.path = 65535;
  trial.run_until(trial.now + 50s);
  CHECK(trial.probes == before);
  trial.run_until(trial.now + 20s);
  CHECK(trial.search.proven() == 1500);
}

TEST_CASE("mtu search: from the floor it looks for more after the interval as well") {
  Trial trial;
  trial.path = trial.search.floor_size();
  trial.start();
  trial.run_to_end();
  trial.path = 1500;
  trial.run_until(trial.search.deadline());
  CHECK(trial.search.phase() == MtuSearch::Phase::kSearching);
  trial.run_to_end();
  CHECK(trial.search.proven() == 1500);
}

TEST_CASE("mtu search: a path that shrank while nothing large was sent is found at the interval") {
  Trial trial;
  trial.device = 1500;
  trial.start();
  trial.path = 1400;
  trial.run_until(trial.now + 70s);
  trial.run_to_end();
  CHECK(trial.search.proven() == 1400);
}

TEST_CASE("mtu search: looking for more takes nothing away meanwhile") {
  Trial trial;
  trial.path = 1200;
  trial.start();
  trial.run_to_end();
  const Instant due = trial.search.deadline();
  trial.run_until(due);
  CHECK(trial.search.phase() == MtuSearch::Phase::kSearching);
  CHECK(trial.search.proven() == 1200);
  trial.run_to_end();
  CHECK(trial.search.proven() == 1200);
}

TEST_CASE("mtu search: a shorter interval counts from the last time it settled") {
  Trial trial;
  trial.device = 1500;
  trial.start();
  trial.run_until(trial.now + 10s);
  trial.search.set_interval(trial.now, 12s);
  CHECK(trial.search.deadline() == Instant{1000s + 1ms + 12s});
  trial.search.set_interval(trial.now, 5s);
  CHECK(trial.search.deadline() == trial.now);
}

TEST_CASE("mtu search: stopped it asks for nothing and starts from the floor again") {
  Trial trial;
  trial.start();
  trial.search.stop();
  CHECK(trial.search.deadline() == kNever);
  CHECK(trial.search.proven() == trial.search.floor_size());
  trial.search.on_data(trial.now, 60000);
  CHECK(trial.search.deadline() == kNever);
  MtuSearch::Step step;
  CHECK_FALSE(trial.search.on_reply(trial.now, 65535, step));
  const auto limited = trial.search.on_kernel_limit(trial.now, 1500, 9000);
  CHECK_FALSE((limited.probe || limited.settled || limited.ping));
}

TEST_CASE("mtu search: deadlines that are served move on") {
  constexpr std::uint64_t kSeed = 33;
  CAPTURE(kSeed);
  Random random(kSeed);
  Trial trial;
  trial.device = 1500;
  trial.start();
  for (int i = 0; i < 20000; ++i) {
    CAPTURE(i);
    switch (random.below(8)) {
      case 0:
        trial.path = static_cast<std::uint32_t>(random.between(600, 1600));
        break;
      case 1:
        trial.dead = random.chance(0.3);
        break;
      case 2:
        trial.search.on_data(trial.now, 1488);
        break;
      case 3:
        trial.act(trial.search.on_kernel_limit(trial.now, random.chance(0.5) ? trial.device : 0,
                                               trial.search.candidate()));
        break;
      case 4:
        trial.device = random.chance(0.5) ? 1500 : 9000;
        break;
      default:
        trial.now += Duration(static_cast<std::int64_t>(random.below(100'000'000)));
        break;
    }
    int served = 0;  // an answer that was late may leave the next search due at once, no more
    while (trial.search.deadline() <= trial.now) {
      trial.act(trial.search.on_timeout(trial.now));
      REQUIRE(++served <= 3);
    }
    REQUIRE(trial.search.proven() >= trial.search.floor_size());
    REQUIRE(trial.search.proven() <= 9000);
  }
}

}  // namespace ringknet::test
