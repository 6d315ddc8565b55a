// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Receiving from UDP sockets: one multishot recvmsg per socket into shared buffers that the kernel
// picks. The kernel may hand over several datagrams of one sender as one (GRO); they are told apart
// here. A receive that ended, for whatever reason, is started again: a socket nobody listens on
// would look like a dead peer.
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include "engine/base/address.h"
#include "engine/base/bytes.h"
#include "engine/base/time.h"
#include "engine/ring/buffer_ring.h"
#include "engine/ring/ring.h"
#include "engine/ring/udp_socket.h"

namespace ringknet {

class UdpReceiver {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // One datagram, borrowed until on_datagrams_end(). Anything may be called from inside, closing
    // the socket included.
    virtual void on_datagram(SocketId socket, const Address& from, MutableBytes bytes) = 0;
    // Datagrams come by this interface: said before on_datagram(), while the socket tells it.
    virtual void on_arrival(UdpSocket& socket, const Address& from, unsigned interface) = 0;
    // That was all of one receive buffer, which held `bytes`; null if the socket was closed inside.
    virtual void on_datagrams_end(UdpSocket* socket, std::size_t bytes) = 0;
    // A datagram did not fit: no legal packet is that long.
    virtual void on_truncated() = 0;
    // The socket is in error: its error queue wants draining. `error` is what the receive said.
    virtual void on_receive_error(UdpSocket& socket, int error) = 0;
  };

  UdpReceiver(Ring& ring, UdpSocketTable& sockets, Owner& owner)
      : ring_(ring), sockets_(sockets), owner_(owner) {}

  int open();  // errno
  void on_completion(const Completion& completion, Instant now);
  // Starts what is not running: new sockets, and those that ended. Once per turn, after all
  // completions.
  void rearm(Instant now);
  Instant next_deadline() const { return next_deadline_; }

  std::uint64_t datagrams() const { return datagrams_; }  // so far
  std::uint64_t starved() const { return starved_; }      // how often buffers ran out

 private:
  void arm(UdpSocket& socket);
  std::size_t on_buffer(const Completion& completion);
  void tell_arrival(const Completion& completion, const Address& from, unsigned interface);
  void on_failure(UdpSocket& socket, int error, Instant now);

  Ring& ring_;
  UdpSocketTable& sockets_;
  Owner& owner_;
  BufferRing buffers_;
  msghdr layout_{};  // how the kernel lays out a buffer: room for a name and control data before
                     // the payload
  std::uint64_t datagrams_ = 0;
  std::uint64_t starved_ = 0;
  Instant next_deadline_ = kNever;
  std::size_t first_ = 0;  // socket to be started first
};

}  // namespace ringknet
