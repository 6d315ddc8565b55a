// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Moving the duplicate window.
#include "engine/core/seen_window.h"

#include "engine/core/peer_sequence.h"

namespace ringknet {

template <std::size_t kSpan>
void MarkWindow<kSpan>::advance_far(MessageSeq seq) {
  if (!started_) {
    started_ = true;
    head_ = seq;
    return;
  }
  int left = steps_ahead(head_, seq);
  if (left <= 0)
    return;
  // Clears the slots that change their meaning: one by one to a word boundary, then word by word.
  auto value = static_cast<std::uint16_t>(head_.value + 1);
  while (left > 0) {
    const MessageSeq at{value};
    if (value % 64 == 0 && left >= 64) {
      bits_[index(at)] = 0;
      value = static_cast<std::uint16_t>(value + 64);
      left -= 64;
    } else {
      bits_[index(at)] &= ~mask(at);
      value = static_cast<std::uint16_t>(value + 1);
      --left;
    }
  }
  head_ = seq;
}

template class MarkWindow<32768>;
template class MarkWindow<PeerSequence::kDoubtSpan>;

}  // namespace ringknet
