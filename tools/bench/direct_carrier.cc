// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The application of a service that embeds the library: it drives the handle itself, is given
// messages where they lie, and hands its own over without a descriptor in between.
#include <algorithm>

#include "api/knet.hpp"
#include "tools/bench/carrier.h"

namespace ringknet::bench {
namespace {

// The control channel is looked at in between.
constexpr Duration kSleepMax = std::chrono::milliseconds(2);

Failure failed(const char* what, const std::error_code& error) {
  return Failure(std::string(what) + " failed: " + error.message());
}

class DirectCarrier final : public Carrier {
 public:
  DirectCarrier(ControlChannel* control, const knet::Handle& handle)
      : Carrier(control), handle_(handle), channel_(open(handle)) {}

  std::size_t send(Batch& batch, std::size_t from) override {
    std::size_t at = from;
    while (at < batch.count() && send(batch.buffer(at))) {
      ++at;
    }
    return at - from;
  }

  bool send(std::span<const std::byte> message) override {
    const std::error_code error = channel_.try_send(message);
    if (error && error != std::errc::resource_unavailable_try_again) {
      throw failed("knet_ext_send", error);
    }
    return !error;
  }

  bool receive() override {
    received_ = false;
    drive(Duration::zero());
    return received_;
  }

  // Messages are handed over while it waits.
  Wake wait(Want want, Instant deadline, const OnControl& on_control) override {
    if (const auto wake = glance(on_control)) {
      return *wake;
    }
    received_ = false;
    const bool sleeps = !spinning() || want == Want::kNothing;
    const Duration left = deadline - Clock::now();
    drive(sleeps ? std::clamp(left, Duration::zero(), kSleepMax) : Duration::zero());
    return !received_ && left <= Duration::zero() ? Wake::kTimeout : Wake::kReady;
  }

 private:
  knet::Channel open(const knet::Handle& handle) {
    auto opened = handle.open_channel(
        [this](const knet::Message& message) {
          received_ = true;
          take(message.bytes);
        },
        [] { /* who waits for room tries again after every turn */ });
    if (!opened) {
      throw failed("knet_ext_open_channel", opened.error());
    }
    return *std::move(opened);
  }

  void drive(Duration limit) {
    if (const std::error_code error = handle_.run_once(limit)) {
      throw failed("knet_ext_run_once", error);
    }
  }

  const knet::Handle& handle_;
  bool received_ = false;
  knet::Channel channel_;
};

}  // namespace

std::unique_ptr<Carrier> make_direct_carrier(ControlChannel* control, const knet::Handle& handle) {
  return std::make_unique<DirectCarrier>(control, handle);
}

}  // namespace ringknet::bench
