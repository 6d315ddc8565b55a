// SPDX-License-Identifier: LGPL-2.1-or-later
#include <doctest/doctest.h>

#include "engine/core/run_check.h"

namespace ringknet {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using News = RunCheck::News;

constexpr std::size_t kPacket = 1400;
constexpr std::uint16_t kRunSize = 1428;
constexpr std::uint16_t kSingleSize = 1427;
constexpr Duration kGap = milliseconds(40);

bool due(const RunCheck& check, Instant now, std::size_t packet) {
  return check.due(now) && check.affordable(packet);
}

// A path with traffic: a run of three packets each millisecond.
struct Traffic {
  RunCheck check;
  Instant now{seconds(1)};
  bool runs_pass = true;
  bool singles_pass = true;
  std::size_t bytes = 3 * kPacket;
  std::size_t probes = 0;
  std::size_t lost = 0;  // runs that went in one piece and did not arrive
  std::size_t whole = 0;
  std::size_t split = 0;
  std::size_t vanish = 0;  // how often it was said
  std::size_t pass = 0;

  void run(Duration length, Duration pause = milliseconds(1)) {
    for (const Instant end = now + length; now < end; now += pause)
      step();
  }
  void step() {
    if (check.on_run(now, bytes)) {
      ++split;
    } else {
      ++whole;
      lost += runs_pass ? 0 : 1;
    }
    if (!due(check, now, kPacket))
      return;
    ++probes;
    check.on_probe(now, check.segments(kPacket), kPacket, kRunSize, kSingleSize, kGap);
    CHECK(check.single_due());
    check.on_single(now);
    if (runs_pass)
      answer(kRunSize);
    if (singles_pass)
      answer(kSingleSize);
  }
  void answer(std::uint16_t size) {
    News news = News::kNone;
    CHECK(check.on_reply(now, size, news));
    vanish += news == News::kVanish ? 1 : 0;
    pass += news == News::kPass ? 1 : 0;
  }
};

TEST_CASE("run check: runs are split until one of their length was answered") {
  Traffic traffic;
  traffic.run(milliseconds(100));
  CHECK(traffic.split < 12);
  CHECK(traffic.whole > 80);
  // A longer one has to be proven anew.
  const std::size_t split = traffic.split;
  traffic.bytes = kRunBytesMax;
  traffic.run(milliseconds(200));
  CHECK(traffic.split > split);
  CHECK(traffic.split < split + 55);
  CHECK_FALSE(traffic.check.on_run(traffic.now, kRunBytesMax));
  CHECK(traffic.vanish + traffic.pass == 0);
}

TEST_CASE(
    "run check: while runs flow they are asked for four times a second, when they rest never") {
  Traffic traffic;
  traffic.run(seconds(10));
  CHECK(traffic.probes > 35);
  CHECK(traffic.probes <= 42);
  CHECK(traffic.split < 12);
  // Nothing is asked for the sake of little traffic.
  const std::size_t probes = traffic.probes;
  traffic.now += seconds(1);
  const std::size_t whole = traffic.whole;
  traffic.run(seconds(60), seconds(1));
  CHECK(traffic.probes == probes);
  CHECK(traffic.whole == whole);
}

TEST_CASE("run check: runs that grow are proven as fast as they grow") {
  Traffic traffic;
  for (std::size_t packets = 2; packets <= 44; packets += 6) {
    traffic.bytes = packets * kPacket;
    traffic.run(milliseconds(30));
  }
  CHECK(traffic.split < 90);
  CHECK(traffic.probes == 8);
  CHECK(traffic.whole > 150);
}

// 64 packets are the most, so what is asked for cannot be longer either.
TEST_CASE("run check: the longest run of short packets proves none of long ones") {
  constexpr std::size_t kShort = 300;
  RunCheck check;
  Instant now{seconds(1)};
  for (int i = 0; i < 20; ++i)
    CHECK(check.on_run(now, kRunSegmentsMax * kShort));
  REQUIRE(due(check, now, kShort - 1));
  REQUIRE(check.segments(kShort - 1) == kRunSegmentsMax);
  check.on_probe(now, kRunSegmentsMax, kShort - 1, kRunSize, kSingleSize, kGap);
  News news = News::kNone;
  CHECK(check.on_reply(now, kRunSize, news));
  CHECK_FALSE(check.on_run(now, kRunSegmentsMax * kShort));
  CHECK(check.on_run(now, kRunSegmentsMax * 2 * kShort));
}

TEST_CASE("run check: probes cost an eighth of the traffic at most") {
  for (const std::size_t bytes :
       {std::size_t{200}, 3 * kPacket, std::size_t{20000}, kRunBytesMax}) {
    CAPTURE(bytes);
    RunCheck check;
    Instant now{seconds(1)};
    std::size_t sent = 0;
    std::size_t probed = 0;
    for (int i = 0; i < 20000; ++i, now += milliseconds(3)) {
      check.on_run(now, bytes);
      sent += bytes;
      if (!due(check, now, kPacket))
        continue;
      const std::size_t count = check.segments(kPacket);
      CHECK(count >= 2);
      CHECK(count <= kRunSegmentsMax);
      CHECK(count * kPacket <= kRunBytesMax);
      probed += count * kPacket;
      check.on_probe(now, count, kPacket, kRunSize, kSingleSize, kGap);
      check.on_single(now);
    }
    CHECK(probed > 0);
    CHECK(8 * probed <= sent);
  }
}

TEST_CASE("run check: where runs vanish none is sent in one piece, and that is said once") {
  Traffic traffic;
  traffic.runs_pass = false;
  traffic.run(seconds(1));
  CHECK(traffic.whole == 0);
  CHECK(traffic.vanish == 1);
  CHECK(traffic.probes == 6);
  // Left alone for a minute, two, four: six probes each time, and not a word.
  traffic.run(minutes(1) + seconds(1), milliseconds(10));
  CHECK(traffic.probes == 12);
  traffic.run(minutes(2) + seconds(2), milliseconds(10));
  CHECK(traffic.probes == 18);
  traffic.run(minutes(3), milliseconds(10));
  CHECK(traffic.probes == 18);
  traffic.runs_pass = true;
  traffic.run(minutes(1) + seconds(2), milliseconds(10));
  CHECK(traffic.whole > 0);
  CHECK(traffic.vanish == 1);
  CHECK(traffic.pass == 1);
}

TEST_CASE("run check: a rule that appears under traffic takes half a second of it at most") {
  for (const Duration pause : {milliseconds(1), milliseconds(20), milliseconds(200)}) {
    CAPTURE(pause / milliseconds(1));
    Traffic traffic;
    traffic.run(seconds(4), milliseconds(2));
    CHECK(traffic.whole > 0);
    traffic.runs_pass = false;
    traffic.run(milliseconds(550), pause);
    const std::size_t lost = traffic.lost;
    CHECK(lost <= static_cast<std::size_t>(milliseconds(550) / pause));
    traffic.run(seconds(5), pause);
    CHECK(traffic.lost == lost);
    CHECK(traffic.vanish == (pause < milliseconds(100) ? 1 : 0));
  }
}

TEST_CASE("run check: what loses everything says nothing about runs") {
  Traffic traffic;
  traffic.runs_pass = traffic.singles_pass = false;
  traffic.run(seconds(10));
  CHECK(traffic.whole == 0);
  CHECK(traffic.vanish == 0);
  traffic.runs_pass = traffic.singles_pass = true;
  traffic.run(milliseconds(100));
  CHECK(traffic.whole > 0);
}

TEST_CASE("run check: an answer that comes late, or was overtaken, is an answer") {
  RunCheck check;
  Instant now{seconds(1)};
  for (int i = 0; i < 100; ++i) {
    while (!due(check, now, kPacket))
      check.on_run(now += milliseconds(1), 2 * kPacket);
    check.on_probe(now, 2, kPacket, kRunSize, kSingleSize, kGap);
    check.on_single(now);
    News news = News::kNone;
    CHECK(check.on_reply(now, kSingleSize, news));
    CHECK(check.on_reply(now + milliseconds(1), kRunSize, news));
    CHECK(check.on_reply(now + milliseconds(1), kRunSize, news));  // the second of the run
    CHECK(news == News::kNone);
    CHECK_FALSE(check.on_run(now + milliseconds(2), 2 * kPacket));
  }
  News news = News::kNone;
  CHECK_FALSE(check.on_reply(now, kRunSize + 1, news));
  CHECK_FALSE(check.on_reply(now, 0, news));
}

TEST_CASE("run check: what did not leave, or not in one piece, is not taken for lost") {
  Traffic traffic;
  const auto ask = [&] {
    while (!due(traffic.check, traffic.now, kPacket))
      traffic.check.on_run(traffic.now += milliseconds(1), 2 * kPacket);
    traffic.check.on_probe(traffic.now, 2, kPacket, kRunSize, kSingleSize, kGap);
  };
  for (int i = 0; i < 20; ++i) {
    ask();
    traffic.check.on_unsent();
    CHECK_FALSE(traffic.check.single_due());
    traffic.answer(kSingleSize);
    traffic.answer(kRunSize);
    CHECK(traffic.check.on_run(traffic.now, 2 * kPacket));
  }
  CHECK(traffic.vanish == 0);
  // This host splits everything at present: it is left alone for a minute.
  ask();
  traffic.check.on_split(traffic.now);
  traffic.probes = 0;
  traffic.run(seconds(59));
  CHECK(traffic.probes == 0);
  CHECK(traffic.whole == 0);
  traffic.run(seconds(2));
  CHECK(traffic.probes > 0);
  CHECK(traffic.whole > 0);
}

TEST_CASE("run check: a link that comes up again begins anew, but for what was given up") {
  Traffic traffic;
  traffic.run(milliseconds(100));
  traffic.check.stop();
  CHECK(traffic.check.on_run(traffic.now, 2 * kPacket));
  News news = News::kNone;
  CHECK_FALSE(traffic.check.on_reply(traffic.now, kRunSize, news));

  traffic.runs_pass = false;
  traffic.run(seconds(1));
  CHECK(traffic.vanish == 1);
  const std::size_t probes = traffic.probes;
  traffic.check.stop();
  traffic.run(seconds(10));
  CHECK(traffic.probes == probes);
  CHECK(traffic.vanish == 1);
  traffic.runs_pass = true;
  traffic.check.retry();
  traffic.run(seconds(1));
  CHECK(traffic.pass == 1);
}

}  // namespace
TEST_CASE("run check: an answer to a single probe of a run's size proves no run") {
  Traffic traffic;
  traffic.runs_pass = false;
  SUBCASE("sent before") {
    CHECK(!traffic.check.ambiguous(traffic.now, kRunSize, 2 * kPacket));
    traffic.check.on_single_probe(traffic.now, kRunSize);
    CHECK(traffic.check.ambiguous(traffic.now + seconds(2), kRunSize, 2 * kPacket));
    CHECK(!traffic.check.ambiguous(traffic.now + seconds(2), kSingleSize, 2 * kPacket));
    CHECK(!traffic.check.ambiguous(traffic.now + milliseconds(2001), kRunSize, 2 * kPacket));
    traffic.check.stop();
    CHECK(traffic.check.ambiguous(traffic.now, kRunSize, 2 * kPacket));
  }
  SUBCASE("sent behind the run") {
    traffic.run(milliseconds(30));
    REQUIRE(traffic.probes > 0);
    traffic.check.on_single_probe(traffic.now, kRunSize);
    traffic.answer(kRunSize);
    CHECK(traffic.check.on_run(traffic.now, traffic.bytes));
  }
}

TEST_CASE("run check: the late answer to a run proves no longer one") {
  RunCheck check;
  Instant now{seconds(1)};
  const auto ask = [&](std::size_t segments, std::uint16_t size) {
    while (!due(check, now, kPacket))
      check.on_run(now += milliseconds(1), segments * kPacket);
    REQUIRE(check.segments(kPacket) == segments);
    check.on_probe(now, segments, kPacket, size, size - 1, kGap);
    check.on_single(now);
  };
  ask(3, kRunSize);
  CHECK(!check.ambiguous(now, kRunSize, 2 * kPacket));
  CHECK(!check.ambiguous(now, kRunSize, 3 * kPacket));
  CHECK(check.ambiguous(now, kRunSize, 4 * kPacket));
  CHECK(check.ambiguous(now + seconds(2), kRunSize, 4 * kPacket));
  CHECK(!check.ambiguous(now + milliseconds(2001), kRunSize, 4 * kPacket));
  // The shortest counts, as long as any of them may be answered.
  ask(2, kRunSize);
  CHECK(check.ambiguous(now, kRunSize, 3 * kPacket));
  now += milliseconds(2001);
  ask(4, kRunSize);
  CHECK(!check.ambiguous(now, kRunSize, 4 * kPacket));
  CHECK(check.ambiguous(now, kRunSize, 5 * kPacket));
  // Of many sizes the oldest is forgotten.
  for (std::uint16_t size = 500; size < 531; ++size)
    check.on_single_probe(now += milliseconds(1), size);
  CHECK(check.ambiguous(now, 500, 2 * kPacket));
  CHECK(check.ambiguous(now, 530, 2 * kPacket));
  CHECK(!check.ambiguous(now, kRunSize, 5 * kPacket));
}

}  // namespace ringknet
