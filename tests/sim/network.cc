// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The virtual network.
#include "tests/sim/network.h"

#include <algorithm>
#include <cassert>

#include "engine/wire/size.h"

namespace ringknet::sim {
namespace {

// Not neighbours, so that hosts live on different pages of the host table.
constexpr unsigned kHostStep = 300;
constexpr std::uint16_t kPortBase = 5000;

}  // namespace

HostId host_of(std::size_t node) {
  return HostId(static_cast<std::uint16_t>(1 + node * kHostStep));
}

std::size_t node_of(HostId host) {
  return (raw(host) - 1u) / kHostStep;
}

Network::Network(const Scenario& scenario)
    : scenario_(scenario), random_(random_for(scenario.seed, Stream::kNetwork)) {
  for (std::size_t a = 0; a < scenario.nodes; ++a) {
    for (std::size_t b = 0; b < scenario.nodes; ++b) {
      for (std::size_t l = 0; l < scenario.links; ++l)
        paths_[a][b][l].plan = scenario.path[a][b][l];
    }
  }
}

Address Network::address(std::size_t node, std::size_t link) const {
  Address address;
  address.family = scenario_.link[link].ipv6 ? Address::Family::kIpv6 : Address::Family::kIpv4;
  address.ip[0] = 10;
  address.ip[1] = static_cast<std::uint8_t>(link);
  address.ip[3] = static_cast<std::uint8_t>(node + 1);
  address.port = static_cast<std::uint16_t>(kPortBase + link);
  return address;
}

std::optional<Network::Place> Network::locate(const Address& address) const {
  const Place place{static_cast<std::size_t>(address.ip[3]) - 1, address.ip[1]};
  if (place.node >= scenario_.nodes || place.link >= scenario_.links)
    return std::nullopt;
  if (!(this->address(place.node, place.link) == address))
    return std::nullopt;
  return place;
}

std::uint32_t Network::packet_size(std::size_t link, std::size_t size) const {
  return static_cast<std::uint32_t>(size + (scenario_.link[link].ipv6 ? 48 : 28));
}

std::uint32_t Network::exact_slice(std::size_t from, std::size_t to, std::size_t link) {
  const PathPlan& plan = path(from, to, link).plan;
  return std::min(plan.device_mtu, plan.hole_mtu) - packet_size(link, kReservedHeaderSize);
}

Network::Fate Network::send(Instant now, std::size_t from, std::size_t to, std::size_t link,
                            std::size_t size, bool in_pieces) {
  Path& way = path(from, to, link);
  const PathPlan& plan = way.plan;
  Fate fate;
  const bool too_large = !in_pieces && packet_size(link, size) > plan.hole_mtu;
  const bool lost = random_.chance(plan.loss);
  if (way.cut || lost) {
    way.trouble = now;
    return fate;
  }
  if (too_large)
    return fate;
  const auto jitter = [&] {
    return Duration(static_cast<std::int64_t>(
        random_.below(static_cast<std::uint64_t>(plan.jitter.count()) + 1)));
  };
  fate.arrivals[fate.copies++] = now + plan.delay + jitter();
  if (random_.chance(plan.duplication)) {
    const Duration first = jitter();
    fate.arrivals[fate.copies++] = now + plan.delay + first + jitter();
  }
  return fate;
}

void Network::heal(Instant now) {
  for (auto& from : paths_) {
    for (auto& to : from) {
      for (Path& way : to) {
        way.plan.loss = 0;
        way.plan.duplication = 0;
        way.cut = false;
        way.changed = now;
      }
    }
  }
}

std::uint32_t Network::take_datagram() {
  if (free_.empty()) {
    datagrams_.emplace_back();
    return static_cast<std::uint32_t>(datagrams_.size() - 1);
  }
  const std::uint32_t index = free_.back();
  free_.pop_back();
  datagrams_[index].message = kNoMessage;
  return index;
}

}  // namespace ringknet::sim
