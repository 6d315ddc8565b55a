// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The ledger of messages: what was sent to whom, and what arrived. It is the oracle for delivery:
// nothing twice, nothing altered, on no other channel, at no other host, in order where the network
// keeps order, and everything that has to arrive does.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/core/fabric.h"
#include "tests/sim/network.h"
#include "tests/sim/scenario.h"

namespace ringknet::sim {

class Ledger {
 public:
  explicit Ledger(const Scenario& scenario) : scenario_(scenario) {}

  // The next message of a node: fill `out` with its content, then send it, then say what became
  // of it.
  struct Draft {
    std::uint32_t size = 0;
    Channel channel{};
    std::uint8_t receivers = 0;  // a bit per node
    std::uint8_t required = 0;   // those where it has to arrive
  };
  void write_next(const Draft& draft, std::vector<std::byte>& out) const;
  void sent(std::size_t node, std::uint32_t incarnation, MessageSeq seq, const Draft& draft,
            Instant now);

  // The message that this sender's sequence number means at present.
  std::uint32_t find(std::size_t node, std::uint32_t incarnation, MessageSeq seq) const;

  void delivered(std::size_t node, std::uint32_t incarnation, const Delivery& delivery,
                 const Datagram& datagram);
  // A datagram with a whole message was refused as a duplicate.
  void refused_as_seen(std::size_t node, std::uint32_t incarnation, const Datagram& datagram);
  // A datagram with a message was refused because its number is not one that the sender can be at.
  void refused_as_stale(std::size_t node, const Datagram& datagram);
  // The receiver was told to forget what it saw of the sender.
  void forgotten(std::size_t node, std::size_t sender) { ++forgotten_[node][sender]; }
  // A process began. These nodes may take it for its predecessor at first.
  void began(std::size_t node, std::uint32_t incarnation, std::uint8_t unnoticed);

  // Whether this datagram carries a message that its receiver had and must still remember.
  bool known_delivery(std::size_t node, std::uint32_t incarnation, const Datagram& datagram) const;
  Instant sent_at(std::uint32_t message) const { return messages_[message].at; }

  bool all_required_arrived() const;
  void require_all_arrived() const;  // fails with the first message that is missing

  std::uint64_t deliveries() const { return deliveries_; }
  // Second deliveries after the loss of a host.
  std::uint64_t excused() const { return excused_; }
  // Messages of a process that was not yet told from its predecessor.
  std::uint64_t mistaken() const { return mistaken_; }
  std::size_t size() const { return messages_.size(); }

 private:
  struct Receipt {
    bool arrived = false;
    std::uint32_t incarnation = 0;  // of the receiver
    std::uint32_t forgotten = 0;    // how often it had forgotten the sender by then
  };
  struct Message {
    Draft draft;
    std::uint8_t node = 0;
    std::uint32_t incarnation = 0;
    std::uint32_t ordinal = 0;  // of its process
    Instant at{};
    std::array<Receipt, kNodesMax> receipt{};
  };
  struct Sequence {
    std::uint32_t incarnation = 0;
    std::vector<std::uint32_t> message{};  // by sequence number
    std::uint32_t count = 0;
    std::uint8_t unnoticed = 0;                        // by these nodes, perhaps
    std::array<std::uint32_t, kNodesMax> forgotten{};  // by the others when it began
  };
  struct Last {
    std::uint32_t message = kNoMessage;
    std::uint32_t sender_incarnation = 0;
    std::uint32_t receiver_incarnation = 0;
  };

  std::string name(std::uint32_t index) const;
  const Sequence* sequence(std::size_t node, std::uint32_t incarnation) const;
  bool unnoticed(std::size_t node, const Message& message) const;
  bool has_arrived(const Message& message, std::size_t node) const;
  bool keeps_order(std::size_t from, std::size_t to, std::size_t link) const;
  void check_order(std::size_t node, std::uint32_t incarnation, const Datagram& datagram);

  const Scenario& scenario_;
  std::vector<Message> messages_;
  std::array<std::vector<Sequence>, kNodesMax> sequences_;  // by incarnation, oldest first
  std::array<std::array<std::uint32_t, kNodesMax>, kNodesMax> forgotten_{};
  // By receiver, sender, link and channel.
  using LastOfChannels = std::array<Last, kChannelCount>;
  std::array<std::array<std::array<LastOfChannels, kLinksMax>, kNodesMax>, kNodesMax> last_{};
  std::uint64_t deliveries_ = 0;
  std::uint64_t excused_ = 0;
  std::uint64_t mistaken_ = 0;
};

}  // namespace ringknet::sim
