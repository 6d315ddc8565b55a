// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reassembly of fragmented messages.
#include "engine/core/reassembly.h"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace ringknet {

Reassembly::Outcome Reassembly::add(Instant now, const DataPacket& packet, MessagePosition position,
                                    MessagePosition certain) {
  const DataHeader& header = packet.header;
  Pending pending;
  Slot* slot = find(position);
  if (slot != nullptr) {
    if (const Drop reason = check(*slot, packet); reason != Drop::kCount)
      return reason;
  } else {
    Slot blank;
    blank.header = header;
    if (const Drop reason = check(blank, packet); reason != Drop::kCount)
      return reason;
    slot = open(now, position, certain, pending.evicted);
    if (slot == nullptr)
      return position > certain ? Drop::kSequenceStale : Drop::kNoBuffers;
    slot->header = header;
    pending.started = true;
  }
  store(*slot, packet);
  slot->updated = now;
  recent_ = static_cast<std::size_t>(slot - slots_.data());
  if (slot->received < header.fragment_count)
    return pending;

  const Complete complete{slot->buffer,
                          std::size_t{slot->slice} * (header.fragment_count - 1u) + slot->last};
  slot->buffer = MessageBufferId::kNone;  // now the caller's
  --partial_;
  return complete;
}

std::size_t Reassembly::clear() {
  const std::size_t count = partial_;
  for (Slot& slot : slots_) {
    if (slot.used())
      free_slot(slot);
  }
  return count;
}

std::size_t Reassembly::give_up_outside(MessagePosition oldest, MessagePosition furthest) {
  std::size_t count = 0;
  oldest_ = furthest;
  furthest_ = oldest;
  for (Slot& slot : slots_) {
    if (!slot.used())
      continue;
    if (slot.position < oldest || slot.position > furthest) {
      free_slot(slot);
      ++count;
    } else {
      oldest_ = std::min(oldest_, slot.position);
      furthest_ = std::max(furthest_, slot.position);
    }
  }
  return count;
}

Reassembly::Slot* Reassembly::find(MessagePosition position) {
  if (partial_ == 0)
    return nullptr;
  if (slots_[recent_].used() && slots_[recent_].position == position)
    return &slots_[recent_];
  for (Slot& slot : slots_) {
    if (slot.used() && slot.position == position)
      return &slot;
  }
  return nullptr;
}

// The one whose last fragment came first, of those in doubt if there are any, and by number among
// those of one moment; there must be one.
Reassembly::Slot& Reassembly::longest_waiting(MessagePosition certain) {
  const auto goes_first = [&](const Slot& a, const Slot& b) {
    const bool doubtful = a.position > certain;
    if (doubtful != (b.position > certain))
      return doubtful;
    return a.updated != b.updated ? a.updated < b.updated : a.position < b.position;
  };
  Slot* oldest = nullptr;
  for (Slot& slot : slots_) {
    if (!slot.used())
      continue;
    if (oldest == nullptr || goes_first(slot, *oldest))
      oldest = &slot;
  }
  assert(oldest != nullptr);
  return *oldest;
}

// A free slot, or, when the sender has no more of them, the one that waited longest for its next
// fragment.
Reassembly::Slot* Reassembly::open(Instant now, MessagePosition position, MessagePosition certain,
                                   MessagePosition& evicted) {
  if (partial_ >= quota_) {
    Slot& oldest = longest_waiting(certain);
    if (position > certain && oldest.position <= certain)
      return nullptr;
    evicted = oldest.position;
    free_slot(oldest);
  }
  Slot* chosen =
      std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return !s.used(); });
  const auto buffer = pool_->take();
  if (!buffer)
    return nullptr;
  *chosen = Slot{};
  chosen->position = position;
  chosen->buffer = *buffer;
  chosen->updated = now;
  oldest_ = partial_ == 0 ? position : std::min(oldest_, position);
  furthest_ = partial_ == 0 ? position : std::max(furthest_, position);
  ++partial_;
  return chosen;
}

// Drop::kCount means fine.
Drop Reassembly::check(const Slot& slot, const DataPacket& packet) {
  const DataHeader& first = slot.header;
  const DataHeader& header = packet.header;
  const std::size_t size = packet.payload.size();
  if (header.fragment_count != first.fragment_count || header.channel != first.channel ||
      header.compress != first.compress) {
    return Drop::kFragmentChanged;
  }
  if (slot.have[header.fragment_index])
    return Drop::kFragmentRepeated;

  const bool is_last = header.fragment_index == header.fragment_count;
  const std::size_t slices = header.fragment_count - 1u;
  if (is_last) {
    if (slot.slice != 0 && size > slot.slice)
      return Drop::kSliceSize;
    const std::size_t slice_min = slot.slice != 0 ? slot.slice : size;
    if (slices * slice_min + size > kMessageSizeMax)
      return Drop::kFragmentOffset;
  } else {
    if (slot.slice != 0 && size != slot.slice)
      return Drop::kSliceSize;
    if (slot.last > size)
      return Drop::kSliceSize;
    // A last fragment that is still missing has one byte at least.
    if (slices * size + std::max(slot.last, 1u) > kMessageSizeMax)
      return Drop::kFragmentOffset;
  }
  return Drop::kCount;
}

void Reassembly::store(Slot& slot, const DataPacket& packet) {
  const DataHeader& header = packet.header;
  const ConstBytes payload = packet.payload;
  std::byte* message = pool_->bytes(slot.buffer).data();
  const std::size_t slices = header.fragment_count - 1u;

  if (header.fragment_index == header.fragment_count) {
    slot.last = static_cast<std::uint32_t>(payload.size());
    // Without a slice yet: parked at the end, which check() keeps clear of every slice's place.
    const std::size_t offset =
        slot.slice != 0 ? slices * slot.slice : kMessageSizeMax - payload.size();
    std::memcpy(message + offset, payload.data(), payload.size());
  } else {
    if (slot.slice == 0) {
      slot.slice = static_cast<std::uint32_t>(payload.size());
      if (slot.last != 0) {
        std::memmove(message + slices * slot.slice, message + kMessageSizeMax - slot.last,
                     slot.last);
      }
    }
    std::memcpy(message + (header.fragment_index - 1u) * std::size_t{slot.slice}, payload.data(),
                payload.size());
  }
  slot.have.set(header.fragment_index);
  ++slot.received;
}

void Reassembly::free_slot(Slot& slot) {
  pool_->give_back(slot.buffer);
  slot.buffer = MessageBufferId::kNone;
  --partial_;
}

}  // namespace ringknet
