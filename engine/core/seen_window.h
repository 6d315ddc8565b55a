// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which message sequences of one sender are done with: a true sliding window over half of the
// sequence space. Ahead is new and moves the window; behind is new exactly if it was not marked.
//
//      head - 32767 ........ head | head + 1 ........ head + 32768
//      behind: one bit each        ahead: new
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/base/sequence.h"

namespace ringknet {

class SeenWindow {
 public:
  // Whether anything was heard since the last reset; the first sequence after one is adopted as it
  // is.
  bool started() const { return started_; }
  MessageSeq head() const { return head_; }

  // Whether this sequence is news: it would move the window.
  bool ahead(MessageSeq seq) const { return !started_ || steps_to(seq) != 0; }
  bool seen(MessageSeq seq) const { return started_ && steps_to(seq) == 0 && bit(seq); }
  // Marks a sequence that the window has reached (advance() first). One ahead is ignored: news
  // about a message given up long ago, whose number has come to mean a new one, must not move the
  // window.
  void mark(MessageSeq seq) {
    if (started_ && steps_to(seq) == 0)
      bits_[index(seq)] |= mask(seq);
  }
  // The sender has got as far as `seq`: what falls out behind is forgotten, what is skipped counts
  // as unseen.
  void advance(MessageSeq seq);
  void reset() {
    started_ = false;
    bits_.fill(0);
  }

 private:
  static constexpr std::size_t kSpan = 32768;
  static std::size_t index(MessageSeq seq) { return (seq.value % kSpan) / 64; }
  static std::uint64_t mask(MessageSeq seq) { return std::uint64_t{1} << (seq.value % 64); }
  // How far `seq` is ahead of the head, up to half the sequence space; 0 when it is not.
  std::size_t steps_to(MessageSeq seq) const {
    const auto distance = static_cast<std::uint16_t>(seq.value - head_.value);
    return distance <= kSpan ? distance : 0;
  }
  bool bit(MessageSeq seq) const { return (bits_[index(seq)] & mask(seq)) != 0; }

  std::array<std::uint64_t, kSpan / 64> bits_{};
  MessageSeq head_{};
  bool started_ = false;
};

}  // namespace ringknet
