// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An indexed binary min-heap of deadlines: the owner embeds a DeadlineNode, and changing or
// removing one deadline costs O(log n). Nothing ever scans all nodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/time.h"

namespace ringknet {

class DeadlineNode {
 public:
  Instant deadline() const { return deadline_; }

 private:
  friend class DeadlineHeap;
  static constexpr std::size_t kNotQueued = SIZE_MAX;

  Instant deadline_ = kNever;
  std::size_t position_ = kNotQueued;
};

class DeadlineHeap {
 public:
  // kNever takes the node out. Nodes must be taken out before they die.
  void set(DeadlineNode& node, Instant deadline);
  void remove(DeadlineNode& node) { set(node, kNever); }

  // Room for so many nodes: queueing them allocates nothing.
  void reserve(std::size_t nodes) { nodes_.reserve(nodes); }

  bool empty() const { return nodes_.empty(); }
  Instant next() const { return nodes_.empty() ? kNever : nodes_.front()->deadline_; }
  DeadlineNode& front() { return *nodes_.front(); }

 private:
  void place(DeadlineNode* node, std::size_t position);
  void sift_up(std::size_t position);
  void sift_down(std::size_t position);

  std::vector<DeadlineNode*> nodes_;
};

}  // namespace ringknet
