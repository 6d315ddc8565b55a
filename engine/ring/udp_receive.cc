// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A receive buffer as the kernel fills it:
//
//   +-----------------------+---------------+-------------------+----------------------------------+
//   | io_uring_recvmsg_out  | sender's name | control data      | payload: datagram, datagram, ...
//   |
//   +-----------------------+---------------+-------------------+----------------------------------+
//
// The payload is one datagram, or with GRO a row of equal ones of which the last may be shorter.
#include "engine/ring/udp_receive.h"

#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "engine/ring/sockaddr.h"

namespace ringknet {
namespace {

constexpr std::uint16_t kGroup = 0;
// The kernel fills them in turn, so what all of them hold goes through the processor's cache before
// the first is filled again: measured with messages of 64 KB, 64 buffers cost 2 % (without
// descriptors) to 8 % more time than 16, and 8 no less.
constexpr std::uint32_t kBuffers = 16;
constexpr std::size_t kPayloadMax = 65535;
// Rounded up, so that the control data behind the name are aligned.
constexpr std::size_t kNameSize = (sizeof(SocketAddress) + 7) / 8 * 8;
// The size of joined datagrams, and by which interface they came.
constexpr std::size_t kControlSize = CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(in6_pktinfo));
constexpr std::size_t kBufferSize =
    sizeof(io_uring_recvmsg_out) + kNameSize + kControlSize + kPayloadMax;

// A receive that fails this often in a row is not tried again at once: it would keep the thread
// busy.
constexpr std::uint32_t kFailuresMax = 16;
constexpr Duration kFailurePause = std::chrono::milliseconds(10);

struct Control {
  std::size_t joined = 0;  // the size of the datagrams that the kernel joined; 0: it joined none
  unsigned interface = 0;  // by which they came; 0: it was not asked
};

template <typename Value>
Value value_of(const cmsghdr* part) {
  Value value{};
  std::memcpy(&value, CMSG_DATA(part), sizeof(value));
  return value;
}

Control read_control(io_uring_recvmsg_out* out, msghdr* layout) {
  Control control;
  for (cmsghdr* part = io_uring_recvmsg_cmsg_firsthdr(out, layout); part != nullptr;
       part = io_uring_recvmsg_cmsg_nexthdr(out, layout, part)) {
    if (part->cmsg_level == IPPROTO_UDP && part->cmsg_type == UDP_GRO)
      control.joined = static_cast<std::size_t>(std::max(value_of<int>(part), 0));
    else if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO)
      control.interface = static_cast<unsigned>(value_of<in_pktinfo>(part).ipi_ifindex);
    else if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO)
      control.interface = value_of<in6_pktinfo>(part).ipi6_ifindex;
  }
  return control;
}

}  // namespace

int UdpReceiver::open() {
  layout_.msg_namelen = kNameSize;
  layout_.msg_controllen = kControlSize;
  return buffers_.open(ring_, kGroup, kBuffers, kBuffers, kBufferSize);
}

void UdpReceiver::arm(UdpSocket& socket) {
  ring_.queue(socket.receive_op(), [&](io_uring_sqe* sqe) {
    io_uring_prep_recvmsg_multishot(sqe, socket.descriptor(), &layout_, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = buffers_.group();
  });
  socket.receive.armed = true;
  socket.receive.starved = false;
  socket.receive.retry = kNever;
}

void UdpReceiver::on_completion(const Completion& completion, Instant now) {
  UdpSocket* socket = sockets_.owner(completion.op);
  if (socket != nullptr && !completion.more())
    socket->receive.armed = false;
  if (completion.has_buffer()) {
    buffers_.took();
    if (socket != nullptr) {
      socket->receive.failures = 0;
      const std::size_t bytes = on_buffer(completion);
      socket = sockets_.owner(completion.op);
      owner_.on_datagrams_end(socket != nullptr && !socket->closing ? socket : nullptr, bytes);
    }
    buffers_.put(completion.buffer(), 0);
  } else if (socket != nullptr && !socket->closing && completion.result < 0) {
    on_failure(*socket, -completion.result, now);
  }
  // What was called from inside may have closed the socket: looked up anew.
  socket = sockets_.owner(completion.op);
  if (socket != nullptr)
    sockets_.reap(*socket);
}

// Answers how many bytes the kernel handed over.
std::size_t UdpReceiver::on_buffer(const Completion& completion) {
  MutableBytes buffer = buffers_.bytes(completion.buffer());
  io_uring_recvmsg_out* out = io_uring_recvmsg_validate(buffer.data(), completion.result, &layout_);
  if (out == nullptr)
    return 0;
  if ((out->flags & MSG_TRUNC) != 0) {
    owner_.on_truncated();
    return 0;
  }
  auto* payload = static_cast<std::byte*>(io_uring_recvmsg_payload(out, &layout_));
  const std::size_t all = io_uring_recvmsg_payload_length(out, completion.result, &layout_);
  std::size_t left = all;
  const auto [joined, interface] = read_control(out, &layout_);
  const Address from =
      to_address(static_cast<const sockaddr*>(io_uring_recvmsg_name(out)), out->namelen);
  if (interface != 0)
    tell_arrival(completion, from, interface);
  do {
    const UdpSocket* socket = sockets_.owner(completion.op);
    if (socket == nullptr || socket->closing)
      return all;
    const std::size_t size = joined == 0 ? left : std::min(joined, left);
    if (size < left)
      __builtin_prefetch(payload + size);  // the next header, meanwhile
    ++datagrams_;
    owner_.on_datagram(socket->id, from, {payload, size});
    payload += size;
    left -= size;
  } while (left > 0);
  return all;
}

void UdpReceiver::tell_arrival(const Completion& completion, const Address& from,
                               unsigned interface) {
  if (UdpSocket* socket = sockets_.owner(completion.op); socket != nullptr && !socket->closing)
    owner_.on_arrival(*socket, from, interface);
}

void UdpReceiver::on_failure(UdpSocket& socket, int error, Instant now) {
  if (error == ENOBUFS) {
    ++starved_;
    socket.receive.starved = true;
    return;
  }
  if (error == EINTR || error == EAGAIN || error == ECANCELED)
    return;
  if (++socket.receive.failures > kFailuresMax)
    socket.receive.retry = now + kFailurePause;
  owner_.on_receive_error(socket, error);
}

void UdpReceiver::rearm(Instant now) {
  next_deadline_ = kNever;
  // Whoever is first may take all buffers, so the next time those behind him come before him: a
  // busy socket must not keep another from hearing its PONGs.
  std::size_t next = first_;
  const auto start = [&](UdpSocket& socket) {
    if (socket.receive.armed || (socket.receive.starved && !buffers_.recovered()))
      return;
    if (socket.receive.retry != kNever && now < socket.receive.retry) {
      next_deadline_ = std::min(next_deadline_, socket.receive.retry);
      return;
    }
    arm(socket);
    if (next == first_)
      next = raw(socket.id) + std::size_t{1};
  };
  sockets_.for_each(start, first_);
  first_ = next;
}

}  // namespace ringknet
