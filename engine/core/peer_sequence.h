// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What we know of one sender's message sequence: which messages we had, how far the sender is, and
// whether it started anew. PINGs carry the sender's last used sequence (none before its first
// message); this is how a restarted sender is told from a duplicate, and how a receiver that was
// not spoken to for long keeps up.
//
// Numbers have 16 bits, so one that is far ahead may as well be one that is late by more than half
// of the space, or made up. Such a number moves nothing until it is confirmed:
//
//   head - 32767 ..... head | head + 1 .. head + 16384 | head + 16385 .. head + 32768
//   known, by its mark      | near: moves the head     | far: in doubt
//
// In doubt, a message is delivered only if the head has not moved for a while, and it is noted in a
// small window of its own, so that it is not delivered twice. The next number near the head
// disproves the doubtful one; another one near the doubtful one confirms it.
//
// A position is a number with the rounds of the sequence counted in: it never means two messages.
#pragma once

#include "engine/base/sequence.h"
#include "engine/base/time.h"
#include "engine/core/seen_window.h"
#include "engine/wire/packet.h"

namespace ringknet {

// What the envelope's packet counter says: nothing, sent after all that came before, or overtaken.
enum class PacketAge : std::uint8_t { kUnknown, kNewest, kLate };

class PeerSequence {
 public:
  // Further ahead than this a number is in doubt: what senders have under way at most
  // (Host::kUnderWayMax), and two announcements, of which one may be lost.
  static constexpr int kNearMax = 16384;
  static constexpr std::size_t kDoubtSpan = 8192;

  // What the number of a data packet means.
  struct Place {
    enum class Kind : std::uint8_t {
      kNew,
      kSeen,
      kStale,  // too far ahead to be true
    };
    Kind kind = Kind::kNew;
    bool certain = true;  // false: in doubt
    MessagePosition position = 0;
  };
  Place place(Instant now, MessageSeq seq, PacketAge age) const {
    const int ahead = steps_ahead(window_.head(), seq);
    const MessagePosition position = head_ + static_cast<MessagePosition>(std::int64_t{ahead});
    if (!window_.started() || ahead > kNearMax || ahead <= -kNearMax || age == PacketAge::kLate)
      return place_apart(now, seq, age);
    return {ahead <= 0 && window_.seen(seq) ? Place::Kind::kSeen : Place::Kind::kNew, true,
            position};
  }
  // The data is new, wholly or in part, and was taken.
  void on_data(Instant now, const Place& place) {
    last_data_ = now;
    behind_ = 0;
    if (!place.certain || !window_.started()) {
      on_data_apart(now, place);
    } else if (place.position > head_) {
      advance(now, place.position);
    }
  }
  // The message is done with: delivered, or given up.
  void done(MessagePosition position) {
    const MessageSeq seq{static_cast<std::uint16_t>(position)};
    if (position > head_) {
      doubt_.mark(seq);
    } else if (position >= oldest()) {
      window_.mark(seq);
    }
  }

  // This process did not run: when the sender was heard last says nothing of how far it is by now.
  void on_held_up() { moved_ = kNever; }

  // How far the sender is, as far as we know.
  MessageSeq newest() const { return window_.head(); }
  MessagePosition head() const { return head_; }
  // Numbers before this one mean later messages by now; nothing is known beyond the other.
  MessagePosition oldest() const { return head_ - 32767; }
  MessagePosition furthest() const { return doubtful_ ? doubt_head_ : head_; }

  enum class PingMeaning { kNothing, kRestarted };
  struct PingTrust {
    bool newest = false;     // its envelope's counter says that it was sent after all that came
    bool authentic = false;  // only somebody with the key can have made it
    // How much later a packet may arrive than one sent after it (a few round trips).
    Duration slack{};
    // The silence after which a sender's word counts more than our window (the link's timeout).
    Duration quiet{};
  };
  PingMeaning on_ping(Instant now, const PingPacket& ping, const PingTrust& trust);

  // The sender was lost: whatever comes next is adopted.
  void reset();

 private:
  bool restarted(Instant now, Instant stamp, Duration slack) const;
  bool restarted_by_arrival(Instant now, Duration slack) const;
  void compare_clocks(Instant now, Instant stamp);
  Instant data_left_by() const;
  bool quiet_since_data(Instant stamp, Duration quiet) const;
  bool insists(Instant now, Duration slack);

  Place place_apart(Instant now, MessageSeq seq, PacketAge age) const;
  void on_data_apart(Instant now, const Place& place);
  struct Reading {
    bool doubtful = false;
    MessagePosition position = 0;
  };
  Reading read(MessageSeq seq, bool certain) const;
  bool near_doubt(MessageSeq seq) const;
  MessagePosition next_round(MessageSeq seq) const;
  void adopt(MessageSeq seq);
  void advance(Instant now, MessagePosition position) {
    window_.advance(MessageSeq{static_cast<std::uint16_t>(position)});
    head_ = position;
    moved_ = now;
    doubtful_ = false;
  }
  bool in_doubt(Instant now, MessagePosition position, Instant clock);
  void on_forced_ping(Instant now, MessageSeq seq, bool certain, Instant clock);

  SeenWindow window_;
  MessagePosition head_ = 65536;  // of the window's head
  Instant moved_ = kNever;        // when a number near the head moved it last
  Instant last_data_ = kNever;
  // The newest timed PING, by its sender's clock; by ours where that cannot be read.
  bool clocked_ = false;
  Instant ping_stamp_ = kNever;
  Instant ping_arrival_ = kNever;
  MessageSeq ping_seq_{};
  // By how much our clock was ahead of the sender's when the PING came that took the least time; of
  // those that left after `least_since_`, and of those before.
  Duration least_{};
  Duration least_before_{};
  Instant least_since_ = kNever;
  // Within this time another PING comes, or the link goes down.
  Duration quiet_{};
  // PINGs without a clock that were behind, each well after the one before, and when the last came.
  unsigned behind_ = 0;
  Instant behind_since_ = kNever;
  // Numbers far ahead that came after the head moved last.
  MarkWindow<kDoubtSpan> doubt_;
  MessagePosition doubt_head_ = 0;  // of that window's head
  bool doubtful_ = false;           // neither confirmed nor disproved
  Instant doubted_{};               // when the first of them came
  MessageSeq doubt_first_{};
  Instant doubt_clock_ = kNever;  // the sender's, if that was a PING
};

}  // namespace ringknet
