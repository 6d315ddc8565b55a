// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The queue of data runs.
#include "engine/core/run_queue.h"

#include <cassert>

#include "engine/core/transmit.h"

namespace ringknet {

void RunQueue::push(const RunRef& run, std::span<const LinkRef> targets) {
  assert(!targets.empty());
  if (join(run, targets)) {
    arena_->release(run.piece.slab);  // the run it joined holds one already
    return;
  }
  for (const LinkRef& target : targets)
    targets_.push(target);
  [[maybe_unused]] const bool pushed =
      runs_.push({run, static_cast<std::uint32_t>(targets.size()), false});
  assert(pushed);
}

bool RunQueue::join(const RunRef& run, std::span<const LinkRef> targets) {
  if (runs_.empty())
    return false;
  Run& tail = runs_.back();
  RunRef& ref = tail.ref;
  const std::size_t size = std::size_t{ref.piece.size} + run.piece.size;
  const bool in_line =
      ref.piece.slab == run.piece.slab && ref.piece.offset + ref.piece.size == run.piece.offset;
  const bool only_full = ref.piece.size % ref.segment_size == 0;
  if (tail.started || !in_line || !only_full || run.segment_size > ref.segment_size)
    return false;
  if (run.segment_size < ref.segment_size && run.piece.size > run.segment_size)
    return false;
  if (size > kRunBytesMax || size > kRunSegmentsMax * std::size_t{ref.segment_size})
    return false;
  if (tail.targets != targets.size())
    return false;
  const std::size_t first = targets_.size() - tail.targets;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!(targets_.at(first + i) == targets[i]))
      return false;
  }
  ref.piece.size = static_cast<std::uint32_t>(size);
  return true;
}

bool RunQueue::push_retry(const RunRef& run, const LinkRef& target) {
  if (!retries_.push({run, target, true}))
    return false;
  arena_->hold(run.piece.slab);
  return true;
}

bool RunQueue::pop(Item& out) {
  if (!retries_.empty()) {
    out = retries_.front();
    retries_.pop();
    return true;
  }
  if (runs_.empty())
    return false;
  Run& run = runs_.front();
  out = {run.ref, targets_.front(), false};
  targets_.pop();
  run.started = true;
  if (--run.targets == 0) {
    runs_.pop();  // its reference goes to the caller
  } else {
    arena_->hold(out.run.piece.slab);
  }
  return true;
}

}  // namespace ringknet
