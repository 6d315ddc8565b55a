// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Control packets that wait to be sent, as intentions: they are encoded when polled, so that a PING
// carries the time at which it leaves. Bounded: what peers can make us answer cannot pile up.
#pragma once

#include "engine/base/bounded_queue.h"
#include "engine/core/link.h"
#include "engine/wire/packet.h"

namespace ringknet {

struct ControlItem {
  // kMark: a PING for the send window. kWarmingPing: one in the envelope of the keyring's warming
  // slot.
  enum class Kind : std::uint8_t { kPing, kWarmingPing, kForcedPing, kMark, kPong, kMtuReply };

  Kind kind = Kind::kPing;
  LinkRef link;
  MessageSeq seq{};                 // kPong, kForcedPing
  bool timed = true;                // kPong
  PingStamp stamp{};                // kPong
  bool warming = false;             // kPong: in the envelope of the warming slot
  bool was_held = false;            // kPong: see Fabric::set_backlogged
  std::array<std::byte, 2> size{};  // kMtuReply
};

struct ControlQueue {
  static constexpr std::size_t kCapacityMin = 256;

  // Room for several packets of every link.
  void grow(std::size_t links) {
    items.grow(kCapacityMin + 4 * links);
    held.grow(kCapacityMin + links);
    probes.grow(kCapacityMin + links);
  }

  BoundedQueue<ControlItem> items{kCapacityMin};
  BoundedQueue<ControlItem> held{kCapacityMin};  // PONGs that wait on purpose
  BoundedQueue<LinkRef> probes{kCapacityMin};    // each link at most once
};

}  // namespace ringknet
