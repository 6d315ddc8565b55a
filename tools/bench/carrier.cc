// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The one poll(2) of the workers' applications, and the simplest carrier: a data descriptor, used
// with sendmmsg(2) and recvmmsg(2).
#include "tools/bench/carrier.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace ringknet::bench {
namespace {

using std::chrono::milliseconds;

// Often enough for people and for the end of a row, seldom enough to cost nothing.
constexpr Duration kGlanceInterval = milliseconds(1);
constexpr Duration kRoomPatience = milliseconds(100);

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

class DatafdCarrier final : public Carrier {
 public:
  DatafdCarrier(ControlChannel* control, int descriptor)
      : Carrier(control), descriptor_(descriptor) {}

  std::size_t send(Batch& batch, std::size_t from) override {
    const int sent = batch.send(descriptor_, from);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      throw failure_from_errno("writing to the data descriptor failed");
    }
    return static_cast<std::size_t>(std::max(sent, 0));
  }

  bool send(std::span<const std::byte> message) override {
    const ssize_t sent =
        ::send(descriptor_, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
      throw failure_from_errno("writing to the data descriptor failed");
    }
    return sent >= 0;
  }

  bool receive() override {
    const int received = batch_->receive(descriptor_);
    if (received < 0 && errno != EAGAIN && errno != EINTR) {
      throw failure_from_errno("reading from the data descriptor failed");
    }
    for (int at = 0; at < received; ++at) {
      take(batch_->received(static_cast<std::size_t>(at)));
    }
    // Fewer than there was room for means that the descriptor is empty.
    return received == static_cast<int>(batch_->count());
  }

  Wake wait(Want want, Instant deadline, const OnControl& on_control) override {
    return wait_for(descriptor_, want, deadline, on_control);
  }

 private:
  void make_buffers(std::size_t size) override { batch_ = std::make_unique<Batch>(size); }

  int descriptor_;
  std::unique_ptr<Batch> batch_;
};

}  // namespace

void Carrier::listen(std::size_t size, Taker take) {
  make_buffers(size);
  take_ = std::move(take);
}

std::optional<Wake> Carrier::heed(const OnControl& on_control) {
  const auto message = control_->receive();
  if (control_->closed()) {
    throw Failure("the controller is gone");
  }
  if (!message) {
    return std::nullopt;
  }
  if (message->verb() == "stop") {
    return Wake::kStopped;
  }
  if (on_control == nullptr) {
    throw Failure(fmt::format("'{}' came at the wrong time", message->verb()));
  }
  on_control(*message);
  return Wake::kControl;
}

std::optional<Wake> Carrier::glance(const OnControl& on_control) {
  const Instant now = Clock::now();
  if (control_ == nullptr || now < next_glance_) {
    return std::nullopt;
  }
  next_glance_ = now + kGlanceInterval;
  return heed(on_control);
}

Wake Carrier::wait_for(int descriptor, Want want, Instant deadline, const OnControl& on_control) {
  const short events = want == Want::kMessages ? POLLIN : want == Want::kRoom ? POLLOUT : short{0};
  // poll(2) passes over descriptors that are negative.
  std::array<pollfd, 2> waiting = {
      pollfd{control_ == nullptr ? -1 : control_->descriptor(), POLLIN, 0},
      pollfd{want == Want::kNothing ? -1 : descriptor, events, 0}};
  if (poll_until(waiting, deadline) < 0 && errno != EINTR) {
    throw failure_from_errno("poll failed");
  }
  if (waiting[0].revents != 0) {
    if (const auto wake = heed(on_control)) {
      return *wake;
    }
  }
  if (waiting[1].revents != 0) {
    if ((waiting[1].revents & events) == 0) {
      throw Failure("the data descriptor is closed at its other end");
    }
    return Wake::kReady;
  }
  return Clock::now() >= deadline ? Wake::kTimeout : Wake::kReady;
}

bool send_message(Carrier& carrier, std::span<const std::byte> message) {
  while (!carrier.send(message)) {
    if (carrier.wait(Want::kRoom, Clock::now() + kRoomPatience) == Wake::kStopped) {
      return false;
    }
  }
  return true;
}

std::unique_ptr<Carrier> make_datafd_carrier(ControlChannel* control, int descriptor) {
  return std::make_unique<DatafdCarrier>(control, descriptor);
}

}  // namespace ringknet::bench
