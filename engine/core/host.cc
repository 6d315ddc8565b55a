// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Choosing links of a host.
#include "engine/core/host.h"

#include <algorithm>

namespace ringknet {

bool Host::has_links() const {
  return std::ranges::any_of(links, [](const auto& link) { return link != nullptr; });
}

bool Host::has_loopback() const {
  return std::ranges::any_of(links, [](const auto& link) { return link && link->loopback(); });
}

Link* Host::source_link(const Address& from, SocketId socket) const {
  Link* best = nullptr;
  int best_score = -1;
  for (const auto& link : links) {
    if (!link || link->loopback() || !link->config.remote.same_ip(from))
      continue;
    const int score =
        (link->config.remote.port == from.port ? 2 : 0) + (link->config.socket == socket ? 1 : 0);
    if (score > best_score) {
      best = link.get();
      best_score = score;
    }
  }
  return best;
}

void Host::find_room(std::uint64_t message) {
  std::uint64_t oldest = message;
  for (const auto& link : links) {
    if (link && !link->loopback() && link->usable())
      oldest = std::min(oldest, link->window.oldest_under_way());
  }
  roomy_until = oldest + kUnderWayMax;
}

void Host::choose_routes() {
  routes.clear();
  LinkList sound;
  for (const auto& link : links) {
    if (!link || link->loopback() || !link->usable())
      continue;
    routes.push_back(link.get());
    if (!link->suspect())
      sound.push_back(link.get());
  }
  // ACTIVE pays for redundancy on purpose and keeps them all.
  if (policy != Policy::kActive && !sound.empty())
    routes = sound;
  if (policy == Policy::kPassive && routes.size() > 1) {
    Link* chosen = routes[0];
    for (Link* link : routes) {
      if (link->priority > chosen->priority)
        chosen = link;
    }
    routes.clear();
    routes.push_back(chosen);
  }
  if (round_robin >= routes.size())
    round_robin = 0;
}

}  // namespace ringknet
