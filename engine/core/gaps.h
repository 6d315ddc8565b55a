// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which of a sender's messages are known of and did not come: how many, not which. A message that
// comes tells of those before it, at once. A PING tells how far its sender is, but leaves in front
// of messages that wait there: it counts when a later one comes, kSettled behind it.
#pragma once

#include <cstdint>

#include "engine/base/sequence.h"
#include "engine/base/time.h"
#include "engine/core/peer_sequence.h"

namespace ringknet {

class Gaps {
 public:
  // The first packet of a message came. Answers by how many more messages, or less, are missing.
  std::int64_t on_first(MessagePosition position) {
    if (position <= passed_)
      return -1;
    return pass(position - 1, position);
  }
  // A PING says that its sender has got to that message.
  std::int64_t on_announced(Instant now, MessagePosition head) {
    if (now - since_ < kSettled)
      return 0;
    const std::int64_t more = announced_ > passed_ ? pass(announced_, announced_) : 0;
    announced_ = head;
    since_ = now;
    return more;
  }

 private:
  // A sender's queue and the path take this much at most, or it is no fault to take what they hold
  // for missing: it comes later.
  static constexpr Duration kSettled = std::chrono::milliseconds(100);

  // All up to `last` were passed over; more than kNearMax are another sender's.
  std::int64_t pass(MessagePosition last, MessagePosition next) {
    const MessagePosition count = last - passed_;
    passed_ = next;
    return count <= PeerSequence::kNearMax ? static_cast<std::int64_t>(count) : 0;
  }

  MessagePosition passed_ = 0;
  MessagePosition announced_ = 0;
  Instant since_{};
};

}  // namespace ringknet
