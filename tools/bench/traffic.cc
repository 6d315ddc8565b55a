// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Throughput and round trips. The steady flow of the failover row is in flow.cc.
#include "tools/bench/traffic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "api/libknet.h"
#include "tools/bench/batch.h"
#include "tools/bench/payload.h"
#include "tools/bench/process_info.h"
#include "tools/bench/stats.h"

namespace ringknet::bench {
namespace {

using std::chrono::milliseconds;

constexpr Duration kEndMarkerInterval = milliseconds(10);
// A stream that has carried nothing for this long after its end marker has nothing more to say.
constexpr Duration kStreamDryAfter = milliseconds(20);
constexpr Duration kProgressInterval = milliseconds(250);
constexpr Duration kPingPatience = milliseconds(500);
constexpr std::size_t kPingsForWarmUp = 50;
constexpr Duration kEchoGlance = milliseconds(20);

class StreamSender {
 public:
  StreamSender(const Endpoint& endpoint, const Message& command)
      : endpoint_(endpoint),
        row_(static_cast<std::uint32_t>(command.number("row"))),
        duration_(command.duration("duration")),
        pace_(command.duration("pace")),
        batch_(message_size(command)) {
    for (std::size_t at = 0; at < batch_.count(); ++at) {
      fill_body(batch_.buffer(at));
    }
  }

  Message run() {
    const Duration cpu_before = cpu_used();
    const Instant start = Clock::now();
    if (pace_ == Duration::zero()) {
      send_data(start + duration_);
    } else {
      send_paced(start + duration_);
    }
    send_end_markers();
    return Message("sent")
        .set("messages", static_cast<std::int64_t>(sent_))
        .set("waits", static_cast<std::int64_t>(waits_))
        .set("cpu", cpu_used() - cpu_before);
  }

 private:
  void send_data(Instant deadline) {
    std::size_t ready_from = batch_.count();
    while (Clock::now() < deadline && !stopped_) {
      if (ready_from == batch_.count()) {
        for (std::size_t at = 0; at < batch_.count(); ++at) {
          write_payload(batch_.buffer(at), PayloadKind::kData, row_, sent_ + at);
        }
        ready_from = 0;
      }
      const std::size_t sent = endpoint_.carrier.send(batch_, ready_from);
      sent_ += sent;
      ready_from += sent;
      if (sent == 0) {
        ++waits_;
        stopped_ = endpoint_.carrier.wait(Want::kRoom, deadline) == Wake::kStopped;
      }
    }
  }

  // What finds no room is not sent at all: the next one is due at its own time.
  void send_paced(Instant deadline) {
    for (Instant next = Clock::now(); next < deadline && !stopped_; next += pace_) {
      write_payload(batch_.buffer(0), PayloadKind::kData, row_, sent_);
      (endpoint_.carrier.send(batch_.buffer(0)) ? sent_ : waits_) += 1;
      stopped_ = endpoint_.carrier.wait(Want::kNothing, next + pace_) == Wake::kStopped;
    }
  }

  void send_end_markers() {
    std::array<std::byte, kPayloadSizeMin> marker;
    while (!stopped_) {
      write_payload(marker, PayloadKind::kEnd, row_, sent_);
      const bool full = !endpoint_.carrier.send(marker);
      // Either until there is room for the next try or, having sent, for the answer.
      stopped_ = endpoint_.carrier.wait(full ? Want::kRoom : Want::kNothing,
                                        Clock::now() + kEndMarkerInterval) == Wake::kStopped;
    }
  }

  Endpoint endpoint_;
  std::uint32_t row_;
  Duration duration_;
  Duration pace_;  // between two messages; none: as fast as they are taken
  Batch batch_;
  std::uint64_t sent_ = 0;
  std::uint64_t waits_ = 0;
  bool stopped_ = false;
};

class StreamReceiver {
 public:
  StreamReceiver(const Endpoint& endpoint, const Message& command)
      : endpoint_(endpoint),
        row_(static_cast<std::uint32_t>(command.number("row"))),
        size_(message_size(command)),
        progress_(command.number("progress") != 0) {}

  Message run() {
    const Duration cpu_before = cpu_used();
    endpoint_.carrier.listen(size_, [this](std::span<const std::byte> message) { take(message); });
    endpoint_.control.send(Message("ready"));
    bool stopped = false;
    while (!stopped && !finished()) {
      const bool more = endpoint_.carrier.receive();
      report_progress();
      stamped_ = false;
      if (!more) {
        stopped = endpoint_.carrier.wait(Want::kMessages, Clock::now() + kStreamDryAfter) ==
                  Wake::kStopped;
      }
    }
    endpoint_.carrier.listen(size_, [](std::span<const std::byte>) {});
    return result().set("cpu", cpu_used() - cpu_before);
  }

 private:
  void take(std::span<const std::byte> message) {
    PayloadHeader header;
    switch (check_payload(message, row_, header)) {
      case Verdict::kDamaged:
        ++damaged_;
        return;
      case Verdict::kOtherRow:
        return;
      case Verdict::kIntact:
        break;
    }
    if (header.kind == PayloadKind::kEnd) {
      ended_ = true;
      expected_ = header.sequence;
    } else if (!seen_.insert(header.sequence)) {
      ++duplicated_;
    } else {
      ++messages_;
      note_time();
    }
  }

  // The clock is read once per turn of the loop, not once per message.
  void note_time() {
    if (!stamped_) {
      last_ = Clock::now();
      stamped_ = true;
    }
    if (messages_ == 1) {
      first_ = last_;
    }
  }

  [[nodiscard]] bool finished() const {
    return ended_ && (messages_ == expected_ || Clock::now() - last_ >= kStreamDryAfter);
  }

  void report_progress() {
    if (progress_ && last_ >= next_progress_) {
      next_progress_ = last_ + kProgressInterval;
      endpoint_.control.send(
          Message("progress").set("messages", static_cast<std::int64_t>(messages_)));
    }
  }

  [[nodiscard]] Message result() const {
    return Message("received")
        .set("messages", static_cast<std::int64_t>(messages_))
        .set("expected", static_cast<std::int64_t>(expected_))
        .set("ended", std::int64_t{ended_})
        .set("duplicated", static_cast<std::int64_t>(duplicated_))
        .set("damaged", static_cast<std::int64_t>(damaged_))
        .set("span", Duration(last_ - first_));
  }

  Endpoint endpoint_;
  std::uint32_t row_;
  std::size_t size_;
  bool progress_;
  SequenceSet seen_;
  std::uint64_t messages_ = 0;
  std::uint64_t expected_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t damaged_ = 0;
  bool ended_ = false;
  bool stamped_ = false;
  Instant first_;
  Instant last_;
  Instant next_progress_;
};

class Pinger {
 public:
  Pinger(Carrier& carrier, const Message& command)
      : carrier_(carrier),
        row_(static_cast<std::uint32_t>(command.number("row"))),
        deadline_(Clock::now() + command.duration("duration")),
        message_(message_size(command)) {
    fill_body(message_);
    carrier_.listen(message_.size(), [this](std::span<const std::byte> answer) { take(answer); });
  }
  Pinger(const Pinger&) = delete;
  Pinger& operator=(const Pinger&) = delete;
  ~Pinger() {
    carrier_.listen(message_.size(), [](std::span<const std::byte>) {});
  }

  Message run() {
    for (; Clock::now() < deadline_ && !stopped_; ++sequence_) {
      write_payload(message_, PayloadKind::kPing, row_, sequence_);
      answered_ = false;
      const Instant start = Clock::now();
      stopped_ = !send_message(carrier_, message_);
      wait_for_answer(start + kPingPatience);
      if (answered_) {
        round_trips_.push_back(Clock::now() - start);
      } else {
        ++lost_;
      }
    }
    return result();
  }

 private:
  void take(std::span<const std::byte> answer) {
    PayloadHeader header;
    const Verdict verdict = check_payload(answer, row_, header);
    damaged_ += verdict == Verdict::kDamaged ? 1 : 0;
    answered_ = answered_ || (verdict == Verdict::kIntact && header.sequence == sequence_);
  }

  void wait_for_answer(Instant deadline) {
    while (!stopped_ && !answered_) {
      carrier_.receive();
      if (answered_) {
        return;
      }
      const Wake wake = carrier_.wait(Want::kMessages, deadline);
      stopped_ = wake == Wake::kStopped;
      if (wake == Wake::kTimeout) {
        return;
      }
    }
  }

  Message result() {
    // On a machine that does something else there may be few.
    const std::size_t warm_up = std::min(kPingsForWarmUp, round_trips_.size() / 2);
    round_trips_.erase(round_trips_.begin(),
                       round_trips_.begin() + static_cast<std::ptrdiff_t>(warm_up));
    Message message("pinged");
    message.set("count", static_cast<std::int64_t>(round_trips_.size()))
        .set("lost", static_cast<std::int64_t>(lost_))
        .set("damaged", static_cast<std::int64_t>(damaged_));
    if (!round_trips_.empty()) {
      std::sort(round_trips_.begin(), round_trips_.end());
      message.set("p50", quantile(round_trips_, 0.5))
          .set("p99", quantile(round_trips_, 0.99))
          .set("p999", quantile(round_trips_, 0.999));
    }
    return message;
  }

  Carrier& carrier_;
  std::uint32_t row_;
  Instant deadline_;
  std::vector<std::byte> message_;
  std::vector<Duration> round_trips_;
  std::uint64_t sequence_ = 0;
  bool answered_ = false;
  std::uint64_t lost_ = 0;
  std::uint64_t damaged_ = 0;
  bool stopped_ = false;
};

}  // namespace

Message send_stream(const Endpoint& endpoint, const Message& command) {
  return StreamSender(endpoint, command).run();
}

Message receive_stream(const Endpoint& endpoint, const Message& command) {
  return StreamReceiver(endpoint, command).run();
}

Message ping(Carrier& carrier, const Message& command) {
  return Pinger(carrier, command).run();
}

Message echo(const Endpoint& endpoint, const Message& command) {
  std::int64_t echoed = 0;
  Carrier& carrier = endpoint.carrier;
  const std::size_t size = message_size(command);
  carrier.listen(
      size, [&](std::span<const std::byte> message) { echoed += carrier.send(message) ? 1 : 0; });
  endpoint.control.send(Message("ready"));
  do {
    carrier.receive();
  } while (carrier.wait(Want::kMessages, Instant::max()) != Wake::kStopped);
  carrier.listen(size, [](std::span<const std::byte>) {});
  return Message("echoed").set("count", echoed);
}

void echo_until(Carrier& carrier, std::size_t size, const std::atomic<bool>& ended) {
  carrier.listen(size, [&](std::span<const std::byte> message) { carrier.send(message); });
  while (!ended) {
    carrier.receive();
    carrier.wait(Want::kMessages, Clock::now() + kEchoGlance);
  }
}

std::size_t message_size(const Message& command) {
  const std::int64_t size = command.number("size");
  if (size < static_cast<std::int64_t>(kPayloadSizeMin) || size > KNET_MAX_PACKET_SIZE) {
    throw Failure(fmt::format("messages of {} bytes cannot be sent", size));
  }
  return static_cast<std::size_t>(size);
}

}  // namespace ringknet::bench
