// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Notices that packets to a link's address come in by another interface than the one that has the
// address. Linux takes them wherever they arrive, so two networks behind one switch look like two
// links, and one cable may carry both. To ask the kernel for the interface of each packet costs
// time, so it is asked for two seconds when a socket is opened or a link comes up, and then once a
// minute. There is no timer behind that: the engine looks when it turns.
#pragma once

#include <cstdint>

#include "engine/base/address.h"
#include "engine/base/time.h"
#include "engine/ring/udp_socket.h"

namespace ringknet {

class ArrivalWatch {
 public:
  explicit ArrivalWatch(UdpSocketTable& sockets) : sockets_(sockets) {}

  // Asks from now on, for two seconds.
  void start(Instant now);
  // Once per turn.
  void on_turn(Instant now) {
    if (now >= next_)
      change(now);
  }
  // A datagram came in by this interface: the one that has the socket's address, if that is another
  // one that could have been used; else 0.
  unsigned owner_instead_of(UdpSocket& socket, unsigned interface);

 private:
  void change(Instant now);

  UdpSocketTable& sockets_;
  Instant next_ = kNever;
  bool asking_ = false;
  int lookups_left_ = 0;  // in this period
};

}  // namespace ringknet
