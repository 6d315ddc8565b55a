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
// pauses, and even then no more small messages are under way than sequences of 16 bits can tell
// apart.
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
  // A long path gets more, but nobody, who may have forged an answer, makes us wait for ever.
  static constexpr Duration kPatienceMax = std::chrono::seconds(2);

  // The peer's socket is taken to be like ours: never more than `limit` bytes.
  void set_limit(std::size_t limit);
  // The link came up or went down: nothing is known of what was sent.
  void reset();

  // Whether more data may go.
  bool open() const {
    return count_ == 0 || sent_ - taken_ < (unanswered_ < kUnansweredMax ? size_ : largest());
  }
  // Data was handed to the network; true when a mark (a PING) is to follow it.
  bool on_data(std::size_t bytes, std::size_t packets);
  // The mark left at `now`, which its PING carries.
  void on_mark(Instant now);
  // A PONG for a PING of `sent`; true when that PING was a mark.
  bool on_pong(Instant now, Instant sent);
  void on_timeout(Instant now);
  Instant deadline() const {
    return count_ == 0 ? kNever
                       : marks_[first_].left + std::clamp(4 * round_trip_, kPatience, kPatienceMax);
  }

  std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t kMarksMax = 8;
  static constexpr unsigned kUnansweredMax = 2;
  // With more than this many windows of small messages under way, a late duplicate could not be
  // told from a new message: sequences have 16 bits.
  static constexpr std::size_t kFactorMax = 4;
  static_assert(kFactorMax * kSizeMax / kPacketOverhead < 32768 / 2);

  struct Mark {
    Instant left;
    std::uint64_t sent;
  };

  void adjust(Duration answered_after);
  void shrink();
  std::size_t factor() const;
  std::size_t largest() const { return kFactorMax * limit_; }

  std::uint64_t sent_ = 0;    // all that was handed out, with overheads
  std::uint64_t marked_ = 0;  // of it when the last mark was asked for
  std::uint64_t taken_ = 0;   // of it known to have left the receiver's socket
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
