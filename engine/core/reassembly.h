// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Putting the fragments of one sender's messages together. Fragments may come in any order and over
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
    // A partial message that had to make room, if any.
    MessageSeq evicted{};
  };
  using Outcome = std::variant<Pending, Complete, Drop>;

  // One fragment of a message that is not done with yet.
  Outcome add(Instant now, const DataPacket& packet);

  // Gives up what began before `limit`; calls given_up(seq) for each.
  template <typename Function>
  void expire(Instant limit, Function&& given_up) {
    for (Slot& slot : slots_) {
      if (slot.used() && slot.updated < limit) {
        given_up(slot.header.seq);
        free_slot(slot);
      }
    }
  }
  // Gives up what the sender's newest message left so far behind that its number will mean another
  // message before long; calls given_up(seq) for each. One comparison while there is nothing to do.
  template <typename Function>
  void expire_behind(MessageSeq newest, Function&& given_up) {
    if (partial_ == 0 || distance(newest, oldest_) <= kBehindMax)
      return;
    oldest_ = newest;
    for (Slot& slot : slots_) {
      if (!slot.used())
        continue;
      const MessageSeq seq = slot.header.seq;
      if (distance(newest, seq) > kBehindMax) {
        free_slot(slot);
        given_up(seq);
      } else if (distance(newest, seq) > distance(newest, oldest_)) {
        oldest_ = seq;
      }
    }
  }
  // Gives up everything; returns how many partial messages there were.
  std::size_t clear();
  bool empty() const { return partial_ == 0; }

 private:
  // A quarter of the sequence space: far more than any path reorders, and what is given up here is
  // still told apart from what is ahead even if the sender jumps by half of the space.
  static constexpr std::uint16_t kBehindMax = 16384;
  static std::uint16_t distance(MessageSeq newest, MessageSeq seq) {
    return static_cast<std::uint16_t>(newest.value - seq.value);
  }

  struct Slot {
    DataHeader header;  // of the first fragment that came; index unused
    MessageBufferId buffer = MessageBufferId::kNone;
    Instant updated{};
    std::uint32_t slice = 0;  // 0 while only the last fragment came
    std::uint32_t last = 0;   // size of the last fragment, 0 while it is missing
    std::uint16_t received = 0;
    std::bitset<kFragmentsMax + 1> have;

    bool used() const { return buffer != MessageBufferId::kNone; }
  };

  Slot* find(MessageSeq seq);
  Slot* open(Instant now, const DataHeader& header, MessageSeq& evicted);
  static Drop check(const Slot& slot, const DataPacket& packet);
  void store(Slot& slot, const DataPacket& packet);
  void free_slot(Slot& slot);

  MessagePool* pool_;
  std::array<Slot, kSlots> slots_;
  std::size_t partial_ = 0;
  MessageSeq oldest_{};     // no partial message is older; it may be gone already
  std::size_t recent_ = 0;  // where the last fragment went: most often the next one's place, too
};

}  // namespace ringknet
