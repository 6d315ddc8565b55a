// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whole engines on real loopback sockets: messages both ways over two links, every size class,
// datafds of all kinds, what happens at their end.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <cstdio>

#include "tests/ring/node.h"

namespace ringknet::test {
namespace {

TEST_CASE("engine: creation and destruction, timed") {
  Recorder client;
  for (int round = 0; round < 5; ++round) {
    const auto start = std::chrono::steady_clock::now();
    Engine::Created created = Engine::create({.self = HostId{1}}, client);
    const auto made = std::chrono::steady_clock::now();
    INFO(created.cause);
    REQUIRE(created.engine != nullptr);
    created.engine.reset();
    const auto gone = std::chrono::steady_clock::now();
    const auto micros = [](auto duration) {
      return static_cast<long long>(
          std::chrono::duration_cast<std::chrono::microseconds>(duration).count());
    };
    std::printf("engine: created in %lld us, destroyed in %lld us\n", micros(made - start),
                micros(gone - made));
    CHECK(gone - start < std::chrono::seconds(2));
  }
}

TEST_CASE("engine: two nodes exchange messages of every size class over two links") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int fd_b = b.open_channel(0);
  REQUIRE(join(a, b, 2));
  std::uint32_t number = 0;
  for (const std::size_t size : {1, 2, 100, 1400, 1500, 4096, 9000, 32768, 65000, 65535, 65536}) {
    CAPTURE(size);
    const auto there = pattern(size, ++number);
    REQUIRE(write_message(fd_a, there));
    CHECK(read_message(fd_b) == there);
    const auto back = pattern(size, ++number);
    REQUIRE(write_message(fd_b, back));
    CHECK(read_message(fd_a) == back);
  }
}

TEST_CASE("engine: IPv6 links") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(3);
  const int fd_b = b.open_channel(3);
  const auto port = static_cast<std::uint16_t>(20000 + getpid() % 20000);
  const Address local = loopback_address_v6(port);
  const Address remote = loopback_address_v6(static_cast<std::uint16_t>(port + 1));
  a.connect(b, 0, local, remote);
  b.connect(a, 0, remote, local);
  a.engine().set_forwarding(true);
  b.engine().set_forwarding(true);
  REQUIRE(a.wait_reachable());
  REQUIRE(b.wait_reachable());
  const auto message = pattern(60000, 1);
  REQUIRE(write_message(fd_a, message));
  CHECK(read_message(fd_b) == message);
}

TEST_CASE("engine: channels are kept apart, and a closed one drops with a count") {
  Node a(1);
  Node b(2);
  const int first = a.open_channel(1);
  const int second = a.open_channel(2);
  const int third = a.open_channel(30);
  const int first_b = b.open_channel(1);
  const int third_b = b.open_channel(30);
  REQUIRE(join(a, b));
  REQUIRE(write_message(second, std::string("nobody")));
  REQUIRE(write_message(third, std::string("thirty")));
  REQUIRE(write_message(first, std::string("one")));
  CHECK(read_text(third_b) == "thirty");
  CHECK(read_text(first_b) == "one");
  CHECK(b.dropped(Drop::kChannelClosed) == 1);
  CHECK(b.client().wait(
      [](const Recorder& recorder) { return recorder.count(Trouble::Kind::kDropped) == 1; }));
}

TEST_CASE("engine: the end of a datafd is told once, and the channel can be used again") {
  Node a(1);
  Node b(2);
  const int fd = a.open_channel(0);
  const int fd_b = b.open_channel(0);
  REQUIRE(join(a, b));
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  int application = -1;
  REQUIRE(
      a.engine()
          .run([&](Engine& engine) { return engine.datafd_add(ends[0], Channel{1}, application); })
          .ok());
  CHECK(application == ends[0]);
  // An empty message is no end; what follows still arrives, also what was written before the end.
  CHECK(send(ends[1], "", 0, 0) == 0);
  const int other = b.open_channel(1);
  REQUIRE(write_message(ends[1], std::string("last words")));
  CHECK(send(ends[1], "", 0, 0) == 0);
  REQUIRE(write_message(ends[1], std::string("indeed")));
  close(ends[1]);
  CHECK(read_text(other) == "last words");
  CHECK(read_text(other) == "indeed");
  REQUIRE(a.client().wait([](const Recorder& recorder) { return !recorder.datafds().empty(); }));
  a.engine().run([](Engine& engine) { engine.datafd_remove(Channel{1}); });
  CHECK(fcntl(ends[0], F_GETFD) >= 0);  // the application's: left open
  close(ends[0]);
  // Whatever would be told again would be told before these messages have gone through.
  const int again = a.open_channel(1);
  REQUIRE(write_message(again, std::string("again")));
  CHECK(read_text(other) == "again");
  REQUIRE(write_message(fd, std::string("x")));
  CHECK(read_text(fd_b) == "x");
  REQUIRE(a.client().datafds().size() == 1);
  const DatafdReport report = a.client().datafds()[0];
  CHECK(report.fd == application);
  CHECK(report.channel == Channel{1});
  CHECK(report.direction == Direction::kTx);
  CHECK(report.error == 0);
  CHECK(report.errno_value == 0);
}

TEST_CASE("engine: a datafd may be removed and replaced in the callback that reports its end") {
  Node a(1);
  int replaced = -1;
  a.client().datafd_function = [&](const DatafdReport& report) {
    if (report.channel != Channel{5} || replaced >= 0)
      return;
    a.engine().run([&](Engine& engine) {
      engine.datafd_remove(Channel{5});
      CHECK(engine.datafd(Channel{5}).application_fd == -1);
      CHECK(engine.datafd_add(0, Channel{5}, replaced).ok());
    });
  };
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  int application = -1;
  REQUIRE(
      a.engine()
          .run([&](Engine& engine) { return engine.datafd_add(ends[0], Channel{5}, application); })
          .ok());
  close(ends[1]);
  REQUIRE(a.client().wait([](const Recorder& recorder) { return recorder.datafds().size() == 1; }));
  CHECK(replaced >= 0);
  close(ends[0]);
}

TEST_CASE("engine: a datafd whose descriptor the application closed first can still be removed") {
  Node a(1);
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  a.engine().run([&](Engine& engine) {
    int application = -1;
    CHECK(engine.datafd_add(ends[0], Channel{0}, application).ok());
  });
  a.engine().run([](Engine&) {});  // it is being read by now
  close(ends[0]);
  a.engine().run([](Engine& engine) { engine.datafd_remove(Channel{0}); });
  // The engine held the last reference; now the other end sees that nobody is there.
  CHECK(send(ends[1], "x", 1, MSG_NOSIGNAL) == -1);
  CHECK(errno == EPIPE);
  close(ends[1]);
}

TEST_CASE("engine: descriptors that cannot be polled or are none are refused") {
  Node a(1);
  const auto add = [&](int fd) {
    int application = -7;
    const EngineStatus status = a.engine().run(
        [&](Engine& engine) { return engine.datafd_add(fd, Channel{0}, application); });
    CHECK(application == -7);
    return status.system;
  };
  const int null = open("/dev/null", O_RDWR);
  CHECK(add(null) == EPERM);
  close(null);
  FILE* file = tmpfile();
  REQUIRE(file != nullptr);
  CHECK(add(fileno(file)) == EPERM);
  fclose(file);
  CHECK(add(null) == EBADF);
  CHECK(a.engine().run([](Engine& engine) { return engine.datafd(Channel{0}).application_fd; }) ==
        -1);
}

TEST_CASE("engine: a pipe and a stream socket as datafds") {
  Node a(1);
  Node b(2);
  const int fd_b = b.open_channel(0);
  const int fd_b1 = b.open_channel(1);
  REQUIRE(join(a, b));
  int pipe_ends[2];
  REQUIRE(pipe(pipe_ends) == 0);
  int stream_ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, stream_ends) == 0);
  int application = -1;
  a.engine().run([&](Engine& engine) {
    CHECK(engine.datafd_add(pipe_ends[0], Channel{0}, application).ok());
    CHECK(engine.datafd_add(stream_ends[0], Channel{1}, application).ok());
  });
  for (int round = 0; round < 50; ++round) {
    REQUIRE(write(pipe_ends[1], "through a pipe", 14) == 14);
    REQUIRE(read_text(fd_b) == "through a pipe");
  }
  // A stream has no boundaries: the bytes arrive in order, in whatever pieces.
  const auto sent = pattern(1000000, 9);
  for (std::size_t done = 0; done < sent.size();) {
    REQUIRE(wait_writable(stream_ends[1]));
    const ssize_t size = send(stream_ends[1], sent.data() + done, sent.size() - done, MSG_DONTWAIT);
    REQUIRE(size > 0);
    done += static_cast<std::size_t>(size);
  }
  std::vector<std::byte> received;
  while (received.size() < sent.size()) {
    const auto part = read_message(fd_b1);
    REQUIRE(!part.empty());
    CHECK(part.size() <= kMessageSizeMax);
    received.insert(received.end(), part.begin(), part.end());
  }
  CHECK(received == sent);
  // Backwards the stream carries what b sends; the read end of a pipe takes nothing, which is
  // reported.
  REQUIRE(write_message(fd_b1, std::string("hello")));
  CHECK(read_text(stream_ends[1]) == "hello");
  REQUIRE(write_message(fd_b, std::string("lost")));
  REQUIRE(a.client().wait([](const Recorder& recorder) { return !recorder.datafds().empty(); }));
  CHECK(a.client().datafds()[0].direction == Direction::kRx);
  CHECK(a.client().datafds()[0].error == -1);
  CHECK(a.client().datafds()[0].errno_value == EBADF);
  CHECK(a.dropped(Drop::kReaderError) == 1);
  // The pipe's end is an end of file, too.
  close(pipe_ends[1]);
  REQUIRE(a.client().wait([](const Recorder& recorder) { return recorder.datafds().size() == 2; }));
  CHECK(a.client().datafds()[1].direction == Direction::kTx);
  CHECK(a.client().datafds()[1].error == 0);
  a.engine().run([](Engine& engine) {
    engine.datafd_remove(Channel{0});
    engine.datafd_remove(Channel{1});
  });
  close(pipe_ends[0]);
  close(stream_ends[0]);
  close(stream_ends[1]);
}

TEST_CASE("engine: a message beyond the maximum is dropped alone, with a report") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(4);
  const int fd_b = b.open_channel(4);
  REQUIRE(join(a, b));
  REQUIRE(write_message(fd_a, pattern(65537, 1)));
  REQUIRE(write_message(fd_a, pattern(70000, 2)));
  REQUIRE(write_message(fd_a, pattern(65536, 3)));
  CHECK(read_message(fd_b) == pattern(65536, 3));
  REQUIRE(a.client().wait(
      [](const Recorder& recorder) { return recorder.count(Trouble::Kind::kOversized) == 2; }));
  CHECK(a.client().troubles()[0].channel == Channel{4});
  CHECK(a.client().troubles()[0].size > kMessageSizeMax);
}

}  // namespace
}  // namespace ringknet::test
