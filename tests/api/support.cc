// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The shared parts of the API tests. Nothing here checks anything but its own set-up.
#include "tests/api/support.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <thread>

namespace knet_test {
namespace {

using Clock = std::chrono::steady_clock;

// A link that detects within a quarter of a second and comes up within two pings.
constexpr time_t kPingInterval = 50;
constexpr time_t kPingTimeout = 1000;
constexpr uint8_t kPongCount = 1;

void drop_links(knet_handle_t handle, knet_node_id_t host) {
  std::array<uint8_t, KNET_MAX_LINK> links{};
  size_t count = 0;
  if (knet_link_get_link_list(handle, host, links.data(), &count) != 0) {
    return;
  }
  for (size_t index = 0; index < count; ++index) {
    knet_link_set_enable(handle, host, links[index], 0);
    knet_link_clear_config(handle, host, links[index]);
  }
}

}  // namespace

void check_call(const char* file, int line, const char* text, long long result, int error,
                long long expected_result, int expected_error) {
  const bool good = result == expected_result && error == expected_error;
  if (good) {
    CHECK(good);  // so that it counts
    return;
  }
  ADD_FAIL_CHECK_AT(file, line,
                    std::string(text)
                        << " returned " << result << " with errno " << error << ", expected "
                        << expected_result << " with " << expected_error);
}

bool on_peer() {
  static const bool peer = std::getenv("KNET_TEST_PEER") != nullptr;
  return peer;
}

void skip(const char* reason) {
  std::printf("SKIPPED: %s\n", reason);
}

void EventLog::add(const Event& event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(event);
  changed_.notify_all();
}

bool EventLog::wait_for(const Predicate& fits) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] {
    for (const Event& event : events_) {
      if (fits(event)) {
        return true;
      }
    }
    return false;
  });
}

std::size_t EventLog::count(const Predicate& fits) const {
  const std::lock_guard lock(mutex_);
  std::size_t fitting = 0;
  for (const Event& event : events_) {
    fitting += fits(event) ? 1 : 0;
  }
  return fitting;
}

void EventLog::clear() {
  const std::lock_guard lock(mutex_);
  events_.clear();
}

Node::Node(knet_node_id_t id, int log_fd, uint8_t log_level)
    : id_(id), handle_(knet_handle_new_ex(id, log_fd, log_level, 0)) {
  REQUIRE_MESSAGE(handle_ != nullptr, "knet_handle_new_ex: errno " << errno);
  REQUIRE_OK(knet_handle_enable_sock_notify(
      handle_, this,
      [](void* node, int datafd, int8_t channel, uint8_t direction, int error, int errno_value) {
        static_cast<Node*>(node)->record({.kind = Event::Kind::kSock,
                                          .datafd = datafd,
                                          .channel = channel,
                                          .direction = direction,
                                          .error = error,
                                          .errno_value = errno_value});
      }));
  REQUIRE_OK(knet_host_enable_status_change_notify(
      handle_, this, [](void* node, knet_node_id_t host, uint8_t reachable, uint8_t, uint8_t) {
        static_cast<Node*>(node)->record(
            {.kind = Event::Kind::kHost, .host = host, .reachable = reachable});
      }));
  REQUIRE_OK(knet_handle_enable_pmtud_notify(handle_, this, [](void* node, unsigned int mtu) {
    static_cast<Node*>(node)->record({.kind = Event::Kind::kMtu, .mtu = mtu});
  }));
}

Node::~Node() {
  if (handle_ != nullptr) {
    clear();
    knet_handle_free(handle_);
  }
}

void Node::record(const Event& event) {
  events_.add(event);
  std::function<void(const Event&)> function;
  {
    const std::lock_guard lock(function_mutex_);
    function = function_;
  }
  if (function) {
    function(event);
  }
}

void Node::on_callback(std::function<void(const Event&)> function) {
  const std::lock_guard lock(function_mutex_);
  function_ = std::move(function);
}

int Node::open_channel(int8_t channel) {
  int datafd = 0;
  REQUIRE_OK(knet_handle_add_datafd(handle_, &datafd, &channel));
  return datafd;
}

void Node::set_filter(Filter filter) {
  REQUIRE_OK(knet_handle_enable_filter(handle_, nullptr, nullptr));
  filter_ = std::move(filter);
  REQUIRE_OK(knet_handle_enable_filter(
      handle_, this,
      [](void* node, const unsigned char* data, ssize_t size, uint8_t direction, knet_node_id_t,
         knet_node_id_t source, int8_t* channel, knet_node_id_t* hosts, size_t* count) {
        const std::string message(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
        return static_cast<Node*>(node)->filter_(message, direction, source, channel, hosts, count);
      }));
}

bool Node::wait_reachable(unsigned host, bool reachable) {
  return events_.wait_for([=](const Event& event) {
    return event.kind == Event::Kind::kHost && event.host == host &&
           event.reachable == (reachable ? 1U : 0U);
  });
}

std::string Node::receive(int8_t channel) {
  int datafd = -1;
  REQUIRE_OK(knet_handle_get_datafd(handle_, channel, &datafd));
  pollfd watched{datafd, POLLIN, 0};
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(kPatience);
  if (poll(&watched, 1, static_cast<int>(patience.count())) != 1) {
    return {};
  }
  std::string message(KNET_MAX_PACKET_SIZE, '\0');
  const ssize_t size = knet_recv(handle_, message.data(), message.size(), channel);
  message.resize(size > 0 ? static_cast<size_t>(size) : 0);
  return message;
}

void Node::clear() {
  std::vector<knet_node_id_t> hosts(KNET_MAX_HOST);
  size_t count = 0;
  if (knet_host_get_host_list(handle_, hosts.data(), &count) != 0) {
    return;
  }
  for (size_t index = 0; index < count; ++index) {
    drop_links(handle_, hosts[index]);
    knet_host_remove(handle_, hosts[index]);
  }
}

knet_handle_t Node::release() {
  knet_handle_t handle = handle_;
  handle_ = nullptr;
  return handle;
}

sockaddr_storage address(const char* host, uint16_t port) {
  sockaddr_storage storage{};
  REQUIRE_OK(knet_strtoaddr(host, std::to_string(port).c_str(), &storage, sizeof(storage)));
  return storage;
}

uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  REQUIRE(fd >= 0);
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(local);
  REQUIRE_OK(bind(fd, reinterpret_cast<const sockaddr*>(&local), size));
  REQUIRE_OK(getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size));
  close(fd);
  return ntohs(local.sin_port);
}

void join(Node& one, Node& other, uint8_t link) {
  sockaddr_storage here = address("127.0.0.1", free_port());
  sockaddr_storage there = address("127.0.0.1", free_port());
  const auto configure = [link](Node& node, Node& peer, sockaddr_storage& source,
                                sockaddr_storage& destination) {
    if (link == 0) {
      REQUIRE_OK(knet_host_add(node, peer.id()));
    }
    REQUIRE_OK(
        knet_link_set_config(node, peer.id(), link, KNET_TRANSPORT_UDP, &source, &destination, 0));
    REQUIRE_OK(knet_link_set_ping_timers(node, peer.id(), link, kPingInterval, kPingTimeout,
                                         KNET_LINK_DEFAULT_PING_PRECISION));
    REQUIRE_OK(knet_link_set_pong_count(node, peer.id(), link, kPongCount));
  };
  configure(one, other, here, there);
  configure(other, one, there, here);
  REQUIRE_OK(knet_link_set_enable(one, other.id(), link, 1));
  REQUIRE_OK(knet_link_set_enable(other, one.id(), link, 1));
}

Pair::Pair() {
  fd_one = one.open_channel();
  fd_two = two.open_channel();
  REQUIRE_OK(knet_handle_setfwd(one, 1));
  REQUIRE_OK(knet_handle_setfwd(two, 1));
  join(one, two);
  REQUIRE(one.wait_reachable(2));
  REQUIRE(two.wait_reachable(1));
}

Pipe::Pipe(int flags) {
  REQUIRE_OK(pipe2(ends_.data(), flags | O_CLOEXEC));
}

Pipe::~Pipe() {
  close_reader();
  close(ends_[1]);
}

void Pipe::close_reader() {
  if (ends_[0] != -1) {
    close(ends_[0]);
    ends_[0] = -1;
  }
}

bool is_open(int fd) {
  return fcntl(fd, F_GETFD) != -1;
}

bool eventually(const std::function<bool()>& condition) {
  const auto end = Clock::now() + kPatience;
  while (!condition()) {
    if (Clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace knet_test
