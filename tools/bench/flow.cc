// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The steady flow of the failover row: one message a millisecond, and a receiver that looks for the
// longest silence.
#include <algorithm>
#include <vector>

#include "tools/bench/payload.h"
#include "tools/bench/traffic.h"

namespace ringknet::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kPace = milliseconds(1);
constexpr std::size_t kFlowMessageSize = 1024;
constexpr std::uint64_t kMessagesToCountAsRunning = 200;
// The silence is over when the flow has gone on for this long without a pause to speak of.
constexpr Duration kCalmFor = milliseconds(300);
constexpr Duration kPause = milliseconds(50);

class FlowReceiver {
 public:
  FlowReceiver(const Endpoint& endpoint, const Message& command, const OnControl& on_control)
      : endpoint_(endpoint),
        row_(static_cast<std::uint32_t>(command.number("row"))),
        watch_(command.duration("watch")),
        patience_(command.duration("patience")),
        on_control_(on_control) {}

  Message run() {
    const auto heed = [this](const Message& message) {
      on_control_(message);
      cut_ = message.verb() == "cut" ? Clock::now() : cut_;
    };
    endpoint_.carrier.listen(kFlowMessageSize,
                             [this](std::span<const std::byte> message) { take(message); });
    bool stopped = false;
    while (!stopped && !settled()) {
      stopped =
          endpoint_.carrier.wait(Want::kMessages, Clock::now() + kPause, heed) == Wake::kStopped;
      while (endpoint_.carrier.receive()) {
      }
    }
    endpoint_.carrier.listen(kFlowMessageSize, [](std::span<const std::byte>) {});
    return Message("watched")
        .set("messages", static_cast<std::int64_t>(messages_))
        .set("highest", static_cast<std::int64_t>(highest_))
        .set("duplicated", static_cast<std::int64_t>(duplicated_))
        .set("damaged", static_cast<std::int64_t>(damaged_))
        .set("resumed", std::int64_t{calm()})
        .set("gap", longest_gap_);
  }

 private:
  void take(std::span<const std::byte> message) {
    PayloadHeader header;
    const Verdict verdict = check_payload(message, row_, header);
    damaged_ += verdict == Verdict::kDamaged ? 1 : 0;
    if (verdict != Verdict::kIntact) {
      return;
    }
    if (!seen_.insert(header.sequence)) {
      ++duplicated_;
      return;
    }
    const Instant now = Clock::now();
    const Duration gap = messages_ == 0 ? Duration::zero() : now - last_;
    // A gap that the cut falls into counts in full: the receiver hears of the cut a moment after it
    // has been made.
    if (cut_ != Instant()) {
      longest_gap_ = std::max(longest_gap_, gap);
    }
    if (gap > kPause || messages_ == 0) {
      calm_since_ = now;
    }
    last_ = now;
    highest_ = std::max(highest_, header.sequence);
    if (++messages_ == kMessagesToCountAsRunning) {
      endpoint_.control.send(Message("running"));
    }
  }

  [[nodiscard]] bool calm() const {
    const Instant now = Clock::now();
    return messages_ > 0 && now - last_ < kPause && now - calm_since_ >= kCalmFor;
  }
  [[nodiscard]] bool settled() const {
    if (cut_ == Instant()) {
      return false;
    }
    const Duration since_cut = Clock::now() - cut_;
    return since_cut >= patience_ || (since_cut >= watch_ && calm());
  }

  Endpoint endpoint_;
  std::uint32_t row_;
  Duration watch_;
  Duration patience_;
  OnControl on_control_;
  SequenceSet seen_;
  std::uint64_t messages_ = 0;
  std::uint64_t highest_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t damaged_ = 0;
  Instant cut_;
  Instant last_;
  Instant calm_since_;
  Duration longest_gap_{};
};

}  // namespace

Message send_flow(const Endpoint& endpoint, const Message& command, const OnControl& on_control) {
  const auto row = static_cast<std::uint32_t>(command.number("row"));
  std::vector<std::byte> message(kFlowMessageSize);
  fill_body(message);
  std::uint64_t sent = 0;
  std::uint64_t refused = 0;
  Instant next = Clock::now();
  while (true) {
    const Wake wake = endpoint.carrier.wait(Want::kNothing, next, on_control);
    if (wake == Wake::kStopped) {
      break;
    }
    if (Clock::now() < next) {
      continue;
    }
    write_payload(message, PayloadKind::kData, row, sent);
    (endpoint.carrier.send(message) ? sent : refused) += 1;
    // Without catching up after a delay, so that a burst cannot hide the silence before it.
    next = std::max(next + kPace, Clock::now());
  }
  return Message("flowed")
      .set("messages", static_cast<std::int64_t>(sent))
      .set("refused", static_cast<std::int64_t>(refused));
}

Message receive_flow(const Endpoint& endpoint, const Message& command,
                     const OnControl& on_control) {
  return FlowReceiver(endpoint, command, on_control).run();
}

}  // namespace ringknet::bench
