// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Messages that are written together: in their order, none lost, each failure told.
#include "engine/ring/datafd_write.h"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <deque>
#include <vector>

#include "tests/ring/node.h"

namespace ringknet {
namespace {

constexpr Channel kFirst{0};
constexpr Channel kOther{1};

// A writer with a socket of each channel's, whose far ends the test reads. Messages lie here until
// the bench goes, as in receive buffers.
class Bench : public DatafdWriter::Owner {
 public:
  Bench() {
    REQUIRE(ring_.open().error == 0);
    for (std::size_t i = 0; i < ends_.size(); ++i) {
      int pair[2];
      REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
      Datafd::Opened opened = Datafd::adopt(pair[0]);
      REQUIRE(opened.datafd != nullptr);
      datafds_.add(std::move(opened.datafd), Channel(i));
      ends_[i] = {pair[0], pair[1]};
    }
  }
  ~Bench() override {
    for (std::size_t i = 0; i < ends_.size(); ++i) {
      datafds_.close(ring_, *datafds_.find(Channel(i)));
      close(ends_[i].ours);
      close_reader(Channel(i));
    }
    ring_.close();
  }

  Datafd& datafd(Channel channel) { return *datafds_.find(channel); }
  void collect(Channel channel, std::size_t size = 100) {
    writer_.collect(datafd(channel), next(size));
  }
  void write(Channel channel, std::size_t size = 100) {
    writer_.write(datafd(channel), next(size));
  }
  void write_collected() { writer_.write_collected(); }
  // As the ring's loop does when a full socket has room again.
  void turn() {
    ring_.poll();
    Completion completion;
    while (ring_.take(completion))
      writer_.on_writable(completion);
  }

  // The number of the next message in that channel's socket; -1 when there is none.
  int read(Channel channel) {
    std::byte buffer[2000];
    const ssize_t size = recv(ends_[raw(channel)].theirs, buffer, sizeof buffer, MSG_DONTWAIT);
    if (size < 0)
      return -1;
    int number = -1;
    std::memcpy(&number, buffer, sizeof number);
    const std::vector<std::byte>& sent = messages_.at(static_cast<std::size_t>(number));
    CHECK(static_cast<std::size_t>(size) == sent.size());
    CHECK(std::memcmp(buffer, sent.data(), sent.size()) == 0);
    return number;
  }
  void close_reader(Channel channel) {
    int& end = ends_[raw(channel)].theirs;
    if (end >= 0)
      close(end);
    end = -1;
  }

  int written() const { return static_cast<int>(messages_.size()); }
  const std::vector<int>& errors() const { return errors_; }

 private:
  struct Ends {
    int ours = -1;
    int theirs = -1;
  };

  ConstBytes next(std::size_t size) {
    const int number = written();
    std::vector<std::byte>& message =
        messages_.emplace_back(test::pattern(size, static_cast<std::uint32_t>(number)));
    std::memcpy(message.data(), &number, sizeof number);
    return message;
  }
  void on_write_error(const Datafd&, int error) override { errors_.push_back(error); }

  Ring ring_;
  DatafdTable datafds_;
  DatafdWriter writer_{ring_, datafds_, *this};
  std::array<Ends, 2> ends_;
  std::deque<std::vector<std::byte>> messages_;
  std::vector<int> errors_;
};

TEST_CASE("datafd writer: collected messages keep their order, also among others") {
  Bench bench;
  constexpr int kRow = static_cast<int>(DatafdWriter::kCollectedMax);
  for (int i = 0; i < 2 * kRow + 3; ++i)
    bench.collect(kFirst, 100 + static_cast<std::size_t>(i));
  bench.write(kFirst);    // comes behind them
  bench.collect(kFirst);  // and this behind it
  bench.collect(kOther);
  const int last = bench.written() - 1;
  bench.write_collected();
  for (int i = 0; i < last; ++i)
    CHECK(bench.read(kFirst) == i);
  CHECK(bench.read(kFirst) == -1);
  CHECK(bench.read(kOther) == last);
  bench.write_collected();  // nothing twice
  CHECK(bench.read(kOther) == -1);
  CHECK(bench.errors().empty());
}

TEST_CASE("datafd writer: what a full socket refuses of a row waits, in order") {
  Bench bench;
  int next = 0;
  // Several times full and empty; the rows end at different places of the socket.
  for (int round = 0; round < 5; ++round) {
    while (bench.datafd(kFirst).write.pending.size() < 40) {
      for (int i = 0; i < 11 + round; ++i)
        bench.collect(kFirst, 1000);
      bench.write_collected();
    }
    // With room again in the socket, a row does not pass what waits.
    for (int i = 0; i < 20; ++i, ++next)
      REQUIRE(bench.read(kFirst) == next);
    bench.collect(kFirst, 1000);
    bench.collect(kFirst, 1000);
    bench.write_collected();
    while (next < bench.written()) {
      const int number = bench.read(kFirst);
      if (number < 0) {
        REQUIRE_FALSE(bench.datafd(kFirst).write.pending.empty());
        bench.turn();
        continue;
      }
      REQUIRE(number == next);
      ++next;
    }
    CHECK(bench.datafd(kFirst).write.pending.empty());
  }
  CHECK(bench.read(kFirst) == -1);
  CHECK(bench.errors().empty());
}

TEST_CASE("datafd writer: each message of a row to a reader that is gone is told") {
  Bench bench;
  bench.close_reader(kFirst);
  for (int i = 0; i < 3; ++i)
    bench.collect(kFirst);
  CHECK(bench.errors().empty());
  bench.write_collected();
  CHECK(bench.errors() == std::vector<int>(3, EPIPE));
}

TEST_CASE("datafd writer: a message that is too large for the socket costs no other") {
  Bench bench;
  const int size = 4096;
  REQUIRE(setsockopt(bench.datafd(kFirst).descriptor(), SOL_SOCKET, SO_SNDBUF, &size,
                     sizeof size) == 0);
  bench.collect(kFirst);
  bench.collect(kFirst, 100'000);
  bench.collect(kFirst);
  bench.write_collected();
  CHECK(bench.read(kFirst) == 0);
  CHECK(bench.read(kFirst) == 2);
  CHECK(bench.errors() == std::vector<int>{EMSGSIZE});
}

}  // namespace
}  // namespace ringknet
