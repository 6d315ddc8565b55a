// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Throughput and round trips. The steady flow of the failover row is in flow.cc.
#include "tools/bench/traffic.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

#include "tools/bench/batch.h"
#include "tools/bench/endpoint.h"
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
constexpr std::uint64_t kPingsForWarmUp = 50;

class StreamSender {
 public:
  StreamSender(const Endpoint& endpoint, const Message& command)
      : endpoint_(endpoint),
        row_(static_cast<std::uint32_t>(command.number("row"))),
        duration_(command.duration("duration")),
        batch_(message_size(command)) {
    for (std::size_t at = 0; at < batch_.count(); ++at) {
      fill_body(batch_.buffer(at));
    }
  }

  Message run() {
    const Duration cpu_before = cpu_used();
    const Instant start = Clock::now();
    send_data(start + duration_);
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
      const int sent = batch_.send(endpoint_.data_descriptor, ready_from);
      if (sent > 0) {
        sent_ += static_cast<std::uint64_t>(sent);
        ready_from += static_cast<std::size_t>(sent);
      } else if (errno == EAGAIN) {
        ++waits_;
        stopped_ = wait_for(endpoint_, POLLOUT, deadline) == Wake::kStopped;
      } else if (errno != EINTR) {
        throw failure_from_errno("writing to the data descriptor failed");
      }
    }
  }

  void send_end_markers() {
    std::array<std::byte, kPayloadSizeMin> marker;
    while (!stopped_) {
      write_payload(marker, PayloadKind::kEnd, row_, sent_);
      const bool full = ::send(endpoint_.data_descriptor, marker.data(), marker.size(),
                               MSG_DONTWAIT | MSG_NOSIGNAL) < 0;
      // Either until there is room for the next try or, having sent, for the answer.
      stopped_ = wait_for(endpoint_, full ? POLLOUT : 0, Clock::now() + kEndMarkerInterval) ==
                 Wake::kStopped;
    }
  }

  Endpoint endpoint_;
  std::uint32_t row_;
  Duration duration_;
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
        batch_(message_size(command)),
        progress_(command.number("progress") != 0) {}

  Message run() {
    const Duration cpu_before = cpu_used();
    endpoint_.control.send(Message("ready"));
    bool stopped = false;
    while (!stopped && !finished()) {
      const int received = batch_.receive(endpoint_.data_descriptor);
      if (received < 0 && errno != EAGAIN && errno != EINTR) {
        throw failure_from_errno("reading from the data descriptor failed");
      }
      if (received > 0) {
        now_ = Clock::now();
        for (int at = 0; at < received; ++at) {
          take(batch_.received(static_cast<std::size_t>(at)));
        }
        report_progress();
      }
      // Fewer than there was room for means that the descriptor is empty.
      if (received < static_cast<int>(batch_.count())) {
        stopped = wait_for(endpoint_, POLLIN, Clock::now() + kStreamDryAfter) == Wake::kStopped;
      }
    }
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
      if (messages_ == 1) {
        first_ = now_;
      }
      last_ = now_;
    }
  }

  [[nodiscard]] bool finished() const {
    return ended_ && (messages_ == expected_ || Clock::now() - last_ >= kStreamDryAfter);
  }

  void report_progress() {
    if (progress_ && now_ >= next_progress_) {
      next_progress_ = now_ + kProgressInterval;
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
  Batch batch_;
  bool progress_;
  SequenceSet seen_;
  std::uint64_t messages_ = 0;
  std::uint64_t expected_ = 0;
  std::uint64_t duplicated_ = 0;
  std::uint64_t damaged_ = 0;
  bool ended_ = false;
  Instant now_;
  Instant first_;
  Instant last_;
  Instant next_progress_;
};

class Pinger {
 public:
  Pinger(const Endpoint& endpoint, const Message& command)
      : endpoint_(endpoint),
        row_(static_cast<std::uint32_t>(command.number("row"))),
        deadline_(Clock::now() + command.duration("duration")),
        message_(message_size(command)),
        answer_(message_.size()) {
    fill_body(message_);
  }

  Message run() {
    for (std::uint64_t sequence = 0; Clock::now() < deadline_ && !stopped_; ++sequence) {
      write_payload(message_, PayloadKind::kPing, row_, sequence);
      const Instant start = Clock::now();
      send_message(endpoint_, message_);
      if (!wait_for_answer(sequence, start + kPingPatience)) {
        ++lost_;
      } else if (sequence >= kPingsForWarmUp) {
        round_trips_.push_back(Clock::now() - start);
      }
    }
    return result();
  }

 private:
  bool wait_for_answer(std::uint64_t sequence, Instant deadline) {
    while (!stopped_) {
      const ssize_t length =
          ::recv(endpoint_.data_descriptor, answer_.data(), answer_.size(), MSG_DONTWAIT);
      if (length > 0) {
        PayloadHeader header;
        const std::span<const std::byte> bytes(answer_.data(), static_cast<std::size_t>(length));
        const Verdict verdict = check_payload(bytes, row_, header);
        damaged_ += verdict == Verdict::kDamaged ? 1 : 0;
        if (verdict == Verdict::kIntact && header.sequence == sequence) {
          return true;
        }
        continue;
      }
      const Wake wake = wait_for(endpoint_, POLLIN, deadline);
      stopped_ = wake == Wake::kStopped;
      if (wake == Wake::kTimeout) {
        return false;
      }
    }
    return false;
  }

  Message result() {
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

  Endpoint endpoint_;
  std::uint32_t row_;
  Instant deadline_;
  std::vector<std::byte> message_;
  std::vector<std::byte> answer_;
  std::vector<Duration> round_trips_;
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

Message ping(const Endpoint& endpoint, const Message& command) {
  return Pinger(endpoint, command).run();
}

Message echo(const Endpoint& endpoint, const Message& command) {
  std::vector<std::byte> buffer(message_size(command));
  std::int64_t echoed = 0;
  endpoint.control.send(Message("ready"));
  while (wait_for(endpoint, POLLIN, Instant::max()) != Wake::kStopped) {
    const ssize_t length =
        ::recv(endpoint.data_descriptor, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (length > 0) {
      send_message(endpoint, std::span(buffer).first(static_cast<std::size_t>(length)));
      ++echoed;
    }
  }
  return Message("echoed").set("count", echoed);
}

}  // namespace ringknet::bench
