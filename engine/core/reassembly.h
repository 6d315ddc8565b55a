// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Putting the fragments of one sender's messages together. Messages are told apart by their
// positions (peer_sequence.h), as numbers are used again. Fragments may come in any order and over
// several links; all but the last have the same size, the slice, and each is copied straight to its
// place:
//
//   | slice 1 | slice 2 | ...  | slice n-1 | last |
//
// A last fragment that comes first is parked at the end of the buffer until a slice tells where it
// belongs. Every count, offset and length is checked against the message before a byte is copied.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "engine/base/drop.h"
#include "engine/base/sequence.h"
#include "engine/base/time.h"
#include "engine/core/message_pool.h"
#include "engine/wire/packet.h"

namespace ringknet {

class Reassembly {
 public:
  static constexpr std::size_t kSlots =
      32;  // partial messages per sender, as classic receivers hold

  explicit Reassembly(MessagePool& pool) : pool_(&pool) {}
  ~Reassembly() { clear(); }
  Reassembly(const Reassembly&) = delete;
  Reassembly& operator=(const Reassembly&) = delete;

  struct Complete {
    MessageBufferId buffer;  // the caller gives it back to the pool
    std::size_t size;
  };
  struct Pending {
    // A partial message that had to make room; 0 for none.
    MessagePosition evicted = 0;
    bool started = false;  // this was the first packet of its message
  };
  using Outcome = std::variant<Pending, Complete, Drop>;

  // How many partial messages there may be from now on, 1 to kSlots; calls given_up(position)
  // for each that is one too many.
  template <typename Function>
  void set_quota(std::size_t quota, Function&& given_up) {
    quota_ = quota;
    while (partial_ > quota_) {
      Slot& slot = longest_waiting(UINT64_MAX);
      given_up(slot.position);
      free_slot(slot);
    }
  }

  // One fragment of a message that is not done with yet. Positions beyond `certain` are in doubt:
  // those give way to others, and never take the place of others.
  Outcome add(Instant now, const DataPacket& packet, MessagePosition position,
              MessagePosition certain);

  // Gives up what has had no fragment since `limit`; calls given_up(position) for each.
  template <typename Function>
  void expire(Instant limit, Function&& given_up) {
    for (Slot& slot : slots_) {
      if (slot.used() && slot.updated < limit) {
        given_up(slot.position);
        free_slot(slot);
      }
    }
  }
  // Gives up what the sender left so far behind that its number means another message by now, and
  // what turned out to be no number of the sender; returns how many. Two comparisons while there is
  // nothing to do.
  std::size_t keep(MessagePosition oldest, MessagePosition furthest) {
    return partial_ == 0 || (oldest_ >= oldest && furthest_ <= furthest)
               ? 0
               : give_up_outside(oldest, furthest);
  }
  // Gives up everything; returns how many partial messages there were.
  std::size_t clear();
  bool empty() const { return partial_ == 0; }

 private:
  struct Slot {
    DataHeader header;  // of the first fragment that came; index unused
    MessagePosition position = 0;
    MessageBufferId buffer = MessageBufferId::kNone;
    Instant updated{};
    std::uint32_t slice = 0;  // 0 while only the last fragment came
    std::uint32_t last = 0;   // size of the last fragment, 0 while it is missing
    std::uint16_t received = 0;
    std::bitset<kFragmentsMax + 1> have;

    bool used() const { return buffer != MessageBufferId::kNone; }
  };

  Slot* find(MessagePosition position);
  Slot& longest_waiting(MessagePosition certain);
  Slot* open(Instant now, MessagePosition position, MessagePosition certain,
             MessagePosition& evicted);
  std::size_t give_up_outside(MessagePosition oldest, MessagePosition furthest);
  static Drop check(const Slot& slot, const DataPacket& packet);
  void store(Slot& slot, const DataPacket& packet);
  void free_slot(Slot& slot);

  MessagePool* pool_;
  std::array<Slot, kSlots> slots_;
  std::size_t partial_ = 0;
  std::size_t quota_ = kSlots;
  MessagePosition oldest_ = 0;    // no partial message is older; it may be gone already
  MessagePosition furthest_ = 0;  // nor further ahead
  std::size_t recent_ = 0;  // where the last fragment went: most often the next one's place, too
};

}  // namespace ringknet
