// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The yardstick: one connected UDP socket, many packets per system call both ways. No library, no
// acknowledgement, no order, no second link: nothing that moves messages over these devices can be
// faster.
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "tools/bench/carrier.h"

namespace ringknet::bench {
namespace {

constexpr std::size_t kDatagramMax = 65507;
// The kernel splits one datagram into so many at most.
constexpr std::size_t kSegmentsMax = 64;

// The size of an int's control message of this kind; 0 where there is none.
std::size_t segment_size(msghdr& header) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level == IPPROTO_UDP && part->cmsg_type == UDP_GRO) {
      int size = 0;
      std::memcpy(&size, CMSG_DATA(part), sizeof size);
      return static_cast<std::size_t>(size);
    }
  }
  return 0;
}

class RawCarrier final : public Carrier {
 public:
  RawCarrier(ControlChannel* control, Descriptor socket)
      : Carrier(control), socket_(std::move(socket)) {
    const int on = 1;
    if (::setsockopt(socket_.get(), IPPROTO_UDP, UDP_GRO, &on, sizeof on) != 0) {
      throw failure_from_errno("no UDP socket to compare with");
    }
  }

  // Short messages go one per packet, many of them in one call; a long one in packets of its own.
  std::size_t send(Batch& batch, std::size_t from) override {
    const std::size_t size = batch.buffer(from).size();
    const std::size_t fit = size > kRawSegment ? 1 : std::min(kDatagramMax / size, kSegmentsMax);
    const std::size_t count = std::min(batch.count() - from, fit);
    std::array<iovec, kSegmentsMax> parts;
    for (std::size_t at = 0; at < count; ++at) {
      parts[at] = {batch.buffer(from + at).data(), size};
    }
    return transmit(std::span(parts).first(count), std::min(size, kRawSegment)) ? count : 0;
  }

  bool send(std::span<const std::byte> message) override {
    iovec part{const_cast<std::byte*>(message.data()), message.size()};
    return transmit({&part, 1}, std::min(message.size(), kRawSegment));
  }

  bool receive() override {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> control;
    iovec part{buffer_.data(), buffer_.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t length = ::recvmsg(socket_.get(), &header, MSG_DONTWAIT);
    if (length < 0) {
      // Errors of the other end's start and end are nothing to a stream that counts what comes.
      return false;
    }
    split(std::span(buffer_).first(static_cast<std::size_t>(length)), segment_size(header));
    return true;
  }

  Wake wait(Want want, Instant deadline, const OnControl& on_control) override {
    if (!spinning() || want == Want::kNothing) {
      return wait_for(socket_.get(), want, deadline, on_control);
    }
    const auto wake = glance(on_control);
    return wake ? *wake : Clock::now() >= deadline ? Wake::kTimeout : Wake::kReady;
  }

 private:
  void make_buffers(std::size_t size) override { message_size_ = size; }

  bool transmit(std::span<iovec> parts, std::size_t segment) {
    alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(std::uint16_t))> control{};
    msghdr header{};
    header.msg_iov = parts.data();
    header.msg_iovlen = parts.size();
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* option = CMSG_FIRSTHDR(&header);
    option->cmsg_level = IPPROTO_UDP;
    option->cmsg_type = UDP_SEGMENT;
    option->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto size = static_cast<std::uint16_t>(segment);
    std::memcpy(CMSG_DATA(option), &size, sizeof size);
    if (::sendmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
      return true;
    }
    if (errno != EAGAIN && errno != ENOBUFS && errno != EINTR && errno != ECONNREFUSED) {
      throw failure_from_errno("sending by UDP failed");
    }
    return false;
  }

  // The kernel joins packets of equal size; those of one long message are that message again.
  void split(std::span<const std::byte> bytes, std::size_t segment) const {
    if (segment == 0 || message_size_ > kRawSegment) {
      take(bytes);
      return;
    }
    for (; !bytes.empty(); bytes = bytes.subspan(std::min(segment, bytes.size()))) {
      take(bytes.first(std::min(segment, bytes.size())));
    }
  }

  Descriptor socket_;
  std::size_t message_size_ = 0;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(65536);
};

}  // namespace

std::unique_ptr<Carrier> make_raw_carrier(ControlChannel* control, Descriptor socket) {
  return std::make_unique<RawCarrier>(control, std::move(socket));
}

}  // namespace ringknet::bench
