// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Data waiting to be sent: runs of equal-sized packets, each with the links it goes to. Packets
// that follow each other to the same links and have the same size join one run, so that one system
// call sends them.
//
// Messages of one packet stand in a line of their own and overtake long ones, but never one of
// their own channel: what a channel sends leaves in order.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/bounded_queue.h"
#include "engine/core/link.h"
#include "engine/core/transmit.h"
#include "engine/core/transmit_arena.h"

namespace ringknet {

struct RunRef {
  TransmitArena::Piece piece;
  std::uint32_t segment_size = 0;  // sealed bytes per packet; the last one may be shorter
  std::uint32_t slice = 0;  // largest message slice in it: what a link must carry to take this run
  std::uint64_t message = 0;  // which of our messages is the first one in it

  std::size_t segments() const { return (piece.size + segment_size - 1) / segment_size; }
};

class RunQueue {
 public:
  // Runs that one message can need: kFragmentsMax packets in runs of kRunSegmentsMax or
  // kRunBytesMax.
  static constexpr std::size_t kRunsPerMessage = 6;

  explicit RunQueue(TransmitArena& arena) : arena_(&arena) {}

  void grow(std::size_t links) {
    short_.targets.grow(kTargetsMin + 4 * kRunsPerMessage * links);
    long_.targets.grow(kTargetsMin + 4 * kRunsPerMessage * links);
  }
  bool has_room(std::size_t links) const { return short_.has_room(links) && long_.has_room(links); }
  bool empty() const { return short_.runs.empty() && long_.runs.empty() && retries_.empty(); }

  // A message or a part of one; `whole` if it is all of one in a single packet. Takes over the
  // piece's reference.
  void push(const RunRef& run, std::span<const LinkRef> targets, Channel channel, bool whole);
  // A run for one more link, before everything else; holds a reference of its own. False when there
  // are too many.
  bool push_retry(const RunRef& run, const LinkRef& target);

  struct Item {
    RunRef run;
    LinkRef target;
    bool rerouted = false;  // the second try, on another link
  };
  // The link that pop() would answer; not when empty.
  const LinkRef& next_target() {
    return retries_.empty() ? next_line().targets.front() : retries_.front().target;
  }
  // And the first message in it.
  std::uint64_t next_message() {
    return retries_.empty() ? next_line().runs.front().ref.message : retries_.front().run.message;
  }
  // The next run and link; the caller owns one reference to the slab.
  bool pop(Item& out);

 private:
  static constexpr std::size_t kRunsMax = 1024;
  static constexpr std::size_t kTargetsMin = 4096;
  static constexpr std::size_t kRetriesMax = 512;

  // What overtakes a long run at most before it has its turn: as much as one run holds.
  static constexpr std::size_t kOvertakenMax = kRunBytesMax;

  struct Run {
    RunRef ref;
    std::uint64_t number = 0;    // in the order of their first messages
    std::uint32_t channels = 0;  // a bit for each that has a message in it
    std::uint32_t targets = 0;   // left
  };
  struct Line {
    BoundedQueue<Run> runs{kRunsMax};
    BoundedQueue<LinkRef> targets{kTargetsMin};

    bool has_room(std::size_t links) const {
      return runs.room() >= kRunsPerMessage && targets.room() >= kRunsPerMessage * links;
    }
  };
  static_assert(kChannelCount <= 32);

  bool join(Line& line, const RunRef& run, std::span<const LinkRef> targets);
  void note_channel(Line& line, Channel channel);
  void finish(Line& line);
  Line& next_line();

  TransmitArena* arena_;
  Line short_;
  Line long_;
  std::array<std::uint32_t, kChannelCount> long_runs_{};  // waiting, by channel
  std::uint64_t pushed_ = 0;
  std::size_t overtaken_ = 0;  // bytes of short runs since the last long one
  BoundedQueue<Item> retries_{kRetriesMax};
};

}  // namespace ringknet
