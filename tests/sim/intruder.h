// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Somebody on the network who has no key, but can record packets, send them again, damage them and
// make up others. What the protocol promises against that depends on the envelope:
//
//  native   What was opened once changes nothing when it comes again. The answer to a PING of a
//           sender that has yet to prove itself is no change.
//  classic  What is damaged or made up without the key changes nothing. Repetitions are another
//           matter: a PONG keeps a link alive, a probe's answer proves a size. Only this holds:
//           a message that was delivered is not delivered again while its sequence is in the window
//           and sender and receiver know each other.
//  clear    The same for repetitions. Whoever can send from a peer's address can say anything, so
//           only what nobody honest could mean is made up here: bytes that are no packet, hosts
//           that are not configured, addresses that are no link's, dynamic ones that answer
//           included, and PONGs that answer no PING, from the peer's own address. Damage that
//           leaves a legal packet is for the checksum of UDP to catch and does not come through.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/random.h"
#include "engine/core/fabric.h"
#include "tests/sim/ledger.h"
#include "tests/sim/network.h"
#include "tests/sim/scenario.h"

namespace ringknet::sim {

class Intruder {
 public:
  explicit Intruder(const Scenario& scenario)
      : scenario_(scenario), random_(random_for(scenario.seed, Stream::kIntruder)) {}

  // A datagram is about to be given to a node: now and then one is recorded.
  void saw(const Datagram& datagram, std::uint32_t receiver_incarnation);
  // It was not taken: what was never opened may come late once.
  void not_taken();
  struct Record {
    Datagram datagram;
    std::uint32_t receiver_incarnation = 0;
  };
  // One of the records; nothing while there are none.
  const Record* recall();

  // Bytes from `as`, to be given to a node that lets clear packets in, or not.
  struct Aim {
    std::size_t node = 0;
    std::size_t as = 0;
    std::size_t link = 0;
    Address source{};
    bool clear_allowed = false;
    bool movable = false;  // a PING from anywhere would lead the node's link away
    Instant now{};         // the node's clock
  };
  Datagram forge(const Aim& aim);
  // In place: a bit turned over, or the end missing.
  void damage(std::vector<std::byte>& bytes, bool sealed);

  void count(Datagram::Kind kind) { ++(kind == Datagram::Kind::kBogus ? bogus_ : repeated_); }
  std::uint64_t bogus() const { return bogus_; }
  std::uint64_t repeated() const { return repeated_; }

 private:
  void noise(std::vector<std::byte>& bytes);
  void legal_packet(std::vector<std::byte>& bytes, HostId sender, std::size_t link);
  void pong(std::vector<std::byte>& bytes, const Aim& aim);

  static constexpr std::size_t kRecordsMax = 256;

  const Scenario& scenario_;
  Random random_;
  std::vector<Record> records_;
  std::size_t last_ = kRecordsMax;  // where the present datagram was recorded, if it was
  std::uint64_t seen_ = 0;
  std::uint64_t bogus_ = 0;
  std::uint64_t repeated_ = 0;
};

// What a node believes of a peer: no packet that means nothing may change it.
std::uint64_t beliefs(Fabric& fabric, std::size_t peer, std::size_t links);

}  // namespace ringknet::sim
