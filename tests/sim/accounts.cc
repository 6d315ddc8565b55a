// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statistics add up.
#include "tests/sim/accounts.h"

#include "tests/sim/fabric_inspector.h"
#include "tests/sim/failure.h"
#include "tests/sim/network.h"

namespace ringknet::sim {
namespace {

// What one datagram can make a node send at once: an answer, or, when it answers a probe, the next
// one with a PING beside it, and that again for the key that is not in use yet.
constexpr std::size_t kAnswersMax = 3;

bool same(const PacketCount& a, const PacketCount& b) {
  return a.packets == b.packets && a.bytes == b.bytes;
}

std::string text(const PacketCount& count) {
  return std::to_string(count.packets) + " packets of " + std::to_string(count.bytes) + " bytes";
}

void compare(std::size_t node, const char* what, const PacketCount& said, const PacketCount& seen) {
  if (!same(said, seen)) {
    fail(label("node", node) + " says that it sent " + text(said) + " of " + what +
         " on a link, but it handed out " + text(seen));
  }
}

}  // namespace

void Accounts::handed_out(std::size_t peer, std::size_t link, PacketType type, std::size_t bytes,
                          std::size_t packets) {
  Tally& tally = tally_[peer][link];
  switch (type) {
    case PacketType::kData:
      tally.data.add(bytes, packets);
      break;
    case PacketType::kPing:
      tally.ping.add(bytes, packets);
      break;
    case PacketType::kPong:
      tally.pong.add(bytes, packets);
      break;
    case PacketType::kMtuProbe:
      tally.mtu.add(bytes, packets);
      break;
    case PacketType::kMtuReply:
      break;  // not counted anywhere
  }
}

void Accounts::check(Fabric& fabric, std::size_t node, std::size_t nodes, std::size_t links) const {
  const FabricInspector inspector(fabric);
  for (std::size_t peer = 0; peer < nodes; ++peer) {
    for (std::size_t l = 0; l < links && peer != node; ++l) {
      const Link* link = inspector.link(host_of(peer), LinkId(l));
      if (link == nullptr)
        continue;
      const LinkStats& stats = link->stats;
      const Tally& tally = tally_[peer][l];
      compare(node, "data", stats.tx_data, tally.data);
      compare(node, "PINGs", stats.tx_ping, tally.ping);
      compare(node, "PONGs", stats.tx_pong, tally.pong);
      compare(node, "probes", stats.tx_mtu, tally.mtu);
    }
  }
}

InputAccount::InputAccount(Fabric& fabric, std::size_t peer, std::size_t links)
    : fabric_(fabric),
      peer_(peer),
      links_(links),
      drops_(fabric.drops()),
      counted_(count()),
      dropped_(drops_.total()),
      answers_(FabricInspector(fabric).control_waiting()) {}

void InputAccount::close() {
  counted_ = count() - counted_;
  dropped_ = fabric_.drops().total() - dropped_;
  answers_ = FabricInspector(fabric_).control_waiting() - answers_;
}

std::uint64_t InputAccount::count() const {
  std::uint64_t sum = 0;
  for (std::size_t l = 0; l < links_; ++l) {
    const Link* link = FabricInspector(fabric_).link(host_of(peer_), LinkId(l));
    if (link == nullptr)
      continue;
    const LinkStats& stats = link->stats;
    sum += stats.rx_data.packets + stats.rx_ping.packets + stats.rx_pong.packets +
           stats.rx_mtu.packets;
  }
  return sum;
}

Drop InputAccount::reason() const {
  for (std::size_t i = 0; i < kDropCount; ++i) {
    if (dropped_as(Drop(i)))
      return Drop(i);
  }
  return Drop::kCount;
}

// A link counts it, or it is dropped with a reason; never neither, and never counted twice.
void InputAccount::check(std::size_t node) const {
  if (counted() > 1 || (counted() == 0 && dropped() == 0)) {
    fail(label("node", node) + " was given a datagram of " + label("node", peer_) +
         " and counted it " + std::to_string(counted()) + " times, with " +
         std::to_string(dropped()) + " drops");
  }
  if (answers() > kAnswersMax) {
    fail(label("node", node) + " wants to send " + std::to_string(answers()) +
         " control packets because of one datagram");
  }
}

}  // namespace ringknet::sim
