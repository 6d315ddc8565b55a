// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The digest of a run: every send, delivery and event is mixed in, in order, so that two runs that
// differ anywhere end with different numbers. Not for anything an attacker could forge.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "engine/base/bytes.h"

namespace ringknet::sim {

class Digest {
 public:
  void add(std::uint64_t value) {
    state_ = (state_ ^ value) * 0x9e3779b97f4a7c15u;
    state_ ^= state_ >> 29;
  }
  void add(ConstBytes bytes) {
    add(bytes.size());
    for (std::size_t offset = 0; offset < bytes.size(); offset += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + offset, std::min<std::size_t>(8, bytes.size() - offset));
      add(word);
    }
  }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0x243f6a8885a308d3u;
};

}  // namespace ringknet::sim
