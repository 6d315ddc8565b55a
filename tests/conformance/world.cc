// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The set-up shared by the cases. It makes no statement; what it needs and does not get ends the
// case with NEED.
#include "tests/conformance/world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <utility>

namespace conformance {
namespace {

using Clock = std::chrono::steady_clock;

// A link that comes up within a few pings and goes down soon.
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

bool has_host(knet_handle_t handle, knet_node_id_t host) {
  knet_host_status status{};
  return knet_host_get_status(handle, host, &status) == 0;
}

void add_host(Node& node, knet_node_id_t host) {
  if (!has_host(node, host)) {
    NEED(knet_host_add(node, host) == 0);
  }
}

}  // namespace

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

Node::Node(Bare /*bare*/, knet_node_id_t id) : id_(id), handle_(knet_handle_new_ex(id, 0, 0, 0)) {
  NEED(handle_ != nullptr);
}

Node::Node(knet_node_id_t id, int log_fd, uint8_t log_level)
    : id_(id), handle_(knet_handle_new_ex(id, log_fd, log_level, 0)) {
  NEED(handle_ != nullptr);
  NEED(knet_handle_enable_sock_notify(
           handle_, this,
           [](void* node, int datafd, int8_t channel, uint8_t direction, int error, int number) {
             static_cast<Node*>(node)->sock.add({datafd, channel, direction, error, number});
             static_cast<Node*>(node)->run_inside();
           }) == 0);
  NEED(
      knet_host_enable_status_change_notify(
          handle_, this,
          [](void* node, knet_node_id_t host, uint8_t reachable, uint8_t remote, uint8_t external) {
            static_cast<Node*>(node)->host.add({host, reachable, remote, external});
            static_cast<Node*>(node)->run_inside();
          }) == 0);
  NEED(knet_handle_enable_pmtud_notify(handle_, this, [](void* node, unsigned int mtu) {
         static_cast<Node*>(node)->mtu.add(mtu);
         static_cast<Node*>(node)->run_inside();
       }) == 0);
}

Node::~Node() {
  if (handle_ != nullptr) {
    clear();
    knet_handle_free(handle_);
  }
}

void Node::run_inside() {
  std::function<void()> function;
  {
    const std::lock_guard lock(mutex_);
    function = std::exchange(inside_, nullptr);
  }
  if (function) {
    function();
  }
}

void Node::inside_callback(std::function<void()> function) {
  const std::lock_guard lock(mutex_);
  inside_ = std::move(function);
}

int Node::open_channel(int8_t channel) {
  int datafd = 0;
  NEED(knet_handle_add_datafd(handle_, &datafd, &channel) == 0);
  return datafd;
}

std::string Node::receive(int8_t channel) {
  int datafd = -1;
  NEED(knet_handle_get_datafd(handle_, channel, &datafd) == 0);
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

bool Node::silent(int8_t channel) {
  char byte = 0;
  errno = 0;
  return knet_recv(handle_, &byte, 1, channel) == -1 && errno == EAGAIN;
}

bool Node::send(const std::string& message, int8_t channel) {
  return knet_send(handle_, message.data(), message.size(), channel) ==
         static_cast<ssize_t>(message.size());
}

bool Node::wait_reachable(unsigned other, bool reachable) {
  return host.wait_for([=](const HostEvent& event) {
    return event.host == other && event.reachable == (reachable ? 1U : 0U);
  });
}

knet_link_status Node::link_status(knet_node_id_t other, uint8_t link) {
  knet_link_status status{};
  NEED(knet_link_get_status(handle_, other, link, &status, sizeof(status)) == 0);
  return status;
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
  return std::exchange(handle_, nullptr);
}

void Node::set_filter(Filter filter) {
  filter_ = std::move(filter);
  NEED(knet_handle_enable_filter(handle_, this,
                                 [](void* node, const unsigned char* data, ssize_t size,
                                    uint8_t direction, knet_node_id_t, knet_node_id_t source,
                                    int8_t* channel, knet_node_id_t* hosts, size_t* count) {
                                   const std::string message(reinterpret_cast<const char*>(data),
                                                             static_cast<size_t>(size));
                                   return static_cast<Node*>(node)->filter_(
                                       message, direction, source, channel, hosts, count);
                                 }) == 0);
}

sockaddr_storage address(const char* host, uint16_t port) {
  sockaddr_storage storage{};
  NEED(knet_strtoaddr(host, std::to_string(port).c_str(), &storage, sizeof(storage)) == 0);
  return storage;
}

uint16_t free_port(const char* host) {
  sockaddr_storage local = address(host, 0);
  const Descriptor fd(socket(local.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  socklen_t size = local.ss_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  auto* generic = reinterpret_cast<sockaddr*>(&local);
  NEED(bind(fd, generic, size) == 0 && getsockname(fd, generic, &size) == 0);
  return ntohs(reinterpret_cast<sockaddr_in*>(&local)->sin_port);  // IPv6 has it there too
}

sockaddr_storage own_address() {
  return address("127.0.0.1", free_port());
}

void add_static_link(Node& node, knet_node_id_t host, uint8_t link) {
  add_host(node, host);
  sockaddr_storage source = own_address();
  sockaddr_storage target = own_address();
  NEED(knet_link_set_config(node, host, link, KNET_TRANSPORT_UDP, &source, &target, 0) == 0);
}

sockaddr_storage add_dynamic_link(Node& node, knet_node_id_t host, uint8_t link) {
  add_host(node, host);
  sockaddr_storage source = own_address();
  NEED(knet_link_set_config(node, host, link, KNET_TRANSPORT_UDP, &source, nullptr, 0) == 0);
  return source;
}

void start_link(Node& node, knet_node_id_t host, uint8_t link) {
  NEED(knet_link_set_ping_timers(node, host, link, kPingInterval, kPingTimeout,
                                 KNET_LINK_DEFAULT_PING_PRECISION) == 0);
  NEED(knet_link_set_pong_count(node, host, link, kPongCount) == 0);
  NEED(knet_link_set_enable(node, host, link, 1) == 0);
}

void join(Node& one, Node& two, uint8_t link) {
  sockaddr_storage here = own_address();
  sockaddr_storage there = own_address();
  add_host(one, two.id());
  add_host(two, one.id());
  NEED(knet_link_set_config(one, two.id(), link, KNET_TRANSPORT_UDP, &here, &there, 0) == 0);
  NEED(knet_link_set_config(two, one.id(), link, KNET_TRANSPORT_UDP, &there, &here, 0) == 0);
  start_link(one, two.id(), link);
  start_link(two, one.id(), link);
}

Pair::Pair() {
  fd_one = one.open_channel();
  fd_two = two.open_channel();
  NEED(knet_handle_setfwd(one, 1) == 0);
  NEED(knet_handle_setfwd(two, 1) == 0);
  join(one, two);
  NEED(one.wait_reachable(2));
  NEED(two.wait_reachable(1));
}

Descriptor::~Descriptor() {
  close();
}

void Descriptor::close() {
  if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
  }
}

std::array<int, 2> Ends::pipe(int flags) {
  std::array<int, 2> ends{-1, -1};
  NEED(pipe2(ends.data(), flags) == 0);
  return ends;
}

std::array<int, 2> Ends::sockets(int type) {
  std::array<int, 2> ends{-1, -1};
  NEED(socketpair(AF_UNIX, type, 0, ends.data()) == 0);
  return ends;
}

bool is_open(int fd) {
  return fcntl(fd, F_GETFD) != -1;
}

std::vector<knet_log_msg> read_log(int fd) {
  std::vector<knet_log_msg> records;
  knet_log_msg record{};
  while (read(fd, &record, sizeof(record)) == sizeof(record)) {
    records.push_back(record);
  }
  return records;
}

}  // namespace conformance
