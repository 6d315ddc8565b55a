// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Marks, in the order they left.
#include "engine/core/send_window.h"

#include <algorithm>

namespace ringknet {
namespace {

// An answer that took this much longer than the path needs says that the receiver is behind; one
// that took less than half of it says that it is not.
constexpr Duration kBehind = std::chrono::milliseconds(8);

}  // namespace

void SendWindow::set_limit(std::size_t limit) {
  limit_ = std::clamp(limit, kSizeMin, kSizeMax);
  size_ = limit_;
}

void SendWindow::reset() {
  taken_ = marked_ = sent_;
  size_ = limit_;
  count_ = 0;
  adrift_ = false;
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

bool SendWindow::on_pong(Instant now, Instant sent, Duration round_trip) {
  for (std::size_t i = 0; i < count_; ++i) {
    const Mark& mark = marks_[(first_ + i) % kMarksMax];
    if (mark.left != sent)
      continue;
    taken_ = mark.sent;
    adrift_ = false;
    patience_ = std::max(kPatience, 4 * round_trip);
    adjust(now - sent, round_trip);
    first_ = (first_ + i + 1) % kMarksMax;
    count_ -= i + 1;
    return true;
  }
  return false;
}

// `round_trip` is what the path needs when nobody is behind. What is on the path at a time is not
// in the receiver's socket, so a long path gets more.
void SendWindow::adjust(Duration answered_after, Duration round_trip) {
  const Duration behind = answered_after - round_trip;
  if (behind > kBehind) {
    size_ = std::max(size_ / 2, kSizeMin);
  } else if (behind < kBehind / 2) {
    const auto factor =
        1 + static_cast<std::size_t>(std::max(Duration::zero(), round_trip) / kBehind);
    size_ = std::min(2 * size_, limit_ * std::min<std::size_t>(factor, 64));
  }
}

void SendWindow::on_timeout(Instant now) {
  if (deadline() > now)
    return;
  adrift_ = true;
  taken_ = marked_ = sent_;
  size_ = std::max(size_ / 2, kSizeMin);
  count_ = 0;
}

}  // namespace ringknet
