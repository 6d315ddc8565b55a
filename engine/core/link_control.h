// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The control packets that wait to be sent over one link, as intentions: they are encoded when
// polled, so that a PING carries the time at which it leaves.
//
// PINGs of our own wait at most once of each kind. Answers, whose number others decide, have a few
// places each: when they are full the newest takes the place of the oldest, as the newest PING is
// the one whose answer tells most (and the answer to a mark of the peer's send window covers those
// before it). So whatever one peer, or somebody in its name, makes us answer, it neither crowds out
// our own PINGs nor the answers to others.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "engine/base/sequence.h"
#include "engine/wire/packet.h"

namespace ringknet {

// PINGs of our own, in the order of precedence. kWarming: one in the envelope of the keyring's
// warming slot. kForced: because of sequence progress. kMark: for the send window.
enum class PingKind : std::uint8_t { kHeartbeat, kWarming, kForced, kMark };

struct PongAnswer {
  PingStamp stamp{};
  MessageSeq seq{};
  bool timed = true;
  bool warming = false;  // in the envelope of the warming slot
};

struct MtuAnswer {
  std::array<std::byte, 2> size{};
};

// The newest few, first in, first out.
template <typename T, std::size_t kCapacity>
class NewestFew {
 public:
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T& front() const {
    assert(size_ > 0);
    return items_[first_];
  }
  template <typename Predicate>
  bool any(Predicate&& matches) const {
    for (std::size_t i = 0; i < size_; ++i) {
      if (matches(items_[(first_ + i) % kCapacity]))
        return true;
    }
    return false;
  }
  void pop() {
    assert(size_ > 0);
    first_ = (first_ + 1) % kCapacity;
    --size_;
  }
  // False when the oldest had to go for it.
  bool push(const T& item) {
    const bool room = size_ < kCapacity;
    if (!room)
      pop();
    items_[(first_ + size_) % kCapacity] = item;
    ++size_;
    return room;
  }

 private:
  std::array<T, kCapacity> items_{};
  std::size_t first_ = 0;
  std::size_t size_ = 0;
};

struct LinkControl {
  // A peer has a heartbeat, a forced PING and marks under way, and 8 of them come together only
  // when one of us did not run for a while.
  static constexpr std::size_t kPongsMax = 8;
  // A search asks for one size at a time, four times 40 ms apart.
  static constexpr std::size_t kMtuAnswersMax = 4;

  std::uint8_t own = 0;     // bits by PingKind
  MessageSeq forced_seq{};  // what a forced PING announces
  NewestFew<PongAnswer, kPongsMax> pongs;
  NewestFew<MtuAnswer, kMtuAnswersMax> mtu_answers;
  std::size_t released = 0;  // PONGs in front that were held back already
  bool in_own = false;       // which queues of ControlQueue the link is in
  bool in_answers = false;
  bool in_held = false;

  bool wants(PingKind kind) const { return (own & bit(kind)) != 0; }
  void want(PingKind kind) { own |= bit(kind); }
  void done(PingKind kind) { own &= static_cast<std::uint8_t>(~bit(kind)); }
  // The first one by precedence; there must be one.
  PingKind next() const { return static_cast<PingKind>(std::countr_zero(own)); }

 private:
  static std::uint8_t bit(PingKind kind) {
    return static_cast<std::uint8_t>(1u << static_cast<unsigned>(kind));
  }
};

}  // namespace ringknet
