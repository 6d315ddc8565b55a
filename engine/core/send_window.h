// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How much data may be on its way to the other end of a link. Datagrams have no back-pressure of
// their own: what overflows the receiver's socket is gone. But a PING that follows data on the same
// path is answered only when all of that data has been taken out of the socket, so a PING every
// quarter of a window tells how far the receiver is. The wire knows no difference: any peer
// answers.
//
// It never stops a link: when marks stay unanswered for kPatience, another window goes out, and
// when that happens again, large ones, as if nobody were there, until a mark is answered; what
// happens to the link is the heartbeat's business. So a peer that died costs the others two such
// pauses. How many messages are under way to a host over all its links is bounded elsewhere
// (Host::kUnderWayMax).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "engine/base/time.h"

namespace ringknet {

class SendWindow {
 public:
  // What a packet takes up in the receiver's socket besides its bytes: the kernel's book-keeping
  // for it, 576..768 bytes on Linux by size, counted at the most.
  static constexpr std::size_t kPacketOverhead = 768;
  // A quarter of what the protocol's sockets ask for, so that several senders fit.
  static constexpr std::size_t kSizeMax = std::size_t{2} * 1024 * 1024;
  static constexpr std::size_t kSizeMin = std::size_t{64} * 1024;

  // Far more than a quarter of a window takes a receiver that was just woken up, and more than it
  // waits for a processor on a machine with too much to do.
  static constexpr Duration kPatience = std::chrono::milliseconds(100);
  // A long path gets more, but no peer, however late it answers, makes us wait for ever.
  static constexpr Duration kPatienceMax = std::chrono::seconds(2);

  // The peer's socket is taken to be like ours: never more than `limit` bytes.
  void set_limit(std::size_t limit);
  // The link came up or went down: nothing is known of what was sent.
  void reset();

  // Whether more data may go.
  bool open() const {
    return count_ == 0 || sent_ - taken_ < (unanswered_ < kUnansweredMax ? size_ : largest());
  }
  // So many marks are open at most.
  static constexpr std::size_t kMarksMax = 8;
  // Data was handed to the network; true when a mark (a PING) is to follow it. `message` counts the
  // sender's messages: the first one that is in it, wholly or in part.
  bool on_data(std::size_t bytes, std::size_t packets, std::uint64_t message);
  // Whether data left after the last mark: the next PING may be one.
  bool unmarked() const { return sent_ != marked_ && count_ < kMarksMax; }
  // Whether a mark is on its way.
  bool marked() const { return count_ > 0; }
  // No message before this one is under way; kNothing when none is at all.
  static constexpr std::uint64_t kNothing = UINT64_MAX;
  std::uint64_t oldest_under_way() const { return sent_ == taken_ ? kNothing : oldest_; }
  // The mark, a PING, left at that instant.
  void on_mark(Instant left);
  // A PONG for our PING that left at that instant; true when that PING was a mark or
  // left after one.
  bool on_pong(Instant now, Instant left);
  void on_timeout(Instant now);
  Instant deadline() const {
    return count_ == 0 ? kNever
                       : marks_[first_].left + std::clamp(4 * round_trip_, kPatience, kPatienceMax);
  }

  std::size_t size() const { return size_; }

 private:
  static constexpr unsigned kUnansweredMax = 2;
  static constexpr std::size_t kFactorMax = 4;

  struct Mark {
    Instant left;
    std::uint64_t sent;
    std::uint64_t newest;
  };

  void adjust(Duration answered_after);
  void shrink();
  std::size_t factor() const;
  std::size_t largest() const { return kFactorMax * limit_; }

  std::uint64_t sent_ = 0;    // all that was handed out, with overheads
  std::uint64_t marked_ = 0;  // of it when the last mark was asked for
  std::uint64_t taken_ = 0;   // of it known to have left the receiver's socket
  std::uint64_t oldest_ = 0;  // of the messages that have not
  std::uint64_t newest_ = 0;  // of those handed out
  std::size_t size_ = kSizeMax;
  std::size_t limit_ = kSizeMax;
  Duration round_trip_{};  // what the path needs without data in front
  bool measured_ = false;
  unsigned unanswered_ = 0;  // windows in a row
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  Mark marks_[kMarksMax]{};
};

}  // namespace ringknet
