// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Writing messages to the application, in order per datafd, by plain system calls: the reader wakes
// while later datagrams are still being worked on, and no completion can come too late to keep the
// order. Messages that lie side by side in one receive buffer share a call. (Sends linked in the
// ring were measured, too: a tenth less CPU than a call each for short messages, none for long
// ones.) What a full descriptor refuses is copied and retried.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>

#include "engine/base/bytes.h"
#include "engine/ring/datafd.h"
#include "engine/ring/ring.h"

namespace ringknet {

class DatafdWriter {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // A message is lost: EAGAIN when too much waits already, others as the descriptor failed.
    virtual void on_write_error(const Datafd& datafd, int error) = 0;
  };

  DatafdWriter(Ring& ring, DatafdTable& datafds, Owner& owner)
      : ring_(ring), datafds_(datafds), owner_(owner) {
    for (std::size_t i = 0; i < kCollectedMax; ++i) {
      headers_[i].msg_hdr.msg_iov = &messages_[i];
      headers_[i].msg_hdr.msg_iovlen = 1;
    }
  }
  DatafdWriter(const DatafdWriter&) = delete;
  DatafdWriter& operator=(const DatafdWriter&) = delete;

  // How many messages share a call at most: 16 save what 32 and 64 do (PERFORMANCE.md), and the
  // first is not kept waiting for so many others.
  static constexpr std::size_t kCollectedMax = 16;

  // Writes one message, or keeps a copy for later.
  void write(Datafd& datafd, ConstBytes message);
  // The same at the next write_collected(), until which the message has to stay as it is. Other
  // messages, also those of write(), do not overtake it.
  void collect(Datafd& datafd, ConstBytes message);
  // To be called before a datafd is closed, too.
  void write_collected();
  void on_writable(const Completion& completion);
  // Whether so much waits for some reader that senders had better wait, too.
  bool backlogged();

 private:
  void write_or_keep(Datafd& datafd, ConstBytes message);
  int write_now(Datafd& datafd, ConstBytes bytes, std::size_t& written);
  void flush(Datafd& datafd);
  void arm(Datafd& datafd);

  Ring& ring_;
  DatafdTable& datafds_;
  Owner& owner_;
  Datafd* collector_ = nullptr;  // whose messages have been collected
  std::size_t collected_ = 0;
  std::array<iovec, kCollectedMax> messages_{};
  std::array<mmsghdr, kCollectedMax> headers_{};
};

}  // namespace ringknet
