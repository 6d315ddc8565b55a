// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One remote (or the own) host: its links, which of them carry data, and what is known of its
// messages.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "engine/base/fixed_vector.h"
#include "engine/core/gaps.h"
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
  // Whether the same process had sent something later that has come already.
  bool late(const Opened& of) const {
    return counter != 0 &&
           (epoch == of.epoch ? of.counter <= counter : is_successor(epoch, of.epoch));
  }
  // Whether what the packet says of its sender's progress is the latest word. While keys change,
  // two epochs of a sender are in use side by side, and their counters do not order its messages.
  PacketAge age(const Opened& of) const {
    if (of.proof != Proof::kFresh)
      return PacketAge::kUnknown;
    if (!late(of))
      return PacketAge::kNewest;
    return epoch == of.epoch ? PacketAge::kLate : PacketAge::kUnknown;
  }
  // It told how far its sender is.
  void note(const Opened& of) {
    if (age(of) == PacketAge::kNewest)
      *this = {of.epoch, of.counter};
  }
};

struct Host {
  Host(HostId host_id, MessagePool& pool) : id(host_id), reassembly(pool) {}

  // How many of the sender's messages there may be between the oldest one that is on its way to a
  // host, over any of its links, and the next one: numbers have 16 bits, and receivers tell a late
  // one from a new one only while it is less than half of them behind. At 75,000 messages a second
  // it is what is sent within 218 ms.
  static constexpr std::uint64_t kUnderWayMax = 16384;
  static_assert(kUnderWayMax <= PeerSequence::kNearMax);

  const HostId id;
  Policy policy = Policy::kPassive;
  bool reachable = false;
  std::uint8_t round_robin = 0;  // position in `routes` of the link that is next
  std::array<std::unique_ptr<Link>, kLinksPerHost> links;
  std::uint64_t roomy_until = 0;  // messages before this one may go, as far as is known
  LinkList routes;              // the links a message is sent over, or (round robin) takes turns on
  std::uint64_t chosen_by = 0;  // the send() that chose it last: a list may name it many times
  PeerSequence sequence;
  PacketOrder newest;  // of what came in envelopes with counters
  // The last PING of an epoch that is not proven which says that its sender has sent nothing yet.
  struct Unproven {
    Epoch epoch;
    PingPacket ping;
  };
  std::optional<Unproven> unproven;
  Reassembly reassembly;
  Gaps gaps;

  Link* link(LinkId link_id) const { return links[raw(link_id)].get(); }
  bool has_links() const;
  bool has_loopback() const;
  // The link a data packet came over: it does not say so itself. The best match of the sender's
  // endpoint and our socket wins, then the lowest id; the IP address must match.
  Link* source_link(const Address& from, SocketId socket) const;
  // Looks again which messages may go.
  void find_room(std::uint64_t message);
  // Recomputes `routes`. Links in trouble are left out while others are not.
  void choose_routes();
};

}  // namespace ringknet
