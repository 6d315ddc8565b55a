// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Slabs of sealed packets.
#include "engine/core/transmit_arena.h"

#include <cassert>

namespace ringknet {

TransmitArena::TransmitArena(std::size_t slabs) : slabs_(slabs) {
  assert(slabs > kControlReserve && slabs < kNoSlab);
  free_.reserve(slabs);
  for (std::size_t i = slabs; i-- > 0;)
    free_.push_back(static_cast<std::uint16_t>(i));
}

std::optional<TransmitArena::Piece> TransmitArena::allocate(Use use, std::size_t size) {
  assert(size <= kSlabSize);
  Cursor& open = cursor(use);
  if (open.slab != kNoSlab && slabs_[open.slab].references == 0)
    open.used = 0;
  if (open.slab == kNoSlab || open.used + size > kSlabSize) {
    if (!open_slab(use))
      return std::nullopt;
  }
  const Piece piece{open.slab, static_cast<std::uint32_t>(open.used),
                    static_cast<std::uint32_t>(size)};
  open.used += size;
  hold(open.slab);
  return piece;
}

void TransmitArena::release(std::uint16_t slab) {
  assert(slabs_[slab].references > 0);
  if (--slabs_[slab].references == 0 && !is_open(slab))
    free_.push_back(slab);
}

bool TransmitArena::has_room(std::size_t size) const {
  const Cursor& open = cursors_[static_cast<std::size_t>(Use::kData)];
  if (open.slab != kNoSlab) {
    if (slabs_[open.slab].references == 0 || open.used + size <= kSlabSize)
      return true;
  }
  return free_.size() > kControlReserve;
}

bool TransmitArena::open_slab(Use use) {
  if (free_.size() <= (use == Use::kData ? kControlReserve : 0))
    return false;
  const std::uint16_t slab = free_.back();
  free_.pop_back();
  if (!slabs_[slab].memory)
    slabs_[slab].memory.reset(new std::byte[kSlabSize]);
  Cursor& open = cursor(use);
  // The slab left behind is in use, or it would have been started over; its last release frees it.
  open = {slab, 0};
  return true;
}

}  // namespace ringknet
