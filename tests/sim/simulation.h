// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One run of the simulation: a seed in, a verdict out. A run has four parts: chaos, in which faults
// happen under traffic; healing, in which everything has to come back by itself within bounds that
// derive from the timers; proof, in which every message has to arrive exactly once; and silence,
// after which nothing may be held any more.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "engine/base/time.h"

namespace ringknet::sim {

struct Options {
  std::FILE* trace = nullptr;             // a line per packet, delivery and event
  std::vector<std::string> without = {};  // features to switch off (scenario.h)
  std::optional<bool> real_ciphers = {};  // instead of what the seed says
};

struct Report {
  bool passed = false;
  std::string failure;  // what broke, when, and under which scenario
  std::uint64_t digest = 0;
  std::uint64_t course = 0;   // the same but for the bytes of packets: the same with other ciphers
  bool real_ciphers = false;  // something was sealed with them
  Duration simulated{};
  std::uint64_t datagrams = 0;
  std::uint64_t messages = 0;
  std::uint64_t deliveries = 0;
  std::uint64_t excused = 0;  // second deliveries after the loss of a host
  std::uint64_t link_ups = 0;
  std::uint64_t link_downs = 0;
  std::uint64_t restarts_seen = 0;
  std::uint64_t key_changes = 0;
  std::uint64_t bogus = 0;     // packets that nobody sent, or that were damaged
  std::uint64_t repeated = 0;  // packets that were sent again by somebody else
};

Report simulate(std::uint64_t seed, const Options& options);

}  // namespace ringknet::sim
