// SPDX-License-Identifier: LGPL-2.1-or-later
#include "engine/ring/receive_offload.h"

#include <doctest/doctest.h>

#include <utility>

namespace ringknet::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using Change = ReceiveOffload::Change;

// A socket to which a message comes every 2 ms, and a PING every 100 ms that says how many there
// were.
struct Socket {
  ReceiveOffload offload;
  Instant now{seconds(1)};
  bool joins = true;
  bool waits = false;        // something always waits in it
  bool ruled = false;        // a firewall takes away what is joined
  std::size_t bytes = 4000;  // of a message, joined
  unsigned others = 0;       // messages to others in between
  std::int64_t missing = 0;  // since the last PING
  std::uint64_t lost = 0;    // in all
  std::size_t told = 0;
  std::size_t switched = 0;

  void arrive(std::size_t size, std::int64_t gone) {
    const Change change =
        offload.on_arrival(now, {.bytes = size, .arrived = size > 60 ? 1u : 0u, .missing = gone});
    if (change == Change::kNone || (change == Change::kSplit && waits))
      return;
    ++switched;
    CHECK(joins == (change == Change::kSplit));
    joins = change == Change::kJoin;
    told += change == Change::kSplit && offload.split(now) ? 1 : 0;
  }
  void run(Duration length) {
    const Instant end = now + length;
    for (unsigned turn = 1; now < end; ++turn, now += milliseconds(2)) {
      missing += others;
      if (joins && ruled) {
        ++missing;
        ++lost;
      } else {
        arrive(joins ? bytes : 1400, std::exchange(missing, 0));
      }
      if (turn % 50 == 0)
        arrive(60, std::exchange(missing, 0));
    }
  }
};

TEST_CASE("receive offload: a rule on the length of what was joined is found out") {
  Socket socket;
  socket.run(seconds(2));
  CHECK(socket.switched == 0);
  socket.ruled = true;
  socket.run(seconds(1));
  CHECK_FALSE(socket.joins);
  CHECK(socket.told == 1);
  CHECK(socket.lost < 200);
  SUBCASE("which stays: tried again after a minute, two, four, ... and at last an hour") {
    socket.lost = 0;
    socket.run(minutes(63));
    CHECK_FALSE(socket.joins);
    CHECK(socket.told == 1);
    CHECK(socket.lost < 6 * 200);
  }
  SUBCASE("which goes") {
    socket.ruled = false;
    socket.run(minutes(1));
    CHECK(socket.joins);
    socket.run(minutes(5));
    CHECK(socket.switched == 4);
    CHECK(socket.told == 1);
  }
}

TEST_CASE("receive offload: a path that lost packets for a moment is no rule") {
  Socket socket;
  for (int i = 0; i < 20; ++i) {
    socket.ruled = true;
    socket.run(milliseconds(100));
    socket.ruled = false;
    socket.run(seconds(30));
    CHECK(socket.joins);
  }
  CHECK(socket.told == 0);
}

TEST_CASE("receive offload: messages to others are not missing for long") {
  Socket socket;
  socket.others = 2;
  socket.run(minutes(60));
  CHECK(socket.told == 0);
  CHECK(socket.joins);
  CHECK(socket.switched < 30);
}

// By chance the peer falls silent with the trial, and goes on with the second look.
TEST_CASE("receive offload: a peer that speaks to others now and then is no rule") {
  ReceiveOffload offload;
  bool joins = true;
  std::size_t switched = 0;
  Instant now{seconds(1)};
  for (int i = 0; i < 100'000; ++i, now += milliseconds(10)) {
    const Change change = joins
                              ? offload.on_arrival(now, {.bytes = 100, .arrived = 1, .missing = 2})
                              : offload.on_arrival(now, {.bytes = 60});
    if (change != Change::kNone) {
      joins = change == Change::kJoin;
      CHECK_FALSE((!joins && offload.split(now)));
      ++switched;
    }
  }
  CHECK(switched > 4);
}

TEST_CASE("receive offload: where long runs arrive joined nothing is tried") {
  Socket socket;
  socket.others = 2;
  socket.bytes = 40000;
  socket.run(minutes(1));
  CHECK(socket.switched == 0);
}

TEST_CASE("receive offload: it waits for a socket in which nothing waits") {
  Socket socket;
  socket.ruled = true;
  socket.waits = true;
  socket.run(seconds(3));
  CHECK(socket.switched == 0);
  socket.waits = false;
  socket.run(seconds(10));
  CHECK(socket.told == 1);
}

TEST_CASE("receive offload: users switch it off") {
  ReceiveOffload offload(false);
  Instant now{};
  std::size_t tries = 0;
  for (; now < Instant{seconds(1)}; now += milliseconds(10))
    tries += offload.on_arrival(now, {100, 1, 100}) == Change::kSplit ? 1 : 0;
  CHECK(tries == 20);
  CHECK_FALSE(offload.split(now));
  for (; now < Instant{seconds(10)}; now += milliseconds(10))
    CHECK(offload.on_arrival(now, {100, 1, 100}) == Change::kNone);
}

}  // namespace
}  // namespace ringknet::test
