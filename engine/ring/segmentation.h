// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whether the kernel is given runs of one socket whole (UDP_SEGMENT): a switch for users, and what
// refused runs say. A run that the kernel refuses is sent datagram by datagram; if these pass, it
// is the run that something is against: a device that cannot split, a firewall's rule on the length
// of packets, which sees the run and not its datagrams.
#pragma once

#include "engine/base/backoff.h"
#include "engine/base/time.h"

namespace ringknet {

class Segmentation {
 public:
  explicit Segmentation(bool allowed = true) : allowed_(allowed) {}

  // Whatever was found out before is forgotten.
  void allow(bool on) { *this = Segmentation(on); }
  bool on(Instant now) const { return allowed_ && !off_.waiting(now); }

  // The kernel took a run whole.
  void passed() { doubts_ = 0; }
  // A run was refused and its datagrams were not. `doubtful`: that may be the moment's fault, and
  // counts when it happens kDoubtsMax times in a row. True when users are to be told that
  // segmentation ends: not each time that it was tried again in vain.
  bool refused(Instant now, bool doubtful) {
    if (!on(now) || (doubtful && ++doubts_ < kDoubtsMax))
      return false;
    doubts_ = 0;
    return off_.begin(now);
  }

 private:
  static constexpr unsigned kDoubtsMax = 3;

  bool allowed_;
  unsigned doubts_ = 0;
  Backoff off_{kOffloadPauseMin, kOffloadPauseMax};
};

}  // namespace ringknet
