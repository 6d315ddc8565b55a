// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reading a sender's progress from its PINGs. A sequence of "none" means that nothing was sent
// since the sender started; if we had data from it, it restarted - unless the PING is an old one
// that was overtaken by that data. The sender's clock in the PINGs tells these apart: only
// differences between two stamps of the same sender are used, never its relation to our clock.
#include "engine/core/peer_sequence.h"

#include <algorithm>
#include <utility>

namespace ringknet {
namespace {

// A stamp this far behind the newest one is no late packet but a machine that booted.
constexpr Duration kRebootGap = std::chrono::seconds(10);
// A sender that gets further than kNearMax within this, past an announcement that was lost, would
// send 160,000 messages a second.
constexpr Duration kRecently = std::chrono::milliseconds(100);
// How long what was delivered in doubt is remembered after it was disproved.
constexpr Duration kRemembered = std::chrono::seconds(10);

MessageSeq number_of(MessagePosition position) {
  return MessageSeq{static_cast<std::uint16_t>(position)};
}

MessagePosition moved_by(MessagePosition position, int steps) {
  return position + static_cast<MessagePosition>(std::int64_t{steps});
}

}  // namespace

PeerSequence::Place PeerSequence::place_apart(Instant now, MessageSeq seq, PacketAge age) const {
  using Kind = Place::Kind;
  if (!window_.started())
    return {Kind::kNew, true, next_round(seq)};
  const Reading reading = read(seq, age != PacketAge::kUnknown);
  const MessagePosition position = reading.position;
  if (reading.doubtful) {
    const bool known = doubtful_ ? near_doubt(seq) : now - doubted_ <= kRemembered;
    if (known && doubt_.seen(seq))
      return {Kind::kSeen, false, position};
    const bool alive = moved_ != kNever && now - moved_ <= kRecently;
    return {alive && !(doubtful_ && known) ? Kind::kStale : Kind::kNew, false, position};
  }
  if (position <= head_)
    return {window_.seen(seq) ? Kind::kSeen : Kind::kNew, true, position};
  return {age == PacketAge::kLate ? Kind::kStale : Kind::kNew, true, position};
}

void PeerSequence::on_data_apart(Instant now, const Place& place) {
  if (place.certain) {
    adopt(number_of(place.position));
  } else {
    in_doubt(now, place.position, kNever);
  }
}

// Positions of a sender that was lost track of are never met again.
MessagePosition PeerSequence::next_round(MessageSeq seq) const {
  return ((head_ >> 16) + 2) << 16 | seq.value;
}

void PeerSequence::adopt(MessageSeq seq) {
  head_ = next_round(seq);
  window_.reset();
  window_.advance(seq);
  moved_ = kNever;
  doubtful_ = false;
  doubt_.reset();
}

bool PeerSequence::near_doubt(MessageSeq seq) const {
  const int from = steps_ahead(doubt_.head(), seq);
  return doubt_.started() && from > -static_cast<int>(kDoubtSpan) && from <= kNearMax;
}

// What a number says: the position that it means, and whether that is to be believed. `certain`: it
// is no late one, or will not be taken for ahead.
PeerSequence::Reading PeerSequence::read(MessageSeq seq, bool certain) const {
  const int ahead = steps_ahead(window_.head(), seq);
  const bool close = ahead > -kNearMax && ahead <= kNearMax;
  if (!certain && !close && doubtful_ && near_doubt(seq))
    return {true, moved_by(doubt_head_, steps_ahead(doubt_.head(), seq))};
  return {!certain && ahead > kNearMax, moved_by(head_, ahead)};
}

// A number far ahead came; `clock` is its sender's if it is a PING's that has one. True when that
// confirms the doubt: another number near the first one so long after it that a PING would have
// disproved it, or at once where one of them has a clock, by which it is not late. Two messages
// that are late by more than half of the numbers may come one behind the other.
bool PeerSequence::in_doubt(Instant now, MessagePosition position, Instant clock) {
  const MessageSeq seq = number_of(position);
  if (!doubtful_ || !near_doubt(seq)) {
    if (!near_doubt(seq) || now - doubted_ > kRemembered)
      doubt_.reset();
    doubt_.advance(seq);
    doubt_head_ = moved_by(position, steps_ahead(seq, doubt_.head()));
    doubtful_ = true;
    doubted_ = now;
    doubt_first_ = seq;
    doubt_clock_ = clock;
    return false;
  }
  if (position > doubt_head_) {
    doubt_.advance(seq);
    doubt_head_ = position;
  }
  const Duration since = now - doubted_;
  const bool another = seq != doubt_first_ || (clock != doubt_clock_ && since > kRecently);
  const bool clocked = clock != kNever || doubt_clock_ != kNever;
  if (!another || !(clocked || since > std::max(kRecently, quiet_)))
    return false;
  // What was skipped counts as unseen, what was delivered in doubt as seen.
  if (doubt_head_ - head_ > 32768)
    window_.reset();
  window_.advance(doubt_.head());
  for (std::size_t back = 0; back < kDoubtSpan; ++back) {
    const MessageSeq delivered = number_of(doubt_head_ - back);
    if (doubt_.seen(delivered))
      window_.mark(delivered);
  }
  advance(now, doubt_head_);
  doubt_.reset();
  return true;
}

PeerSequence::PingMeaning PeerSequence::on_ping(Instant now, const PingPacket& ping,
                                                const PingTrust& trust) {
  quiet_ = trust.quiet;
  Instant stamp = instant_of(ping.stamp);
  const bool clocked = stamp != kNever;
  const Instant clock = stamp;
  if (!clocked)
    stamp = now;  // no clock we can read, or a challenge: arrival order has to do
  const bool comparable = ping_stamp_ != kNever && clocked == clocked_;
  const bool repeated = ping.timed && stamp == ping_stamp_;
  if (!trust.newest && comparable && (stamp < ping_stamp_ || repeated) &&
      ping_stamp_ - stamp < kRebootGap)
    return PingMeaning::kNothing;  // late
  const bool in_time = comparable && clocked;
  const bool certain = trust.newest || (trust.authentic && in_time);
  if (!ping.timed) {
    on_forced_ping(now, ping.seq, certain, clock);
    return PingMeaning::kNothing;
  }

  PingMeaning meaning = PingMeaning::kNothing;
  if (ping.seq.none()) {
    if (in_time ? restarted(now, stamp, trust.slack) : restarted_by_arrival(now, trust.slack)) {
      reset();
      meaning = PingMeaning::kRestarted;
    }
  } else if (!window_.started()) {
    adopt(ping.seq);
  } else {
    const Reading reading = read(ping.seq, certain);
    if (reading.doubtful) {
      if (!in_doubt(now, reading.position, clock))
        return PingMeaning::kNothing;
    } else if (reading.position < head_) {
      // Behind us although no data moved us lately: we lost track of the sender (it restarted
      // unheard, or it sent more than half the sequence space to others). Its word counts, and at
      // once if it is behind what it said before.
      const bool went_back = in_time && stamp > ping_stamp_ && !ping_seq_.none() &&
                             steps_ahead(ping_seq_, ping.seq) < 0;
      const Duration quiet = went_back ? trust.slack : trust.quiet;
      const bool by_sender =
          in_time ? quiet_since_data(stamp, quiet + trust.slack) : insists(now, trust.slack);
      if (by_sender && (last_data_ == kNever || now - last_data_ > quiet)) {
        adopt(ping.seq);
        behind_ = 0;
      }
    } else if (!trust.newest && doubtful_ && now - doubted_ <= trust.slack) {
      return PingMeaning::kNothing;  // perhaps what is in doubt overtook it
    } else {
      advance(now, reading.position);
      behind_ = 0;
    }
  }
  clocked_ = clocked;
  if (clocked)
    compare_clocks(now, stamp);
  ping_stamp_ = stamp;
  ping_arrival_ = now;
  ping_seq_ = ping.seq;
  return meaning;
}

// It announces a multiple of 8191 so that receivers which hear no data do not lose track, and is as
// good as that data: a timed PING that it overtook says nothing about us.
void PeerSequence::on_forced_ping(Instant now, MessageSeq seq, bool certain, Instant clock) {
  if (seq.none())
    return;
  if (!window_.started()) {
    adopt(seq);
  } else {
    const Reading reading = read(seq, certain);
    if (reading.doubtful) {
      if (!in_doubt(now, reading.position, clock))
        return;
    } else if (reading.position > head_) {
      advance(now, reading.position);
    } else {
      return;
    }
  }
  last_data_ = now;
  behind_ = 0;
}

bool PeerSequence::restarted(Instant now, Instant stamp, Duration slack) const {
  if (!window_.started() || ping_stamp_ == kNever)
    return false;
  // The sequence never goes back to none while a sender lives.
  if (!ping_seq_.none() || stamp < ping_stamp_)
    return true;
  // The sender had sent nothing at its last PING, then data came, and now it says "nothing" again:
  // a restart if this PING was sent after that data. Where it waited for us, because we did not
  // run, it comes together with the data.
  return last_data_ != kNever && now - last_data_ > slack && stamp > data_left_by() + slack;
}

// Without a clock, a PING that says "nothing" may have been overtaken by whatever else came within
// the slack. If the sender did start anew, its next PING says so again.
bool PeerSequence::restarted_by_arrival(Instant now, Duration slack) const {
  const bool overtaken_by_ping =
      ping_stamp_ != kNever && !ping_seq_.none() && now - ping_arrival_ <= slack;
  const bool overtaken_by_data = last_data_ != kNever && now - last_data_ <= slack;
  return window_.started() && ping_stamp_ != kNever && !overtaken_by_ping && !overtaken_by_data;
}

// Whether the PING was sent so long after the last data that it cannot have been overtaken by it,
// as far as the sender's clock tells: when the PING waited for us, or in the network, it may seem
// so by ours.
bool PeerSequence::quiet_since_data(Instant stamp, Duration quiet) const {
  return last_data_ == kNever || stamp < ping_stamp_ || stamp > data_left_by() + quiet;
}

// A PING that took longer than others, as the path held it back or we did not run, says less about
// the clocks. They drift apart by less than a millisecond in kGeneration; when the sender's stood
// still, all is known anew after two of these.
void PeerSequence::compare_clocks(Instant now, Instant stamp) {
  constexpr Duration kGeneration = kRebootGap;
  const Duration ahead = now - stamp;
  if (least_since_ == kNever || stamp < least_since_) {
    least_since_ = stamp;
    least_ = least_before_ = ahead;
  } else if (stamp - least_since_ > kGeneration) {
    least_since_ = stamp;
    least_before_ = std::exchange(least_, ahead);
  } else {
    least_ = std::min(least_, ahead);
  }
}

// When the last data left, by its sender's clock, or earlier: as if it took no longer than the
// fastest PING. That one's own delay is what the caller has to add.
Instant PeerSequence::data_left_by() const {
  return last_data_ - std::min(least_, least_before_);
}

// Without a clock, a PING that is behind may have been overtaken, and another one as well, which
// then waited while we did not run. The third one was sent after the first had come.
bool PeerSequence::insists(Instant now, Duration slack) {
  if (behind_ == 0 || now - behind_since_ > slack) {
    ++behind_;
    behind_since_ = now;
  }
  return behind_ >= 3;
}

void PeerSequence::reset() {
  window_.reset();
  behind_ = 0;
  last_data_ = kNever;
  moved_ = kNever;
  doubtful_ = false;
  doubt_.reset();
}

}  // namespace ringknet
