// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The duplicate window against a naive model, a set of numbers without wrap; and the sender's
// progress against what must hold of any reading of it: only what was done with is seen, what was
// done with just now is seen, a PING makes nothing seen, and after a restart nothing is.
#include <set>

#include "engine/core/peer_sequence.h"
#include "fuzz/input.h"
#include "fuzz/operations.h"

namespace ringknet::fuzz {
namespace {

class WindowModel {
 public:
  void advance(MessageSeq seq) {
    if (!started_) {
      started_ = true;
      head_ = kStart + seq.value;
      return;
    }
    head_ = std::max(head_, place(seq));
    marked_.erase(marked_.begin(), marked_.upper_bound(head_ - kHalf));
  }
  // Only what the window has reached can be marked.
  void mark(MessageSeq seq) {
    if (started_ && place(seq) <= head_)
      marked_.insert(place(seq));
  }
  bool seen(MessageSeq seq) const { return started_ && marked_.contains(place(seq)); }
  void reset() {
    started_ = false;
    marked_.clear();
  }
  bool started() const { return started_; }

 private:
  static constexpr std::int64_t kHalf = 32768;
  static constexpr std::int64_t kStart = std::int64_t{1} << 32;

  // The number without wrap that is meant: up to half the space ahead, or less than that behind.
  std::int64_t place(MessageSeq seq) const {
    const auto ahead = static_cast<std::uint16_t>(seq.value - static_cast<std::uint16_t>(head_));
    return ahead <= kHalf ? head_ + ahead : head_ + ahead - 65536;
  }

  bool started_ = false;
  std::int64_t head_ = 0;
  std::set<std::int64_t> marked_;
};

class Harness {
 public:
  Harness(const std::uint8_t* data, std::size_t size) : input_(data, size) {}

  void run() {
    while (!input_.empty())
      step();
  }

 private:
  using Kind = PeerSequence::Place::Kind;
  PeerSequence::Place place(MessageSeq seq) const {
    return sequence_.place(now_, seq, PacketAge::kUnknown);
  }
  bool seen(MessageSeq seq) const { return place(seq).kind == Kind::kSeen; }

  void step() {
    switch (next_op<WindowOp>(input_)) {
      case WindowOp::kData: {
        const MessageSeq seq = read_seq();
        check(seq);
        const bool believed = place(seq).kind != Kind::kStale;
        progress(seq);
        done(seq);
        require(!believed || seen(seq), "a message just done with is seen");
        break;
      }
      case WindowOp::kPartial:
        progress(read_seq());
        break;
      case WindowOp::kGiveUp:
        done(read_seq());
        break;
      case WindowOp::kPing:
        return ping(true);
      case WindowOp::kForced:
        return ping(false);
      case WindowOp::kAdvance:
        now_ += std::chrono::milliseconds(input_.u8() * 4);
        break;
      case WindowOp::kReset:
        window_.reset();
        model_.reset();
        sequence_.reset();
        done_.clear();
        break;
      case WindowOp::kReboot:
        clock_ = std::chrono::seconds(5) - now_.time_since_epoch();
        break;
      case WindowOp::kCount:
        break;
    }
  }

  MessageSeq read_seq() {
    // Mostly near the head: steps over half of the space must be rare enough to build a window.
    const unsigned value = input_.u16();
    const unsigned near = head_.value + value % 64 - 16;
    const MessageSeq seq{static_cast<std::uint16_t>(value < 49152 ? near : value * 7919)};
    return seq.none() ? MessageSeq{1} : seq;
  }
  void check(MessageSeq seq) {
    require(window_.seen(seq) == model_.seen(seq), "the window sees what the model sees");
    require(window_.started() == model_.started(), "both have started or neither has");
    require(!seen(seq) || done_.contains(seq.value), "only what was done with is seen");
  }
  void progress(MessageSeq seq) {
    window_.advance(seq);
    model_.advance(seq);
    if (const auto at = place(seq); at.kind == Kind::kNew)
      sequence_.on_data(now_, at);
    head_ = seq;
    check(seq);
  }
  void done(MessageSeq seq) {
    window_.mark(seq);
    model_.mark(seq);
    sequence_.done(place(seq).position);
    done_.insert(seq.value);
    check(seq);
  }

  void ping(bool timed) {
    PingPacket packet;
    packet.timed = timed;
    packet.seq = read_seq();
    const std::uint8_t kind = input_.u8();
    if (kind % 8 == 0)
      packet.seq = {};
    const Instant sent = now_ + clock_ - std::chrono::milliseconds(kind / 8);
    packet.stamp = stamp_of(sent);
    if (kind == 255)
      packet.stamp.fill(std::byte{0xee});
    const MessageSeq probe{static_cast<std::uint16_t>(packet.seq.value + kind)};
    const bool before = seen(probe);
    using Meaning = PeerSequence::PingMeaning;
    const PeerSequence::PingTrust trust{.authentic = kind % 2 == 0,
                                        .slack = std::chrono::milliseconds(20),
                                        .quiet = std::chrono::milliseconds(400)};
    const Meaning meaning = sequence_.on_ping(now_, packet, trust);
    require(before || !seen(probe) || done_.contains(probe.value), "a PING makes nothing seen");
    if (meaning != Meaning::kRestarted)
      return;
    require(timed && packet.seq.none(), "only \"nothing sent yet\" is a restart");
    for (const unsigned value : done_)
      require(!seen(MessageSeq{static_cast<std::uint16_t>(value)}), "forgotten");
    done_.clear();
  }

  Input input_;
  SeenWindow window_;
  WindowModel model_;
  PeerSequence sequence_;
  std::set<unsigned> done_;  // since the last reset
  MessageSeq head_{1};
  Instant now_{std::chrono::seconds(100)};
  Duration clock_{std::chrono::seconds(50)};
};

}  // namespace
}  // namespace ringknet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringknet::fuzz::Harness(data, size).run();
  return 0;
}
