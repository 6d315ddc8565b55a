// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Marks, in the order they left.
#include "engine/core/send_window.h"

#include <algorithm>

namespace ringknet {
namespace {

// An answer that took twice what the path needs and this much more says that the receiver is
// behind; one that took half of it more than the path needs says that it is not.
constexpr Duration kBehind = std::chrono::milliseconds(15);

// Longer ones are no measure of a path: the peer, or this process, did not run.
constexpr Duration kRoundTripMax = std::chrono::seconds(2);

}  // namespace

void SendWindow::set_limit(std::size_t limit) {
  limit_ = std::clamp(limit, kSizeMin, kSizeMax);
  size_ = limit_;
}

void SendWindow::reset() {
  taken_ = marked_ = sent_;
  size_ = limit_;
  count_ = 0;
  unanswered_ = 0;
}

bool SendWindow::on_data(std::size_t bytes, std::size_t packets, std::uint64_t message) {
  oldest_ = sent_ == taken_ ? message : std::min(oldest_, message);
  newest_ = std::max(newest_, message);
  sent_ += bytes + packets * kPacketOverhead;
  if (sent_ - marked_ < size_ / 4 || count_ == kMarksMax)
    return false;
  marked_ = sent_;
  return true;
}

void SendWindow::on_mark(Instant left) {
  if (count_ == kMarksMax)
    return;
  marked_ = sent_;
  marks_[(first_ + count_) % kMarksMax] = {left, sent_, newest_};
  ++count_;
}

// A PING that left after a mark tells as much as the mark: what was sent before it has been taken,
// or is lost. So a mark that is lost, or whose answer is, holds nothing up for longer than a
// heartbeat.
bool SendWindow::on_pong(Instant now, Instant left) {
  bool answers = false;
  bool is_mark = false;
  for (; count_ > 0 && marks_[first_].left <= left; --count_) {
    const Mark& mark = marks_[first_];
    answers = true;
    is_mark = mark.left == left;
    taken_ = mark.sent;
    oldest_ = std::max(oldest_, mark.newest + 1);
    first_ = (first_ + 1) % kMarksMax;
  }
  if (answers) {
    unanswered_ = 0;
    if (is_mark)
      adjust(now - left);
    return true;
  }
  // A heartbeat. With much data in front it would measure the receiver and not the path.
  if (count_ == 0 || size_ <= kSizeMin) {
    const Duration sample = std::clamp(now - left, Duration::zero(), kRoundTripMax);
    round_trip_ = measured_ ? round_trip_ + (sample - round_trip_) / 8 : sample;
    measured_ = true;
  }
  return false;
}

void SendWindow::adjust(Duration answered_after) {
  if (answered_after > 2 * round_trip_ + kBehind) {
    shrink();
  } else if (answered_after < round_trip_ + kBehind / 2) {
    size_ = std::min(2 * size_, limit_ * factor());
  }
}

void SendWindow::shrink() {
  size_ = std::max(size_ / 2, kSizeMin * factor());
}

// What is on the path at a time is not in the receiver's socket, so a long path gets more.
std::size_t SendWindow::factor() const {
  return std::min(kFactorMax, 1 + static_cast<std::size_t>(round_trip_ / kBehind));
}

void SendWindow::on_timeout(Instant now) {
  if (deadline() > now)
    return;
  ++unanswered_;
  taken_ = marked_ = sent_;
  shrink();
  count_ = 0;
}

}  // namespace ringknet
