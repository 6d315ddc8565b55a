// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Data waiting to be sent: runs of equal-sized packets, each with the links it goes to. Packets
// that follow each other to the same links and have the same size join one run, so that one system
// call sends them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/base/bounded_queue.h"
#include "engine/core/link.h"
#include "engine/core/transmit_arena.h"

namespace ringknet {

struct RunRef {
  TransmitArena::Piece piece;
  std::uint32_t segment_size = 0;  // sealed bytes per packet; the last one may be shorter
  std::uint32_t slice = 0;  // largest message slice in it: what a link must carry to take this run
};

class RunQueue {
 public:
  // Runs that one message can need: kFragmentsMax packets in runs of kRunSegmentsMax or
  // kRunBytesMax.
  static constexpr std::size_t kRunsPerMessage = 6;

  explicit RunQueue(TransmitArena& arena) : arena_(&arena) {}

  void grow(std::size_t links) { targets_.grow(kTargetsMin + 4 * kRunsPerMessage * links); }
  bool has_room(std::size_t links) const {
    return runs_.room() >= kRunsPerMessage && targets_.room() >= kRunsPerMessage * links;
  }
  bool empty() const { return runs_.empty() && retries_.empty(); }

  // Takes over the piece's reference.
  void push(const RunRef& run, std::span<const LinkRef> targets);
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
    return retries_.empty() ? targets_.front() : retries_.front().target;
  }
  // The next run and link; the caller owns one reference to the slab.
  bool pop(Item& out);

 private:
  static constexpr std::size_t kRunsMax = 1024;
  static constexpr std::size_t kTargetsMin = 4096;
  static constexpr std::size_t kRetriesMax = 512;

  struct Run {
    RunRef ref;
    std::uint32_t targets = 0;  // left
    bool started = false;       // handed out to some link already: nothing may join any more
  };
  bool join(const RunRef& run, std::span<const LinkRef> targets);

  TransmitArena* arena_;
  BoundedQueue<Run> runs_{kRunsMax};
  BoundedQueue<LinkRef> targets_{kTargetsMin};
  BoundedQueue<Item> retries_{kRetriesMax};
};

}  // namespace ringknet
