// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The live handles of this process. A handle that comes in from the C API is a pointer of which
// nothing is known: it is compared with those that are live and followed only if it is one of them.
// While a call runs it holds a Pin, and knet_handle_free takes the handle out first and then waits
// until the pins are gone.
//
// A look-up takes no lock: it walks a short list of slots, so that knet_send pays some tens of
// nanoseconds for it. Slots are made in blocks when needed, used again, and never released, because
// a look-up may be on its way through them.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "api/no_cancellation.h"
#include "api/pins.h"

namespace ringknet {

class Handle;

class HandleRegistry {
  struct Slot;

 public:
  // Holds a live handle, or nothing. It is the first object of a call, and while it lives the
  // calling thread cannot be cancelled.
  class Pin {
   public:
    Pin() = default;
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;

    explicit operator bool() const { return handle_ != nullptr; }
    Handle* operator->() const { return handle_; }
    Handle& operator*() const { return *handle_; }

   private:
    friend class HandleRegistry;
    Pin(HandleRegistry& registry, const void* candidate);

    NoCancellation no_cancellation_;  // ends last
    Pins::Hold hold_;
    Handle* handle_ = nullptr;
  };

  constexpr HandleRegistry() = default;
  HandleRegistry(const HandleRegistry&) = delete;
  HandleRegistry& operator=(const HandleRegistry&) = delete;

  // Makes the handle known. Throws std::bad_alloc.
  void add(Handle& handle);

  // In a forked child, where no handle has an engine: there are none any more. What they held stays
  // the parent's. Their slots are not used again: threads that are not there any more are counted
  // in their pins, and the forking thread may be in a call itself.
  void forget_all();

  // `candidate` may be any value at all.
  Pin pin(const void* candidate) { return {*this, candidate}; }

  // Whether the calling thread holds the handle, in a call further out.
  bool held_by_this_thread(const void* candidate);

  // Forgets the handle and waits until nobody holds it; then it is the caller's alone. The caller
  // holds no pin itself. Where holders wait for the caller, `serve` does what they wait for; it is
  // called again and again.
  void retire(Handle& handle, void (*serve)(Handle&) = nullptr);

 private:
  static constexpr std::size_t kSlotsPerBlock = 16;

  // A cache line each: threads that use different handles do not disturb each other.
  struct alignas(64) Slot {
    // Until the last call on its handle has ended, the slot goes to no other.
    std::atomic<bool> taken = false;
    std::atomic<Handle*> handle = nullptr;
    Pins pins;
  };

  struct Block {
    std::array<Slot, kSlotsPerBlock> slots;
    std::atomic<Block*> next = nullptr;
  };

  static bool claim_free(Block& block, Handle& handle);
  Slot* find(const void* candidate);

  Block first_;
};

// The one registry of the process. It needs no constructor to run before its first use.
HandleRegistry& registry();

}  // namespace ringknet
