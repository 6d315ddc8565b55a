// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Tests of the parts of knet-bench whose mistakes would not show in a table: that damage is
// noticed, that control messages survive the trip, that medians and ratios are what they say. The
// measuring itself is tested by running it.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "tools/bench/control.h"
#include "tools/bench/payload.h"
#include "tools/bench/report.h"
#include "tools/bench/stats.h"

namespace ringknet::bench {
namespace {

std::vector<std::byte> message_of(std::size_t size, std::uint64_t sequence) {
  std::vector<std::byte> message(size);
  fill_body(message);
  write_payload(message, PayloadKind::kData, 7, sequence);
  return message;
}

Verdict verdict_of(const std::vector<std::byte>& message) {
  PayloadHeader header;
  return check_payload(message, 7, header);
}

TEST_CASE("an intact message of any size is intact") {
  for (std::size_t size = kPayloadSizeMin; size <= 65536; size += size < 2048 ? 1 : 509) {
    CAPTURE(size);
    CHECK(verdict_of(message_of(size, 0)) == Verdict::kIntact);
    CHECK(verdict_of(message_of(size, 12345)) == Verdict::kIntact);
  }
}

TEST_CASE("every changed byte of a message that is compared in full is noticed") {
  const std::vector<std::byte> original = message_of(2000, 64);
  for (std::size_t at = 0; at < original.size(); ++at) {
    // Bytes 6 and 7 are reserved and not checked; 12 to 15 are the size, 8 to 11 the row, all under
    // the check word.
    if (at == 6 || at == 7) {
      continue;
    }
    CAPTURE(at);
    std::vector<std::byte> message = original;
    message[at] ^= std::byte{1};
    CHECK(verdict_of(message) == Verdict::kDamaged);
  }
}

TEST_CASE("a fragment of another message or place is noticed in every message") {
  constexpr std::size_t kFragment = 1446;
  const std::vector<std::byte> original = message_of(20000, 5);
  const std::vector<std::byte> other = message_of(20000, 6);
  for (std::size_t at = 0; at + kFragment <= original.size(); at += kFragment) {
    CAPTURE(at);
    std::vector<std::byte> mixed = original;
    std::copy_n(&other[at], kFragment, &mixed[at]);
    if (at > 0) {
      CHECK(verdict_of(mixed) == Verdict::kDamaged);
    }
    std::vector<std::byte> moved = original;
    const std::size_t from = (at + kFragment) % (original.size() - kFragment);
    std::copy_n(&original[from], kFragment, &moved[at]);
    CHECK(verdict_of(moved) == Verdict::kDamaged);
  }
}

TEST_CASE("a message cut short, or of another row, is told apart") {
  std::vector<std::byte> message = message_of(1000, 5);
  PayloadHeader header;
  CHECK(check_payload(message, 8, header) == Verdict::kOtherRow);
  message.resize(600);
  CHECK(verdict_of(message) == Verdict::kDamaged);
  // A late message that is longer than the buffers of the row that is on.
  CHECK(check_payload(message, 8, header) == Verdict::kOtherRow);
  message.resize(10);
  CHECK(verdict_of(message) == Verdict::kDamaged);
}

TEST_CASE("sequence numbers are seen once") {
  SequenceSet seen;
  for (const std::uint64_t sequence : {0U, 63U, 64U, 1000000U, 5U}) {
    CHECK(seen.insert(sequence));
    CHECK_FALSE(seen.insert(sequence));
  }
}

TEST_CASE("control messages survive the trip") {
  const Message message = Message("verb")
                              .set("text", std::string_view("a b=c%20\n\xff\"'"))
                              .set("empty", std::string_view(""))
                              .set("number", std::int64_t{-5})
                              .set("time", Duration(std::chrono::hours(100)));
  std::string line = message.line();
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
  line.pop_back();
  const Message parsed = Message::parse(line);
  CHECK(parsed.verb() == "verb");
  CHECK(parsed.text("text") == "a b=c%20\n\xff\"'");
  CHECK(parsed.text("empty").empty());
  CHECK(parsed.number("number") == -5);
  CHECK(parsed.duration("time") == std::chrono::hours(100));
  CHECK_THROWS_AS((void)parsed.text("absent"), Failure);
  CHECK_THROWS_AS((void)parsed.number("text"), Failure);
}

TEST_CASE("a control channel gives whole messages, then the end") {
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
  Descriptor writer(ends[0]);
  ControlChannel channel{Descriptor(ends[1])};
  const auto write_text = [&writer](const char* text) {
    REQUIRE(::write(writer.get(), text, std::strlen(text)) > 0);
  };
  CHECK_FALSE(channel.receive().has_value());
  write_text("one a=1\ntwo\nthr");
  CHECK(channel.receive()->number("a") == 1);
  CHECK(channel.receive()->verb() == "two");
  CHECK_FALSE(channel.receive().has_value());
  write_text("ee\nfour\n");
  writer.reset(-1);
  CHECK(channel.receive()->verb() == "three");
  CHECK(channel.receive()->verb() == "four");
  CHECK_FALSE(channel.receive().has_value());
  CHECK(channel.closed());
}

TEST_CASE("medians and quantiles") {
  CHECK(median({3}) == 3);
  CHECK(median({4, 1, 3}) == 3);
  CHECK(median({4, 1, 3, 2}) == 2.5);
  std::vector<int> values(1000);
  for (int at = 0; at < 1000; ++at) {
    values[static_cast<std::size_t>(at)] = at + 1;
  }
  CHECK(quantile(values, 0.5) == 500);
  CHECK(quantile(values, 0.99) == 990);
  CHECK(quantile(values, 0.999) == 999);
  CHECK(quantile(values, 1) == 1000);
}

TEST_CASE("a ratio above 1 is in our favour, whichever way the row counts") {
  Report report;
  Section& section = report.section("s", "section");
  Metric& rate = section.metric("rate", "rate", "MB/s", Better::kHigher);
  Metric& cost = section.metric("cost", "cost", "ns", Better::kLower);
  Metric& lost = section.metric("lost", "lost", "%", Better::kLower);
  for (unsigned run = 0; run < 3; ++run) {
    rate.values[0][run] = 400;
    rate.values[1][run] = 100;
    cost.values[0][run] = 1 + run;
    cost.values[1][run] = 4;
    lost.values[0][run] = run == 0 ? 0 : 1;
    lost.values[1][run] = run == 0 ? 0 : 2;
  }
  const std::string json = report.json(true);
  CHECK(json.find("\"ratio\": {\"median\": 4, \"min\": 4, \"max\": 4}") != std::string::npos);
  CHECK(json.find("\"ratio\": {\"median\": 2, \"min\": 1.3333333333333333, \"max\": 4}") !=
        std::string::npos);
  CHECK(json.find("\"ratio\": {\"median\": 2, \"min\": 1, \"max\": 2}") != std::string::npos);
  CHECK_FALSE(report.failed());
  section.failures.emplace_back("it broke");
  CHECK(report.failed());
  CHECK(report.table(true).find("FAILED: it broke") != std::string::npos);
}

TEST_CASE("a loss where the other has none is no finite ratio") {
  Report report;
  Metric& lost = report.section("s", "section").metric("lost", "lost", "%", Better::kLower);
  lost.values[0][0] = 0;
  lost.values[1][0] = 3;
  CHECK(report.table(true).find("inf") != std::string::npos);
  CHECK(report.json(true).find("\"ratio\": {\"median\": null, \"min\": null, \"max\": null}") !=
        std::string::npos);
}

}  // namespace
}  // namespace ringknet::bench
