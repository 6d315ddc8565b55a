// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The walk through the slots. Why it is safe without a lock is said at each step.
#include "api/registry.h"

#include <pthread.h>

#include <memory>

namespace ringknet {

HandleRegistry::Slot* HandleRegistry::claim_free(Block& block, Handle& handle) {
  for (Slot& slot : block.slots) {
    Handle* free = nullptr;
    if (slot.handle.compare_exchange_strong(free, &handle)) {
      return &slot;
    }
  }
  return nullptr;
}

void HandleRegistry::add(Handle& handle) {
  [[maybe_unused]] static const int once =
      pthread_atfork(nullptr, nullptr, [] { registry().forget_all(); });
  Block* block = &first_;
  while (claim_free(*block, handle) == nullptr) {
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
      slot.pins.forget();
    }
  }
}

HandleRegistry::Pin HandleRegistry::pin(const void* candidate) {
  if (candidate == nullptr) {
    return {};
  }
  for (Block* block = &first_; block != nullptr; block = block->next.load()) {
    for (Slot& slot : block->slots) {
      if (slot.handle.load() != candidate) {
        continue;
      }
      slot.pins.enter();
      // Only a handle seen after entering is safe: retire() takes it out before it looks at the
      // pins.
      if (Handle* handle = slot.handle.load(); handle == candidate) {
        return {slot, *handle};
      }
      slot.pins.leave();
    }
  }
  return {};
}

void HandleRegistry::retire(Handle& handle, void (*serve)(Handle&)) {
  for (Block* block = &first_; block != nullptr; block = block->next.load()) {
    for (Slot& slot : block->slots) {
      Handle* expected = &handle;
      if (slot.handle.compare_exchange_strong(expected, nullptr)) {
        while (serve != nullptr && !slot.pins.empty())
          serve(handle);
        slot.pins.wait_until_empty();
        return;
      }
    }
  }
}

HandleRegistry& registry() {
  static constinit HandleRegistry instance;
  return instance;
}

}  // namespace ringknet
