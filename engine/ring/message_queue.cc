// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Turns: a slot at `position` is free when its turn is `position`, filled when it is one more, and
// free for the next round when it is a queue's length more.
#include "engine/ring/message_queue.h"

#include <cstring>

namespace ringknet {

void MessageQueue::open() {
  if (slots_ != nullptr)
    return;
  auto slots = std::make_unique<Slot[]>(kSlots);
  for (std::size_t i = 0; i < kSlots; ++i) {
    slots[i].turn.store(i, std::memory_order_relaxed);
    slots[i].memory.reset(new std::byte[kMessageSizeMax]);  // not touched yet
  }
  slots_ = std::move(slots);
}

bool MessageQueue::push(Channel channel, ConstBytes message, bool wait) {
  for (;;) {
    const std::uint32_t popped = popped_.load(std::memory_order_acquire);
    if (try_push(channel, message))
      return true;
    if (!wait)
      return false;
    popped_.wait(popped, std::memory_order_acquire);
  }
}

bool MessageQueue::try_push(Channel channel, ConstBytes message) {
  std::uint64_t position = tail_.load(std::memory_order_relaxed);
  for (;;) {
    const std::uint64_t turn = slot(position).turn.load(std::memory_order_acquire);
    if (turn < position)
      return false;
    if (turn > position) {
      position = tail_.load(std::memory_order_relaxed);
    } else if (tail_.compare_exchange_weak(position, position + 1, std::memory_order_relaxed)) {
      break;
    }
  }
  Slot& mine = slot(position);
  mine.channel = channel;
  mine.size = static_cast<std::uint32_t>(message.size());
  std::memcpy(mine.memory.get(), message.data(), message.size());
  // In one order with the flag that says whether the engine sleeps (CallQueue::wake).
  mine.turn.store(position + 1, std::memory_order_seq_cst);
  return true;
}

bool MessageQueue::empty() const {
  return slots_ == nullptr || slot(head_).turn.load(std::memory_order_seq_cst) != head_ + 1;
}

MessageQueue::Message MessageQueue::front() const {
  const Slot& oldest = slot(head_);
  return {oldest.channel, ConstBytes(oldest.memory.get(), oldest.size)};
}

void MessageQueue::pop() {
  slot(head_).turn.store(head_ + kSlots, std::memory_order_release);
  ++head_;
  popped_.fetch_add(1, std::memory_order_release);
  popped_.notify_all();
}

}  // namespace ringknet
