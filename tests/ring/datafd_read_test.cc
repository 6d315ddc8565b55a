// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What several channels have to send: none keeps another from being read.
#include "engine/ring/datafd_read.h"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <cstring>
#include <vector>

namespace ringknet {
namespace {

constexpr Channel kBusy{0};
constexpr Channel kQuiet{1};

class Bench : public DatafdReader::Owner {
 public:
  Bench() {
    REQUIRE(ring_.open().error == 0);
    for (const Channel channel : {kBusy, kQuiet}) {
      Datafd::Opened opened = Datafd::make_pair(false);
      REQUIRE(opened.datafd != nullptr);
      REQUIRE(reader_.open(channel) == 0);
      datafds_.add(std::move(opened.datafd), channel);
    }
  }
  ~Bench() override {
    for (const Channel channel : {kBusy, kQuiet})
      datafds_.close(ring_, *datafds_.find(channel));
    ring_.close();
  }

  // Messages of one channel that begin with their numbers.
  void write(Channel channel, std::uint32_t count, std::size_t size = sizeof(std::uint32_t)) {
    std::vector<std::byte> message(size);
    for (std::uint32_t i = 0; i < count; ++i) {
      std::memcpy(message.data(), &i, sizeof i);
      REQUIRE(send(datafds_.find(channel)->application(), message.data(), size, MSG_DONTWAIT) ==
              static_cast<ssize_t>(size));
    }
  }
  // One turn of an engine's loop.
  void turn() {
    reader_.rearm();
    ring_.poll();
    Completion completion;
    while (ring_.take(completion)) {
      if (completion.op.kind == OpKind::kRead || completion.op.kind == OpKind::kReadable)
        reader_.on_completion(completion);
    }
  }
  // Takes the next message; its number.
  std::uint32_t take(Channel& channel) {
    REQUIRE_FALSE(reader_.empty());
    const DatafdReader::Message message = reader_.front();
    std::uint32_t number = 0;
    REQUIRE(message.bytes.size() == sizeof number);
    std::memcpy(&number, message.bytes.data(), sizeof number);
    channel = message.channel;
    reader_.pop();
    return number;
  }
  DatafdReader& reader() { return reader_; }

  void on_read_end(const Datafd&, int, int) override { FAIL("a datafd ended"); }
  void on_oversized(Channel, std::size_t) override { FAIL("a message was too large"); }

 private:
  Ring ring_;
  DatafdTable datafds_;
  DatafdReader reader_{ring_, datafds_, *this};
};

TEST_CASE("datafd reader: channels take turns, each in its order") {
  Bench bench;
  bench.write(kBusy, 4);
  bench.write(kQuiet, 3);
  bench.turn();
  CHECK(bench.reader().arrived() == 7);
  CHECK(bench.reader().oldest() == 0);
  std::uint32_t next[2] = {};
  for (std::uint32_t i = 0; i < 7; ++i) {
    Channel channel{};
    const std::uint32_t number = bench.take(channel);
    if (i < 6)
      CHECK((channel == kQuiet) == (i % 2 == 1));
    CHECK(number == next[channel == kQuiet ? 1 : 0]++);
  }
  CHECK(bench.reader().empty());
  CHECK(bench.reader().oldest() == 7);
}

TEST_CASE("datafd reader: a channel that has filled its buffers takes none from another") {
  Bench bench;
  bench.write(kBusy, 100);
  bench.turn();
  const std::uint64_t full = bench.reader().arrived();
  CHECK(full < 100);
  bench.turn();
  CHECK(bench.reader().arrived() == full);
  bench.write(kQuiet, 1);
  bench.turn();
  CHECK(bench.reader().arrived() == full + 1);
  Channel channel{};
  for (int i = 0; i < 2; ++i)
    bench.take(channel);
  CHECK(channel == kQuiet);
  // Nothing of the flood is lost.
  std::uint32_t taken = 1;
  for (; taken < 100; ++taken) {
    if (bench.reader().empty())
      bench.turn();
    CHECK(bench.take(channel) == taken);
    CHECK(channel == kBusy);
  }
}

TEST_CASE("datafd reader: a channel whose message does not fit is passed over and keeps its turn") {
  Bench bench;
  bench.write(kBusy, 2, 1000);
  bench.write(kQuiet, 2);
  bench.turn();
  const auto is_short = [](std::size_t size) { return size < 100; };
  const auto any = [](std::size_t) { return true; };
  REQUIRE(bench.reader().turn_to(is_short));
  CHECK(bench.reader().front().channel == kQuiet);
  bench.reader().pop();
  REQUIRE(bench.reader().turn_to(any));
  CHECK(bench.reader().front().channel == kBusy);
  bench.reader().pop();
  bench.reader().pop();
  CHECK_FALSE(bench.reader().turn_to(is_short));
  REQUIRE(bench.reader().turn_to(any));
  bench.reader().pop();
  CHECK_FALSE(bench.reader().turn_to(any));
}

}  // namespace
}  // namespace ringknet
