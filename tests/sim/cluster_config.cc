// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The virtual cluster: keys and compression, which outlive a process as its configuration file
// does; paths that clog, addresses that change, and packets that no node sent.
#include <algorithm>

#include "engine/compress/codecs/codecs.h"
#include "tests/sim/cluster.h"
#include "tests/sim/fabric_inspector.h"
#include "tests/sim/failure.h"

namespace ringknet::sim {

// --- keys and compression
// -------------------------------------------------------------------------

void Cluster::configure_keys(std::size_t index) {
  Node& node = nodes_[index];
  for (std::size_t slot = 1; slot <= kKeySlots; ++slot) {
    if (node.keys[slot])
      apply_key(index, slot);
  }
  if (!node.fabric->crypto_use(local(node), node.key_in_use))
    fail("crypto_use refused a slot that is filled");
  node.fabric->keyring().allow_clear(node.clear_allowed);
}

void Cluster::apply_key(std::size_t index, std::size_t slot) {
  Node& node = nodes_[index];
  auto sealer = make_watched_sealer(node.fabric->keyring(), *node.keys[slot],
                                    scenario_.real_ciphers, node.seal_log, nonces_);
  if (!node.fabric->crypto_install(local(node), slot, std::move(sealer)))
    fail("crypto_install refused a key");
}

void Cluster::install_key(std::size_t index, std::size_t slot, Key key) {
  nodes_[index].keys[slot] = key;
  if (nodes_[index].fabric)
    configure(index, [&](Fabric&, Instant) { apply_key(index, slot); });
}

void Cluster::use_key(std::size_t index, std::size_t slot) {
  nodes_[index].key_in_use = slot;
  if (!nodes_[index].fabric)
    return;
  configure(index, [&](Fabric& fabric, Instant now) {
    if (!fabric.crypto_use(now, slot))
      fail("crypto_use refused a slot that is filled");
  });
}

void Cluster::erase_key(std::size_t index, std::size_t slot) {
  nodes_[index].keys[slot].reset();
  if (!nodes_[index].fabric)
    return;
  configure(index, [&](Fabric& fabric, Instant) {
    if (!fabric.keyring().erase(slot))
      fail("a key that is not in use was not erased");
  });
}

void Cluster::allow_clear(std::size_t index, bool allowed) {
  nodes_[index].clear_allowed = allowed;
  if (nodes_[index].fabric)
    nodes_[index].fabric->keyring().allow_clear(allowed);
}

void Cluster::apply_compression(Fabric& fabric, std::size_t above) {
  if (above == 0) {
    fabric.set_compressor(nullptr, CompressId::kNone, 0);
    return;
  }
  // The slow one now and then: what comes out is read by the same decoder.
  const CompressId id = above % 8 == 1 ? CompressId::kLz4hc : CompressId::kLz4;
  const CodecModel& model = *find_codec(id);
  fabric.set_compressor(model.compressor(model.default_level), id, above);
}

void Cluster::set_compression(std::size_t index, std::size_t above) {
  nodes_[index].compress_above = above;
  if (!nodes_[index].fabric)
    return;
  configure(index, [&](Fabric& fabric, Instant) { apply_compression(fabric, above); });
}

// --- links, hosts and their settings
// --------------------------------------------------------------

bool Cluster::has_link(std::size_t index, std::size_t peer, std::size_t link) const {
  return FabricInspector(*nodes_[index].fabric).link(host_of(peer), LinkId(link)) != nullptr;
}

void Cluster::clear_link(std::size_t index, std::size_t peer, std::size_t link, bool drained) {
  Node& node = nodes_[index];
  if (!has_link(index, peer, link))
    return;
  node.accounts.check(*node.fabric, index, nodes_.size(), scenario_.links);
  const auto disable = [=](Fabric& fabric, Instant now) {
    if (!fabric.link_set_enabled(now, host_of(peer), LinkId(link), false))
      fail("a link was not disabled");
  };
  if (drained)
    configure(index, disable);
  configure(index, [&](Fabric& fabric, Instant now) {
    disable(fabric, now);
    if (!fabric.link_clear(now, host_of(peer), LinkId(link)))
      fail("a disabled link was not cleared");
    ++node.cleared[peer][link];
    node.accounts.cleared(peer, link);
    watch_.cleared(index, peer, link);
  });
}

void Cluster::remove_host(std::size_t index, std::size_t peer, bool drained) {
  if (!nodes_[index].fabric->host_exists(host_of(peer)))
    return;
  for (std::size_t l = 0; l < scenario_.links; ++l)
    clear_link(index, peer, l, drained);
  configure(index, [&](Fabric& fabric, Instant) {
    if (!fabric.host_remove(host_of(peer)))
      fail("a host without links was not removed");
  });
}

void Cluster::restore_link(std::size_t index, std::size_t peer, std::size_t link) {
  if (has_link(index, peer, link))
    return;
  configure(index, [&](Fabric& fabric, Instant now) {
    const HostId host = host_of(peer);
    if (!fabric.host_exists(host) &&
        (!fabric.host_add(host) ||
         !fabric.host_set_policy(now, host, scenario_.policy[index][peer]))) {
      fail("a host that was removed was not added again");
    }
    configure_link(index, peer, link);
  });
}

void Cluster::retime(std::size_t index, std::size_t peer, std::size_t link,
                     const PingTimers& timers, std::uint8_t pong_count, std::uint8_t priority) {
  if (!has_link(index, peer, link))
    return;
  configure(index, [&](Fabric& fabric, Instant now) {
    const HostId host = host_of(peer);
    if (!fabric.link_set_timers(now, host, LinkId(link), timers) ||
        !fabric.link_set_pong_count(host, LinkId(link), pong_count) ||
        !fabric.link_set_priority(now, host, LinkId(link), priority)) {
      fail("legal settings of a link were refused");
    }
    watch_.retimed(index, peer, link, timers, pong_count);
  });
}

void Cluster::set_manual_mtu(std::size_t index, std::uint32_t mtu) {
  nodes_[index].manual_mtu = mtu;
  configure(index, [&](Fabric& fabric, Instant now) {
    if (!fabric.set_manual_mtu(now, mtu))
      fail("a legal MTU was refused");
  });
}

void Cluster::refuse_peer(std::size_t index, std::size_t peer, std::size_t link, bool refused) {
  if (!has_link(index, peer, link))
    return;
  configure(index, [&](Fabric& fabric, Instant) {
    const AccessEntry entry{.action = AccessEntry::Action::kReject,
                            .first = network_.source(peer, index, link)};
    if (!refused) {
      (void)fabric.access_clear(host_of(peer), LinkId(link));
      admit_all(index, peer, link);
    } else if (const auto added = fabric.access_insert(host_of(peer), LinkId(link), 0, entry);
               !added && added.error() != Error::kEntryExists) {
      fail("a legal entry of an access list was refused");
    }
  });
}

void Cluster::admit_all(std::size_t index, std::size_t peer, std::size_t link) {
  AccessEntry all{.type = AccessEntry::Type::kMask, .action = AccessEntry::Action::kAccept};
  all.first.family = all.second.family = network_.address(index, link).family;
  if (!nodes_[index].fabric->access_insert(host_of(peer), LinkId(link), -1, all))
    fail("an access list that lets everybody in was refused");
}

void Cluster::restore_settings(std::size_t index) {
  set_manual_mtu(index, 0);
  configure(index, [&](Fabric& fabric, Instant now) {
    fabric.set_mtu_interval(now, scenario_.mtu_interval);
  });
  for (std::size_t peer = 0; peer < nodes_.size(); ++peer) {
    for (std::size_t l = 0; l < scenario_.links && peer != index; ++l) {
      const LinkPlan& plan = scenario_.link[l];
      restore_link(index, peer, l);
      if (scenario_.features.retiming)
        retime(index, peer, l, plan.timers, plan.pong_count, 1);
      if (plan.dynamic_node == static_cast<int>(index))
        refuse_peer(index, peer, l, false);
    }
  }
}

// --- paths
// ----------------------------------------------------------------------------------------

void Cluster::set_clogged(std::size_t from, std::size_t to, std::size_t link, bool clogged) {
  Path& way = network_.path(from, to, link);
  if (way.clogged == clogged)
    return;
  way.clogged = clogged;
  way.trouble = now_;
  if (clogged)
    return;
  way.released = now_;
  for (const std::uint32_t slot : way.held) {
    if (way.cut) {
      network_.give_back(slot);
    } else {
      push_arrival(now_, slot);
    }
  }
  way.held.clear();
}

std::uint32_t Cluster::exact_slice(std::size_t from, std::size_t to, std::size_t link) {
  const SealShape shape = nodes_[from].fabric->keyring().shape();
  return network_.exact_slice(from, to, link,
                              {.block = shape.block, .salt = shape.lead, .mac = shape.mac});
}

void Cluster::rebind(std::size_t index, std::size_t peer, std::size_t link) {
  Path& way = network_.path(index, peer, link);
  ++way.mapping;
  way.trouble = now_;
  network_.path(peer, index, link).trouble = now_;
}

// --- packets that no node sent
// --------------------------------------------------------------------

void Cluster::forge_packet(std::size_t index, std::size_t as, std::size_t link) {
  const std::uint32_t slot = network_.take_datagram();
  const Link* known = FabricInspector(*nodes_[index].fabric).link(host_of(as), LinkId(link));
  const bool movable =
      known != nullptr && known->config.dynamic && known->movable(local(nodes_[index]));
  network_.datagram(slot) = intruder_.forge({.node = index,
                                             .as = as,
                                             .link = link,
                                             .source = network_.source(as, index, link),
                                             .clear_allowed = nodes_[index].clear_allowed,
                                             .movable = movable,
                                             .now = local(nodes_[index])});
  receive_foreign(index, slot);
  network_.give_back(slot);
  turn(index);
}

bool Cluster::knows_native_only(std::size_t index) const {
  const Node& node = nodes_[index];
  return !node.clear_allowed && std::ranges::all_of(node.keys, [](const auto& key) {
    return !key || is_native(key->suite);
  });
}

void Cluster::forge_number(std::size_t index, std::size_t as, std::size_t link,
                           std::uint16_t ahead) {
  Node& node = nodes_[index];
  if (scenario_.suite != Suite::kClear || scenario_.features.rekey || !node.clear_allowed)
    return;
  const FabricInspector inspector(*node.fabric);
  const Host* host = inspector.host(host_of(as));
  // A process that did not run believes numbers far ahead, for want of any that are near.
  if (host == nullptr || !host->reachable || inspector.held_up(local(node)))
    return;
  MessageSeq seq{static_cast<std::uint16_t>(host->sequence.newest().value + ahead)};
  if (seq.none())
    seq = seq.next();
  using Kind = PeerSequence::Place::Kind;
  if (host->sequence.place(local(node), seq, PacketAge::kUnknown).kind != Kind::kStale)
    return;
  const std::uint32_t slot = network_.take_datagram();
  Datagram& datagram = network_.datagram(slot);
  datagram = {};
  datagram.kind = Datagram::Kind::kBogus;
  datagram.from = static_cast<std::uint8_t>(as);
  datagram.to = static_cast<std::uint8_t>(index);
  datagram.link = static_cast<std::uint8_t>(link);
  datagram.source = network_.source(as, index, link);
  datagram.bytes.resize(kDataHeaderSize + 100);
  encode(DataHeader{.source = host_of(as),
                    .seq = seq,
                    .fragment_count = 3,
                    .fragment_index = static_cast<std::uint8_t>(1 + ahead % 3)},
         datagram.bytes);
  receive_foreign(index, slot);
  network_.give_back(slot);
  turn(index);
}

void Cluster::repeat_packet() {
  const Intruder::Record* record = intruder_.recall();
  if (record == nullptr)
    return;
  const Datagram& seen = record->datagram;
  const Node& node = nodes_[seen.to];
  if (!node.fabric || paused(node))
    return;
  // What is not recognisably native may only be a message that was delivered.
  if (!knows_native_only(seen.to) && (record->receiver_incarnation != node.incarnation ||
                                      seen.incarnation != nodes_[seen.from].incarnation ||
                                      !ledger_.known_delivery(seen.to, node.incarnation, seen))) {
    return;
  }
  const std::uint32_t slot = network_.take_datagram();
  Datagram& datagram = network_.datagram(slot);
  datagram = seen;
  datagram.kind = Datagram::Kind::kRepeated;
  const std::uint8_t to = seen.to;
  receive_foreign(to, slot);
  network_.give_back(slot);
  turn(to);
}

// A packet that must not mean anything: dropped for one reason, and nothing is different.
void Cluster::receive_foreign(std::size_t index, std::uint32_t slot) {
  Node& node = nodes_[index];
  Fabric& fabric = *node.fabric;
  Datagram& datagram = network_.datagram(slot);
  const bool bogus = datagram.kind == Datagram::Kind::kBogus;
  const bool by_checksum = bogus && node.clear_allowed && datagram.incarnation != 0 &&
                           !std::holds_alternative<Drop>(parse_packet(datagram.bytes));
  if (by_checksum)
    return;
  if (!bogus && !knows_native_only(index))
    watch_.arrived(now_, index, datagram);
  if (trace_ != nullptr) {
    trace(index, bogus ? "forged" : "repeated",
          "as node " + std::to_string(datagram.from) + " link " + std::to_string(datagram.link) +
              " " + std::to_string(datagram.bytes.size()) + " bytes");
  }
  // A link that nobody answers on learns from whoever claims to be the peer.
  const Link* link = FabricInspector(fabric).link(host_of(datagram.from), LinkId(datagram.link));
  const bool may_learn =
      !bogus && link != nullptr && link->config.dynamic && link->movable(local(node));
  const std::uint64_t before = beliefs(fabric, datagram.from, scenario_.links);
  InputAccount account(fabric, datagram.from, scenario_.links);
  const auto delivery = fabric.on_datagram(local(node), SocketId(datagram.link), datagram.source,
                                           std::span<std::byte>(datagram.bytes));
  account.close();
  const std::string what = label("node", index) + (bogus ? " took a packet that nobody sent"
                                                         : " took a packet that had come before");
  intruder_.count(datagram.kind);
  if (delivery)
    fail(what + " for a message");
  const Drop reason = account.reason();
  const bool changed = beliefs(fabric, datagram.from, scenario_.links) != before;
  // Data may bring a link up that had one PONG; whoever does not prove himself is asked to.
  const bool native = knows_native_only(index);
  const bool may_change = !bogus && datagram.type == PacketType::kData && !native;
  const bool may_answer = !bogus && datagram.type == PacketType::kPing && native;
  if (changed && !may_change && !may_learn)
    fail(what + " seriously, and dropped it as \"" + std::string(name(reason)) + "\"");
  if (account.dropped() != 1 && !may_answer)
    fail(what + " without a reason to drop it");
  if (account.answers() > (may_answer ? 1u : 0u) && !may_change)
    fail(what + " and answers it");
  if (FabricInspector(fabric).events_waiting() != 0 && !may_change && !may_learn)
    fail(what + " and tells its owner");
  if (bogus)
    node.accounts.bogus(reason);
}

}  // namespace ringknet::sim
