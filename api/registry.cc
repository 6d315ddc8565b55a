// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The walk through the slots. Why it is safe without a lock is said at each step.
#include "api/registry.h"

#include <pthread.h>

#include <memory>

namespace ringknet {

bool HandleRegistry::claim_free(Block& block, Handle& handle) {
  for (Slot& slot : block.slots) {
    if (!slot.taken.exchange(true)) {
      slot.handle.store(&handle);
      return true;
    }
  }
  return false;
}

void HandleRegistry::add(Handle& handle) {
  [[maybe_unused]] static const int once =
      pthread_atfork(nullptr, nullptr, [] { registry().forget_all(); });
  Block* block = &first_;
  while (!claim_free(*block, handle)) {
    Block* next = block->next.load();
    if (next == nullptr) {
      auto fresh = std::make_unique<Block>();
      // Another thread may have appended one meanwhile: then that one is used.
      if (block->next.compare_exchange_strong(next, fresh.get())) {
        next = fresh.release();
      }
    }
    block = next;
  }
}

void HandleRegistry::forget_all() {
  for (Block* block = &first_; block != nullptr; block = block->next.load()) {
    for (Slot& slot : block->slots) {
      slot.handle.store(nullptr);
      slot.taken.store(slot.taken.load() || !slot.pins.empty());
    }
  }
}

HandleRegistry::Slot* HandleRegistry::find(const void* candidate) {
  for (Block* block = &first_; block != nullptr; block = block->next.load()) {
    for (Slot& slot : block->slots) {
      if (slot.handle.load() == candidate)
        return &slot;
    }
  }
  return nullptr;
}

HandleRegistry::Pin::Pin(HandleRegistry& registry, const void* candidate) {
  Slot* slot = candidate == nullptr ? nullptr : registry.find(candidate);
  if (slot == nullptr)
    return;
  hold_.enter(slot->pins);
  // Only a handle seen after entering is safe: retire() takes it out before it looks at the pins.
  handle_ = slot->handle.load();
  if (handle_ != candidate) {
    handle_ = nullptr;
    hold_.leave();
  }
}

bool HandleRegistry::held_by_this_thread(const void* candidate) {
  const Slot* slot = candidate == nullptr ? nullptr : find(candidate);
  return slot != nullptr && slot->pins.held_by_this_thread();
}

void HandleRegistry::retire(Handle& handle, void (*serve)(Handle&)) {
  Slot* slot = find(&handle);
  Handle* expected = &handle;
  if (slot == nullptr || !slot->handle.compare_exchange_strong(expected, nullptr))
    return;
  while (serve != nullptr && !slot->pins.empty())
    serve(handle);
  slot->pins.wait_until_empty();
  slot->taken.store(false);
}

HandleRegistry& registry() {
  static constinit HandleRegistry instance;
  return instance;
}

}  // namespace ringknet
