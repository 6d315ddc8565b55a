// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the statements are made about: handles that clean up behind themselves, two nodes joined
// over 127.0.0.1, callbacks that remember, addresses, pipes. No statement is made here.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "tests/conformance/statement.h"

namespace conformance {

// How long to wait for something that should happen soon, on a machine that may be busy.
inline constexpr std::chrono::seconds kPatience{15};

// Polls until the condition holds; for states that have no callback. False when patience runs out.
bool eventually(const std::function<bool()>& condition);

// Calls of the sock, host and MTU callbacks, as the handle made them.
struct SockEvent {
  int datafd = 0;
  int channel = 0;
  int direction = 0;
  int error = 0;
  int error_number = 0;
};
struct HostEvent {
  unsigned host = 0;
  unsigned reachable = 0;
  unsigned remote = 0;
  unsigned external = 0;
};

template <typename Event>
class Events {
 public:
  void add(const Event& event) {
    const std::lock_guard lock(mutex_);
    list_.push_back(event);
    changed_.notify_all();
  }
  bool wait_for(const std::function<bool(const Event&)>& fits) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] {
      for (const Event& event : list_) {
        if (fits(event)) {
          return true;
        }
      }
      return false;
    });
  }
  std::vector<Event> list() const {
    const std::lock_guard lock(mutex_);
    return list_;
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    list_.clear();
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Event> list_;
};

// A handle with remembering callbacks, freed with all that is in it.
class Node {
 public:
  struct Bare {};  // without callbacks

  explicit Node(knet_node_id_t id = 1, int log_fd = 0, uint8_t log_level = KNET_LOG_DEBUG);
  explicit Node(Bare bare, knet_node_id_t id = 1);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  operator knet_handle_t() const { return handle_; }  // NOLINT: it stands for the handle
  knet_node_id_t id() const { return id_; }

  int open_channel(int8_t channel = 0);
  // The next message of a channel, waiting for it; empty when patience runs out.
  std::string receive(int8_t channel = 0);
  // Whether nothing is waiting in a channel.
  bool silent(int8_t channel = 0);
  bool send(const std::string& message, int8_t channel = 0);
  bool wait_reachable(unsigned host, bool reachable = true);
  knet_link_status link_status(knet_node_id_t host, uint8_t link);
  // A function to run inside the next callback of any kind, once.
  void inside_callback(std::function<void()> function);
  // Removes all links and hosts.
  void clear();
  // Gives the handle up without freeing it.
  knet_handle_t release();

  using Filter = std::function<int(const std::string& message, int direction, unsigned source,
                                   int8_t* channel, knet_node_id_t* hosts, size_t* count)>;
  void set_filter(Filter filter);

  Events<SockEvent> sock;
  Events<HostEvent> host;
  Events<unsigned> mtu;

 private:
  void run_inside();

  knet_node_id_t id_;
  knet_handle_t handle_ = nullptr;
  std::mutex mutex_;
  std::function<void()> inside_;
  Filter filter_;
};

sockaddr_storage address(const char* host, uint16_t port);
// A UDP port of this loopback address that is free at present.
uint16_t free_port(const char* host = "127.0.0.1");
// A free port of 127.0.0.1.
sockaddr_storage own_address();

// Adds the host and configures a static UDP link to nowhere.
void add_static_link(Node& node, knet_node_id_t host = 2, uint8_t link = 0);
// Adds the host and configures a dynamic UDP link; the address it listens on.
sockaddr_storage add_dynamic_link(Node& node, knet_node_id_t host = 2, uint8_t link = 0);
// Short timers and enabled.
void start_link(Node& node, knet_node_id_t host, uint8_t link = 0);
// A static UDP link between two nodes, enabled on both sides.
void join(Node& one, Node& two, uint8_t link = 0);

// Nodes 1 and 2 with forwarding on, channel 0 open, one link up.
struct Pair {
  Node one{1};
  Node two{2};
  int fd_one = -1;
  int fd_two = -1;
  Pair();
};

// Closed at the end unless given away.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor();
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  operator int() const { return fd_; }  // NOLINT: it stands for the descriptor
  void close();

 private:
  int fd_;
};

// A pipe or a pair of sockets.
struct Ends {
  Descriptor first;
  Descriptor second;
  static std::array<int, 2> pipe(int flags = 0);
  static std::array<int, 2> sockets(int type);
  explicit Ends(std::array<int, 2> ends) : first(ends[0]), second(ends[1]) {}
};

bool is_open(int fd);
// Of the records waiting in a log pipe; ends when it is empty.
std::vector<knet_log_msg> read_log(int fd);

}  // namespace conformance
