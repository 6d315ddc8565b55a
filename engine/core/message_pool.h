// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Buffers of the largest message size, for reassembly and for messages on their way to the
// application. They are allocated on first use, kept for reuse and bounded in number.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/ids.h"

namespace ringknet {

enum class MessageBufferId : std::uint32_t { kNone = 0xffffffff };

class MessagePool {
 public:
  explicit MessagePool(std::size_t limit) : limit_(limit) {}

  // Buffers beyond a lower limit are given back in time, and not made again.
  void set_limit(std::size_t limit) { limit_ = limit; }

  std::optional<MessageBufferId> take() {
    if (free_.empty()) {
      if (buffers_.size() >= limit_)
        return std::nullopt;
      // Left uninitialised: pages that no message reaches are never touched.
      buffers_.emplace_back(new std::byte[kMessageSizeMax]);
      free_.reserve(buffers_.size());
      return MessageBufferId(buffers_.size() - 1);
    }
    const MessageBufferId id = free_.back();
    free_.pop_back();
    return id;
  }
  void give_back(MessageBufferId id) {
    assert(free_.size() < buffers_.size());
    free_.push_back(id);
  }
  MutableBytes bytes(MessageBufferId id) {
    return {buffers_[static_cast<std::size_t>(id)].get(), kMessageSizeMax};
  }
  std::size_t in_use() const { return buffers_.size() - free_.size(); }

 private:
  std::size_t limit_;
  std::vector<std::unique_ptr<std::byte[]>> buffers_;
  std::vector<MessageBufferId> free_;
};

}  // namespace ringknet
