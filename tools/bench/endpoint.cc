// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The one poll(2) of the workers' applications.
#include "tools/bench/endpoint.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "api/libknet.h"
#include "tools/bench/payload.h"

namespace ringknet::bench {
namespace {

// poll(2) to the nanosecond: a flow at a fixed pace needs better than milliseconds.
int poll_until(std::span<pollfd> watched, Instant deadline) {
  if (deadline == Instant::max()) {
    return ::ppoll(watched.data(), watched.size(), nullptr, nullptr);
  }
  const Duration left = std::max(deadline - Clock::now(), Duration::zero());
  const auto whole = std::chrono::floor<std::chrono::seconds>(left);
  const timespec timeout{whole.count(), (left - whole).count()};
  return ::ppoll(watched.data(), watched.size(), &timeout, nullptr);
}

}  // namespace

Wake wait_for(const Endpoint& endpoint, short events, Instant deadline,
              const std::function<void(const Message&)>& on_control) {
  std::array<pollfd, 2> waiting = {pollfd{endpoint.control.descriptor(), POLLIN, 0},
                                   pollfd{endpoint.data_descriptor, events, 0}};
  const std::size_t watched = events == 0 ? 1 : 2;
  const int ready = poll_until(std::span(waiting).first(watched), deadline);
  if (ready < 0 && errno != EINTR) {
    throw failure_from_errno("poll failed");
  }
  if (waiting[0].revents != 0) {
    const auto message = endpoint.control.receive();
    if (endpoint.control.closed()) {
      throw Failure("the controller is gone");
    }
    if (message && message->verb() == "stop") {
      return Wake::kStopped;
    }
    if (message && on_control == nullptr) {
      throw Failure(fmt::format("'{}' came at the wrong time", message->verb()));
    }
    if (message) {
      on_control(*message);
      return Wake::kControl;
    }
  }
  if (watched == 2 && waiting[1].revents != 0) {
    if ((waiting[1].revents & events) == 0) {
      throw Failure("the library has closed the data descriptor");
    }
    return Wake::kReady;
  }
  return Clock::now() >= deadline ? Wake::kTimeout : Wake::kReady;
}

std::size_t message_size(const Message& command) {
  const std::int64_t size = command.number("size");
  if (size < static_cast<std::int64_t>(kPayloadSizeMin) || size > KNET_MAX_PACKET_SIZE) {
    throw Failure(fmt::format("messages of {} bytes cannot be sent", size));
  }
  return static_cast<std::size_t>(size);
}

void send_message(const Endpoint& endpoint, std::span<const std::byte> message) {
  while (::send(endpoint.data_descriptor, message.data(), message.size(),
                MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno == EAGAIN) {
      pollfd waiting{endpoint.data_descriptor, POLLOUT, 0};
      ::poll(&waiting, 1, 100);
    } else if (errno != EINTR) {
      throw failure_from_errno("writing to the data descriptor failed");
    }
  }
}

}  // namespace ringknet::bench
