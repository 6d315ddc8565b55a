// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The MTU search: bracket the largest size that passes between `proven_` and `failed_`, then watch
// it.
#include "engine/core/mtu_search.h"

#include <algorithm>

namespace ringknet {
namespace {

// A size counts as failed when this many probes of it stayed unanswered for one gap each and one
// more gap, and twice as many where all is lost anyway: of a path that loses 10 % each way, a size
// that passes is misjudged once in a thousand at first, and seldom once the loss is known.
constexpr unsigned kSearchAttempts = 4;
constexpr unsigned kSearchAttemptsMore = 8;
// Lowering what works is worse than one more try. A probe counts when it is lost and a PING is not:
// where one in two goes lost on its way there and back that is the fate of one in three, and of
// thirteen in a row once in a million times.
constexpr unsigned kConfirmAttempts = 5;
constexpr unsigned kConfirmAttemptsMore = 14;
// From the first large packet to the probe that checks its size. With the attempts above, a path
// that silently stops passing large packets is found out within half a second.
constexpr Duration kConfirmDelay = std::chrono::milliseconds(250);

}  // namespace

void MtuSearch::configure(const Envelope& envelope, Address::Family family) {
  envelope_ = envelope;
  overhead_ = static_cast<std::uint32_t>(ip_overhead(family));
  const std::size_t clear = floor_slice(envelope) + kReservedHeaderSize;
  floor_size_ = static_cast<std::uint32_t>(envelope.size(clear)) + overhead_;
  stop();
}

MtuSearch::Step MtuSearch::start(Instant now, Duration attempt_gap) {
  attempt_gap_ = attempt_gap;
  proven_ = floor_size_;
  failed_ = kIpPacketMax + 1;
  phase_ = Phase::kSearching;
  confirm_armed_ = false;
  return try_candidate(now, aligned(kIpPacketMax));
}

void MtuSearch::stop() {
  phase_ = Phase::kIdle;
  proven_ = floor_size_;
  deadline_ = kNever;
  confirm_armed_ = false;
  loss_ = {};
}

MtuSearch::Step MtuSearch::on_timeout(Instant now) {
  if (now < deadline_)
    return {};
  switch (phase_) {
    case Phase::kIdle:
      deadline_ = kNever;
      return {};
    case Phase::kSettled:
      // Large data flows, or it is time to look for more: a path that shrank while nothing large
      // was sent must be found out, too.
      if (!confirm_armed_ && proven_ <= floor_size_)
        return look_for_more(now);
      return confirm(now);
    case Phase::kSearching:
      if (attempts_ < tries(kSearchAttempts, kSearchAttemptsMore)) {
        ++attempts_;
        const bool last = attempts_ >= tries(kSearchAttempts, kSearchAttemptsMore);
        deadline_ = now + (last ? 2 * attempt_gap_ : attempt_gap_);
        return {.probe = true};
      }
      failed_ = std::min(failed_, candidate_);
      return next_candidate(now);
    case Phase::kConfirming: {
      // A probe counts as lost only if small packets were answered meanwhile. If nothing at all
      // comes back, whether the link is down is not for this machine to judge: it keeps asking.
      const bool alive = small_answered_;
      if (!alive)
        loss_.add(true);
      if (alive && attempts_++ >= tries(kConfirmAttempts, kConfirmAttemptsMore))
        return fall_back(now);
      small_answered_ = false;
      deadline_ = now + (alive ? 1 : 4) * attempt_gap_;
      return {.probe = true, .ping = true};
    }
  }
  return {};
}

bool MtuSearch::on_reply(Instant now, std::uint16_t size, Step& step) {
  const bool waiting = phase_ == Phase::kSearching || phase_ == Phase::kConfirming;
  if (!waiting || size != candidate_)
    return false;
  measured_ = true;
  // It passes, so what was lost of this size before was lost by chance.
  for (unsigned lost = attempts_; lost > 1; --lost)
    loss_.add(true);
  loss_.add(false);
  if (phase_ == Phase::kConfirming) {
    confirm_armed_ = false;
    phase_ = Phase::kSettled;
    deadline_ = settled_at_ + interval_;
    if (deadline_ <= now)
      step = look_for_more(now);
    return true;
  }
  proven_ = std::max(proven_, candidate_);
  step = next_candidate(now);
  return true;
}

MtuSearch::Step MtuSearch::on_kernel_limit(Instant now, std::uint32_t limit,
                                           std::uint32_t refused_size) {
  if (phase_ == Phase::kIdle)
    return {};
  const std::uint32_t failing = limit != 0 ? limit + 1 : refused_size;
  if (failing <= floor_size_)
    return {};  // below every legal MTU: not to be believed
  if (failing > proven_) {
    if (phase_ != Phase::kSearching || failing >= failed_)
      return {};
    failed_ = failing;
    return candidate_ >= failing ? next_candidate(now, limit != 0) : Step{};
  }
  // The size in use is refused by our own kernel: that is evidence enough. What it names still
  // passes.
  failed_ = failing;
  proven_ = limit != 0 ? std::max(aligned(limit), floor_size_) : floor_size_;
  phase_ = Phase::kSearching;
  confirm_armed_ = false;
  Step step = limit != 0 ? try_candidate(now, proven_) : next_candidate(now);
  step.settled = true;
  return step;
}

void MtuSearch::on_data(Instant now, std::uint32_t size) {
  if (phase_ != Phase::kSettled || confirm_armed_ || size <= floor_size_)
    return;
  confirm_armed_ = true;
  deadline_ = std::min(deadline_, now + kConfirmDelay);
}

void MtuSearch::set_interval(Instant now, Duration interval) {
  interval_ = interval;
  if (phase_ == Phase::kSettled && !confirm_armed_)
    deadline_ = std::max(now, settled_at_ + interval_);
}

std::uint32_t MtuSearch::slice(std::uint32_t size) const {
  return size > overhead_ ? static_cast<std::uint32_t>(envelope_.slice(size - overhead_)) : 0;
}

std::uint32_t MtuSearch::aligned(std::uint32_t size) const {
  return packet(slice(size));
}

std::uint32_t MtuSearch::packet(std::uint32_t slice) const {
  return static_cast<std::uint32_t>(envelope_.size(slice + kReservedHeaderSize)) + overhead_;
}

// A limit the kernel named is most likely the answer and tried first; otherwise halves.
MtuSearch::Step MtuSearch::next_candidate(Instant now, bool kernel_named) {
  const std::uint32_t highest = aligned(failed_ - 1);
  if (highest <= proven_)
    return settle(now);
  const std::uint32_t middle = aligned((proven_ + failed_) / 2);
  return try_candidate(now, kernel_named || middle <= proven_ ? highest : middle);
}

MtuSearch::Step MtuSearch::try_candidate(Instant now, std::uint32_t size) {
  candidate_ = size;
  attempts_ = 1;
  deadline_ = now + attempt_gap_;
  return {.probe = true};
}

// From what is proven upwards.
MtuSearch::Step MtuSearch::look_for_more(Instant now) {
  failed_ = kIpPacketMax + 1;
  phase_ = Phase::kSearching;
  return try_candidate(now, aligned(kIpPacketMax));
}

// Does what is in use still pass?
MtuSearch::Step MtuSearch::confirm(Instant now) {
  phase_ = Phase::kConfirming;
  small_answered_ = false;
  Step step = try_candidate(now, proven_);
  step.ping = true;
  return step;
}

MtuSearch::Step MtuSearch::settle(Instant now) {
  phase_ = Phase::kSettled;
  settled_at_ = now;
  confirm_armed_ = false;
  deadline_ = now + interval_;
  return {.settled = true};
}

MtuSearch::Step MtuSearch::fall_back(Instant now) {
  failed_ = proven_;
  proven_ = floor_size_;
  phase_ = Phase::kSearching;
  confirm_armed_ = false;
  attempts_ = 0;
  Step step = next_candidate(now);
  step.settled = true;
  step.black_hole = true;
  return step;
}

}  // namespace ringknet
