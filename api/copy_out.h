// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Copies a structure to a caller that was built with another, shorter or longer, version of it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace ringknet {

// Copies what fits. Nothing if not even the leading size field does, because half of one is worse
// than none.
template <typename T>
void copy_out(const T& value, T* destination, std::size_t room) {
  static_assert(offsetof(T, size) == 0);
  if (room >= sizeof(value.size)) {
    std::memcpy(destination, &value, std::min(room, sizeof(value)));
  }
}

}  // namespace ringknet
