// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which message sequences of one sender are done with: a true sliding window over half of the
// sequence space, or over less of it. Ahead is new and moves the window; behind is new exactly if
// it was not marked.
//
//      head - 32767 ........ head | head + 1 ........ head + 32768
//      behind: one bit each        ahead: new
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/base/sequence.h"

namespace ringknet {

// How far `to` is ahead of `from`, in [-32767, 32768]: half of the space away is ahead.
constexpr int steps_ahead(MessageSeq from, MessageSeq to) {
  const auto distance = static_cast<std::uint16_t>(to.value - from.value);
  return distance <= 32768 ? distance : int{distance} - 65536;
}

template <std::size_t kSpan>
class MarkWindow {
  static_assert(kSpan % 64 == 0 && 32768 % kSpan == 0);

 public:
  // Whether anything was heard since the last reset; the first sequence after one is adopted as it
  // is.
  bool started() const { return started_; }
  MessageSeq head() const { return head_; }

  // Whether the window has a bit for this sequence.
  bool covers(MessageSeq seq) const {
    const int ahead = steps_ahead(head_, seq);
    return started_ && ahead <= 0 && ahead > -static_cast<int>(kSpan);
  }
  bool seen(MessageSeq seq) const { return covers(seq) && bit(seq); }
  // Marks a sequence that the window has reached (advance() first). One ahead is ignored: news
  // about a message given up long ago, whose number has come to mean a new one, must not move the
  // window.
  void mark(MessageSeq seq) {
    if (covers(seq))
      bits_[index(seq)] |= mask(seq);
  }
  // The sender has got as far as `seq`: what falls out behind is forgotten, what is skipped counts
  // as unseen.
  void advance(MessageSeq seq) {
    if (started_ && seq.value == static_cast<std::uint16_t>(head_.value + 1)) {
      head_ = seq;
      bits_[index(seq)] &= ~mask(seq);
    } else {
      advance_far(seq);
    }
  }
  void reset() {
    started_ = false;
    bits_.fill(0);
  }

 private:
  static std::size_t index(MessageSeq seq) { return (seq.value % kSpan) / 64; }
  static std::uint64_t mask(MessageSeq seq) { return std::uint64_t{1} << (seq.value % 64); }
  void advance_far(MessageSeq seq);
  bool bit(MessageSeq seq) const { return (bits_[index(seq)] & mask(seq)) != 0; }

  std::array<std::uint64_t, kSpan / 64> bits_{};
  MessageSeq head_{};
  bool started_ = false;
};

using SeenWindow = MarkWindow<32768>;

}  // namespace ringknet
