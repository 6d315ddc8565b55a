// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Messages for an application that does not read fast enough: copies, in order, bounded in bytes
// and in number. They lie one behind the other in a circular piece of memory that exists from the
// first message on.
//
//   | size | message | size | message |      free      | size | message |  (end of memory, unused
//   rest)  |
//                                     ^tail            ^head
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/bytes.h"

namespace ringknet {

class PendingMessages {
 public:
  static constexpr std::size_t kBytesMax = std::size_t{4} * 1024 * 1024;
  static constexpr std::size_t kMessagesMax = 16384;

  PendingMessages() = default;
  ~PendingMessages();
  PendingMessages(const PendingMessages&) = delete;
  PendingMessages& operator=(const PendingMessages&) = delete;

  bool empty() const { return count_ == 0; }
  std::size_t size() const { return count_; }
  // What the waiting messages take up of kBytesMax.
  std::size_t bytes() const {
    if (count_ == 0)
      return 0;
    return head_ < tail_ ? tail_ - head_ : kBytesMax - head_ + tail_;
  }

  // False when there is no room.
  bool push(ConstBytes message);
  // The rest of the oldest message.
  ConstBytes front() const;
  // The first `bytes` of the oldest message are done with; with all of them, the message is.
  void consume(std::size_t bytes);

 private:
  std::byte* memory_ = nullptr;
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
  std::size_t count_ = 0;
  std::size_t consumed_ = 0;  // of the oldest message
  std::size_t peak_ = 0;      // how far the memory was used since it was last empty
};

}  // namespace ringknet
