// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The pace of log records, on virtual time: how many of a flood are written, that each count is
// told once, and that what ends is told to end.
#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "api/log_limiter.h"

namespace ringknet::test {
namespace {

using namespace std::chrono_literals;
using Kind = LogTopic::Kind;

const LogTopic kDoubtOfLink = LogTopic::of_link(Kind::kDoubt, HostId(2), LinkId(1));
const LogTopic kStateOfHost = LogTopic::of_host(Kind::kHostState, HostId(2));

// A log that remembers its records as they would be written.
struct Fixture {
  LogLimiter limiter;
  Instant now{1000s};
  std::vector<std::string> records;
  std::uint64_t written = 0;    // reports with a record of their own
  std::uint64_t held_back = 0;  // as told by records
  bool lasting = false;         // the trouble is not over when it is quiet

  void report(const LogTopic& topic) {
    std::uint64_t held = 0;
    if (limiter.report(now, topic, held)) {
      ++written;
      held_back += held;
      records.push_back(held == 0 ? "report" : "report+" + std::to_string(held));
    }
  }
  void wake() {
    limiter.on_timeout(now, [&](const LogLimiter::Episode& episode) {
      if (lasting)
        return false;
      held_back += episode.held;
      records.push_back((episode.over ? "over:" : "now:") + std::to_string(episode.count));
      return true;
    });
  }
  // Lets time go by as the engine does.
  void run(Duration duration) {
    const Instant end = now + duration;
    while (limiter.next_deadline() <= end) {
      REQUIRE(limiter.next_deadline() > now);
      now = limiter.next_deadline();
      wake();
    }
    now = end;
  }
  void flood(const LogTopic& topic, Duration duration, Duration gap) {
    for (Duration past{}; past < duration; past += gap) {
      report(topic);
      run(gap);
    }
  }
};

}  // namespace

TEST_CASE("log limiter: nothing to do, nothing to wake up for") {
  Fixture log;
  CHECK(log.limiter.next_deadline() == kNever);
  log.wake();
  CHECK(log.records.empty());
}

TEST_CASE("log limiter: one report is told at once, and its end after ten seconds") {
  Fixture log;
  log.report(kDoubtOfLink);
  CHECK(log.records == std::vector<std::string>{"report"});
  log.run(9s);
  CHECK(log.records.size() == 1);
  log.run(2s);
  CHECK(log.records == std::vector<std::string>{"report", "over:1"});
  log.run(1h);
  CHECK(log.records.size() == 2);
  CHECK(log.limiter.next_deadline() == kNever);
}

TEST_CASE("log limiter: a flood is told at doubling pauses, and every report is counted") {
  Fixture log;
  log.flood(kDoubtOfLink, 10s, 10ms);
  CHECK(log.records == std::vector<std::string>{"report", "report+399"});
  log.run(1min);
  CHECK(log.records.back() == "over:1000");
  CHECK(log.records.size() == 3);
  CHECK(log.written + log.held_back == 1000);
}

TEST_CASE("log limiter: a flood that does not end is told once a minute at last") {
  Fixture log;
  log.flood(kDoubtOfLink, 1h, 50ms);
  CHECK(log.records.size() <= 64);
  CHECK(log.records.size() >= 60);
}

TEST_CASE("log limiter: what comes and goes keeps its pause") {
  Fixture log;
  for (int round = 0; round < 240; ++round) {
    log.report(kDoubtOfLink);
    log.run(15s);  // every time it is over
  }
  // An hour: a record and an end a minute, not eight of them.
  CHECK(log.records.size() <= 130);
  // After a long rest it is new again.
  log.run(10min);
  const std::size_t before = log.records.size();
  log.report(kDoubtOfLink);
  CHECK(log.records.size() == before + 1);
}

TEST_CASE("log limiter: a trouble that nothing reports any more may still last") {
  Fixture log;
  log.lasting = true;
  log.report(kDoubtOfLink);
  log.run(1min);
  CHECK(log.records.size() == 1);
  log.lasting = false;
  log.run(2s);
  CHECK(log.records.back() == "over:1");
}

TEST_CASE("log limiter: an end that another record tells is not told twice") {
  Fixture log;
  log.report(kDoubtOfLink);
  log.limiter.end(kDoubtOfLink);
  log.limiter.end(kStateOfHost);  // unknown
  log.run(1min);
  CHECK(log.records.size() == 1);
  CHECK(log.limiter.next_deadline() == kNever);
}

TEST_CASE("log limiter: a few changes of a state are all told, and nothing else") {
  Fixture log;
  for (int change = 0; change < 5; ++change) {
    log.report(kStateOfHost);
    log.run(100ms);
  }
  log.run(1min);
  CHECK(log.records == std::vector<std::string>(5, "report"));
  CHECK(log.limiter.next_deadline() == kNever);
}

TEST_CASE("log limiter: a state that changes often is told in the end") {
  Fixture log;
  log.flood(kStateOfHost, 6s, 100ms);
  CHECK(log.records.size() <= 7);
  log.run(1min);
  CHECK(log.written + log.held_back == 60);
  CHECK((log.records.back() == "over:60" || log.records.back() == "now:60"));
  // Also where the last change came at once after a record.
  log.flood(kStateOfHost, 5s, 1s);
  log.run(10min);
  CHECK(log.written + log.held_back == 65);
}

TEST_CASE("log limiter: topics do not share their pauses") {
  Fixture log;
  log.limiter.grow(3 * 8);
  for (unsigned host = 1; host <= 3; ++host) {
    for (unsigned link = 0; link < 8; ++link) {
      log.report(LogTopic::of_link(Kind::kDoubt, HostId(host), LinkId(link)));
      log.report(LogTopic::of_link(Kind::kCannotSend, HostId(host), LinkId(link)));
    }
  }
  CHECK(log.records == std::vector<std::string>(48, "report"));
}

TEST_CASE("log limiter: strangers of one reason are eight at once and then few") {
  Fixture log;
  log.flood(LogTopic::of_drop(Drop::kUnknownHost), 1h, 1s);
  CHECK(log.written <= 16);
  log.report(LogTopic::of_drop(Drop::kSourceAddress));
  CHECK(log.records.back() == "report");
}

TEST_CASE("log limiter: a full table is shared by kind and grows without loss") {
  Fixture log;
  for (unsigned host = 0; host < 2000; ++host)
    log.report(LogTopic::of_link(Kind::kDoubt, HostId(host), LinkId(0)));
  // As many as there is room for, one for the rest, and no memory for them.
  CHECK(log.records.size() < 128);
  CHECK(log.records.size() > 32);
  log.limiter.grow(2000);
  const std::size_t before = log.records.size();
  log.report(LogTopic::of_link(Kind::kDoubt, HostId(0), LinkId(0)));
  CHECK(log.records.size() == before);  // it was there before
  for (unsigned host = 10000; host < 12000; ++host)
    log.report(LogTopic::of_link(Kind::kDoubt, HostId(host), LinkId(0)));
  CHECK(log.records.size() == before + 2000);
  log.run(10min);
  CHECK(log.limiter.next_deadline() == kNever);
}

}  // namespace ringknet::test
