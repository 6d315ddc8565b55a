// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Runs that are asked for, and what their answers say.
#include "engine/core/run_check.h"

namespace ringknet {

bool RunCheck::on_run(Instant now, std::size_t bytes) {
  if (now - last_run_ > kIdle)
    handed_out_ = largest_ = 0;
  last_run_ = now;
  handed_out_ += bytes;
  largest_ = std::max(largest_, bytes);
  return !valid(now, bytes);
}

bool RunCheck::due(Instant now) const {
  if (off_.waiting(now) || single_ == Single::kDue)
    return false;
  return now >= (valid(now, largest_) ? confirm_at_ : asked_again_);
}

bool RunCheck::affordable(std::size_t packet) const {
  return handed_out_ >= kShare * segments(packet) * packet;
}

std::size_t RunCheck::segments(std::size_t packet) const {
  const std::size_t most = std::min(kRunSegmentsMax, kRunBytesMax / packet);
  return std::min(std::max<std::size_t>((largest_ + packet - 1) / packet, 2), most);
}

void RunCheck::on_probe(Instant now, std::size_t segments, std::size_t packet,
                        std::uint16_t run_size, std::uint16_t single_size, Duration gap) {
  // Where probes have to be shorter than the packets in use, no run of them is as long as the
  // longest ones: they are close enough.
  const bool longest = segments == kRunSegmentsMax || (segments + 1) * packet > kRunBytesMax;
  asked_bytes_ = longest ? std::max(segments * packet, largest_) : segments * packet;
  gap_ = gap;
  asked_again_ = now + gap;
  run_size_ = run_size;
  single_size_ = single_size;
  note(now, run_size, segments * packet);
  asked_ = true;
  single_ = Single::kDue;
  handed_out_ = largest_ = 0;
}

bool RunCheck::ambiguous(Instant now, std::uint16_t size, std::size_t bytes) const {
  return std::ranges::any_of(sent_, [&](const Sent& sent) {
    return sent.size == size && sent.bytes < bytes && sent.answerable(now);
  });
}

void RunCheck::note(Instant now, std::uint16_t size, std::size_t bytes) {
  auto place = std::ranges::find(sent_, size, &Sent::size);
  if (place == sent_.end())
    place = std::ranges::min_element(sent_, {}, &Sent::left);
  else if (place->answerable(now))
    bytes = std::min(bytes, place->bytes);
  *place = {size, bytes, now};
}

void RunCheck::on_split(Instant now) {
  on_unsent();
  give_up(now);
}

bool RunCheck::on_reply(Instant now, std::uint16_t size, News& news) {
  if (size == 0)
    return false;
  if (size == run_size_) {
    if (!asked_)
      return true;  // one of the others of the run
    asked_ = false;
    lost_ = 0;
    proven_bytes_ = asked_bytes_;
    confirm_at_ = now + kConfirm;
    valid_until_ = now + kValid + gap_;
    if (told_)
      news = News::kPass;
    told_ = false;
    answered_both(now);
    return true;
  }
  if (size != single_size_)
    return false;
  // What left behind the run came through.
  if (single_ == Single::kAsked && asked_ && ++lost_ >= kLostMax) {
    give_up(now);
    if (!told_)
      news = News::kVanish;
    told_ = true;
  }
  if (single_ == Single::kAsked) {
    single_ = Single::kNone;
    answered_both(now);
  }
  return true;
}

// Longer runs need not wait: traffic that begins grows fast.
void RunCheck::answered_both(Instant now) {
  if (!asked_ && single_ == Single::kNone)
    asked_again_ = now;
}

void RunCheck::give_up(Instant now) {
  asked_ = false;
  lost_ = 0;
  valid_until_ = {};
  off_.begin(now);
}

void RunCheck::stop() {
  RunCheck fresh;
  fresh.told_ = told_;
  fresh.off_ = off_;
  fresh.sent_ = sent_;
  *this = fresh;
}

}  // namespace ringknet
