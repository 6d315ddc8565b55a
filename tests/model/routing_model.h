// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which links may carry a host's messages, said as plainly as the policies are described: a link
// carries data if it is enabled and connected; links in trouble are passed over while others are
// sound, except that ACTIVE uses all.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "engine/core/link_config.h"

namespace ringknet::model {

struct RoutingLink {
  unsigned id = 0;
  bool enabled = false;
  bool connected = false;
  bool suspect = false;
  std::uint8_t priority = 0;
};

// The links that a message goes over, or, for round robin, takes turns on.
inline std::set<unsigned> routes(Policy policy, const std::vector<RoutingLink>& links) {
  std::set<unsigned> usable;
  std::set<unsigned> sound;
  for (const RoutingLink& link : links) {
    if (!link.enabled || !link.connected)
      continue;
    usable.insert(link.id);
    if (!link.suspect)
      sound.insert(link.id);
  }
  if (policy == Policy::kActive)
    return usable;
  const std::set<unsigned> candidates = sound.empty() ? usable : sound;
  if (policy == Policy::kRoundRobin || candidates.empty())
    return candidates;
  unsigned best = *candidates.begin();
  int best_priority = -1;
  for (const RoutingLink& link : links) {
    if (candidates.contains(link.id) && int{link.priority} > best_priority) {
      best = link.id;
      best_priority = link.priority;
    }
  }
  return {best};
}

}  // namespace ringknet::model
