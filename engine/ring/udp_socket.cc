// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Socket options, the error queue, and the table.
#include "engine/ring/udp_socket.h"

#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "engine/ring/descriptor.h"
#include "engine/ring/sockaddr.h"
#include "engine/ring/socket_buffer.h"

namespace ringknet {
namespace {

// Low delay, and the kernel priority that goes with it.
constexpr int kPriority = 6;
constexpr int kLowDelay = 0x10;

bool set(int descriptor, int level, int option, int value) {
  return setsockopt(descriptor, level, option, &value, sizeof(value)) == 0;
}

// What the network may tell us about a path. Other reports are ignored: "fragmentation needed"
// above all, which anybody can forge and which the MTU search finds out by itself.
bool concerns_path(int error) {
  switch (error) {
    case ECONNREFUSED:
    case ECONNABORTED:
    case ENONET:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
      return true;
    default:
      return false;
  }
}

}  // namespace

UdpSocket::Opened UdpSocket::open(const Address& local, std::uint64_t flags, bool privileged) {
  SocketAddress address;
  const socklen_t size = to_sockaddr(local, address);
  if (size == 0)
    return {.socket = nullptr, .error = EAFNOSUPPORT};
  const int descriptor = off_standard(
      ::socket(address.generic.sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (descriptor < 0)
    return {.socket = nullptr, .error = errno};
  Opened opened;
  opened.socket.reset(new UdpSocket(descriptor, local));
  opened.error = enlarge_socket_buffers(descriptor, privileged, opened.socket->buffer_granted);
  if (opened.error == 0)
    opened.error = opened.socket->set_options(flags);
  opened.socket->set_offload(true);
  if (opened.error == 0 && bind(descriptor, &address.generic, size) < 0)
    opened.error = errno;
  if (opened.error != 0)
    opened.socket.reset();
  return opened;
}

bool UdpSocket::set_traffic_class(int value) const {
  return local_.family == Address::Family::kIpv6
             ? set(descriptor_, IPPROTO_IPV6, IPV6_TCLASS, value)
             : set(descriptor_, IPPROTO_IP, IP_TOS, value);
}

int UdpSocket::set_options(std::uint64_t flags) const {
  const bool v6 = local_.family == Address::Family::kIpv6;
  if ((flags & kLinkFlagHighPriority) != 0) {
    if (!set(descriptor_, SOL_SOCKET, SO_PRIORITY, kPriority))
      return errno;
    if (!set_traffic_class(kLowDelay))
      return errno;
  }
  if (v6) {
    if (!set(descriptor_, IPPROTO_IPV6, IPV6_FREEBIND, 1) ||
        !set(descriptor_, IPPROTO_IPV6, IPV6_V6ONLY, 1) ||
        !set(descriptor_, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE) ||
        !set(descriptor_, IPPROTO_IPV6, IPV6_DONTFRAG, 1) ||
        !set(descriptor_, IPPROTO_IPV6, IPV6_RECVERR, 1)) {
      return errno;
    }
  } else {
    if (!set(descriptor_, IPPROTO_IP, IP_FREEBIND, 1) ||
        !set(descriptor_, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE) ||
        !set(descriptor_, IPPROTO_IP, IP_RECVERR, 1)) {
      return errno;
    }
  }
  return 0;
}

// An improvement where it works: the kernel splits what is sent, and several datagrams of one
// sender arrive as one.
void UdpSocket::set_offload(bool on) {
  send.segmentation.allow(on);
  receive.offload = ReceiveOffload(on);
  // If something waits it is split when that has been read: receive.offload asks for it.
  (void)join(on);
}

// Without UDP_GRO the kernel does not say what was joined, and takes several datagrams that it has
// joined before for one. One that another processor was about to queue comes within microseconds.
bool UdpSocket::join(bool on) {
  if (on) {
    joins_ = set(descriptor_, IPPROTO_UDP, UDP_GRO, 1);
    return true;
  }
  if (!joins_)
    return true;
  if (anything_waits())
    return false;
  set(descriptor_, IPPROTO_UDP, UDP_GRO, 0);
  const timespec settled{.tv_sec = 0, .tv_nsec = 200'000};
  nanosleep(&settled, nullptr);
  joins_ = anything_waits();
  if (joins_)
    set(descriptor_, IPPROTO_UDP, UDP_GRO, 1);
  return !joins_;
}

bool UdpSocket::anything_waits() const {
  return recv(descriptor_, nullptr, 0, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
}

void UdpSocket::tell_arrivals(bool on) {
  if (local_.family == Address::Family::kIpv6)
    set(descriptor_, IPPROTO_IPV6, IPV6_RECVPKTINFO, on ? 1 : 0);
  else
    set(descriptor_, IPPROTO_IP, IP_PKTINFO, on ? 1 : 0);
}

void UdpSocket::close() {
  if (descriptor_ >= 0)
    ::close(descriptor_);
  descriptor_ = -1;
}

void UdpSocket::allow_fragmentation(bool allow) {
  if (local_.family == Address::Family::kIpv6) {
    set(descriptor_, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
        allow ? IPV6_PMTUDISC_DONT : IPV6_PMTUDISC_PROBE);
    set(descriptor_, IPPROTO_IPV6, IPV6_DONTFRAG, allow ? 0 : 1);
  } else {
    set(descriptor_, IPPROTO_IP, IP_MTU_DISCOVER, allow ? IP_PMTUDISC_DONT : IP_PMTUDISC_PROBE);
  }
}

bool UdpSocket::next_error(QueuedError& out) const {
  out = {};
  SocketAddress name;
  alignas(cmsghdr) char control[256];  // the report and, for network errors, who sent it
  msghdr message{};
  message.msg_name = &name;
  message.msg_namelen = sizeof(name);
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (recvmsg(descriptor_, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
    return false;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    const bool is_report = (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
                           (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR);
    if (!is_report)
      continue;
    sock_extended_err report;
    std::memcpy(&report, CMSG_DATA(part), sizeof(report));
    out.to = to_address(&name.generic, message.msg_namelen);
    const auto error = static_cast<int>(report.ee_errno);
    if (report.ee_origin == SO_EE_ORIGIN_LOCAL) {
      if (error == EMSGSIZE) {
        out.error = error;
        out.mtu = report.ee_info;
      }
    } else if (concerns_path(error)) {
      out.error = error;
    }
  }
  return true;
}

UdpSocketTable::Acquired UdpSocketTable::acquire(const Address& local, std::uint64_t flags,
                                                 bool privileged) {
  for (const auto& socket : sockets_) {
    if (socket && !socket->closing && socket->local() == local) {
      ++socket->links;
      return {.socket = socket.get()};
    }
  }
  UdpSocket::Opened opened = UdpSocket::open(local, flags, privileged);
  if (!opened.socket)
    return {.error = opened.error};
  std::size_t slot = 0;
  while (slot < sockets_.size() && sockets_[slot])
    ++slot;
  if (slot > UINT16_MAX)
    return {.error = EMFILE};
  if (slot == sockets_.size())
    sockets_.emplace_back();
  sockets_[slot] = std::move(opened.socket);
  UdpSocket& socket = *sockets_[slot];
  socket.id = static_cast<SocketId>(slot);
  socket.generation = ++last_generation_;
  socket.links = 1;
  return {.socket = &socket, .created = true};
}

UdpSocket* UdpSocketTable::find(SocketId id) const {
  if (raw(id) >= sockets_.size())
    return nullptr;
  UdpSocket* socket = sockets_[raw(id)].get();
  return socket != nullptr && !socket->closing ? socket : nullptr;
}

UdpSocket* UdpSocketTable::owner(const Op& op) const {
  if (op.slot >= sockets_.size())
    return nullptr;
  UdpSocket* socket = sockets_[op.slot].get();
  return socket != nullptr && socket->generation == op.generation ? socket : nullptr;
}

void UdpSocketTable::close(Ring& ring, UdpSocket& socket) {
  socket.closing = true;
  ring.poll();  // sends prepared in this turn
  if (socket.receive.armed)
    ring.cancel(socket.receive_op());
  if (socket.send.writable_armed)
    ring.cancel(socket.writable_op());
  socket.close();
  reap(socket);
}

void UdpSocketTable::reap(UdpSocket& socket) {
  if (!socket.closing || socket.receive.armed || socket.send.writable_armed)
    return;
  sockets_[raw(socket.id)].reset();
}

}  // namespace ringknet
