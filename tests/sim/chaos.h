// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Chaos: what goes wrong, and when, until it is told to stop. It draws from the faults that the
// scenario has switched on; each fault undoes itself after a while.
#pragma once

#include <functional>
#include <vector>

#include "tests/sim/cluster.h"

namespace ringknet::sim {

class Chaos {
 public:
  explicit Chaos(Cluster& cluster);

  void begin(Instant end);
  // Undoes what is still in force, except size limits.
  void stop();

 private:
  void next();
  void cut(bool both_ways);
  void restart();
  void pause();
  void change_limits();
  void reconfigure();
  void disable_link(std::size_t node, HostId host, LinkId link);
  void burst();
  void continue_burst(std::size_t node, std::size_t peer, std::uint32_t left);
  void clog();
  void rebind();
  void recompress();
  void forge();
  void lie();
  void repeat();
  void relink();
  void rehost();
  void retime();
  void set_mtu();
  void set_mtu_interval();
  void refuse_peer();
  void flood();
  void continue_flood(std::size_t node, Instant until, std::size_t budget);
  void stream();
  void continue_stream(std::size_t node, std::size_t peer, std::uint32_t size, unsigned left);

  std::size_t any_node() { return random_.below(scenario_.nodes); }
  std::size_t other_node(std::size_t node);
  std::size_t any_link() { return random_.below(scenario_.links); }
  Duration between(Duration low, Duration high);

  Cluster& cluster_;
  const Scenario& scenario_;
  Random random_;
  Random runs_;  // for streams, which come beside the faults
  // Those that the seed drew, in order; what was switched off by hand keeps its place and does
  // nothing, so that the others come when they came.
  struct Fault {
    bool on;
    std::function<void()> happen;
  };
  std::vector<Fault> faults_;
  Instant end_{};
  std::size_t floods_ = 0;
  bool burst_done_ = false;
};

}  // namespace ringknet::sim
