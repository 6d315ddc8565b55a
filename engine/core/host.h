// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One remote (or the own) host: its links, which of them carry data, and what is known of its
// messages.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "engine/base/fixed_vector.h"
#include "engine/core/link.h"
#include "engine/core/peer_sequence.h"
#include "engine/core/reassembly.h"
#include "engine/crypto/sealer.h"

namespace ringknet {

using LinkList = FixedVector<Link*, kLinksPerHost>;

// How far a sender is, by the packet counters of envelopes that have them.
struct PacketOrder {
  Epoch epoch{};
  std::uint64_t counter = 0;  // 0: nothing came yet

  // Whether another process made the packet than those before.
  bool other_boot(const Opened& of) const { return counter != 0 && !same_boot(of.epoch, epoch); }
  // Whether the packet was sent after everything that came before; then it is the newest.
  bool advance(const Opened& of) {
    const bool late =
        counter != 0 && (epoch == of.epoch ? of.counter <= counter : is_successor(epoch, of.epoch));
    if (!late)
      *this = {of.epoch, of.counter};
    return !late;
  }
};

struct Host {
  Host(HostId host_id, MessagePool& pool) : id(host_id), reassembly(pool) {}

  const HostId id;
  Policy policy = Policy::kPassive;
  bool reachable = false;
  std::uint8_t round_robin = 0;  // position in `routes` of the link that is next
  std::array<std::unique_ptr<Link>, kLinksPerHost> links;
  LinkList routes;              // the links a message is sent over, or (round robin) takes turns on
  std::uint64_t chosen_by = 0;  // the send() that chose it last: a list may name it many times
  PeerSequence sequence;
  PacketOrder newest;  // of what came in envelopes with counters
  Reassembly reassembly;

  Link* link(LinkId link_id) const { return links[raw(link_id)].get(); }
  bool has_links() const;
  bool has_loopback() const;
  // The link a data packet came over: it does not say so itself. The best match of the sender's
  // endpoint and our socket wins, then the lowest id; the IP address must match.
  Link* source_link(const Address& from, SocketId socket) const;
  // Recomputes `routes`. Links in trouble are left out while others are not.
  void choose_routes();
};

}  // namespace ringknet
