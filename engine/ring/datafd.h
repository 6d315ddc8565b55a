// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The descriptors through which the application sends and receives: one per channel, either one end
// of a socket pair of ours or any pollable descriptor of the application's. Reading and writing
// them is datafd_read.h and datafd_write.h; what these keep per descriptor lives here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/ids.h"
#include "engine/ring/descriptor.h"
#include "engine/ring/op.h"
#include "engine/ring/pending_messages.h"
#include "engine/ring/ring.h"

namespace ringknet {

class Datafd {
 public:
  struct Opened {
    std::unique_ptr<Datafd> datafd;  // null on failure
    int error = 0;
    std::size_t buffer_granted = 0;  // pairs only
  };
  // A connected pair of message sockets.
  static Opened make_pair(bool privileged);
  // The application's descriptor, which becomes non-blocking and close-on-exec. EPERM if it cannot
  // be polled. On errors it is as it was.
  static Opened adopt(int descriptor);

  ~Datafd() { close(); }
  Datafd(const Datafd&) = delete;
  Datafd& operator=(const Datafd&) = delete;

  int application() const { return application_; }
  int descriptor() const { return descriptor_; }  // our end
  bool owned() const { return owned_; }
  DescriptorKind kind() const { return kind_; }
  bool is_socket() const { return kind_ == DescriptorKind::kSocket; }
  // Bytes without message boundaries: a message is what one read happens to find.
  bool is_stream() const { return is_stream_; }
  // Closes a pair; leaves the application's descriptor alone.
  void close();

  // The bytes waiting to be read, where the descriptor can say so for all of them; else -1.
  std::int64_t unread() const;
  bool readable() const;

  // The operations that last: reading (or waiting for something to read), waiting to be writable.
  Op read_op() const { return {read.armed, slot, generation}; }
  Op writable_op() const { return {OpKind::kDatafdWritable, slot, generation}; }

  Channel channel{};
  std::uint16_t slot = 0;
  std::uint32_t generation = 0;
  bool closing = false;

  struct {
    OpKind armed = OpKind::kNone;  // kRead or kReadable
    bool starved = false;          // ended for want of buffers
    bool ended = false;            // end of file or an error: not read any more
    bool wait_readable = true;     // not a socket: poll before the next read
    std::int64_t flush = 0;        // what a flush still has to read
  } read;

  struct {
    bool writable_armed = false;
    PendingMessages pending;
  } write;

 private:
  Datafd(int application, int descriptor, bool owned);

  int application_;
  int descriptor_;
  bool owned_;
  DescriptorKind kind_;
  bool is_stream_ = false;
  bool is_datagram_ = false;
};

class DatafdTable {
 public:
  // Makes room for one more: add() allocates nothing then.
  void reserve();
  Datafd& add(std::unique_ptr<Datafd> datafd, Channel channel);
  // The open datafd of a channel, or null.
  Datafd* find(Channel channel) const;
  // The datafd an operation belongs to, also one that is being closed; null if it is gone.
  Datafd* owner(const Op& op) const;
  // Takes it from its channel, ends its operations and closes it. The object goes when the
  // operations' last completions have been dealt with.
  void close(Ring& ring, Datafd& datafd);
  // Forgets a datafd that is closing once no operation of it is left.
  void reap(Datafd& datafd);

  template <typename Visit>
  void for_each(Visit&& visit) {
    for (Datafd* datafd : channels_) {
      if (datafd != nullptr)
        visit(*datafd);
    }
  }

 private:
  std::array<Datafd*, kChannelCount> channels_{};
  std::vector<std::unique_ptr<Datafd>> slots_;
  std::uint32_t last_generation_ = 0;
};

}  // namespace ringknet
