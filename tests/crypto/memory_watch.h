// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Watching the heap of the test program: how often it is used, and whether memory that is given
// back still holds a secret.
#pragma once

#include <cstddef>

#include "engine/base/bytes.h"

namespace ringknet {

class MemoryWatch {
 public:
  static constexpr std::size_t kSecretSize = 16;

  // Starts counting and looking for these secrets, each kSecretSize bytes or more (its first bytes
  // are looked for). One at a time.
  MemoryWatch();
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

  void look_for(ConstBytes secret);
  std::size_t allocations() const;
  std::size_t secrets_found() const;
};

}  // namespace ringknet
