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

// Longer ones are no measure of a path: what a clear PONG echoes can be forged.
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

bool SendWindow::on_data(std::size_t bytes, std::size_t packets) {
  sent_ += bytes + packets * kPacketOverhead;
  if (sent_ - marked_ < size_ / 4 || count_ == kMarksMax)
    return false;
  marked_ = sent_;
  return true;
}

void SendWindow::on_mark(Instant now) {
  if (count_ == kMarksMax)
    return;
  marks_[(first_ + count_) % kMarksMax] = {now, sent_};
  ++count_;
}

bool SendWindow::on_pong(Instant now, Instant sent) {
  for (std::size_t i = 0; i < count_; ++i) {
    const Mark& mark = marks_[(first_ + i) % kMarksMax];
    if (mark.left != sent)
      continue;
    taken_ = mark.sent;
    unanswered_ = 0;
    adjust(now - sent);
    first_ = (first_ + i + 1) % kMarksMax;
    count_ -= i + 1;
    return true;
  }
  // A heartbeat. With much data in front it would measure the receiver and not the path.
  if (count_ == 0 || size_ <= kSizeMin) {
    const Duration sample = std::min(now - sent, kRoundTripMax);
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
