// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whether the kernel joins the datagrams that arrive at one socket (UDP_GRO). A firewall's rule of
// this host on the length of packets sees what was joined, and takes it all away without a word.
// Nobody can be asked whether that is so: the peer may be a classic node, which has no packets for
// it. What there is to see is that numbers of messages are passed over, and that nothing long
// arrives joined. Then joining costs nothing to switch off, and it is tried:
//
//   joins: numbers missing --> does not, twice as long: hardly any missing --> joins: missing again
//     ^         still missing, after a while  |   none, after a while  |                  |
//     +---------------------------------------+------------------------+                  |
//     +------------ does not join for a minute, doubling up to an hour <------------------+
//
// What waits in the socket joined has to be read joined, so the kernel stops joining only when
// nothing waits there (UdpSocket::join). Where something always does, no rule takes it away.
//
// The third step tells a rule from a path that lost packets for a moment. Numbers are also missing
// where a peer speaks to others in between: without joining they still are, or if he has stopped
// it, no more messages come than before.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/backoff.h"
#include "engine/base/time.h"

namespace ringknet {

class ReceiveOffload {
 public:
  enum class Change : std::uint8_t {
    kNone,
    kJoin,   // from now on
    kSplit,  // if that can be: it is asked for now and then until split()
  };

  explicit ReceiveOffload(bool allowed = true)
      : phase_(allowed ? Phase::kJoins : Phase::kUnwanted) {}

  // Something arrived in one piece.
  struct News {
    std::size_t bytes = 0;
    std::uint64_t arrived = 0;  // messages of which it is the first
    std::int64_t missing = 0;   // so many more messages are missing, or less
  };
  Change on_arrival(Instant now, const News& news);
  // Nothing is joined any more. True: for long, and users are to be told.
  bool split(Instant now);

 private:
  enum class Phase : std::uint8_t { kJoins, kTrial, kAgain, kOff, kUnwanted, kNever };

  // A look takes so long at least, and what happened in one that took longer than the other says
  // nothing of why.
  static constexpr Duration kLookMin = std::chrono::milliseconds(200);
  static constexpr Duration kLookMax = std::chrono::seconds(2);
  // Fewer missing numbers are no reason to try.
  static constexpr std::int64_t kMissingMin = 8;
  // A rule on the length that lets this pass takes nothing else away.
  static constexpr std::size_t kLong = 16384;
  // After a trial that changed nothing.
  static constexpr Duration kPauseMin = std::chrono::seconds(1);
  static constexpr Duration kPauseMax = std::chrono::hours(1);

  // A try takes 200 us (UdpSocket::join).
  static constexpr Duration kTryGap = std::chrono::milliseconds(50);

  Change try_split(Instant now);
  void look(Phase phase, Instant now) {
    phase_ = phase;
    since_ = now;
    arrived_ = 0;
    missing_ = 0;
  }

  Phase phase_;
  Instant since_{};
  std::int64_t arrived_ = 0;
  std::int64_t missing_ = 0;
  std::int64_t joined_missing_ = 0;  // before the trial,
  Duration length_{};                // within this
  Instant next_try_{};
  Backoff trials_{kPauseMin, kPauseMax};
  Backoff off_{kOffloadPauseMin, kOffloadPauseMax};
};

}  // namespace ringknet
