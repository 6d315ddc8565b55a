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

Address Network::source(std::size_t from, std::size_t to, std::size_t link) {
  Address address = this->address(from, link);
  const std::uint8_t mapping = path(from, to, link).mapping;
  // A NAT may change the port alone, or the address, too.
  address.port = static_cast<std::uint16_t>(address.port + 100 * mapping);
  address.ip[2] = mapping / 2;
  return address;
}

std::optional<Network::Place> Network::locate(std::size_t sender, const Address& to) {
  Place place{static_cast<std::size_t>(to.ip[3]) - 1, to.ip[1]};
  if (place.node >= scenario_.nodes || place.link >= scenario_.links)
    return std::nullopt;
  place.current = source(place.node, sender, place.link) == to;
  Address home = to;
  home.ip[2] = 0;
  home.port = static_cast<std::uint16_t>(kPortBase + place.link);
  if (!(home == address(place.node, place.link)))
    return std::nullopt;
  return place;
}

std::uint32_t Network::packet_size(std::size_t link, std::size_t size) const {
  return static_cast<std::uint32_t>(size + (scenario_.link[link].ipv6 ? 48 : 28));
}

std::uint32_t Network::exact_slice(std::size_t from, std::size_t to, std::size_t link,
                                   const Envelope& envelope) {
  const PathPlan& plan = path(from, to, link).plan;
  const std::uint32_t packet = std::min(plan.device_mtu, plan.hole_mtu);
  return static_cast<std::uint32_t>(envelope.slice(packet - packet_size(link, 0)));
}

std::optional<Instant> Network::queue(Instant now, Path& way, std::size_t packet) {
  if (way.plan.rate == 0)
    return now;
  const Instant start = std::max(now, way.busy_until);
  const auto waiting =
      static_cast<std::uint64_t>((start - now).count()) * way.plan.rate / 1'000'000'000;
  if (waiting > way.plan.queue && !healed_)
    return std::nullopt;
  way.busy_until =
      start + Duration(static_cast<std::int64_t>(packet * 1'000'000'000 / way.plan.rate));
  return way.busy_until;
}

Network::Fate Network::send(Instant now, std::size_t from, const Place& to, std::size_t size,
                            bool in_pieces) {
  Path& way = path(from, to.node, to.link);
  const PathPlan& plan = way.plan;
  Fate fate;
  const std::uint32_t packet = packet_size(to.link, size);
  const bool too_large = !in_pieces && packet > plan.hole_mtu;
  const bool lost = random_.chance(plan.loss);
  const bool damaged = scenario_.features.damage && !healed_ && random_.chance(0.01);
  if (way.cut || lost || !to.current) {
    way.trouble = now;
    return fate;
  }
  if (too_large)
    return fate;
  const auto left = queue(now, way, packet);
  if (!left || damaged)
    way.trouble = now;
  if (!left)
    return fate;
  const auto jitter = [&] {
    return Duration(static_cast<std::int64_t>(
        random_.below(static_cast<std::uint64_t>(plan.jitter.count()) + 1)));
  };
  fate.damaged = damaged;
  fate.arrivals[fate.copies++] = *left + plan.delay + jitter();
  if (random_.chance(plan.duplication)) {
    const Duration first = jitter();
    fate.arrivals[fate.copies++] = *left + plan.delay + first + jitter();
  }
  return fate;
}

void Network::heal(Instant now) {
  healed_ = true;
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
  Datagram& datagram = datagrams_[index];
  datagram.message = kNoMessage;
  datagram.kind = Datagram::Kind::kHonest;
  datagram.whole = false;
  return index;
}

}  // namespace ringknet::sim
