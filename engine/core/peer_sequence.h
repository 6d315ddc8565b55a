// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What we know of one sender's message sequence: which messages we had, how far the sender is, and
// whether it started anew. PINGs carry the sender's last used sequence (none before its first
// message); this is how a restarted sender is told from a duplicate, and how a receiver that was
// not spoken to for long keeps up.
#pragma once

#include "engine/base/sequence.h"
#include "engine/base/time.h"
#include "engine/core/seen_window.h"
#include "engine/wire/packet.h"

namespace ringknet {

class PeerSequence {
 public:
  bool seen(MessageSeq seq) const { return window_.seen(seq); }
  // How far the sender is, as far as we know.
  MessageSeq newest() const { return window_.head(); }
  // Data `seq` arrived and was new, wholly or in part.
  void on_data(Instant now, MessageSeq seq) {
    window_.advance(seq);
    last_data_ = now;
    behind_ = 0;
  }
  // The message is done with: delivered (on_data() was told before), or given up, perhaps long ago.
  void done(MessageSeq seq) { window_.mark(seq); }

  enum class PingMeaning { kNothing, kRestarted };
  // `slack` bounds how much later a packet may arrive than one sent after it (a few round trips);
  // `quiet` is the silence after which a sender's word counts more than our window (the link's
  // timeout).
  PingMeaning on_ping(Instant now, const PingPacket& ping, Duration slack, Duration quiet);

  // The sender was lost: whatever comes next is adopted.
  void reset();

 private:
  bool restarted(Instant now, Instant stamp, Duration slack) const;
  bool restarted_by_arrival(Instant now, Duration slack) const;
  bool quiet_since_data(Instant stamp, Duration quiet) const;
  bool insists(Instant now, Duration slack);

  SeenWindow window_;
  Instant last_data_ = kNever;
  // The newest timed PING, by its sender's clock; by ours where that cannot be read.
  bool clocked_ = false;
  Instant ping_stamp_ = kNever;
  Instant ping_arrival_ = kNever;
  MessageSeq ping_seq_{};
  // PINGs without a clock that were behind, each well after the one before, and when the last came.
  unsigned behind_ = 0;
  Instant behind_since_ = kNever;
};

}  // namespace ringknet
