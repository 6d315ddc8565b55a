// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The accounts of one process: what it handed to the network, by link and kind, to be compared with
// what its fabric says it did. What came in is compared packet by packet: each is counted by a link
// or as a drop.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/core/fabric.h"
#include "tests/sim/scenario.h"

namespace ringknet::sim {

class Accounts {
 public:
  void handed_out(std::size_t peer, std::size_t link, PacketType type, std::size_t bytes,
                  std::size_t packets);
  // The link is gone; the next one of that id begins at zero.
  void cleared(std::size_t peer, std::size_t link) { tally_[peer][link] = {}; }
  // Throws where the fabric's statistics say something else.
  void check(Fabric& fabric, std::size_t node, std::size_t nodes, std::size_t links) const;

  // Drops of packets that were no honest ones.
  void bogus(Drop reason) { ++bogus_[static_cast<std::size_t>(reason)]; }
  std::uint64_t bogus_as(Drop reason) const { return bogus_[static_cast<std::size_t>(reason)]; }

 private:
  struct Tally {
    PacketCount data, ping, pong, mtu;
  };
  std::array<std::array<Tally, kLinksMax>, kNodesMax> tally_{};
  std::array<std::uint64_t, kDropCount> bogus_{};
};

// What one input did to the counters of a fabric.
class InputAccount {
 public:
  InputAccount(Fabric& fabric, std::size_t peer, std::size_t links);

  // The input is over: from here on the others answer.
  void close();
  // Datagrams of the peer that its links have counted.
  std::uint64_t counted() const { return counted_; }
  std::uint64_t dropped() const { return dropped_; }
  bool dropped_as(Drop reason) const { return fabric_.drops()[reason] != drops_[reason]; }
  // Control packets that wait to be sent, more than before.
  std::size_t answers() const { return answers_; }
  // The first reason that was counted; kCount if none was.
  Drop reason() const;
  void check(std::size_t node) const;

 private:
  std::uint64_t count() const;

  Fabric& fabric_;
  std::size_t peer_;
  std::size_t links_;
  DropCounters drops_;
  // Before, then the difference.
  std::uint64_t counted_;
  std::uint64_t dropped_;
  std::size_t answers_;
};

}  // namespace ringknet::sim
