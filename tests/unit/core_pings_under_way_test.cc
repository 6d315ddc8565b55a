// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which PONGs answer a PING of ours, also with more PINGs under way than the table has places.
#include "engine/core/pings_under_way.h"

#include <doctest/doctest.h>

#include <deque>

#include "engine/base/random.h"
#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

constexpr Duration kAnswerMax = 10s;
const Instant kStart{1000s};

void add(PingsUnderWay& pings, Instant left, std::uint64_t era = 0) {
  pings.add(stamp_of(left), {left, era}, kAnswerMax);
}

void add_mark(PingsUnderWay& pings, Instant left) {
  pings.add_mark(stamp_of(left), {left, 0});
}

bool answered(PingsUnderWay& pings, Instant left) {
  const auto ping = pings.answer(stamp_of(left));
  if (ping)
    CHECK(ping->left == left);
  return ping.has_value();
}

}  // namespace

TEST_CASE("pings: each is good for one answer, in any order") {
  PingsUnderWay pings;
  CHECK_FALSE(answered(pings, Instant{}));
  add(pings, kStart + 1s, 5);
  add(pings, kStart + 2s, 6);
  add_mark(pings, kStart + 3s);
  CHECK_FALSE(pings.answer(PingStamp{}));
  CHECK_FALSE(answered(pings, kStart + 1s + 1ns));
  auto ping = pings.answer(stamp_of(kStart + 2s));
  REQUIRE(ping);
  CHECK(ping->left == kStart + 2s);
  CHECK(ping->era == 6);
  CHECK_FALSE(answered(pings, kStart + 2s));
  CHECK(answered(pings, kStart + 3s));
  CHECK_FALSE(answered(pings, kStart + 3s));
  ping = pings.answer(stamp_of(kStart + 1s));
  REQUIRE(ping);
  CHECK(ping->era == 5);
  CHECK_FALSE(answered(pings, kStart + 1s));
}

TEST_CASE("pings: no two of a link leave at the same instant") {
  PingsUnderWay pings;
  CHECK(pings.departure(kStart) == kStart);
  add(pings, kStart);
  CHECK(pings.departure(kStart) == kStart + 1ns);
  add_mark(pings, kStart + 1ns);
  CHECK(pings.departure(kStart) == kStart + 2ns);
  CHECK(pings.departure(kStart + 5ns) == kStart + 5ns);
  CHECK(answered(pings, kStart));
  CHECK(answered(pings, kStart + 1ns));
}

TEST_CASE("pings: marks have places of their own") {
  PingsUnderWay pings;
  Instant now = kStart;
  for (std::size_t i = 0; i < PingsUnderWay::kMarksMax; ++i)
    add_mark(pings, now += 1us);
  // Neither many PINGs push them out, nor many marks the PINGs.
  for (int i = 0; i < 1000; ++i)
    add(pings, now += 1ms);
  const Instant last_ping = now;
  CHECK(answered(pings, kStart + 1us));
  for (int i = 0; i < 1000; ++i)
    add_mark(pings, now += 1us);
  CHECK(answered(pings, last_ping));
  for (std::size_t i = 0; i < PingsUnderWay::kMarksMax; ++i)
    CHECK(answered(pings, now - i * 1us));
  CHECK_FALSE(answered(pings, now - PingsUnderWay::kMarksMax * 1us));
}

TEST_CASE("pings: the oldest is kept until its answer would be too late") {
  PingsUnderWay pings;
  Instant now = kStart;
  add(pings, now);
  while (now - kStart < kAnswerMax)
    add(pings, now += 10ms);
  CHECK(answered(pings, kStart));
  PingsUnderWay late;
  now = kStart;
  add(late, now);
  while (now - kStart <= kAnswerMax)
    add(late, now += 10ms);
  CHECK_FALSE(answered(late, kStart));
}

// Whatever the round trip within the time that matters, and whatever is lost: answers that are
// believed come all the time.
TEST_CASE("pings: with more under way than places answers go on being known") {
  constexpr Duration kInterval = 10ms;
  for (const Duration round_trip : {20ms, 250ms, 700ms, 2000ms, 4900ms}) {
    for (const double loss : {0.0, 0.3}) {
      CAPTURE(round_trip.count());
      CAPTURE(loss);
      Random random(7);
      PingsUnderWay pings;
      std::deque<Instant> under_way;
      Instant last = kStart + round_trip;
      Duration gap_max{};
      for (Instant now = kStart; now < kStart + 60s; now += kInterval) {
        while (!under_way.empty() && under_way.front() + round_trip <= now) {
          if (!random.chance(loss) && pings.answer(stamp_of(under_way.front()))) {
            gap_max = std::max(gap_max, now - last);
            last = now;
          }
          under_way.pop_front();
        }
        add(pings, now);
        under_way.push_back(now);
      }
      gap_max = std::max(gap_max, kStart + 60s - last);
      if (loss == 0) {
        CHECK(gap_max <= std::max<Duration>(kInterval, round_trip / 6));
      } else {
        CHECK(gap_max <= Duration(2s));
      }
    }
  }
}

// Two PINGs at a time, as while keys change: neither kind is always the one that is forgotten.
TEST_CASE("pings: of pairs both kinds are remembered") {
  PingsUnderWay pings;
  std::deque<Instant> under_way;
  int first = 0;
  int second = 0;
  for (Instant now = kStart; now < kStart + 30s; now += 10ms) {
    while (!under_way.empty() && under_way.front() + 2s <= now) {
      first += answered(pings, under_way.front()) ? 1 : 0;
      second += answered(pings, under_way.front() + 1ns) ? 1 : 0;
      under_way.pop_front();
    }
    under_way.push_back(now);
    add(pings, now);
    add(pings, now + 1ns);
  }
  CHECK(first > 20);
  CHECK(second > 20);
}

}  // namespace ringknet::test
