// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Links with their sockets, and datafds: what has a descriptor is opened before the fabric or the
// client learns of it, and closed for good, no operation left, before a call that removes it
// returns.
#include <algorithm>

#include "engine/base/rollback.h"
#include "engine/ring/engine_impl.h"
#include "engine/ring/socket_buffer.h"

namespace ringknet {

EngineStatus Engine::Impl::link_configure(HostId host, LinkId link, LinkConfig config) {
  if (const Result<> allowed = fabric_.link_check(host, link, config); !allowed)
    return {.error = allowed.error()};
  const bool has_socket = config.transport != Transport::kLoopback;
  if (has_socket) {
    const UdpSocketTable::Acquired acquired =
        sockets_.acquire(config.local, config.flags, privileged_);
    if (acquired.socket == nullptr)
      return {.system = acquired.error};
    config.socket = acquired.socket->id;
    config.receive_buffer = acquired.socket->buffer_granted;
    if (acquired.created)
      arrivals_.start(now_);
    if (acquired.created && !offload_)
      acquired.socket->set_offload(false);
    if (acquired.created && dscp_ != 0 && (config.flags & kLinkFlagHighPriority) != 0)
      acquired.socket->mark(dscp_);
    if (acquired.created && acquired.socket->buffer_granted < kSocketBufferSize) {
      report({.kind = Trouble::Kind::kSocketBuffer, .size = acquired.socket->buffer_granted});
    }
  }
  Rollback release([&] {
    if (has_socket)
      release_socket(config.socket);
  });
  const Result<> configured = fabric_.link_configure(now_, host, link, config);
  if (configured)
    release.commit();
  return {.error = configured.error()};
}

EngineStatus Engine::Impl::link_clear(HostId host, LinkId link) {
  const Result<LinkConfig> config = fabric_.link_clear(now_, host, link);
  if (!config)
    return {.error = config.error()};
  if (config->transport != Transport::kLoopback)
    release_socket(config->socket);
  return {};
}

void Engine::Impl::set_offload(bool on) {
  ring_.poll();  // what has been prepared leaves first
  offload_ = on;
  sockets_.for_each([&](UdpSocket& socket) { socket.set_offload(on); });
  fabric_.retry_runs();
}

// Once per link, and only of links that use this socket: others' packets say nothing about them.
void Engine::Impl::on_arrival(UdpSocket& socket, const Address& from, unsigned interface) {
  const unsigned owner = arrivals_.owner_instead_of(socket, interface);
  if (owner == 0)
    return;
  const std::optional<LinkRef> link = fabric_.link_to(from);
  if (!link || std::ranges::find(arrivals_told_, *link) != arrivals_told_.end())
    return;
  const Result<LinkStatus> status = fabric_.link_status(link->host, link->link);
  if (!status || status->config.socket != socket.id)
    return;
  std::erase_if(arrivals_told_, [&](const LinkRef& told) {
    return told.host == link->host && told.link == link->link;
  });
  arrivals_told_.push_back(*link);
  report({.kind = Trouble::Kind::kOtherInterface,
          .to = from,
          .interface = owner,
          .arrival = interface});
}

// The last link of a socket closes it; the address is free when the call returns.
void Engine::Impl::release_socket(SocketId id) {
  UdpSocket* socket = sockets_.find(id);
  if (socket == nullptr || --socket->links > 0)
    return;
  sender_.abandon(*socket);
  sockets_.close(ring_, *socket);
}

EngineStatus Engine::Impl::datafd_add(int fd, Channel channel, int& application_fd) {
  // Whatever may fail comes before the application's descriptor is touched.
  if (const int error = reader_.open(channel); error != 0)
    return {.system = error};
  datafds_.reserve();
  ringknet::Datafd::Opened opened =
      fd < 1 ? ringknet::Datafd::make_pair(privileged_) : ringknet::Datafd::adopt(fd);
  if (!opened.datafd)
    return {.system = opened.error};
  if (opened.datafd->owned() && opened.buffer_granted < kSocketBufferSize) {
    report({.kind = Trouble::Kind::kSocketBuffer, .size = opened.buffer_granted});
  }
  application_fd = datafds_.add(std::move(opened.datafd), channel).application();
  return {};
}

void Engine::Impl::datafd_remove(Channel channel) {
  ringknet::Datafd* datafd = datafds_.find(channel);
  if (datafd == nullptr)
    return;
  writer_.write_collected();  // a filter may remove it in the midst of a receive buffer
  datafds_.close(ring_, *datafd);
}

Engine::Datafd Engine::Impl::datafd(Channel channel) const {
  const ringknet::Datafd* datafd = datafds_.find(channel);
  if (datafd == nullptr)
    return {};
  return {.application_fd = datafd->application(), .owned = datafd->owned()};
}

}  // namespace ringknet
