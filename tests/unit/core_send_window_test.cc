// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The send window: alone, and in a cluster whose receiver holds no more than its socket does.
#include "engine/core/send_window.h"

#include <doctest/doctest.h>

#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

constexpr std::size_t kPacket = 1446;
constexpr std::size_t kCost = kPacket + SendWindow::kPacketOverhead;

// Sends packet by packet until the window closes, each mark leaving at `now` + 1 ns and so on.
// Answers the times of the marks.
std::vector<Instant> fill(SendWindow& window, Instant now) {
  std::vector<Instant> marks;
  for (int packets = 0; window.open() && packets < 100000; ++packets) {
    if (window.on_data(kPacket, 1, 1)) {
      now += 1ns;
      window.on_mark(now);
      marks.push_back(now);
    }
  }
  return marks;
}

}  // namespace

TEST_CASE("send window: closes after its size, with a mark every quarter") {
  SendWindow window;
  window.set_limit(SendWindow::kSizeMax);
  Instant now{10s};
  CHECK(window.open());
  CHECK(window.deadline() == kNever);
  const std::vector<Instant> marks = fill(window, now);
  CHECK_FALSE(window.open());
  CHECK(marks.size() >= 3);
  CHECK(marks.size() <= 4);
  CHECK(window.deadline() == marks.front() + SendWindow::kPatience);
}

TEST_CASE("send window: an answered mark opens it for what was sent before the mark") {
  SendWindow window;
  window.set_limit(SendWindow::kSizeMax);
  Instant now{10s};
  const std::vector<Instant> marks = fill(window, now);
  now += 1ms;
  CHECK_FALSE(window.on_pong(now, marks[0] - 1ns));  // no mark's
  CHECK_FALSE(window.open());
  CHECK(window.on_pong(now, marks[0]));
  CHECK(window.open());
  std::size_t packets = 0;
  while (window.open()) {
    window.on_data(kPacket, 1, 1);
    ++packets;
  }
  CHECK(packets * kCost >= SendWindow::kSizeMax / 4);
  CHECK(packets * kCost <= SendWindow::kSizeMax / 4 + 2 * kCost);
  CHECK_FALSE(window.on_pong(now, marks[0]));  // once only
  CHECK_FALSE(window.open());
}

TEST_CASE("send window: a later answer covers the marks before it") {
  SendWindow window;
  window.set_limit(SendWindow::kSizeMax);
  const std::vector<Instant> marks = fill(window, Instant{10s});
  CHECK(window.on_pong(Instant{10s} + 1ms, marks.back()));
  CHECK_FALSE(window.on_pong(Instant{10s} + 1ms, marks.front()));
  CHECK(window.deadline() == kNever);
  CHECK(window.open());
}

// Three marks were lost, and a long round trip that was measured once would make it wait for 2 s.
TEST_CASE("send window: an answer to a later PING covers the marks that were lost") {
  SendWindow window;
  window.set_limit(SendWindow::kSizeMax);
  Instant now{10s};
  CHECK_FALSE(window.on_pong(now, now - 900ms));
  const std::vector<Instant> marks = fill(window, now);
  CHECK_FALSE(window.open());
  CHECK(window.deadline() == marks.front() + SendWindow::kPatienceMax);
  now += 100ms;
  CHECK(window.on_pong(now, marks.back() + 1ns));
  CHECK(window.open());
  CHECK(window.deadline() == kNever);
  CHECK(window.size() == SendWindow::kSizeMax);
}

TEST_CASE("send window: without answers it lets go after its patience, until one comes") {
  SendWindow window;
  window.set_limit(SendWindow::kSizeMax);
  Instant now{10s};
  std::vector<Instant> marks = fill(window, now);
  window.on_timeout(window.deadline() - 1ns);
  CHECK_FALSE(window.open());
  now = window.deadline();
  window.on_timeout(now);
  CHECK(window.open());
  CHECK(window.deadline() == kNever);
  CHECK(window.size() == SendWindow::kSizeMax / 2);
  fill(window, now);
  CHECK_FALSE(window.open());
  now = window.deadline();
  window.on_timeout(now);
  CHECK(window.open());
  std::size_t packets = 0;
  Instant mark = kNever;
  for (; window.open() && packets < 100000; ++packets) {
    if (window.on_data(kPacket, 1, 1)) {
      mark = now += 1ns;
      window.on_mark(now);
    }
  }
  CHECK(packets * kCost > 3 * SendWindow::kSizeMax);
  CHECK(packets * kCost < 5 * SendWindow::kSizeMax);
  CHECK(window.on_pong(now + 1ms, mark));
  fill(window, now + 1ms);
  CHECK_FALSE(window.open());
}

TEST_CASE("send window: shrinks while the receiver is behind and grows back to its limit") {
  SendWindow window;
  window.set_limit(SendWindow::kSizeMax);
  Instant now{10s};
  const auto turn = [&](Duration answered_after) {
    const std::vector<Instant> marks = fill(window, now);
    REQUIRE_FALSE(marks.empty());
    now = marks.back() + answered_after;
    CHECK(window.on_pong(now, marks.back()));
  };
  for (int i = 0; i < 20; ++i)
    turn(20ms);
  CHECK(window.size() == SendWindow::kSizeMin);
  for (int i = 0; i < 20; ++i)
    turn(200us);
  CHECK(window.size() == SendWindow::kSizeMax);
  // Heartbeats with data around them do not count as measures of the path...
  const Instant heartbeat = now;
  fill(window, now);
  now += 30ms;
  for (int i = 0; i < 100; ++i)
    CHECK_FALSE(window.on_pong(now, heartbeat));
  now += 5s;
  window.on_timeout(now);
  for (int i = 0; i < 20; ++i)
    turn(30ms);
  CHECK(window.size() == SendWindow::kSizeMin);
  // ... those with a free path do: a long one is not a slow receiver, and holds more.
  for (int i = 0; i < 100; ++i) {
    now += 50ms;
    CHECK_FALSE(window.on_pong(now, now - 40ms));
  }
  for (int i = 0; i < 20; ++i)
    turn(45ms);
  CHECK(window.size() > 2 * SendWindow::kSizeMax);
}

TEST_CASE("send window: an absurdly late answer does not make it wait for long") {
  SendWindow window;
  window.set_limit(SendWindow::kSizeMax);
  const Instant now{100000h};
  CHECK_FALSE(window.on_pong(now, Instant{}));
  fill(window, now);
  CHECK_FALSE(window.open());
  CHECK(window.deadline() - now <= 2s + 1ms);
}

TEST_CASE("send window: a small socket at our end means a small window") {
  SendWindow window;
  window.set_limit(100000);
  CHECK(window.size() == 100000);
  window.set_limit(1);
  CHECK(window.size() == SendWindow::kSizeMin);
  window.set_limit(std::size_t{1} << 40);
  CHECK(window.size() == SendWindow::kSizeMax);
}

TEST_CASE("send window: a link coming up starts anew") {
  SendWindow window;
  window.set_limit(SendWindow::kSizeMax);
  fill(window, Instant{10s});
  CHECK_FALSE(window.open());
  window.reset();
  CHECK(window.open());
  CHECK(window.deadline() == kNever);
}

TEST_CASE("send window: never more on the path than the receiver's socket holds") {
  Cluster cluster;
  REQUIRE(cluster.connect());
  std::size_t on_path = 0;
  std::size_t most = 0;
  std::uint64_t offered = 0;
  cluster.recording = true;
  const auto measure = [&] {
    for (const Packet& packet : cluster.log) {
      if (packet.from == 1 && packet.type() == 0)
        on_path += packet.bytes.size() + SendWindow::kPacketOverhead;
    }
    most = std::max(most, on_path);
    cluster.log.clear();
  };
  for (int round = 0; round < 200; ++round) {
    while (cluster.fabric(1).can_send()) {
      CHECK(cluster.send(1, pattern(1400, offered++)).error == Error::kNone);
      cluster.settle();
      measure();
      if (offered > 20000)
        break;
    }
    // The path is 1 ms long each way: one round trip takes all that is on it.
    cluster.run_for(2ms);
    on_path = 0;
    cluster.log.clear();
  }
  CHECK(most > SendWindow::kSizeMax / 2);
  CHECK(most <= SendWindow::kSizeMax + 128 * 1024);
  cluster.run_for(100ms);
  CHECK(cluster.node(2).received.size() == offered);
}

TEST_CASE("send window: who is behind with delivering slows its senders down and keeps its links") {
  Cluster cluster({.timers = {.interval = 100ms, .timeout = 400ms, .precision = 2048}});
  REQUIRE(cluster.connect());
  std::size_t offered = 0;
  const auto stream = [&](Duration duration) {
    const std::size_t before = cluster.node(2).received.size();
    for (const Instant end = cluster.now + duration; cluster.now < end;) {
      for (int i = 0; i < 100 && cluster.fabric(1).can_send(); ++i)
        cluster.send(1, pattern(1400, offered++));
      cluster.run_for(1ms);
    }
    return cluster.node(2).received.size() - before;
  };
  const std::size_t fast = stream(200ms);
  cluster.fabric(2).set_backlogged(true);
  stream(200ms);
  const std::size_t slow = stream(200ms);
  CHECK(slow < fast / 4);
  CHECK(slow > 0);
  cluster.fabric(2).set_backlogged(false);
  stream(200ms);
  CHECK(stream(200ms) > fast * 3 / 4);
  CHECK(cluster.node(1).count(Event::Kind::kLinkDown) == 0);
  CHECK(cluster.node(1).count(Event::Kind::kLinkSuspect) == 0);
  cluster.run_for(200ms);
  CHECK(cluster.node(2).received.size() == offered);
}

TEST_CASE("send window: a peer that went silent does not hold up the others for long") {
  Cluster cluster({.nodes = 3});
  REQUIRE(cluster.connect());
  cluster.cut(1, 3, 0);
  const Instant start = cluster.now;
  std::size_t offered = 0;
  while (cluster.now - start < 480ms) {
    while (cluster.fabric(1).can_send()) {
      cluster.send(1, pattern(60000, offered++));
      cluster.settle();
      if (offered % 64 == 0)
        break;
    }
    cluster.run_for(1ms);
  }
  CHECK(cluster.status(1, 3, 0).connected);  // nobody has missed it yet
  Duration longest{};
  Instant last = start;
  for (const Received& received : cluster.node(2).received) {
    if (received.at < start)
      continue;
    longest = std::max(longest, Duration(received.at - last));
    last = received.at;
  }
  CHECK(longest <= SendWindow::kPatience + 5ms);
  CHECK(cluster.node(2).received.size() > 250);
}

}  // namespace ringknet::test
