// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The send slots and what each send error means.
#include "engine/ring/udp_send.h"

#include <netinet/udp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ringknet {
namespace {

// A device out of buffers is asked again so often, that far apart.
constexpr std::uint32_t kRetriesMax = 10;
constexpr Duration kRetryPause = std::chrono::milliseconds(1);
// A run that it refused so often is sent datagram by datagram from then on: some queues and filters
// answer the same to what is too long for them.
constexpr std::uint32_t kRunRetriesMax = 5;

// A full socket that takes nothing for so long is stuck; what waits for it holds buffers that other
// paths need.
constexpr Duration kStuck = std::chrono::milliseconds(250);
// Control packets waiting for one full socket. More would only be late.
constexpr std::size_t kControlLineMax = 4;

// An error found by an earlier datagram makes an unrelated send fail, once per error.
constexpr std::uint32_t kForeignErrorsMax = 4;

using Status = TransmitResult::Status;

Status status_of(int error) {
  switch (error) {
    case EMSGSIZE:
      return Status::kTooBig;
    case ECONNREFUSED:
      return Status::kRefused;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case ENONET:
    case ECONNABORTED:
    case ENODEV:
    case EADDRNOTAVAIL:
      return Status::kUnreachable;
    case ENOBUFS:
    case ENOMEM:
      return Status::kNoBuffers;
    case EPERM:
    case EACCES:
      return Status::kDenied;
    default:
      return Status::kFailed;
  }
}

bool may_be_foreign(int error) {
  const Status status = status_of(error);
  return status == Status::kRefused || status == Status::kUnreachable || error == EPROTO ||
         error == ENOPROTOOPT || error == EACCES;
}

bool is_shortage(int error) {
  return error == ENOBUFS || error == ENOMEM;
}

bool is_control(const SendSlot& slot) {
  return slot.transmit.kind != Transmit::Kind::kData;
}

// Whether what is left of it are several datagrams.
bool is_run(const SendSlot& slot) {
  return slot.transmit.bytes.size() - slot.sent > slot.transmit.segment_size;
}

void push_back(SendLine& line, SendSlot& slot) {
  slot.next = nullptr;
  (line.first == nullptr ? line.first : line.last->next) = &slot;
  line.last = &slot;
  ++line.size;
}

void push_front(SendLine& line, SendSlot& slot) {
  slot.next = line.first;
  line.first = &slot;
  if (line.last == nullptr || slot.next == nullptr)
    line.last = &slot;
  ++line.size;
}

SendSlot& pop(SendLine& line) {
  SendSlot& slot = *line.first;
  line.first = slot.next;
  if (line.first == nullptr)
    line.last = nullptr;
  --line.size;
  return slot;
}

}  // namespace

UdpSender::UdpSender(Ring& ring, UdpSocketTable& sockets, Owner& owner)
    : ring_(ring), sockets_(sockets), owner_(owner), slots_(std::make_unique<SendSlot[]>(kSlots)) {
  for (std::size_t i = kSlots; i-- > 0;) {
    slots_[i].index = static_cast<std::uint16_t>(i);
    slots_[i].next = free_;
    free_ = &slots_[i];
  }
}

SendSlot& UdpSender::take_slot(const Transmit& transmit, const UdpSocket& socket, Instant now) {
  SendSlot& slot = *free_;
  free_ = slot.next;
  --free_count_;
  slot.transmit = transmit;
  slot.sent = 0;
  slot.retries = 0;
  slot.foreign_errors = 0;
  slot.mtu = 0;
  slot.offload_error = 0;
  slot.split = false;
  slot.segmented = !transmit.split && socket.send.segmentation.on(now);
  slot.too_big = false;
  slot.in_use = true;
  slot.socket_generation = socket.generation;
  slot.next = nullptr;
  slot.message = {};
  slot.message.msg_name = &slot.address;
  slot.message.msg_namelen = to_sockaddr(transmit.to, slot.address);
  slot.message.msg_iov = &slot.part;
  slot.message.msg_iovlen = 1;
  return slot;
}

UdpSocket* UdpSender::socket_of(const SendSlot& slot) const {
  UdpSocket* socket = sockets_.find(slot.transmit.socket);
  return socket != nullptr && socket->generation == slot.socket_generation ? socket : nullptr;
}

// Describes the rest of the run to the kernel: all of it when segmented, else its next datagram.
void UdpSender::prepare(SendSlot& slot) {
  const ConstBytes rest = slot.transmit.bytes.subspan(slot.sent);
  const std::size_t segment_size = slot.transmit.segment_size;
  const bool whole = slot.segmented && is_run(slot);
  slot.part.iov_base = const_cast<std::byte*>(rest.data());
  slot.part.iov_len = whole ? rest.size() : std::min(rest.size(), segment_size);
  slot.message.msg_control = whole ? slot.control : nullptr;
  slot.message.msg_controllen = whole ? sizeof(slot.control) : 0;
  if (!whole)
    return;
  cmsghdr* header = CMSG_FIRSTHDR(&slot.message);
  header->cmsg_level = IPPROTO_UDP;
  header->cmsg_type = UDP_SEGMENT;
  header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
  const auto size = static_cast<std::uint16_t>(segment_size);
  std::memcpy(CMSG_DATA(header), &size, sizeof(size));
}

void UdpSender::send(const Transmit& transmit, Instant now) {
  UdpSocket* socket = sockets_.find(transmit.socket);
  if (socket == nullptr) {
    owner_.on_transmit_done(transmit.id, {.status = Status::kFailed});
    return;
  }
  SendSlot& slot = take_slot(transmit, *socket, now);
  const auto& state = socket->send;
  if (state.control.size > 0 || (!is_control(slot) && state.data.size > 0)) {
    line_up(slot, *socket, now);
  } else if (!slot.segmented) {
    // Parts leave by a system call of their own: what waits for the next submission goes first.
    if (ring_.prepared())
      ring_.poll();
    proceed_or_wait(slot, *socket, 0, now);
  } else {
    prepare(slot);
    ring_.queue({OpKind::kSend, slot.index, slot.generation}, [&](io_uring_sqe* sqe) {
      io_uring_prep_sendmsg(sqe, socket->descriptor(), &slot.message, MSG_DONTWAIT | MSG_NOSIGNAL);
    });
  }
}

void UdpSender::on_completion(const Completion& completion, Instant now) {
  SendSlot& slot = slots_[completion.op.slot];
  if (!slot.in_use || slot.generation != completion.op.generation)
    return;
  UdpSocket* socket = socket_of(slot);
  if (completion.result >= 0) {
    if (socket != nullptr && is_run(slot))
      socket->send.segmentation.passed();
    finish(slot, Status::kSent, 0);
    return;
  }
  if (socket == nullptr) {
    finish(slot, Status::kFailed, -completion.result);
    return;
  }
  proceed_or_wait(slot, *socket, -completion.result, now);
}

void UdpSender::proceed_or_wait(SendSlot& slot, UdpSocket& socket, int error, Instant now) {
  if (proceed(slot, socket, error, now) == Progress::kBlocked)
    line_up(slot, socket, now);
}

// One try at the rest of the run. Answers an errno.
int UdpSender::attempt(SendSlot& slot, const UdpSocket& socket) {
  if (!slot.segmented && is_run(slot))
    return attempt_row(slot, socket);
  prepare(slot);
  if (sendmsg(socket.descriptor(), &slot.message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
    return errno;
  slot.sent += slot.part.iov_len;
  return 0;
}

// The rest of the run as single datagrams, as many of them as the kernel takes: what it says of the
// first that it refuses is learned by the next try.
int UdpSender::attempt_row(SendSlot& slot, const UdpSocket& socket) {
  slot.split = true;
  unsigned count = 0;
  for (std::size_t at = slot.sent; at < slot.transmit.bytes.size(); ++count) {
    const ConstBytes rest = slot.transmit.bytes.subspan(at);
    const std::size_t size = std::min<std::size_t>(rest.size(), slot.transmit.segment_size);
    row_parts_[count] = {const_cast<std::byte*>(rest.data()), size};
    row_[count].msg_hdr = slot.message;
    row_[count].msg_hdr.msg_iov = &row_parts_[count];
    row_[count].msg_hdr.msg_control = nullptr;
    row_[count].msg_hdr.msg_controllen = 0;
    at += size;
  }
  const int sent = sendmmsg(socket.descriptor(), row_.data(), count, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0)
    return errno;
  for (int i = 0; i < sent; ++i)
    slot.sent += row_parts_[static_cast<std::size_t>(i)].iov_len;
  return 0;
}

// Goes on with a run until it is finished or has to wait. `error` is how the last try ended.
UdpSender::Progress UdpSender::proceed(SendSlot& slot, UdpSocket& socket, int error, Instant now) {
  for (;;) {
    if (error == EAGAIN)
      return Progress::kBlocked;
    Remedy what = Remedy::kTryAgain;
    if (error != 0 && error != EINTR)
      what = remedy(slot, socket, error);
    if (what == Remedy::kWait) {
      slot.retry = now + kRetryPause;
      push_back(delayed_, slot);
      return Progress::kDelayed;
    }
    const bool complete = slot.sent == slot.transmit.bytes.size();
    if (complete || what == Remedy::kNone) {
      finish(slot, complete ? 0 : error, now);
      return Progress::kFinished;
    }
    error = attempt(slot, socket);
  }
}

UdpSender::Remedy UdpSender::remedy(SendSlot& slot, UdpSocket& socket, int error) {
  const bool whole = slot.segmented && is_run(slot);
  if (is_shortage(error) && !(whole && slot.retries >= kRunRetriesMax))
    return ++slot.retries > kRetriesMax ? Remedy::kNone : Remedy::kWait;
  // Either the network's answer to an earlier datagram, which this try has just used up, or this
  // one's own: the second one in a row without a report of the network is.
  if (may_be_foreign(error) && ++slot.foreign_errors <= kForeignErrorsMax &&
      (drain_errors(socket) > 0 || slot.foreign_errors == 1))
    return Remedy::kTryAgain;
  if (whole) {
    // Whatever it is: the device cannot split, the datagrams are too large for it, a firewall takes
    // the run for one packet that is too long. Which of these shows one by one.
    slot.segmented = false;
    slot.offload_error = error;
    return Remedy::kTryAgain;
  }
  if (error == EMSGSIZE) {
    drain_errors(socket);
    if (!is_control(slot) && send_in_fragments(slot, socket))
      return Remedy::kTryAgain;
  }
  return Remedy::kNone;
}

// The data are on their way and must not be lost because a device's MTU shrank: this once, the
// kernel splits them. The core learns of it from the result and makes smaller packets.
bool UdpSender::send_in_fragments(SendSlot& slot, UdpSocket& socket) {
  slot.too_big = true;
  socket.allow_fragmentation(true);
  int error = 0;
  while (error == 0 && slot.sent < slot.transmit.bytes.size())
    error = attempt(slot, socket);
  socket.allow_fragmentation(false);
  return error == 0;
}

std::size_t UdpSender::drain_errors(UdpSocket& socket) {
  return socket.drain_errors([&](const UdpSocket::QueuedError& queued) {
    if (queued.error == EMSGSIZE) {
      note_limit(socket, queued);
      return;
    }
    owner_.on_path_error(
        {.socket = socket.id, .to = queued.to, .status = status_of(queued.error), .mtu = 0});
  });
}

// A device's limit is about runs that failed for it just now, and some of them may not have been
// dealt with yet: each finds it in its result. (The kernel leaves the port out of such a report.)
void UdpSender::note_limit(const UdpSocket& socket, const UdpSocket::QueuedError& queued) {
  for (std::size_t i = 0; i < kSlots; ++i) {
    SendSlot& slot = slots_[i];
    if (slot.in_use && slot.socket_generation == socket.generation &&
        slot.transmit.to.same_ip(queued.to)) {
      slot.mtu = queued.mtu;
    }
  }
}

void UdpSender::line_up(SendSlot& slot, UdpSocket& socket, Instant now) {
  auto& state = socket.send;
  if (is_control(slot) && state.control.size >= kControlLineMax) {
    finish(slot, Status::kNoBuffers, EAGAIN);
    return;
  }
  if (state.control.size + state.data.size == 0)
    state.progress = now;
  ++slot.retries;
  push_back(is_control(slot) ? state.control : state.data, slot);
  ++lined_up_;
  arm_writable(socket);
}

void UdpSender::arm_writable(UdpSocket& socket) {
  if (socket.send.writable_armed)
    return;
  socket.send.writable_armed = true;
  ring_.queue(socket.writable_op(), [&](io_uring_sqe* sqe) {
    io_uring_prep_poll_add(sqe, socket.descriptor(), POLLOUT);
  });
}

void UdpSender::on_writable(const Completion& completion, Instant now) {
  UdpSocket* socket = sockets_.owner(completion.op);
  if (socket == nullptr)
    return;
  socket->send.writable_armed = false;
  if (socket->closing) {
    sockets_.reap(*socket);
    return;
  }
  // The poll ends on errors, too, and would do so again at once.
  if (completion.result < 0 || (completion.result & POLLERR) != 0)
    drain_errors(*socket);
  if (flush(socket->send.control, *socket, now))
    flush(socket->send.data, *socket, now);
}

// Sends what waits in line; false when the socket is full again.
bool UdpSender::flush(SendLine& line, UdpSocket& socket, Instant now) {
  while (line.first != nullptr) {
    SendSlot& slot = pop(line);
    if (proceed(slot, socket, 0, now) == Progress::kBlocked) {
      push_front(line, slot);
      arm_writable(socket);
      return false;
    }
    --lined_up_;
    socket.send.progress = now;
  }
  return true;
}

void UdpSender::on_timeout(Instant now) {
  while (delayed_.first != nullptr && delayed_.first->retry <= now) {
    SendSlot& slot = pop(delayed_);
    UdpSocket* socket = socket_of(slot);
    if (socket == nullptr) {
      finish(slot, Status::kFailed, ENOBUFS);
    } else {
      proceed_or_wait(slot, *socket, 0, now);
    }
  }
  if (lined_up_ == 0)
    return;
  sockets_.for_each([&](UdpSocket& socket) {
    if (socket.send.control.size + socket.send.data.size == 0 ||
        now < socket.send.progress + kStuck)
      return;
    give_up(socket.send.control, Status::kNoBuffers, EAGAIN);
    give_up(socket.send.data, Status::kNoBuffers, EAGAIN);
  });
}

Instant UdpSender::next_deadline() const {
  Instant next = delayed_.first == nullptr ? kNever : delayed_.first->retry;
  if (lined_up_ == 0)
    return next;
  sockets_.for_each([&](const UdpSocket& socket) {
    if (socket.send.control.size + socket.send.data.size == 0)
      return;
    next = std::min(next, socket.send.progress + kStuck);
  });
  return next;
}

void UdpSender::give_up(SendLine& line, Status status, int error) {
  while (line.first != nullptr) {
    --lined_up_;
    finish(pop(line), status, error);
  }
}

void UdpSender::abandon(UdpSocket& socket) {
  give_up(socket.send.control, Status::kFailed, ENOTCONN);
  give_up(socket.send.data, Status::kFailed, ENOTCONN);
}

void UdpSender::finish(SendSlot& slot, int error, Instant now) {
  if (error == 0 && slot.offload_error != 0 && !slot.too_big) {
    // One by one they all went: it is the run that was refused. A device may just have got buffers
    // back, or another MTU.
    const bool doubtful = is_shortage(slot.offload_error) || slot.offload_error == EMSGSIZE;
    UdpSocket* socket = socket_of(slot);
    if (socket != nullptr && socket->send.segmentation.refused(now, doubtful))
      owner_.on_offload_failed(slot.transmit.to, slot.offload_error);
  }
  if (const UdpSocket* socket = slot.split ? socket_of(slot) : nullptr; socket != nullptr)
    slot.split = !socket->send.segmentation.on(now);
  const Status ended = error == 0 ? Status::kSent : status_of(error);
  finish(slot, slot.too_big ? Status::kTooBig : ended, error);
}

void UdpSender::finish(SendSlot& slot, Status status, int error) {
  const TransmitId id = slot.transmit.id;
  const TransmitResult result{
      .status = status, .mtu = slot.mtu, .retries = slot.retries, .split = slot.split};
  const Address to = slot.transmit.to;
  slot.in_use = false;
  ++slot.generation;
  slot.next = free_;
  free_ = &slot;
  ++free_count_;
  // Too big is no trouble: a probe finds out that way, and data went in fragments.
  if (status != Status::kSent && status != Status::kTooBig)
    owner_.on_send_failed(to, error);
  owner_.on_transmit_done(id, result);
}

}  // namespace ringknet
