// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sends that were polled and have not ended: what each was, for its slab, its statistics and for
// another try on another link. Slots are reused; an id names slot and use, so that a wrong id is
// noticed.
#pragma once

#include <cassert>
#include <cstdint>
#include <vector>

#include "engine/core/run_queue.h"
#include "engine/core/transmit.h"

namespace ringknet {

struct InFlight {
  enum class Kind : std::uint8_t { kPing, kPong, kMtuProbe, kRunProbe, kMtuReply, kData };

  Kind kind = Kind::kPing;
  bool rerouted = false;  // data that already is on its second link
  LinkRef link;
  RunRef run;
};

class InFlightTable {
 public:
  TransmitId add(const InFlight& entry) {
    if (free_.empty()) {
      slots_.emplace_back();
      free_.reserve(slots_.capacity());
      free_.push_back(static_cast<std::uint32_t>(slots_.size() - 1));
    }
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Slot& slot = slots_[index];
    slot.entry = entry;
    if (entry.kind == InFlight::Kind::kData)
      ++data_;
    return TransmitId{std::uint64_t{slot.use} << 32 | index};
  }
  InFlight take(TransmitId id) {
    const auto index = static_cast<std::uint32_t>(id.value);
    assert(index < slots_.size() && slots_[index].use == id.value >> 32);
    Slot& slot = slots_[index];
    ++slot.use;
    free_.push_back(index);
    if (slot.entry.kind == InFlight::Kind::kData)
      --data_;
    return slot.entry;
  }
  std::size_t data() const { return data_; }
  std::size_t size() const { return slots_.size() - free_.size(); }

 private:
  struct Slot {
    InFlight entry;
    std::uint32_t use = 0;
  };
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_;
  std::size_t data_ = 0;
};

}  // namespace ringknet
