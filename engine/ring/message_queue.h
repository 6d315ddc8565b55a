// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Messages from any thread to the engine, copied once, in a bounded queue without a lock: each slot
// says by its turn whose it is, a sender's or the engine's. Slots are as long as the longest
// message; of their memory only what messages reached is ever touched.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/base/bytes.h"
#include "engine/base/ids.h"

namespace ringknet {

class MessageQueue {
 public:
  struct Message {
    Channel channel{};
    ConstBytes bytes;
  };

  // Makes the memory; nothing the second time. Before any message, on the engine thread.
  void open();

  // Any thread but the engine's. False when the queue is full, unless `wait`: then as long as it
  // takes.
  bool push(Channel channel, ConstBytes message, bool wait);

  // Engine thread. The oldest message is valid until popped.
  bool empty() const;
  Message front() const;
  void pop();

 private:
  // As many messages as one run of segments can take.
  static constexpr std::size_t kSlots = 64;

  struct Slot {
    std::atomic<std::uint64_t> turn{0};
    std::uint32_t size = 0;
    Channel channel{};
    std::unique_ptr<std::byte[]> memory;
  };

  Slot& slot(std::uint64_t position) const { return slots_[position % kSlots]; }
  bool try_push(Channel channel, ConstBytes message);

  std::unique_ptr<Slot[]> slots_;
  std::atomic<std::uint64_t> tail_{0};
  std::uint64_t head_ = 0;
  std::atomic<std::uint32_t> popped_{0};  // what senders wait for
};

}  // namespace ringknet
