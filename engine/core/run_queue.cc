// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The queue of data runs.
#include "engine/core/run_queue.h"

#include <bit>
#include <cassert>

#include "engine/core/transmit.h"

namespace ringknet {

void RunQueue::push(const RunRef& run, std::span<const LinkRef> targets, Channel channel,
                    bool whole) {
  assert(!targets.empty());
  Line& line = whole && long_runs_[raw(channel)] == 0 ? short_ : long_;
  ++pushed_;
  if (join(line, run, targets)) {
    arena_->release(run.piece.slab);  // the run it joined holds one already
  } else {
    for (const LinkRef& target : targets)
      line.targets.push(target);
    [[maybe_unused]] const bool pushed = line.runs.push(
        {.ref = run, .number = pushed_, .targets = static_cast<std::uint32_t>(targets.size())});
    assert(pushed);
  }
  note_channel(line, channel);
}

bool RunQueue::join(Line& line, const RunRef& run, std::span<const LinkRef> targets) {
  if (line.runs.empty())
    return false;
  Run& tail = line.runs.back();
  RunRef& ref = tail.ref;
  const std::size_t size = std::size_t{ref.piece.size} + run.piece.size;
  const bool in_line =
      ref.piece.slab == run.piece.slab && ref.piece.offset + ref.piece.size == run.piece.offset;
  const bool only_full = ref.piece.size % ref.segment_size == 0;
  if (!in_line || !only_full || run.segment_size > ref.segment_size)
    return false;
  if (run.segment_size < ref.segment_size && run.piece.size > run.segment_size)
    return false;
  if (size > kRunBytesMax || size > kRunSegmentsMax * std::size_t{ref.segment_size})
    return false;
  if (tail.targets != targets.size())
    return false;
  const std::size_t first = line.targets.size() - tail.targets;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (!(line.targets.at(first + i) == targets[i]))
      return false;
  }
  ref.piece.size = static_cast<std::uint32_t>(size);
  return true;
}

// The last run of the line has a message of the channel.
void RunQueue::note_channel(Line& line, Channel channel) {
  Run& run = line.runs.back();
  const std::uint32_t bit = std::uint32_t{1} << raw(channel);
  if (&line == &long_ && (run.channels & bit) == 0)
    ++long_runs_[raw(channel)];
  run.channels |= bit;
}

// A short run goes first, unless a long one that came before it has let enough of them pass. A run
// in the long line that came later never goes before the short ones, which may be of its channel.
RunQueue::Line& RunQueue::next_line() {
  if (short_.runs.empty() || long_.runs.empty())
    return short_.runs.empty() ? long_ : short_;
  const bool its_turn =
      overtaken_ >= kOvertakenMax && long_.runs.front().number < short_.runs.front().number;
  return its_turn ? long_ : short_;
}

// The first run of the line has been handed out to all its links.
void RunQueue::finish(Line& line) {
  const Run& run = line.runs.front();
  if (&line == &long_) {
    overtaken_ = 0;
    for (std::uint32_t left = run.channels; left != 0; left &= left - 1)
      --long_runs_[static_cast<std::size_t>(std::countr_zero(left))];
  } else if (!long_.runs.empty()) {
    overtaken_ += run.ref.piece.size;
  }
  line.runs.pop();
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
  Line& line = next_line();
  if (line.runs.empty())
    return false;
  Run& run = line.runs.front();
  out = {run.ref, line.targets.front(), false};
  line.targets.pop();
  if (--run.targets == 0) {
    finish(line);  // its reference goes to the caller
  } else {
    arena_->hold(out.run.piece.slab);
  }
  return true;
}

}  // namespace ringknet
