// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A node for tests: an engine with its client, links over loopback addresses that belong to this
// process alone, and waiting for what happens. Nothing here sleeps for a fixed time: every wait is
// for an event, and the limit only turns a hang into a failure.
#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/ring/engine.h"

namespace ringknet::test {

inline constexpr auto kLimit = std::chrono::seconds(20);

// 127.x.y.n, with x and y from the process id: tests that run side by side do not meet.
inline Address loopback_address(unsigned last, std::uint16_t port = 5405) {
  Address address;
  const auto pid = static_cast<unsigned>(getpid());
  address.family = Address::Family::kIpv4;
  address.ip = {127, static_cast<std::uint8_t>(1 + (pid >> 8) % 254),
                static_cast<std::uint8_t>(pid), static_cast<std::uint8_t>(last)};
  address.port = port;
  return address;
}

// ::1, where one node is told from another by its port.
inline Address loopback_address_v6(std::uint16_t port) {
  Address address;
  address.family = Address::Family::kIpv6;
  address.ip[15] = 1;
  address.port = port;
  return address;
}

struct DatafdReport {
  int fd;
  Channel channel;
  Direction direction;
  int error;
  int errno_value;
};

// Records everything; the test may add its own reaction, which runs on the engine thread.
class Recorder : public EngineClient {
 public:
  using Filter = std::function<int(Direction, ConstBytes, HostId self, HostId source, std::int8_t&,
                                   HostId*, std::size_t&)>;

  bool has_filter() const override { return static_cast<bool>(filter_function); }
  int filter(Direction direction, ConstBytes message, HostId self, HostId source,
             std::int8_t& channel, HostId* hosts, std::size_t& count) override {
    return filter_function(direction, message, self, source, channel, hosts, count);
  }
  void on_datafd(int fd, Channel channel, Direction direction, int error,
                 int errno_value) override {
    const DatafdReport report{fd, channel, direction, error, errno_value};
    if (datafd_function)
      datafd_function(report);
    add([&] { datafds_.push_back(report); });
  }
  void on_message(Channel channel, ConstBytes message, HostId from) override {
    if (message_function)
      message_function(channel, message, from);
  }
  void on_room() override {
    if (room_function)
      room_function();
  }
  void on_event(const Event& event) override {
    if (event_function)
      event_function(event);
    add([&] { events_.push_back(event); });
  }
  void on_trouble(const Trouble& trouble) override {
    add([&] { troubles_.push_back(trouble); });
  }

  void on_drops(const DropCounters& counters) override {
    add([&] { drops_told_ = counters.total(); });
  }
  void on_wake() override {
    add([&] { ++wakes_; });
  }

  // Waits until `predicate` holds for what was recorded; false when it does not happen.
  template <typename Predicate>
  bool wait(Predicate&& predicate) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kLimit, [&] { return predicate(*this); });
  }

  // Inside wait(), or when the engine is quiet.
  const std::vector<DatafdReport>& datafds() const { return datafds_; }
  const std::vector<Event>& events() const { return events_; }
  const std::vector<Trouble>& troubles() const { return troubles_; }
  // At any time.
  std::size_t count(Event::Kind kind) const;
  std::size_t count(Trouble::Kind kind) const;

  // Set before the engine runs, or inside run().
  std::function<void(Channel, ConstBytes, HostId)> message_function;
  std::function<void()> room_function;
  Filter filter_function;
  std::function<void(const DatafdReport&)> datafd_function;
  std::function<void(const Event&)> event_function;

 private:
  template <typename Change>
  void add(Change&& change) {
    {
      std::lock_guard lock(mutex_);
      change();
    }
    changed_.notify_all();
  }

  mutable std::recursive_mutex mutex_;  // count() is also called inside wait()
  std::condition_variable_any changed_;
  std::vector<DatafdReport> datafds_;
  std::vector<Event> events_;
  std::uint64_t drops_told_ = 0;
  unsigned wakes_ = 0;
  std::vector<Trouble> troubles_;
};

class Node {
 public:
  explicit Node(unsigned id);

  HostId id() const { return id_; }
  Engine& engine() { return *engine_; }
  Recorder& client() { return client_; }

  // A channel with a socket pair; its application end.
  int open_channel(unsigned channel);
  // Links to another node, enabled, with fast pings. `link` also picks the addresses.
  void connect(Node& other, unsigned link);
  void connect(Node& other, unsigned link, const Address& local, const Address& remote);
  bool wait_reachable(std::size_t times = 1);
  std::uint64_t dropped(Drop reason);

  Recorder client_;

 private:
  HostId id_;
  std::unique_ptr<Engine> engine_;
};

// Both ways, and up on both sides.
bool join(Node& a, Node& b, unsigned links = 1);

// The application's side of a datafd.
bool wait_readable(int fd);
bool wait_writable(int fd);
// Blocks until it is accepted; false on any error but a full socket.
bool write_message(int fd, ConstBytes message);
bool write_message(int fd, const std::string& message);
// The next message; empty when none comes.
std::vector<std::byte> read_message(int fd);
std::string read_text(int fd);

// Contents that tell number and size.
std::vector<std::byte> pattern(std::size_t size, std::uint32_t number);

}  // namespace ringknet::test
