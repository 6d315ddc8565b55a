// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Messages without descriptors: they arrive once, in order and unaltered, from whatever thread, and
// what cannot be sent is refused.
#include "api/libknet_ext.h"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <thread>
#include <utility>

#include "tests/api/support.h"

using knet_test::eventually;
using knet_test::Node;

namespace {

constexpr int8_t kChannel = 3;

// A channel without a descriptor and what came by it.
class Inbox {
 public:
  using Reaction = std::function<void(const std::string&, knet_node_id_t)>;

  explicit Inbox(Node& node, Reaction reaction = {}, std::function<void()> room = {})
      : node_(node), reaction_(std::move(reaction)), room_(std::move(room)) {
    int8_t channel = kChannel;
    REQUIRE_OK(knet_ext_open_channel(node, &channel, on_message, on_room, this));
  }
  // From here on no callback runs.
  ~Inbox() { knet_ext_close_channel(node_, kChannel); }
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  std::size_t size() const {
    std::lock_guard lock(mutex_);
    return messages_.size();
  }
  std::vector<std::string> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(messages_, {});
  }
  bool wait(std::size_t count) {
    return eventually([&] { return size() >= count; });
  }

 private:
  static void on_message(void* self, const void* message, size_t size, knet_node_id_t source,
                         int8_t channel) {
    auto& inbox = *static_cast<Inbox*>(self);
    const std::string text(static_cast<const char*>(message), size);
    CHECK(channel == kChannel);
    if (inbox.reaction_)
      inbox.reaction_(text, source);
    std::lock_guard lock(inbox.mutex_);
    inbox.messages_.push_back(text);
  }
  static void on_room(void* self) {
    if (auto& inbox = *static_cast<Inbox*>(self); inbox.room_)
      inbox.room_();
  }

  Node& node_;
  Reaction reaction_;
  std::function<void()> room_;
  mutable std::mutex mutex_;
  std::vector<std::string> messages_;
};

// Two joined nodes with forwarding on.
struct Two {
  Node one{1};
  Node two{2};
  Two() {
    for (Node* node : {&one, &two})
      REQUIRE_OK(knet_handle_setfwd(*node, 1));
    join(one, two);
    REQUIRE(one.wait_reachable(2));
    REQUIRE(two.wait_reachable(1));
  }
};

int send(knet_handle_t handle, const std::string& text, unsigned flags = 0) {
  return knet_ext_send(handle, kChannel, text.data(), text.size(), flags);
}

std::string text_of(std::size_t index, std::size_t size) {
  std::string text = std::to_string(index) + ":";
  text.resize(std::max(text.size(), size), static_cast<char>('a' + index % 26));
  return text;
}

void check_all_sizes(Two& nodes) {
  Inbox sent(nodes.one);
  Inbox received(nodes.two);
  std::vector<std::string> expected;
  for (const std::size_t size : {1, 2, 100, 1400, 1500, 3000, 20000, 65535, 65536}) {
    for (std::size_t i = 0; i < 20; ++i) {
      expected.push_back(text_of(i, size).substr(0, size));
      REQUIRE_OK(send(nodes.one, expected.back()));
    }
  }
  REQUIRE(received.wait(expected.size()));
  CHECK(received.take() == expected);
  CHECK(sent.size() == 0);
}

TEST_CASE("ext: messages of all sizes arrive in order") {
  Two nodes;
  check_all_sizes(nodes);
}

TEST_CASE("ext: the same with the offload of one side, or of both, switched off") {
  Two nodes;
  REQUIRE_OK(knet_ext_set_offload(nodes.one, 0));
  check_all_sizes(nodes);
  REQUIRE_OK(knet_ext_set_offload(nodes.two, 0));
  check_all_sizes(nodes);
  REQUIRE_OK(knet_ext_set_offload(nodes.one, 1));
  check_all_sizes(nodes);
  CHECK_FAILS(EINVAL, knet_ext_set_offload(nodes.one, 2));
  CHECK_FAILS(EINVAL, knet_ext_set_offload(nodes.one, -1));
  CHECK_FAILS(EINVAL, knet_ext_set_offload(nullptr, 1));
}

// What the kernel has joined by then is still told apart.
TEST_CASE("ext: offload is switched off and on under traffic without a loss") {
  Two nodes;
  Inbox sent(nodes.one);
  Inbox received(nodes.two);
  constexpr std::size_t kMessages = 60'000;
  std::atomic<bool> ended = false;
  std::thread switches([&] {
    for (int on = 0; !ended; on = 1 - on)
      CHECK_OK(knet_ext_set_offload(nodes.two, on));
  });
  for (std::size_t i = 0; i < kMessages; ++i)
    CHECK_OK(send(nodes.one, text_of(i, 100)));
  CHECK(received.wait(kMessages));
  ended = true;
  switches.join();
  const std::vector<std::string> messages = received.take();
  REQUIRE(messages.size() == kMessages);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < kMessages; ++i)
    wrong += messages[i] == text_of(i, 100) ? 0 : 1;
  CHECK(wrong == 0);
}

// Of this process's sockets, how many let the kernel join what arrives.
std::size_t joining_sockets() {
  std::size_t count = 0;
  for (int fd = 0; fd < 1024; ++fd) {
    int on = 0;
    socklen_t size = sizeof(on);
    if (getsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, &size) == 0 && on != 0)
      ++count;
  }
  return count;
}

TEST_CASE("ext: RINGKNET_OFFLOAD=0 in the environment is as switching offload off") {
  REQUIRE(setenv("RINGKNET_OFFLOAD", "0", 1) == 0);
  {
    Two nodes;
    CHECK(joining_sockets() == 0);
    check_all_sizes(nodes);
    REQUIRE_OK(knet_ext_set_offload(nodes.one, 1));
    CHECK(joining_sockets() == 1);
    check_all_sizes(nodes);
  }
  for (const char* value : {"", "1"}) {
    REQUIRE(setenv("RINGKNET_OFFLOAD", value, 1) == 0);
    Two nodes;
    CHECK(joining_sockets() == 2);
  }
  REQUIRE(unsetenv("RINGKNET_OFFLOAD") == 0);
  Two nodes;
  CHECK(joining_sockets() == 2);
}

TEST_CASE("ext: several threads send at once, each in its order") {
  Two nodes;
  Inbox sent(nodes.one);
  Inbox received(nodes.two);
  constexpr std::size_t kThreads = 4;
  constexpr std::size_t kEach = 400;
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (std::size_t thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::size_t i = 0; i < kEach; ++i)
        failures += send(nodes.one, std::to_string(thread) + "/" + text_of(i, i * 7 % 3000)) != 0;
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  CHECK(failures == 0);
  REQUIRE(received.wait(kThreads * kEach));
  std::map<char, std::size_t> next;
  for (const std::string& message : received.take()) {
    const std::size_t index = next[message.front()]++;
    CHECK(message.substr(2) == text_of(index, index * 7 % 3000));
  }
  for (const auto& [thread, count] : next)
    CHECK(count == kEach);
}

TEST_CASE("ext: a callback answers, and hears of room after a refusal") {
  Two nodes;
  std::size_t answered = 0;
  Inbox asked(nodes.one);
  constexpr std::size_t kCount = 400;
  const auto answer_all = [&] {
    while (answered < kCount && send(nodes.two, text_of(answered, 60000)) == 0)
      ++answered;
    if (answered < kCount)
      CHECK(errno == EAGAIN);
  };
  const auto on_question = [&](const std::string&, knet_node_id_t source) {
    CHECK(source == 1);
    answer_all();
  };
  Inbox answering(nodes.two, on_question, answer_all);
  REQUIRE_OK(send(nodes.one, "all of them"));
  REQUIRE(asked.wait(kCount));
  const std::vector<std::string> answers = asked.take();
  for (std::size_t i = 0; i < kCount; ++i)
    CHECK(answers[i] == text_of(i, 60000));
}

TEST_CASE("ext: what a callback sends to its own node comes after it") {
  Node node(1);
  REQUIRE_OK(knet_handle_setfwd(node, 1));
  REQUIRE_OK(knet_host_add(node, 1));
  sockaddr_storage local = knet_test::address("127.0.0.1", knet_test::free_port());
  REQUIRE_OK(knet_link_set_config(node, 1, 0, KNET_TRANSPORT_LOOPBACK, &local, nullptr, 0));
  REQUIRE_OK(knet_link_set_enable(node, 1, 0, 1));
  bool inside = false;
  Inbox inbox(node, [&](const std::string& message, knet_node_id_t source) {
    CHECK(source == 1);
    CHECK_FALSE(inside);
    inside = true;
    if (message.size() < 300)
      CHECK_OK(send(node, message + "+"));
    inside = false;
  });
  REQUIRE_OK(send(node, "x"));
  REQUIRE(inbox.wait(300));
  CHECK(inbox.take().back().size() == 300);
}

TEST_CASE("ext: refusals") {
  Two nodes;
  int8_t channel = kChannel;
  const auto ignore = [](void*, const void*, size_t, knet_node_id_t, int8_t) {};
  CHECK_FAILS(EINVAL, send(nodes.one, "not open"));
  CHECK_FAILS(EINVAL, knet_ext_close_channel(nodes.one, kChannel));
  CHECK_FAILS(EINVAL, knet_ext_open_channel(nodes.one, &channel, nullptr, nullptr, nullptr));
  CHECK_FAILS(EINVAL, knet_ext_open_channel(nodes.one, nullptr, ignore, nullptr, nullptr));
  CHECK_FAILS(EINVAL, knet_ext_open_channel(nullptr, &channel, ignore, nullptr, nullptr));
  REQUIRE_OK(knet_ext_open_channel(nodes.one, &channel, ignore, nullptr, nullptr));
  CHECK_FAILS(EBUSY, knet_ext_open_channel(nodes.one, &channel, ignore, nullptr, nullptr));
  int descriptor = 0;
  CHECK_FAILS(EBUSY, knet_handle_add_datafd(nodes.one, &descriptor, &channel));
  int8_t any = -1;
  REQUIRE_OK(knet_ext_open_channel(nodes.one, &any, ignore, nullptr, nullptr));
  CHECK(any == 0);
  nodes.two.open_channel(5);
  CHECK_FAILS(EINVAL, knet_ext_send(nodes.two, 5, "x", 1, 0));
  CHECK_FAILS(EINVAL, knet_ext_close_channel(nodes.two, 5));

  const std::string longest(KNET_MAX_PACKET_SIZE + 1, 'x');
  CHECK_FAILS(EINVAL, send(nodes.one, longest));
  CHECK_FAILS(EINVAL, send(nodes.one, ""));
  CHECK_FAILS(EINVAL, knet_ext_send(nodes.one, kChannel, nullptr, 5, 0));
  CHECK_FAILS(EINVAL, send(nodes.one, "x", 2));
  CHECK_FAILS(EINVAL, knet_ext_send(nodes.one, KNET_DATAFD_MAX, "x", 1, 0));
  CHECK_FAILS(EINVAL, knet_ext_send(nodes.one, -1, "x", 1, 0));
  REQUIRE_OK(knet_handle_setfwd(nodes.one, 0));
  CHECK_FAILS(ECANCELED, send(nodes.one, "forwarding is off"));
  REQUIRE_OK(knet_handle_setfwd(nodes.one, 1));
  CHECK_OK(send(nodes.one, "forwarding is on"));

  CHECK_OK(knet_ext_close_channel(nodes.one, kChannel));
  CHECK_FAILS(EINVAL, send(nodes.one, "closed"));
  CHECK_OK(knet_handle_add_datafd(nodes.one, &descriptor, &channel));
}

TEST_CASE("ext: a full line is refused with DONTWAIT, and nothing of it is lost") {
  Two nodes;
  Inbox sent(nodes.one);
  Inbox received(nodes.two);
  std::size_t taken = 0;
  std::size_t refused = 0;
  for (std::size_t i = 0; i < 3000; ++i) {
    if (send(nodes.one, text_of(taken, 60000), KNET_EXT_DONTWAIT) == 0) {
      ++taken;
    } else {
      CHECK(errno == EAGAIN);
      ++refused;
    }
  }
  CHECK(refused > 0);
  REQUIRE(received.wait(taken));
  const std::vector<std::string> messages = received.take();
  REQUIRE(messages.size() == taken);
  for (std::size_t i = 0; i < taken; ++i)
    CHECK(messages[i] == text_of(i, 60000));
}

}  // namespace
