// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Changes of keys while everything else goes on, in the documented order: the new key into the free
// slot of every node, then every node uses it, then every node forgets the old one. Each step is
// taken by each node at a moment of its own, and one that does not run when its turn comes begins
// with the step.
#pragma once

#include <functional>

#include "tests/sim/cluster.h"

namespace ringknet::sim {

class Rekey {
 public:
  explicit Rekey(Cluster& cluster);

  void begin(Instant end);
  // Whether no change is half done.
  bool idle() const { return pending_ == 0 && !running_; }
  // Of one change, while all nodes run.
  Duration duration_max() const;
  std::uint64_t changes() const { return changes_; }

 private:
  void next();
  void change();
  // On every node, then `after`.
  void everywhere(std::function<void(std::size_t)> step, std::function<void()> after);
  void take(std::size_t node, const std::function<void(std::size_t)>& step,
            const std::function<void()>& after);
  Duration settling_max() const;
  Duration settling();

  Cluster& cluster_;
  const Scenario& scenario_;
  Random random_;
  Instant end_{};
  Key key_;
  std::size_t slot_ = 1;
  std::uint8_t number_ = 0;
  std::size_t pending_ = 0;
  bool running_ = false;
  std::uint64_t changes_ = 0;
};

}  // namespace ringknet::sim
