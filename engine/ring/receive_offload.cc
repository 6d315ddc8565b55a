// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The trial: what is missing with joining, without, and with it again.
#include "engine/ring/receive_offload.h"

#include <algorithm>

namespace ringknet {

ReceiveOffload::Change ReceiveOffload::on_arrival(Instant now, const News& news) {
  arrived_ += static_cast<std::int64_t>(news.arrived);
  missing_ += news.missing;
  const Duration length = now - since_;
  switch (phase_) {
    case Phase::kJoins:
      if (news.bytes >= kLong || missing_ <= 0 || trials_.waiting(now)) {
        look(Phase::kJoins, now);
      } else if (length > kLookMax) {
        look(Phase::kJoins, now);
        missing_ = news.missing;
      } else if (missing_ >= kMissingMin && length >= kLookMin) {
        return try_split(now);
      }
      return Change::kNone;
    case Phase::kTrial:
      // What is found missing first went before: a PING tells, and the next one may be as far away
      // as the one that told of the others.
      if (length < 3 * length_ / 2)
        arrived_ = missing_ = 0;
      if (length < 3 * length_)
        return Change::kNone;
      if (missing_ * 4 > joined_missing_ || arrived_ * 2 < joined_missing_) {
        trials_.begin(now);
        look(Phase::kJoins, now);
      } else {
        look(Phase::kAgain, now);
      }
      return Change::kJoin;
    case Phase::kAgain:
      if (missing_ * 2 >= joined_missing_)
        return try_split(now);
      if (news.bytes >= kLong || length >= 2 * length_) {
        trials_.begin(now);
        look(Phase::kJoins, now);
      }
      return Change::kNone;
    case Phase::kOff:
      if (off_.waiting(now))
        return Change::kNone;
      look(Phase::kJoins, now);
      return Change::kJoin;
    case Phase::kUnwanted:
      return try_split(now);
    case Phase::kNever:
      return Change::kNone;
  }
  return Change::kNone;
}

ReceiveOffload::Change ReceiveOffload::try_split(Instant now) {
  if (now < next_try_)
    return Change::kNone;
  next_try_ = now + kTryGap;
  return Change::kSplit;
}

bool ReceiveOffload::split(Instant now) {
  if (phase_ == Phase::kUnwanted) {
    phase_ = Phase::kNever;
    return false;
  }
  if (phase_ == Phase::kAgain) {
    look(Phase::kOff, now);
    return off_.begin(now);
  }
  joined_missing_ = missing_;
  length_ = now - since_;
  look(Phase::kTrial, now);
  return false;
}

}  // namespace ringknet
