// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reading a sender's progress from its PINGs. A sequence of "none" means that nothing was sent
// since the sender started; if we had data from it, it restarted - unless the PING is an old one
// that was overtaken by that data. The sender's clock in the PINGs tells these apart: only
// differences between two stamps of the same sender are used, never its relation to our clock.
#include "engine/core/peer_sequence.h"

namespace ringknet {
namespace {

// A stamp this far behind the newest one is no late packet but a machine that booted.
constexpr Duration kRebootGap = std::chrono::seconds(10);

}  // namespace

PeerSequence::PingMeaning PeerSequence::on_ping(Instant now, const PingPacket& ping, Duration slack,
                                                Duration quiet) {
  if (!ping.timed) {
    // A forced PING announces a multiple of 8191 so that receivers which hear no data do not lose
    // track. It is as good as that data: a timed PING that it overtook says nothing about us.
    if (!ping.seq.none() && window_.ahead(ping.seq))
      on_data(now, ping.seq);
    return PingMeaning::kNothing;
  }
  Instant stamp = instant_of(ping.stamp);
  const bool clocked = stamp != kNever;
  if (!clocked)
    stamp = now;  // no clock we can read, or a challenge: arrival order has to do
  const bool comparable = ping_stamp_ != kNever && clocked == clocked_;
  const bool late = comparable && stamp <= ping_stamp_ && ping_stamp_ - stamp < kRebootGap;
  if (late)
    return PingMeaning::kNothing;

  PingMeaning meaning = PingMeaning::kNothing;
  if (ping.seq.none()) {
    const bool by_clock = comparable && clocked;
    if (by_clock ? restarted(now, stamp, slack) : restarted_by_arrival(now, slack)) {
      window_.reset();
      last_data_ = kNever;
      meaning = PingMeaning::kRestarted;
    }
  } else if (window_.started() && ping.seq.ahead_of(window_.head()) < 0) {
    // Behind us although no data moved us lately: we lost track of the sender (it restarted
    // unheard, or it sent more than half the sequence space to others). Its word counts.
    const bool by_sender =
        comparable && clocked ? quiet_since_data(stamp, quiet + slack) : insists(now, slack);
    if (by_sender && (last_data_ == kNever || now - last_data_ > quiet)) {
      window_.reset();
      window_.advance(ping.seq);
      behind_ = 0;
    }
  } else {
    window_.advance(ping.seq);
    behind_ = 0;
  }
  clocked_ = clocked;
  ping_stamp_ = stamp;
  ping_arrival_ = now;
  ping_seq_ = ping.seq;
  return meaning;
}

bool PeerSequence::restarted(Instant now, Instant stamp, Duration slack) const {
  if (!window_.started() || ping_stamp_ == kNever)
    return false;
  // The sequence never goes back to none while a sender lives.
  if (!ping_seq_.none() || stamp < ping_stamp_)
    return true;
  // The sender had sent nothing at its last PING, then data came, and now it says "nothing" again:
  // a restart if this PING was sent after that data. Seen through the last PING, whose delay is
  // within the slack, the data was sent no later than ping_stamp_ + slack + (last_data_ -
  // ping_arrival_). Where that delay was no network's but our own, because we did not run, this
  // PING comes together with the data.
  return last_data_ != kNever && now - last_data_ > slack &&
         stamp - ping_stamp_ > (last_data_ - ping_arrival_) + slack;
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
// so by ours. That data was sent no later than restarted() says.
bool PeerSequence::quiet_since_data(Instant stamp, Duration quiet) const {
  return last_data_ == kNever || stamp < ping_stamp_ ||
         stamp - ping_stamp_ > (last_data_ - ping_arrival_) + quiet;
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
}

}  // namespace ringknet
