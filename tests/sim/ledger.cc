// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The ledger of messages.
#include "tests/sim/ledger.h"

#include <algorithm>
#include <cstring>

#include "tests/sim/failure.h"

namespace ringknet::sim {

namespace {

// The content of a message, word by word: no two are alike, or, in every third message, all are and
// it compresses well.
class Content {
 public:
  Content(std::uint64_t seed, std::uint32_t index)
      : state_(Random(seed ^ (std::uint64_t{index} << 20)).next()),
        step_(index % 3 == 0 ? 0 : 0x9e3779b97f4a7c15u) {}

  std::uint64_t next() {
    state_ += step_;
    const std::uint64_t mixed = (state_ ^ state_ >> 32) * 0xd1342543de82ef95u;
    return mixed ^ mixed >> 32;
  }

 private:
  std::uint64_t state_;
  std::uint64_t step_;
};

bool holds(ConstBytes bytes, Content content) {
  std::uint64_t difference = 0;
  std::size_t offset = 0;
  for (; offset + 8 <= bytes.size(); offset += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + offset, 8);
    difference |= word ^ content.next();
  }
  const std::uint64_t last = content.next();
  return difference == 0 && std::memcmp(bytes.data() + offset, &last, bytes.size() - offset) == 0;
}

}  // namespace

void Ledger::write_next(const Draft& draft, std::vector<std::byte>& out) const {
  Content content(scenario_.seed, static_cast<std::uint32_t>(messages_.size()));
  out.resize(draft.size);
  for (std::size_t offset = 0; offset < out.size(); offset += 8) {
    const std::uint64_t word = content.next();
    std::memcpy(out.data() + offset, &word, std::min<std::size_t>(8, out.size() - offset));
  }
}

void Ledger::sent(std::size_t node, std::uint32_t incarnation, MessageSeq seq, const Draft& draft,
                  Instant now) {
  Message message;
  message.draft = draft;
  message.node = static_cast<std::uint8_t>(node);
  message.incarnation = incarnation;
  message.at = now;
  Sequence& sequence = sequences_[node].back();
  message.ordinal = sequence.count++;
  if (sequence.message.empty())
    sequence.message.resize(65536, kNoMessage);
  sequence.message[seq.value] = static_cast<std::uint32_t>(messages_.size());
  messages_.push_back(message);
}

void Ledger::began(std::size_t node, std::uint32_t incarnation, std::uint8_t unnoticed) {
  Sequence sequence{.incarnation = incarnation, .unnoticed = unnoticed};
  for (std::size_t other = 0; other < kNodesMax; ++other)
    sequence.forgotten[other] = forgotten_[other][node];
  sequences_[node].push_back(std::move(sequence));
}

const Ledger::Sequence* Ledger::sequence(std::size_t node, std::uint32_t incarnation) const {
  for (const Sequence& sequence : sequences_[node]) {
    if (sequence.incarnation == incarnation)
      return &sequence;
  }
  return nullptr;
}

std::uint32_t Ledger::find(std::size_t node, std::uint32_t incarnation, MessageSeq seq) const {
  const Sequence* found = sequence(node, incarnation);
  return found == nullptr || found->message.empty() ? kNoMessage : found->message[seq.value];
}

// A message that was delivered is known as long as its sequence is in the window: half of the
// space, and the sender is taken to be ahead by less than a quarter.
bool Ledger::known_delivery(std::size_t node, std::uint32_t incarnation,
                            const Datagram& datagram) const {
  if (datagram.message == kNoMessage || !datagram.whole)
    return false;
  const Message& message = messages_[datagram.message];
  const Receipt& receipt = message.receipt[node];
  const Sequence* sender = sequence(message.node, message.incarnation);
  return receipt.arrived && receipt.incarnation == incarnation &&
         receipt.forgotten == forgotten_[node][message.node] &&
         sender->count - message.ordinal < 16384;
}

bool Ledger::unnoticed(std::size_t node, const Message& message) const {
  const Sequence& sender = *sequence(message.node, message.incarnation);
  return (sender.unnoticed >> node & 1) != 0 &&
         sender.forgotten[node] == forgotten_[node][message.node];
}

std::string Ledger::name(std::uint32_t index) const {
  const Message& message = messages_[index];
  return label("message", index) + " (" + label("node", message.node) + ", " +
         label("incarnation", message.incarnation) + ", " + std::to_string(message.draft.size) +
         " bytes, sent at " + std::to_string(message.at.time_since_epoch().count() / 1000) + " us)";
}

void Ledger::delivered(std::size_t node, std::uint32_t incarnation, const Delivery& delivery,
                       const Datagram& datagram) {
  if (datagram.message == kNoMessage)
    fail(label("node", node) + " was given a message by a datagram that carries none");
  Message& message = messages_[datagram.message];
  const auto wrong = [&](const std::string& what) {
    fail(name(datagram.message) + " at " + label("node", node) + ": delivered " + what);
  };
  if (node_of(delivery.from) != message.node)
    wrong("as from " + label("host", raw(delivery.from)));
  if (delivery.channel != message.draft.channel) {
    wrong("on " + label("channel", raw(delivery.channel)) + " instead of " +
          std::to_string(raw(message.draft.channel)));
  }
  if ((message.draft.receivers >> node & 1) == 0)
    wrong("to a node it was not sent to");
  if (delivery.bytes.size() != message.draft.size ||
      !holds(delivery.bytes, Content(scenario_.seed, datagram.message))) {
    wrong("with altered content, " + std::to_string(delivery.bytes.size()) + " bytes");
  }
  Receipt& receipt = message.receipt[node];
  const std::uint32_t forgotten = forgotten_[node][message.node];
  if (receipt.arrived && receipt.incarnation == incarnation) {
    if (receipt.forgotten == forgotten && !scenario_.holds_back_long())
      wrong("twice");
    ++excused_;
  } else {
    check_order(node, incarnation, datagram);
  }
  receipt = {true, incarnation, forgotten};
  ++deliveries_;
}

void Ledger::refused_as_seen(std::size_t node, std::uint32_t incarnation,
                             const Datagram& datagram) {
  const Message& message = messages_[datagram.message];
  const Receipt& receipt = message.receipt[node];
  if (receipt.arrived && receipt.incarnation == incarnation)
    return;
  if (!unnoticed(node, message)) {
    fail(name(datagram.message) + " was refused as a duplicate by " + label("node", node) +
         ", which never had it");
  }
  ++mistaken_;
}

// Only what is late by half of the numbers may be, and what an earlier process sent.
void Ledger::refused_as_stale(std::size_t node, const Datagram& datagram) {
  constexpr std::uint32_t kHalf = 32768;
  const Message& message = messages_[datagram.message];
  const Sequence& sender = *sequence(message.node, message.incarnation);
  const bool is_over = message.incarnation != sequences_[message.node].back().incarnation;
  if (is_over || sender.count - message.ordinal > kHalf)
    return;
  if (!unnoticed(node, message)) {
    fail(name(datagram.message) + " was refused as stale by " + label("node", node) +
         ", although its sender has sent only " +
         std::to_string(sender.count - message.ordinal - 1) + " messages since");
  }
  ++mistaken_;
}

// A path without jitter keeps order, and so does a sender in each channel, but for what it sends
// once more because sending failed. Of what came over one link this says something with many, too.
bool Ledger::keeps_order(std::size_t from, std::size_t to, std::size_t link) const {
  return scenario_.path[from][to][link].jitter == Duration::zero() &&
         !scenario_.features.send_failures && !scenario_.features.stragglers;
}

void Ledger::check_order(std::size_t node, std::uint32_t incarnation, const Datagram& datagram) {
  const Message& message = messages_[datagram.message];
  if (!keeps_order(message.node, node, datagram.link))
    return;
  Last& last = last_[node][message.node][datagram.link][raw(message.draft.channel)];
  if (last.message != kNoMessage && last.sender_incarnation == message.incarnation &&
      last.receiver_incarnation == incarnation && last.message > datagram.message) {
    fail(name(datagram.message) + " reached " + label("node", node) + " after " +
         name(last.message) + " over " + label("link", datagram.link) + ", which keeps order");
  }
  last = {datagram.message, message.incarnation, incarnation};
}

bool Ledger::has_arrived(const Message& message, std::size_t node) const {
  return (message.draft.required >> node & 1) == 0 || message.receipt[node].arrived;
}

bool Ledger::all_required_arrived() const {
  return std::ranges::all_of(messages_, [this](const Message& message) {
    if (message.draft.required == 0)
      return true;
    for (std::size_t node = 0; node < scenario_.nodes; ++node) {
      if (!has_arrived(message, node))
        return false;
    }
    return true;
  });
}

void Ledger::require_all_arrived() const {
  for (std::uint32_t index = 0; index < messages_.size(); ++index) {
    for (std::size_t node = 0; node < scenario_.nodes; ++node) {
      if (!has_arrived(messages_[index], node)) {
        fail(name(index) + " never reached " + label("node", node) +
             ", although nothing was wrong any more");
      }
    }
  }
}

}  // namespace ringknet::sim
