// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The parts of the test node that are not templates.
#include "tests/ring/node.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace ringknet::test {

std::size_t Recorder::count(Event::Kind kind) const {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(
      std::ranges::count_if(events_, [&](const Event& event) { return event.kind == kind; }));
}

std::size_t Recorder::count(Trouble::Kind kind) const {
  std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::ranges::count_if(
      troubles_, [&](const Trouble& trouble) { return trouble.kind == kind; }));
}

Node::Node(unsigned id) : id_(static_cast<HostId>(id)) {
  Engine::Created created = Engine::create({.self = id_}, client_);
  INFO(created.cause);
  REQUIRE(created.engine != nullptr);
  engine_ = std::move(created.engine);
}

int Node::open_channel(unsigned channel) {
  int fd = -1;
  const EngineStatus status = engine_->run(
      [&](Engine& engine) { return engine.datafd_add(0, static_cast<Channel>(channel), fd); });
  REQUIRE(status.ok());
  return fd;
}

void Node::connect(Node& other, unsigned link) {
  const auto address = [&](const Node& node) {
    return loopback_address(10 * raw(node.id()) + link);
  };
  connect(other, link, address(*this), address(other));
}

void Node::connect(Node& other, unsigned link_number, const Address& local, const Address& remote) {
  const auto link = static_cast<LinkId>(link_number);
  const HostId host = other.id();
  // Checked here, not on the engine thread, which a failed REQUIRE must not leave.
  const EngineStatus status = engine_->run([&](Engine& engine) {
    Fabric& fabric = engine.fabric();
    if (!fabric.host_exists(host)) {
      const Result<> added = fabric.host_add(host);
      if (!added)
        return EngineStatus{.error = added.error()};
    }
    LinkConfig config;
    config.local = local;
    config.remote = remote;
    if (const EngineStatus configured = engine.link_configure(host, link, config);
        !configured.ok()) {
      return configured;
    }
    const PingTimers timers{std::chrono::milliseconds(20), std::chrono::milliseconds(2000), 64};
    const bool set = fabric.link_set_timers(engine.now(), host, link, timers).ok() &&
                     fabric.link_set_pong_count(host, link, 1).ok() &&
                     fabric.link_set_enabled(engine.now(), host, link, true).ok();
    return EngineStatus{.error = set ? Error::kNone : Error::kInvalid};
  });
  CAPTURE(status.system);
  CAPTURE(static_cast<int>(status.error));
  REQUIRE(status.ok());
}

bool Node::wait_reachable(std::size_t times) {
  return client_.wait([&](const Recorder& recorder) {
    return recorder.count(Event::Kind::kHostReachable) >= times;
  });
}

std::uint64_t Node::dropped(Drop reason) {
  return engine_->run([&](Engine& engine) { return engine.fabric().drops()[reason]; });
}

bool join(Node& a, Node& b, unsigned links) {
  for (unsigned link = 0; link < links; ++link) {
    a.connect(b, link);
    b.connect(a, link);
  }
  a.engine().set_forwarding(true);
  b.engine().set_forwarding(true);
  const auto all_up = [&](const Recorder& recorder) {
    return recorder.count(Event::Kind::kLinkUp) >= links;
  };
  return a.wait_reachable() && b.wait_reachable() && a.client().wait(all_up) &&
         b.client().wait(all_up);
}

namespace {

bool wait_for(int fd, short events) {
  pollfd state{fd, events, 0};
  const auto limit = std::chrono::duration_cast<std::chrono::milliseconds>(kLimit).count();
  return poll(&state, 1, static_cast<int>(limit)) > 0;
}

}  // namespace

bool wait_readable(int fd) {
  return wait_for(fd, POLLIN);
}
bool wait_writable(int fd) {
  return wait_for(fd, POLLOUT);
}

bool write_message(int fd, ConstBytes message) {
  for (;;) {
    const ssize_t written = send(fd, message.data(), message.size(), MSG_NOSIGNAL);
    if (written == static_cast<ssize_t>(message.size()))
      return true;
    if (written >= 0 || errno != EAGAIN || !wait_writable(fd))
      return false;
  }
}

bool write_message(int fd, const std::string& message) {
  return write_message(fd, std::as_bytes(std::span(message)));
}

std::vector<std::byte> read_message(int fd) {
  std::vector<std::byte> message(kMessageSizeMax + 1);
  if (!wait_readable(fd))
    return {};
  const ssize_t size = recv(fd, message.data(), message.size(), 0);
  message.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return message;
}

std::string read_text(int fd) {
  const std::vector<std::byte> message = read_message(fd);
  return {reinterpret_cast<const char*>(message.data()), message.size()};
}

std::vector<std::byte> pattern(std::size_t size, std::uint32_t number) {
  std::vector<std::byte> bytes(size);
  std::uint32_t state = number * 2654435761u + static_cast<std::uint32_t>(size);
  for (std::byte& byte : bytes) {
    state = state * 1664525u + 1013904223u;
    byte = static_cast<std::byte>(state >> 24);
  }
  if (size >= sizeof(number))
    std::memcpy(bytes.data(), &number, sizeof(number));
  return bytes;
}

}  // namespace ringknet::test
