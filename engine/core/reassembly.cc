// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reassembly of fragmented messages.
#include "engine/core/reassembly.h"

#include <algorithm>
#include <cstring>

namespace ringknet {

Reassembly::Outcome Reassembly::add(Instant now, const DataPacket& packet) {
  const DataHeader& header = packet.header;
  Pending pending;
  Slot* slot = find(header.seq);
  if (slot != nullptr) {
    if (const Drop reason = check(*slot, packet); reason != Drop::kCount)
      return reason;
  } else {
    Slot blank;
    blank.header = header;
    if (const Drop reason = check(blank, packet); reason != Drop::kCount)
      return reason;
    slot = open(now, header, pending.evicted);
    if (slot == nullptr)
      return Drop::kNoBuffers;
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

Reassembly::Slot* Reassembly::find(MessageSeq seq) {
  if (partial_ == 0)
    return nullptr;
  if (slots_[recent_].used() && slots_[recent_].header.seq == seq)
    return &slots_[recent_];
  for (Slot& slot : slots_) {
    if (slot.used() && slot.header.seq == seq)
      return &slot;
  }
  return nullptr;
}

// A free slot, or the one that waited longest for its next fragment.
Reassembly::Slot* Reassembly::open(Instant now, const DataHeader& header, MessageSeq& evicted) {
  Slot* chosen = nullptr;
  Slot* oldest = nullptr;
  for (Slot& slot : slots_) {
    if (!slot.used()) {
      chosen = &slot;
      break;
    }
    if (oldest == nullptr || slot.updated < oldest->updated)
      oldest = &slot;
  }
  if (chosen == nullptr) {
    chosen = oldest;
    evicted = chosen->header.seq;
    free_slot(*chosen);
  }
  const auto buffer = pool_->take();
  if (!buffer)
    return nullptr;
  *chosen = Slot{};
  chosen->header = header;
  chosen->buffer = *buffer;
  chosen->updated = now;
  if (partial_ == 0 || header.seq.ahead_of(oldest_) < 0)
    oldest_ = header.seq;
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
