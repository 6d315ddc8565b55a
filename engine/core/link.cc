// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The link's up/down machine.
#include "engine/core/link.h"

#include <algorithm>

namespace ringknet {
namespace {

// Three PINGs in a row answered by "nobody listens here", with no PONG in between, are not a forged
// ICMP message.
constexpr std::uint8_t kRefusalsMax = 3;
// A flood of (forged) reports or packets must not become a flood of PINGs, or of moves.
constexpr Duration kAskGapMin = std::chrono::milliseconds(10);
// After so long without a report of trouble, the next one is believed as the first one was.
constexpr Duration kAlarmsForgotten = std::chrono::seconds(10);
constexpr std::uint8_t kFalseAlarmsMax = 16;

}  // namespace

Link::Link(const LinkRef& link_ref, const LinkConfig& link_config, const Envelope& envelope,
           Duration mtu_interval)
    : ref(link_ref), config(link_config) {
  if (loopback()) {
    connected_ = true;
    slice = 65535;
    return;
  }
  mtu.set_interval(Instant{}, mtu_interval);
  window.set_limit(config.receive_buffer / 2);
  set_envelope(envelope);
}

void Link::set_envelope(const Envelope& envelope) {
  mtu.configure(envelope, config.local.family);
  slice = static_cast<std::uint32_t>(
      config.dynamic ? floor_slice(envelope) : default_slice(envelope, config.remote.family));
}

void Link::set_enabled(Instant now, bool enabled) {
  enabled_ = enabled;
  if (loopback())
    return;
  if (enabled) {
    wake(now);
    if (last_pong_ != kNever)
      judge_from_ = now;  // it was not asked meanwhile
  } else {
    next_ping_ = kNever;
    answer_due_ = kNever;
    mtu.stop();
  }
}

void Link::set_timers(Instant now, const PingTimers& new_timers) {
  timers = new_timers;
  if (next_ping_ != kNever)
    next_ping_ = std::min(next_ping_, now + timers.interval);
}

void Link::wake(Instant now) {
  if (pinging())
    next_ping_ = std::min(next_ping_, now);
}

bool Link::ask(Instant now, bool anew) {
  if (!pinging() || next_ping_ <= now || (!anew && now - last_ping_ < ask_gap()))
    return false;
  next_ping_ = now;
  return true;
}

void Link::move(Instant now) {
  learned = true;
  moved_ = now;
  unanswering_ = false;
  answer_due_ = kNever;
  if (!answered())
    judge_from_ = now;
  if (pinging())
    next_ping_ = std::min(next_ping_, answered() ? now : next_multiple(now));
}

bool Link::movable(Instant now) const {
  if (answered())
    return unanswering_ || (asked_again_ && answer_due_ <= now);
  return !learned || now - moved_ >= ask_gap();
}

// At multiples of the interval, so that links with the same one are served by one wake-up.
Instant Link::next_multiple(Instant now) const {
  return Instant((now.time_since_epoch() / timers.interval + 1) * timers.interval);
}

Link::Due Link::on_timeout(Instant now) {
  Due due;
  if (next_ping_ <= now) {
    const Duration late = now - next_ping_;
    if (judge_from_ != kNever)
      judge_from_ = std::min(now, judge_from_ + late);  // no later than a PONG that just came
    next_ping_ = next_multiple(now);
    last_ping_ = now;
    refused_this_ping_ = false;
    due.ping = true;
    // Until a dynamic link is up, it has to be known whether its peer is somewhere else by now.
    const bool awaited = connected_ || (config.dynamic && answered());
    if (awaited && !unanswering_ && answer_due_ == kNever) {
      answer_due_ = now + answer_max() / 2;
      asked_again_ = false;
    }
  } else if (answer_due_ <= now) {
    due.ping = !asked_again_;
    due.overdue = asked_again_ && connected_ && !suspect_;
    unanswering_ = asked_again_;
    suspect_ = suspect_ || due.overdue;
    answer_due_ = asked_again_ ? kNever : now + answer_max() / 2;
    asked_again_ = true;
  }
  if (enabled_ && judge_from_ != kNever && now - judge_from_ >= silence_max()) {
    due.silent = true;
    return due;
  }
  window.on_timeout(now);
  due.mtu = mtu.on_timeout(now);
  return due;
}

bool Link::on_pong(Instant now, Instant left) {
  const Duration sample = std::max(Duration::zero(), now - left);
  if (suspect_ && false_alarms_ < kFalseAlarmsMax)
    ++false_alarms_;
  last_pong_ = now;
  judge_from_ = now;
  answer_due_ = kNever;
  suspect_ = false;
  unanswering_ = false;
  refusals_ = 0;
  mtu.on_pong();
  if (window.on_pong(now, left))
    return false;  // it waited behind data: no measure of the path
  if (sample > timers.timeout)
    return false;  // too late to count for anything but life

  latency_.add(sample, timers.precision);
  stats.latency_mean = latency_.mean();
  stats.latency_samples = latency_.samples();
  stats.latency_max = std::max(stats.latency_max, latency_.mean());
  stats.latency_min = std::min(stats.latency_min, latency_.mean());
  if (connected_ || !enabled_)
    return false;
  if (pongs_ >= pong_count)
    return true;
  ++pongs_;
  return false;
}

Link::Verdict Link::on_trouble(Instant now, bool refused) {
  if (!pinging())
    return Verdict::kKnown;
  if (now - last_trouble_ >= kAlarmsForgotten)
    false_alarms_ = 0;
  last_trouble_ = now;
  const bool fresh = !suspect_;
  suspect_ = connected_;
  if (refused && !refused_this_ping_) {
    refused_this_ping_ = true;
    if (connected_ && ++refusals_ >= kRefusalsMax)
      return Verdict::kDown;
    if (connected_)
      next_ping_ = std::min(next_ping_, now + std::max(alarm_gap(), 2 * latency_.mean()));
    return Verdict::kAsk;
  }
  if (!fresh || !connected_)
    return Verdict::kKnown;
  next_ping_ = std::min(next_ping_, std::max(now, last_ping_ + alarm_gap()));
  return Verdict::kAsk;
}

void Link::up(Instant now) {
  connected_ = true;
  window.reset();
  if (judge_from_ == kNever)
    judge_from_ = now;
  stats.ups.add(now);
}

void Link::down(Instant now) {
  const bool was_connected = connected_;
  connected_ = false;
  false_alarms_ = 0;
  last_trouble_ = {};
  suspect_ = false;
  unanswering_ = false;
  pongs_ = 0;
  refusals_ = 0;
  last_pong_ = kNever;
  judge_from_ = kNever;
  answer_due_ = kNever;
  learned = false;
  window.reset();
  if (config.dynamic)
    next_ping_ = kNever;  // until the peer is heard again
  mtu.stop();
  runs.stop();
  if (was_connected)
    stats.downs.add(now);
}

Instant Link::next_deadline() const {
  Instant deadline = std::min({next_ping_, answer_due_, mtu.deadline(), window.deadline()});
  if (enabled_ && judge_from_ != kNever)
    deadline = std::min(deadline, judge_from_ + silence_max());
  return deadline;
}

// A slow path may answer later than the last time without being dead, but never by so much that a
// lost path stays unnoticed for more than timeout + interval.
Duration Link::silence_max() const {
  return timers.timeout + std::min(2 * latency_.mean(), timers.interval);
}

Duration Link::ask_gap() const {
  return std::max(kAskGapMin, timers.interval / 8);
}

// How soon after a PING a report of trouble may cause another one. Reports that PONGs refute may be
// forged, without end: each one in a row is asked about half as soon.
Duration Link::alarm_gap() const {
  return std::min(kAskGapMin * (1 << false_alarms_), std::max(kAskGapMin, timers.interval));
}

// After this an answer is late: well before the timeout, and well beyond what the path has shown to
// need.
Duration Link::answer_max() const {
  return std::min(std::max(timers.interval / 2, slack()), timers.timeout);
}

}  // namespace ringknet
