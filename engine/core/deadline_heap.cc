// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The indexed heap behind all protocol timers.
#include "engine/core/deadline_heap.h"

namespace ringknet {

void DeadlineHeap::set(DeadlineNode& node, Instant deadline) {
  if (node.deadline_ == deadline)
    return;
  const bool queued = node.position_ != DeadlineNode::kNotQueued;
  node.deadline_ = deadline;
  if (deadline == kNever) {
    if (!queued)
      return;
    const std::size_t hole = node.position_;
    node.position_ = DeadlineNode::kNotQueued;
    DeadlineNode* last = nodes_.back();
    nodes_.pop_back();
    if (last == &node)
      return;
    place(last, hole);
    sift_up(hole);
    sift_down(last->position_);
    return;
  }
  if (!queued) {
    nodes_.push_back(&node);
    node.position_ = nodes_.size() - 1;
  }
  sift_up(node.position_);
  sift_down(node.position_);
}

void DeadlineHeap::place(DeadlineNode* node, std::size_t position) {
  nodes_[position] = node;
  node->position_ = position;
}

void DeadlineHeap::sift_up(std::size_t position) {
  DeadlineNode* node = nodes_[position];
  while (position > 0) {
    const std::size_t parent = (position - 1) / 2;
    if (nodes_[parent]->deadline_ <= node->deadline_)
      break;
    place(nodes_[parent], position);
    position = parent;
  }
  place(node, position);
}

void DeadlineHeap::sift_down(std::size_t position) {
  DeadlineNode* node = nodes_[position];
  for (;;) {
    std::size_t child = 2 * position + 1;
    if (child >= nodes_.size())
      break;
    if (child + 1 < nodes_.size() && nodes_[child + 1]->deadline_ < nodes_[child]->deadline_)
      ++child;
    if (node->deadline_ <= nodes_[child]->deadline_)
      break;
    place(nodes_[child], position);
    position = child;
  }
  place(node, position);
}

}  // namespace ringknet
