// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a callback of a handle without a thread may do and what it is refused, wherever it is called
// from: inside knet_ext_run_once, or inside another call of the thread that drives, such as
// knet_ext_send to the own node.
#include <fcntl.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include "api/libknet_ext.h"
#include "tests/api/support.h"

namespace {

constexpr int8_t kChannel = 0;
constexpr knet_node_id_t kSelf = 1;

// A handle whose only host is its own node, over a loopback link: what it sends comes back to it
// inside the call that sends.
class Mirror {
 public:
  explicit Mirror(uint64_t flags = KNET_EXT_CALLER_DRIVEN)
      : handle_(knet_ext_handle_new(kSelf, 0, 0, flags)) {
    REQUIRE(handle_ != nullptr);
    sockaddr_storage local = knet_test::address("127.0.0.1", knet_test::free_port());
    REQUIRE_OK(knet_host_add(handle_, kSelf));
    REQUIRE_OK(
        knet_link_set_config(handle_, kSelf, 0, KNET_TRANSPORT_LOOPBACK, &local, nullptr, 0));
    REQUIRE_OK(knet_link_set_enable(handle_, kSelf, 0, 1));
    REQUIRE_OK(knet_handle_setfwd(handle_, 1));
    open();
  }
  ~Mirror() {
    remove_host();
    CHECK_OK(knet_handle_free(handle_));
  }
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;

  operator knet_handle_t() const {  // NOLINT: it stands for the handle in every call
    return handle_;
  }
  void open() {
    int8_t channel = kChannel;
    CHECK_OK(knet_ext_open_channel(handle_, &channel, on_message, nullptr, this));
  }
  void remove_host() {
    knet_link_set_enable(handle_, kSelf, 0, 0);
    knet_link_clear_config(handle_, kSelf, 0);
    knet_host_remove(handle_, kSelf);
  }
  int send(const std::string& text, unsigned flags = 0) {
    return knet_ext_send(handle_, kChannel, text.data(), text.size(), flags);
  }
  void filter(std::function<void()> function) {
    in_filter_ = std::move(function);
    REQUIRE_OK(knet_handle_enable_filter(handle_, this, on_filter));
  }

  std::function<void(const std::string&)> reaction;
  std::vector<std::string> messages;
  std::vector<knet_node_id_t> sources;

 private:
  static void on_message(void* self, const void* message, size_t size, knet_node_id_t source,
                         int8_t) {
    auto& mirror = *static_cast<Mirror*>(self);
    const std::string text(static_cast<const char*>(message), size);
    mirror.messages.push_back(text);
    mirror.sources.push_back(source);
    if (mirror.reaction)
      mirror.reaction(text);
    // Whatever was done there, the message is valid until the callback returns.
    CHECK(std::memcmp(message, text.data(), size) == 0);
  }
  static int on_filter(void* self, const unsigned char*, ssize_t, uint8_t, knet_node_id_t,
                       knet_node_id_t, int8_t*, knet_node_id_t* hosts, size_t* count) {
    static_cast<Mirror*>(self)->in_filter_();
    hosts[0] = kSelf;
    *count = 1;
    return 0;
  }

  knet_handle_t handle_;
  std::function<void()> in_filter_;
};

// What every callback must find. A handle that is not known to be in a callback would wait in
// knet_handle_free for itself, so that is only tried when the first check holds.
void check_inside(knet_handle_t handle) {
  errno = 0;
  const int result = knet_ext_run_once(handle, 0);
  const int error = errno;
  CHECK(result == -1);
  CHECK(error == EDEADLK);
  if (error == EDEADLK)
    CHECK_FAILS(EDEADLK, knet_handle_free(handle));
}

// Holds a thread until it is opened.
class Gate {
 public:
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    opened_.notify_all();
  }
  void pass() {
    std::unique_lock lock(mutex_);
    reached_ = true;
    opened_.notify_all();
    opened_.wait_for(lock, knet_test::kPatience, [&] { return open_; });
  }
  bool wait_reached() {
    std::unique_lock lock(mutex_);
    return opened_.wait_for(lock, knet_test::kPatience, [&] { return reached_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable opened_;
  bool open_ = false;
  bool reached_ = false;
};

TEST_CASE("inside: a message that comes back within knet_ext_send") {
  Mirror mirror;
  mirror.reaction = [&](const std::string&) {
    mirror.remove_host();  // so that nothing but the callback is in the way of freeing it
    check_inside(mirror);
  };
  REQUIRE_OK(mirror.send("hello"));
  CHECK(mirror.messages == std::vector<std::string>{"hello"});
  CHECK_OK(knet_ext_run_once(mirror, 0));
}

TEST_CASE("inside: a filter within knet_ext_send and knet_send_sync") {
  Mirror mirror;
  int filtered = 0;
  mirror.filter([&] {
    ++filtered;
    check_inside(mirror);
  });
  REQUIRE_OK(mirror.send("hello"));
  CHECK(filtered == 1);
  REQUIRE_OK(knet_handle_enable_sock_notify(mirror, nullptr,
                                            [](void*, int, int8_t, uint8_t, int, int) {}));
  int datafd = 0;
  int8_t channel = 1;
  REQUIRE_OK(knet_handle_add_datafd(mirror, &datafd, &channel));
  CHECK_OK(knet_send_sync(mirror, "hello", 5, channel));
  CHECK(filtered == 2);
  CHECK_OK(knet_handle_remove_datafd(mirror, datafd));
  CHECK_OK(knet_ext_run_once(mirror, 0));
}

TEST_CASE("inside: a descriptor's callback") {
  Mirror mirror;
  struct Seen {
    Mirror* mirror;
    int calls = 0;
  } seen{&mirror};
  REQUIRE_OK(
      knet_handle_enable_sock_notify(mirror, &seen, [](void* data, int, int8_t, uint8_t, int, int) {
        auto& all = *static_cast<Seen*>(data);
        ++all.calls;
        check_inside(*all.mirror);
      }));
  knet_test::Pipe pipe(O_NONBLOCK);
  int datafd = pipe.writer();
  int8_t channel = 1;
  REQUIRE_OK(knet_handle_add_datafd(mirror, &datafd, &channel));
  pipe.close_reader();
  CHECK(knet_test::eventually([&] {
    knet_ext_run_once(mirror, 1000000);
    return seen.calls > 0;
  }));
  CHECK_OK(knet_handle_remove_datafd(mirror, datafd));
}

// Driving one handle inside a callback of another: the thread is then both handles' engine, and
// afterwards still the first one's.
TEST_CASE("inside: after another handle was driven, a full line is still not waited for") {
  Mirror threaded(0);
  Gate gate;
  threaded.reaction = [&](const std::string& text) {
    if (text == "hold")
      gate.pass();
  };
  REQUIRE_OK(threaded.send("hold"));
  REQUIRE(gate.wait_reached());
  while (threaded.send("more", KNET_EXT_DONTWAIT) == 0) {
  }
  REQUIRE(errno == EAGAIN);

  Mirror one;
  Mirror two;
  int calls = 0;
  const auto refused = [&](const std::string&) {
    ++calls;
    CHECK_OK(knet_ext_run_once(two, 0));
    CHECK_FAILS(EAGAIN, threaded.send("too many"));
  };
  one.reaction = refused;
  CHECK_OK(one.send("outside a turn"));
  one.reaction = [&](const std::string& text) {
    if (text == "first")
      CHECK_OK(one.send("second"));  // comes with the turn
    else
      refused(text);
  };
  CHECK_OK(one.send("first"));
  CHECK_OK(knet_ext_run_once(one, 0));
  CHECK(calls == 2);
  gate.open();
}

TEST_CASE("inside: whoever asks a handle in whose callback another one is driven gets an answer") {
  Mirror one;
  Mirror two;
  Mirror threaded(0);
  std::atomic<bool> answered{false};
  Gate gate;
  threaded.reaction = [&](const std::string&) {
    gate.pass();
    // By a thread that is nobody's engine, as that would answer others while it waits.
    std::thread([&] {
      uint8_t policy = 0;
      CHECK_OK(knet_host_get_policy(one, kSelf, &policy));
      answered = true;
    }).join();
  };
  REQUIRE_OK(threaded.send("ask the first one"));
  REQUIRE(gate.wait_reached());
  int asked = 0;
  two.reaction = [&](const std::string& text) {
    if (text == "first") {
      CHECK_OK(two.send("second"));
      return;
    }
    // Waits for the handle with a thread, whose callback waits for the first one.
    gate.open();
    uint8_t policy = 0;
    CHECK_OK(knet_host_get_policy(threaded, kSelf, &policy));
    ++asked;
  };
  one.reaction = [&](const std::string&) {
    CHECK_OK(two.send("first"));
    CHECK_OK(knet_ext_run_once(two, 0));
  };
  CHECK_OK(one.send("drive the second one"));
  CHECK(asked == 1);
  CHECK(answered);
}

// Channels that are closed and opened while a message of theirs is being told.

TEST_CASE("inside: a channel closed and opened by its callback loses no part of what comes next") {
  Mirror mirror;
  const std::string longer = "0123456789 a message that is longer";
  mirror.reaction = [&](const std::string& text) {
    if (text == "first") {
      CHECK_OK(mirror.send("short"));
    } else if (text == "short") {
      CHECK_OK(knet_ext_close_channel(mirror, kChannel));
      mirror.open();
      CHECK_OK(mirror.send(longer));
    }
  };
  REQUIRE_OK(mirror.send("first"));
  for (int i = 0; i < 5; ++i)
    CHECK_OK(knet_ext_run_once(mirror, 0));
  CHECK(mirror.messages == std::vector<std::string>{"first", "short", longer});
}

// Long messages, as memory that many bytes have been in is given back when it is empty.
TEST_CASE("inside: what waits when a channel is closed does not come to the one opened after it") {
  Mirror mirror;
  const auto text_of = [](char letter) { return std::string(60000, letter); };
  mirror.reaction = [&](const std::string& text) {
    if (text == "first") {
      for (const char letter : {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'})
        CHECK_OK(mirror.send(text_of(letter)));
    } else if (text == text_of('b')) {
      CHECK_OK(knet_ext_close_channel(mirror, kChannel));
      mirror.open();
      CHECK_OK(mirror.send(text_of('x')));
      CHECK_OK(mirror.send("last"));
    }
  };
  REQUIRE_OK(mirror.send("first"));
  for (int i = 0; i < 5; ++i)
    CHECK_OK(knet_ext_run_once(mirror, 0));
  CHECK(mirror.messages ==
        std::vector<std::string>{"first", text_of('a'), text_of('b'), text_of('x'), "last"});
  CHECK(mirror.sources == std::vector<knet_node_id_t>(5, kSelf));
}

TEST_CASE("inside: a channel that its callback closes for good hears no more") {
  Mirror mirror;
  mirror.reaction = [&](const std::string& text) {
    if (text == "first") {
      CHECK_OK(mirror.send("second"));
      CHECK_OK(mirror.send("third"));
    } else {
      CHECK_OK(knet_ext_close_channel(mirror, kChannel));
    }
  };
  REQUIRE_OK(mirror.send("first"));
  for (int i = 0; i < 3; ++i)
    CHECK_OK(knet_ext_run_once(mirror, 0));
  CHECK(mirror.messages == std::vector<std::string>{"first", "second"});
  mirror.reaction = nullptr;
  mirror.open();
  REQUIRE_OK(mirror.send("fourth"));
  CHECK_OK(knet_ext_run_once(mirror, 0));
  CHECK(mirror.messages.back() == "fourth");
  CHECK(mirror.messages.size() == 3);
}

}  // namespace
