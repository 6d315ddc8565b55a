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
  network_.datagram(slot) = intruder_.forge(index, as, link, network_.source(as, index, link),
                                            nodes_[index].clear_allowed);
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
  // A link that nobody answered on learns from whoever claims to be the peer.
  const bool may_learn =
      !bogus && scenario_.link[datagram.link].dynamic_node == static_cast<int>(index) &&
      !FabricInspector(fabric).link(host_of(datagram.from), LinkId(datagram.link))->answered();
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
  if (account.answers() > (may_answer ? 3u : 0u) && !may_change)
    fail(what + " and answers it");
  if (FabricInspector(fabric).events_waiting() != 0 && !may_change && !may_learn)
    fail(what + " and tells its owner");
  if (bogus)
    node.accounts.bogus(reason);
}

}  // namespace ringknet::sim
