// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A naive duplicate filter: every sequence is given its place on an endless line, and a set
// remembers the places. What the sliding window must answer, without any of its tricks.
#pragma once

#include <cstdint>
#include <set>

#include "engine/base/sequence.h"

namespace ringknet::model {

class DuplicateModel {
 public:
  bool seen(MessageSeq seq) const { return started_ && places_.contains(place(seq)); }

  void advance(MessageSeq seq) {
    if (!started_) {
      started_ = true;
      head_ = kStart + seq.value;
      return;
    }
    const std::int64_t at = place(seq);
    if (at <= head_)
      return;
    head_ = at;
    while (!places_.empty() && *places_.begin() <= head_ - kSpan)
      places_.erase(places_.begin());
  }
  void mark(MessageSeq seq) {
    if (started_ && place(seq) <= head_)
      places_.insert(place(seq));
  }
  void reset() {
    started_ = false;
    places_.clear();
  }
  std::int64_t head() const { return head_; }

 private:
  static constexpr std::int64_t kSpan = 32768;
  static constexpr std::int64_t kStart = 65536 * 16;

  // The one place for this number in (head - 32768, head + 32768].
  std::int64_t place(MessageSeq seq) const {
    std::int64_t at = head_ - kSpan + 1;
    while ((at & 0xffff) != seq.value)
      ++at;
    return at;
  }

  std::set<std::int64_t> places_;
  std::int64_t head_ = 0;
  bool started_ = false;
};

}  // namespace ringknet::model
