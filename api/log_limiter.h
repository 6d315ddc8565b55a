// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Keeps what packets and paths cause from flooding the log, and lets it say when a trouble is over.
// Every record that a packet, a peer or a network can provoke goes through here; what the
// application's own calls provoke does not.
//
// To log a new kind of event: add it to Kind, and in Handle call
//
//   tell(LogTopic::of_link(Kind::kMine, host, link), KNET_SUB_LINK, KNET_LOG_INFO,
//        "host {} link {}: something happened", ...);
//
// If its end is worth a record, or its last state, add a case to Handle::on_episode. Counting,
// pauses and waking up for the end are done here and by tell().
//
// Reports of one topic (a kind, and the host, link or drop reason that it is about) that follow
// each other make an episode:
//
//   report    x  x x xx x   x         x                       nothing for kQuiet
//   record    1            2 (4 more of this kind...)         closing record, with the counts
//              <- pause ->  <-  twice the pause  ->
//
// The first reports of an episode are written at once (one; of states that change, five), then one
// after each pause, and pauses double from 4 s to 1 min. A topic keeps its pause until it was quiet
// for 1 min, so that what comes and goes does not begin with short pauses each time. Packets of
// strangers have pauses from 1 min to 1 h.
//
// The table grows when links are configured and never otherwise; an episode that finds no place in
// it shares one with all others of its kind. Time is an argument. For one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/drop.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace ringknet {

// What a record is about.
struct LogTopic {
  enum class Kind : std::uint8_t {
    kNone,
    // of a link
    kDoubt,           // the network reports trouble, or answers are late
    kLinkState,       // up and down
    kLinkMtu,         // its MTU changed
    kMoved,           // a dynamic link's peer has another address
    kCannotSend,      // the kernel refuses datagrams
    kOtherInterface,  // packets arrive on another interface than its own
    kRuns,            // runs of packets do not arrive in one piece, or do again
    // of a host
    kHostState,  // reachable or not
    kRestarted,
    // of a channel
    kDatafd,        // a message could not be written to the application's descriptor
    kOversized,     // a message of the application that is too long
    kRefusedSend,   // a message of the application that goes nowhere
    kNotDelivered,  // a received message without a reader
    // of the handle
    kDataMtu,
    kCannotReceive,
    kSocketBuffer,
    kOffload,
    kReceiveOffload,
    kDrops,     // the list of what was dropped
    kStranger,  // packets that somebody's configuration makes us refuse; of a drop reason
    kCount
  };

  Kind kind = Kind::kNone;
  std::uint8_t detail = 0;  // a link, a channel or a drop reason
  HostId host{};

  static constexpr LogTopic of_link(Kind kind, HostId host, LinkId link) {
    return {kind, raw(link), host};
  }
  static constexpr LogTopic of_host(Kind kind, HostId host) { return {kind, 0, host}; }
  static constexpr LogTopic of_channel(Kind kind, Channel channel) {
    return {kind, raw(channel), HostId{}};
  }
  static constexpr LogTopic of_handle(Kind kind) { return {kind, 0, HostId{}}; }
  static constexpr LogTopic of_drop(Drop reason) {
    return {Kind::kStranger, static_cast<std::uint8_t>(reason), HostId{}};
  }

  LinkId link() const { return LinkId(detail); }
  Drop reason() const { return Drop(detail); }
  friend bool operator==(const LogTopic&, const LogTopic&) = default;
};

class LogLimiter {
 public:
  // Reports of one topic without a pause of kQuiet between them.
  struct Episode {
    LogTopic topic;
    bool shared = false;      // of several topics of one kind; topic has the kind only
    bool over = false;        // else reports are held back, and it is time to say so
    Instant began{};          // the first report
    Instant last{};           // the last one
    std::uint64_t count = 0;  // reports in all
    std::uint64_t held = 0;   // since the last record
  };

  static constexpr Duration kQuiet = std::chrono::seconds(10);
  static constexpr Duration kPauseMin = std::chrono::seconds(4);
  static constexpr Duration kPauseMax = std::chrono::seconds(60);
  static constexpr Duration kForget = std::chrono::seconds(60);

  LogLimiter();

  // Makes room for the episodes of so many links. Allocates.
  void grow(std::size_t links);

  // Something happened. True: write a record now, and say that `held` reports before it were not
  // written.
  bool report(Instant now, const LogTopic& topic, std::uint64_t& held);

  // Forgets the episode without a word: another record has told its end.
  void end(const LogTopic& topic);

  // When on_timeout is to be called; kNever while nothing is under way.
  Instant next_deadline() const { return next_scan_; }
  // Calls `tell(const Episode&)` for every trouble that is over, and for states that changed since
  // the last record and may be told now. It answers whether that is settled: false keeps the
  // episode open, as its trouble lasts although nothing reports it.
  template <typename Tell>
  void on_timeout(Instant now, Tell&& tell) {
    if (now < next_scan_)
      return;
    next_scan_ = kNever;
    for (Entry& entry : entries_) {
      if (!entry.used())
        continue;
      const bool settled = due(entry, now) && tell(static_cast<const Episode&>(entry));
      if (settled)
        settle(entry, now);
      close_quiet(entry, now, settled);
      next_scan_ = std::min(next_scan_, next_look(entry, now));
    }
  }

 private:
  struct Entry : Episode {
    bool open = false;
    bool written = false;      // at least one record in this episode
    std::uint8_t records = 0;  // at most the burst
    Duration pause{};
    Instant next{};  // no record before this

    bool used() const { return topic.kind != LogTopic::Kind::kNone; }
    bool quiet(Instant now) const { return now - last >= kQuiet; }
  };
  struct Pace {
    std::uint8_t burst = 1;
    bool state = false;  // the last report counts, not that there was one
    Duration pause_min = kPauseMin;
    Duration pause_max = kPauseMax;
  };
  static constexpr std::size_t kEntriesMin = 64;
  static constexpr std::size_t kEntriesPerLink = 8;
  static constexpr std::size_t kProbes = 16;
  static constexpr std::size_t kKinds = static_cast<std::size_t>(LogTopic::Kind::kCount);
  // Between two looks at the table.
  static constexpr Duration kTick = std::chrono::seconds(1);

  static Pace pace(LogTopic::Kind kind);
  static void count_record(Entry& entry, Instant now);
  static bool due(Entry& entry, Instant now);
  static void settle(Entry& entry, Instant now);
  static void close_quiet(Entry& entry, Instant now, bool settled);
  static Instant forgotten(const Entry& entry);
  static Instant next_look(const Entry& entry, Instant now);
  Entry* find(const LogTopic& topic, bool make);

  // The last kKinds entries are the shared ones. The others are a hash table: an entry is in one of
  // kProbes places in a row.
  std::vector<Entry> entries_;
  Instant next_scan_ = kNever;
};

}  // namespace ringknet
