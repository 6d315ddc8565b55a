// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Writing messages to the application, in order per datafd. A message is written at once, by a
// plain system call: the reader wakes while later datagrams are still being worked on, the bytes
// need not outlive the call, and no completion can come too late to keep the order. (Sends linked
// in the ring were measured: a tenth less CPU for small messages, none for large ones.) What a full
// descriptor refuses is copied and retried.
#pragma once

#include "engine/base/bytes.h"
#include "engine/ring/datafd.h"
#include "engine/ring/ring.h"

namespace ringknet {

class DatafdWriter {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // A message that waited could not be written after all.
    virtual void on_write_error(const Datafd& datafd, int error) = 0;
  };

  DatafdWriter(Ring& ring, DatafdTable& datafds, Owner& owner)
      : ring_(ring), datafds_(datafds), owner_(owner) {}

  // Writes one message, or keeps a copy for later. Answers an errno: EAGAIN when too much waits
  // already, others as the descriptor failed. The message is lost then.
  int write(Datafd& datafd, ConstBytes message);
  void on_writable(const Completion& completion);
  // Whether so much waits for some reader that senders had better wait, too.
  bool backlogged();

 private:
  int write_now(Datafd& datafd, ConstBytes bytes, std::size_t& written);
  void flush(Datafd& datafd);
  void arm(Datafd& datafd);

  Ring& ring_;
  DatafdTable& datafds_;
  Owner& owner_;
};

}  // namespace ringknet
