// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Datafds that callbacks remove and add again, in the midst of messages: each message arrives
// whole, once, at the one that was there when its turn came.
#include <doctest/doctest.h>

#include <array>
#include <string>

#include "tests/ring/node.h"

namespace ringknet::test {
namespace {

constexpr Channel kChannel{0};
constexpr unsigned kMessages = 60;

// A pair of the application's, of which one end is the engine's; it stays open when the engine lets
// go of it.
struct Ends {
  std::array<int, 2> fds{-1, -1};
  Ends() { REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) == 0); }
  ~Ends() {
    close_application();
    close(fds[1]);
  }
  Ends(const Ends&) = delete;
  Ends& operator=(const Ends&) = delete;
  int application() const { return fds[0]; }
  void close_application() {
    if (fds[0] >= 0)
      close(std::exchange(fds[0], -1));
  }
};

EngineStatus add(Engine& engine, const Ends& ends) {
  int application = -1;
  return engine.datafd_add(ends.fds[1], kChannel, application);
}

TEST_CASE("engine: a filter that opens a channel anew between short messages of one buffer") {
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  Ends first;
  Ends second;
  REQUIRE(b.engine().run([&](Engine& engine) { return add(engine, first).ok(); }));
  REQUIRE(join(a, b));
  unsigned seen = 0;
  bool added = false;
  b.engine().run([&](Engine&) {
    b.client_.filter_function = [&](Direction, ConstBytes, HostId, HostId, std::int8_t&, HostId*,
                                    std::size_t&) {
      if (++seen == kMessages / 2) {
        b.engine().datafd_remove(kChannel);
        added = add(b.engine(), second).ok();
      }
      return 1;
    };
  });
  // The sender's engine is kept busy meanwhile, so that it finds them all at once.
  a.engine().run([&](Engine&) {
    for (unsigned i = 0; i < kMessages; ++i)
      CHECK(write_message(fd_a, "message " + std::to_string(i)));
  });
  for (unsigned i = 0; i < kMessages; ++i) {
    const int fd = (i < kMessages / 2 - 1 ? first : second).application();
    CHECK(read_text(fd) == "message " + std::to_string(i));
  }
  b.engine().run([&](Engine&) {
    CHECK(added);
    b.client_.filter_function = nullptr;
  });
}

TEST_CASE("engine: a channel opened anew when its reader has gone") {
  Node a(1);
  Node b(2);
  const int fd_b = b.open_channel(0);
  Ends first;
  Ends second;
  REQUIRE(a.engine().run([&](Engine& engine) { return add(engine, first).ok(); }));
  REQUIRE(join(a, b));
  bool added = false;
  a.engine().run([&](Engine&) {
    a.client_.datafd_function = [&](const DatafdReport&) {
      if (added)
        return;
      a.engine().datafd_remove(kChannel);
      added = add(a.engine(), second).ok();
    };
  });
  REQUIRE(write_message(first.application(), "short"));
  first.close_application();
  REQUIRE(a.client().wait([](const Recorder& recorder) { return !recorder.datafds().empty(); }));
  CHECK(read_text(fd_b) == "short");
  for (const char* text : {"0123456789 a message that is longer", "x", "another"}) {
    REQUIRE(write_message(second.application(), std::string(text)));
    CHECK(read_text(fd_b) == text);
  }
}

}  // namespace
}  // namespace ringknet::test
