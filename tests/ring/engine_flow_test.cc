// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Flow: backpressure from a full engine to the application, readers that are slow or gone, and
// forwarding switched off with everything sent before.
#include <doctest/doctest.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <atomic>
#include <semaphore>
#include <thread>

#include "tests/ring/node.h"

namespace ringknet::test {
namespace {

std::uint32_t number_of(const std::vector<std::byte>& message) {
  std::uint32_t number = 0;
  if (message.size() >= sizeof(number))
    std::memcpy(&number, message.data(), sizeof(number));
  return number;
}

// Bytes the engine has not read yet.
int unread(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) == 0 ? bytes : -1;
}

TEST_CASE("engine: a stream of messages arrives complete and in order") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int fd_b = b.open_channel(0);
  REQUIRE(join(a, b));
  for (const std::size_t size : {100, 1400, 8192, 65536}) {
    CAPTURE(size);
    const std::uint32_t count = size > 5000 ? 1000 : 10000;
    // As far ahead of the reader as its socket surely holds: beyond that, messages would rightly be
    // lost.
    std::counting_semaphore<> ahead(size > 5000 ? 32 : 1000);
    std::jthread writer([&](const std::stop_token& stop) {
      for (std::uint32_t number = 1; number <= count && !stop.stop_requested(); ++number) {
        if (!ahead.try_acquire_for(kLimit) || !write_message(fd_a, pattern(size, number)))
          return;
      }
    });
    std::uint32_t wrong = 0;
    for (std::uint32_t number = 1; number <= count && wrong == 0; ++number) {
      if (read_message(fd_b) != pattern(size, number))
        ++wrong;
      ahead.release();
    }
    writer.request_stop();
    CHECK(wrong == 0);
  }
}

TEST_CASE("engine: a node that stands still pushes back, and nothing is lost") {
  Node a(1);
  const int fd_a = a.open_channel(0);
  Node b(2);
  const int fd_b = b.open_channel(0);
  REQUIRE(join(a, b));
  // The engine stands in a call; the application fills its socket until it is refused.
  std::atomic<bool> go_on = false;
  std::thread stopper([&] { a.engine().run([&](Engine&) { go_on.wait(false); }); });
  std::uint32_t written = 0;
  const auto message_of = [](std::uint32_t number) { return pattern(5000, number); };
  for (;;) {
    const auto message = message_of(written + 1);
    if (send(fd_a, message.data(), message.size(), MSG_DONTWAIT) < 0)
      break;
    ++written;
  }
  CHECK(errno == EAGAIN);
  CHECK(written > 10);
  go_on = true;
  go_on.notify_all();
  stopper.join();
  std::uint32_t wrong = 0;
  for (std::uint32_t number = 1; number <= written; ++number) {
    if (read_message(fd_b) != message_of(number))
      ++wrong;
    if (wrong > 3)
      break;
  }
  CHECK(wrong == 0);
}

TEST_CASE(
    "engine: a reader that does not read loses messages one report each, the others keep their "
    "order") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int other_a = a.open_channel(1);
  const int fd_b = b.open_channel(0);
  const int other_b = b.open_channel(1);
  REQUIRE(join(a, b));
  const auto slow = [](const Recorder& recorder) {
    std::size_t count = 0;
    for (const DatafdReport& report : recorder.datafds()) {
      if (report.direction == Direction::kRx && report.error == -1 && report.errno_value == EAGAIN)
        ++count;
    }
    return count;
  };
  std::uint32_t written = 0;
  while (b.dropped(Drop::kReaderSlow) < 5) {
    REQUIRE(write_message(fd_a, pattern(60000, ++written)));
    REQUIRE(written < 5000);
    if (written % 16 != 0)
      continue;
    // The other channel is not affected.
    REQUIRE(write_message(other_a, pattern(100, written)));
    REQUIRE(number_of(read_message(other_b)) == written);
  }
  REQUIRE(write_message(other_a, pattern(100, 0)));
  REQUIRE(number_of(read_message(other_b)) == 0);
  const std::uint64_t dropped = b.dropped(Drop::kReaderSlow);
  CHECK(b.client().wait([&](const Recorder& recorder) { return slow(recorder) == dropped; }));
  // What was kept arrives now, in order, and then the channel works as before.
  std::uint32_t last = 0;
  std::uint32_t received = 0;
  while (received < written - dropped) {
    const auto message = read_message(fd_b);
    REQUIRE(message.size() == 60000);
    REQUIRE(number_of(message) > last);
    last = number_of(message);
    REQUIRE(message == pattern(60000, last));
    ++received;
  }
  REQUIRE(write_message(fd_a, pattern(1000, 1)));
  CHECK(read_message(fd_b) == pattern(1000, 1));
}

TEST_CASE("engine: messages to a closed reader are reported one by one") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  b.engine().run([&](Engine& engine) {
    int application = -1;
    CHECK(engine.datafd_add(ends[0], Channel{0}, application).ok());
  });
  REQUIRE(join(a, b));
  close(ends[1]);
  REQUIRE(b.client().wait([](const Recorder& recorder) { return recorder.datafds().size() == 1; }));
  for (int i = 0; i < 3; ++i)
    REQUIRE(write_message(fd_a, std::string("nobody reads")));
  REQUIRE(b.client().wait([](const Recorder& recorder) { return recorder.datafds().size() == 4; }));
  for (std::size_t i = 1; i < 4; ++i) {
    CHECK(b.client().datafds()[i].direction == Direction::kRx);
    CHECK(b.client().datafds()[i].errno_value == EPIPE);
  }
  CHECK(b.dropped(Drop::kReaderError) == 3);
  close(ends[0]);
}

TEST_CASE("engine: switching forwarding off sends what was written before, and nothing after") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int small_a = a.open_channel(1);
  const int fd_b = b.open_channel(0);
  const int small_b = b.open_channel(1);
  REQUIRE(join(a, b));
  for (int round = 0; round < 20; ++round) {
    std::uint32_t large = 0;
    for (; large < 60; ++large)
      REQUIRE(write_message(fd_a, pattern(65536, large + 1)));
    REQUIRE(write_message(small_a, std::string("leave")));
    a.engine().set_forwarding(false);
    REQUIRE(write_message(fd_a, std::string("too late")));
    for (std::uint32_t number = 1; number <= large; ++number) {
      REQUIRE(read_message(fd_b) == pattern(65536, number));
    }
    REQUIRE(read_text(small_b) == "leave");
    a.engine().set_forwarding(false);  // off already: at once
    // Discarded, not kept for later: the engine reads it while forwarding is off.
    while (unread(fd_a) > 0)
      a.engine().run([](Engine&) {});
    a.engine().set_forwarding(true);
    REQUIRE(write_message(small_a, std::string("back")));
    REQUIRE(read_text(small_b) == "back");
  }
}

TEST_CASE("engine: a busy application does not keep forwarding from being switched off") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int fd_b = b.open_channel(0);
  REQUIRE(join(a, b));
  std::atomic<bool> stop = false;
  std::jthread writer([&] {
    const auto message = pattern(1000, 7);
    while (!stop)
      send(fd_a, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  });
  std::jthread reader([&] {
    while (!stop) {
      pollfd state{fd_b, POLLIN, 0};
      std::byte bytes[2000];
      if (poll(&state, 1, 10) > 0)
        while (recv(fd_b, bytes, sizeof(bytes), MSG_DONTWAIT) > 0) {
        }
    }
  });
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    a.engine().set_forwarding(false);
    // Not the limit for paths that take nothing.
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::milliseconds(1900));
    a.engine().set_forwarding(true);
  }
  stop = true;
  writer.join();
  reader.join();
}

}  // namespace
}  // namespace ringknet::test
