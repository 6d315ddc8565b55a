// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the tests of the C API share: checks of result and errno together, handles that clean up
// behind themselves, a place where callbacks leave what they saw, and two nodes joined over
// loopback addresses.
//
// The tests see the library through libknet.h alone, so the same program runs on any libknet.so.1.
// With KNET_TEST_PEER set in the environment it runs on the classic library (put it first in
// LD_LIBRARY_PATH): what we decided to do differently is left out then.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "api/libknet.h"

// A value that no call sets by itself.
inline constexpr int kErrnoUntouched = 7777;

// The call must return `result` and leave errno `expected`.
#define CHECK_CALL(result, expected, ...)                                                          \
  do {                                                                                             \
    errno = kErrnoUntouched;                                                                       \
    const auto call_result = static_cast<long long>(__VA_ARGS__);                                  \
    knet_test::check_call(__FILE__, __LINE__, #__VA_ARGS__, call_result, errno, result, expected); \
  } while (false)

// The call must succeed: 0 and errno 0.
#define CHECK_OK(...) CHECK_CALL(0, 0, __VA_ARGS__)
// The call must fail: -1 and this errno.
#define CHECK_FAILS(expected, ...) CHECK_CALL(-1, expected, __VA_ARGS__)
// Set-up on which the rest of a case depends.
#define REQUIRE_OK(...) REQUIRE_MESSAGE((__VA_ARGS__) == 0, #__VA_ARGS__ << ": errno " << errno)

namespace knet_test {

// Compares what CHECK_CALL saw.
void check_call(const char* file, int line, const char* text, long long result, int error,
                long long expected_result, int expected_error);

bool on_peer();
// Says why a case cannot run here; the case returns then.
void skip(const char* reason);

// How long to wait for something that should happen at once, on a machine that may be busy.
inline constexpr std::chrono::seconds kPatience{20};

// One call of a callback, whichever.
struct Event {
  enum class Kind { kSock, kHost, kMtu };
  Kind kind{};
  int datafd = 0;
  int channel = 0;
  int direction = 0;
  int error = 0;
  int errno_value = 0;
  unsigned host = 0;
  unsigned reachable = 0;
  unsigned mtu = 0;
};

// Collects events from the library's thread.
class EventLog {
 public:
  using Predicate = std::function<bool(const Event&)>;

  void add(const Event& event);
  // Waits until an event fits; false when patience runs out.
  bool wait_for(const Predicate& fits);
  std::size_t count(const Predicate& fits) const;
  void clear();

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> events_;
};

// A handle whose sock, host and MTU callbacks go to an EventLog. It is freed with everything in it,
// whatever is left.
class Node {
 public:
  explicit Node(knet_node_id_t id, int log_fd = 0, uint8_t log_level = KNET_LOG_DEBUG);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  knet_handle_t get() const { return handle_; }
  operator knet_handle_t() const {
    return handle_;
  }  // NOLINT: it stands for the handle in every call
  knet_node_id_t id() const { return id_; }
  EventLog& events() { return events_; }

  // A channel with a pair of the library's own; the application's descriptor.
  int open_channel(int8_t channel = 0);
  // Installs a filter that lives as long as the node.
  using Filter = std::function<int(const std::string& message, int direction, unsigned source,
                                   int8_t* channel, knet_node_id_t* hosts, size_t* count)>;
  void set_filter(Filter filter);
  // An extra function for each kind of callback, run after the event has been recorded.
  void on_callback(std::function<void(const Event&)> function);
  bool wait_reachable(unsigned host, bool reachable = true);
  // The next message of a channel, waiting for it; empty when patience runs out.
  std::string receive(int8_t channel = 0);
  // Removes all links and hosts.
  void clear();
  // Gives the handle up without freeing it: the test does that.
  knet_handle_t release();

 private:
  void record(const Event& event);

  knet_node_id_t id_;
  knet_handle_t handle_;
  EventLog events_;
  Filter filter_;
  std::mutex function_mutex_;
  std::function<void(const Event&)> function_;
};

sockaddr_storage address(const char* host, uint16_t port);
// A UDP port of 127.0.0.1 that is free at present.
uint16_t free_port();

// A static UDP link between two nodes over 127.0.0.1, with short timers, enabled on both sides.
void join(Node& one, Node& other, uint8_t link = 0);

// Nodes 1 and 2 with forwarding on, channel 0 open, one link up.
struct Pair {
  Node one{1};
  Node two{2};
  int fd_one = -1;
  int fd_two = -1;

  Pair();
};

// A pipe, closed at the end.
class Pipe {
 public:
  explicit Pipe(int flags);
  ~Pipe();
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int reader() const { return ends_[0]; }
  int writer() const { return ends_[1]; }
  void close_reader();

 private:
  std::array<int, 2> ends_{-1, -1};
};

bool is_open(int fd);
// Polls until the condition holds; for states that have no callback. False when patience runs out.
bool eventually(const std::function<bool()>& condition);

}  // namespace knet_test
