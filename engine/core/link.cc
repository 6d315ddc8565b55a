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
// A flood of (forged) reports must not become a flood of PINGs.
constexpr Duration kAskGapMin = std::chrono::milliseconds(10);

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

void Link::ask(Instant now) {
  if (!pinging())
    return;
  const Duration gap = std::max(kAskGapMin, timers.interval / 8);
  if (last_ask_ == kNever || now - last_ask_ >= gap)
    last_ask_ = now;
  next_ping_ = std::min(next_ping_, last_ask_ == now ? now : last_ask_ + gap);
}

Link::Due Link::on_timeout(Instant now) {
  Due due;
  if (next_ping_ <= now) {
    const Duration late = now - next_ping_;
    if (judge_from_ != kNever)
      judge_from_ = std::min(now, judge_from_ + late);  // no later than a PONG that just came
    // At multiples of the interval, so that links with the same one are served by one wake-up.
    next_ping_ = Instant((now.time_since_epoch() / timers.interval + 1) * timers.interval);
    last_ping_ = now;
    refused_this_ping_ = false;
    due.ping = true;
    if (connected_ && !suspect_ && answer_due_ == kNever) {
      answer_due_ = now + answer_max() / 2;
      asked_again_ = false;
    }
  } else if (answer_due_ <= now) {
    due.ping = !asked_again_;
    due.overdue = asked_again_;
    suspect_ = suspect_ || asked_again_;
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

bool Link::on_pong(Instant now, Instant sent) {
  const Duration sample = now - sent;
  last_pong_ = now;
  judge_from_ = now;
  answer_due_ = kNever;
  suspect_ = false;
  refusals_ = 0;
  mtu.on_pong();
  if (window.on_pong(now, sent))
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
  const bool fresh = !suspect_;
  suspect_ = connected_;
  if (refused && !refused_this_ping_) {
    refused_this_ping_ = true;
    if (connected_ && ++refusals_ >= kRefusalsMax)
      return Verdict::kDown;
    if (connected_)
      next_ping_ = std::min(next_ping_, now + std::max(kAskGapMin, 2 * latency_.mean()));
    return Verdict::kAsk;
  }
  if (!fresh || !connected_)
    return Verdict::kKnown;
  next_ping_ = std::min(next_ping_, std::max(now, last_ping_ + kAskGapMin));
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
  suspect_ = false;
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

// After this an answer is late: well before the timeout, and well beyond what the path has shown to
// need.
Duration Link::answer_max() const {
  return std::min(std::max(timers.interval / 2, slack()), timers.timeout);
}

}  // namespace ringknet
