// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The virtual cluster: how messages and datagrams travel, and what the virtual kernels say to
// sends.
#include <algorithm>
#include <utility>

#include "engine/wire/print.h"
#include "tests/sim/cluster.h"
#include "tests/sim/fabric_inspector.h"
#include "tests/sim/failure.h"

namespace ringknet::sim {
namespace {

using std::chrono::microseconds;
using Status = TransmitResult::Status;

std::uint64_t checksum(ConstBytes bytes) {
  Digest digest;
  digest.add(bytes);
  return digest.value();
}

}  // namespace

bool Cluster::send(std::size_t index, const Ledger::Draft& draft, bool broadcast) {
  Node& node = nodes_[index];
  ledger_.write_next(draft, scratch_);
  std::vector<HostId> hosts;
  for (std::size_t to = 0; to < nodes_.size(); ++to) {
    if ((draft.receivers >> to & 1) != 0)
      hosts.push_back(host_of(to));
  }
  const FabricInspector inspector(*node.fabric);
  const MessageSeq before = inspector.last_seq();
  const bool room = node.fabric->can_send();
  const SendOutcome outcome =
      node.fabric->send(local(node), draft.channel, scratch_,
                        broadcast ? Destinations::all() : Destinations::to(hosts));
  if ((outcome.error == Error::kNoBuffers) == room)
    fail(label("node", index) + ": can_send() and send() disagree");
  const bool to_self = broadcast || (draft.receivers >> index & 1) != 0;
  if (room && outcome.local != (to_self && scenario_.loopback[index]))
    fail(label("node", index) + ": a message for itself is not delivered as its links say");
  const bool left = !(inspector.last_seq() == before);
  if (left) {
    Ledger::Draft remote = draft;
    remote.receivers &= static_cast<std::uint8_t>(~(1u << index));
    ledger_.sent(index, node.incarnation, inspector.last_seq(), remote, now_);
    if (trace_ != nullptr) {
      trace(index, "message",
            label("number", ledger_.size() - 1) +
                " seq=" + std::to_string(inspector.last_seq().value) +
                " bytes=" + std::to_string(draft.size));
    }
  }
  turn(index);
  return left;
}

// One run of datagrams leaves the fabric. Its end comes at once, or later.
void Cluster::transmit(std::size_t index, const Transmit& out) {
  Node& node = nodes_[index];
  const auto to = network_.locate(out.to);
  if (!to || to->link != raw(out.socket) || to->node == index)
    fail(label("node", index) + " sends to an address where nobody is");
  if (out.bytes.empty() || out.segment_size == 0 || out.segments() > kRunSegmentsMax ||
      (out.segments() > 1 && out.bytes.size() > kRunBytesMax)) {
    fail(label("node", index) + " hands out a run that no kernel takes");
  }
  digest_.add(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  digest_.add(out.bytes.first(std::min<std::size_t>(out.bytes.size(), 32)));
  digest_.add(out.bytes.size());
  Completion completion{out.id, carry(index, *to, out), out.bytes, 0};
  ++node.sends;
  if (!scenario_.features.slow_completion || healed_) {
    completion.checksum = 0;
    completion.bytes = {};
    complete(index, completion);
    return;
  }
  completion.checksum = checksum(out.bytes);
  std::uint32_t slot = 0;
  if (completions_free_.empty()) {
    slot = static_cast<std::uint32_t>(completions_.size());
    completions_.push_back(completion);
  } else {
    slot = completions_free_.back();
    completions_free_.pop_back();
    completions_[slot] = completion;
  }
  push({.at = now_ + microseconds(random_.below(1500)),
        .index = slot,
        .incarnation = node.incarnation,
        .node = static_cast<std::uint8_t>(index),
        .kind = Queued::Kind::kDone});
}

void Cluster::complete(std::size_t index, const Completion& completion) {
  Node& node = nodes_[index];
  if (!completion.bytes.empty() && checksum(completion.bytes) != completion.checksum)
    fail(label("node", index) + " changed the bytes of a send that had not ended");
  --node.sends;
  node.fabric->on_transmit_done(local(node), completion.id, completion.result);
}

TransmitResult Cluster::carry(std::size_t index, const Network::Place& to, const Transmit& out) {
  const TransmitResult result = refusal(index, to, out);
  const bool in_pieces = result.status == Status::kTooBig && out.kind == Transmit::Kind::kData;
  if (result.status == Status::kSent || in_pieces) {
    for (std::size_t offset = 0; offset < out.bytes.size(); offset += out.segment_size) {
      const std::size_t size = std::min<std::size_t>(out.segment_size, out.bytes.size() - offset);
      carry_segment(index, to, out.bytes.subspan(offset, size), in_pieces);
    }
  } else if (result.status != Status::kTooBig) {
    network_.path(index, to.node, to.link).trouble = now_;
  }
  return result;
}

// What the sender's own kernel has against it.
TransmitResult Cluster::refusal(std::size_t index, const Network::Place& to, const Transmit& out) {
  const PathPlan& plan = network_.path(index, to.node, to.link).plan;
  const std::uint32_t size = network_.packet_size(to.link, out.segment_size);
  if (size > plan.device_mtu) {
    if (out.kind == Transmit::Kind::kData)
      watch_.oversized(now_, index, to.node, to.link, size);
    return {.status = Status::kTooBig,
            .mtu = scenario_.features.unnamed_limits ? 0 : plan.device_mtu};
  }
  if (size > plan.hole_mtu && out.kind == Transmit::Kind::kData)
    watch_.oversized(now_, index, to.node, to.link, size);
  if (scenario_.features.send_failures && !healed_ && random_.chance(0.01)) {
    static constexpr Status kCauses[] = {Status::kUnreachable, Status::kNoBuffers, Status::kDenied,
                                         Status::kFailed};
    return {.status = kCauses[random_.below(4)], .retries = 1};
  }
  return {};
}

void Cluster::carry_segment(std::size_t index, const Network::Place& to, ConstBytes bytes,
                            bool in_pieces) {
  const ParsedPacket packet = parse_packet(bytes);
  if (std::holds_alternative<Drop>(packet))
    fail(label("node", index) + " sends a packet that does not parse");
  ++datagram_count_;
  const Network::Fate fate = network_.send(now_, index, to.node, to.link, bytes.size(), in_pieces);
  if (trace_ != nullptr) {
    trace(index,
          fate.copies == 0   ? "lost"
          : fate.copies == 1 ? "send"
                             : "send twice",
          "to node " + std::to_string(to.node) + " link " + std::to_string(to.link) + " " +
              describe(packet));
  }
  for (std::size_t copy = 0; copy < fate.copies; ++copy) {
    const std::uint32_t slot = network_.take_datagram();
    Datagram& datagram = network_.datagram(slot);
    datagram.bytes.assign(bytes.begin(), bytes.end());
    datagram.from = static_cast<std::uint8_t>(index);
    datagram.to = static_cast<std::uint8_t>(to.node);
    datagram.link = static_cast<std::uint8_t>(to.link);
    datagram.incarnation = nodes_[index].incarnation;
    datagram.type = PacketType(std::to_integer<std::uint8_t>(bytes[1]));
    if (const auto* data = std::get_if<DataPacket>(&packet)) {
      datagram.message = ledger_.find(index, datagram.incarnation, data->header.seq);
      datagram.whole = data->header.whole();
    }
    push({.at = fate.arrivals[copy],
          .index = slot,
          .node = datagram.to,
          .kind = Queued::Kind::kArrival});
  }
}

void Cluster::handle_arrival(const Queued& event) {
  if (nodes_[event.node].fabric) {
    receive(event.node, event.index);
    network_.give_back(event.index);
    turn(event.node);
    return;
  }
  const Datagram& datagram = network_.datagram(event.index);
  network_.path(datagram.from, datagram.to, datagram.link).trouble = now_;
  if (scenario_.features.path_reports)
    report_refused(datagram);
  network_.give_back(event.index);
}

void Cluster::receive(std::size_t index, std::uint32_t slot) {
  Node& node = nodes_[index];
  Fabric& fabric = *node.fabric;
  Datagram& datagram = network_.datagram(slot);
  const Address from = network_.address(datagram.from, datagram.link);
  if (trace_ != nullptr) {
    trace(index, "receive",
          "from node " + std::to_string(datagram.from) + " link " + std::to_string(datagram.link) +
              " " + describe(parse_packet(datagram.bytes)));
  }
  watch_.arrived(now_, index, datagram);
  const std::uint64_t seen_before = fabric.drops()[Drop::kDuplicate];
  const auto delivery = fabric.on_datagram(local(node), SocketId(datagram.link), from,
                                           std::span<std::byte>(datagram.bytes));
  if (datagram.whole && fabric.drops()[Drop::kDuplicate] != seen_before)
    ledger_.refused_as_seen(index, node.incarnation, datagram);
  if (!delivery)
    return;
  digest_.add(std::uint64_t{datagram.message} << 8 | index);
  if (trace_ != nullptr)
    trace(index, "deliver", label("message", datagram.message));
  // Events first: what the receiver forgot, it forgot before this delivery.
  poll_events(index);
  ledger_.delivered(index, node.incarnation, *delivery, datagram, now_);
  if (delivery->buffer != MessageBufferId::kNone)
    fabric.release_message(delivery->buffer);
}

// The machine is there, the process is not: its kernel says so to whoever asks.
void Cluster::report_refused(const Datagram& datagram) {
  const Path& back = network_.path(datagram.to, datagram.from, datagram.link);
  if (back.cut || !nodes_[datagram.from].fabric ||
      nodes_[datagram.from].incarnation != datagram.incarnation) {
    return;
  }
  reports_.push_back({.socket = SocketId(datagram.link),
                      .to = network_.address(datagram.to, datagram.link),
                      .status = Status::kRefused});
  push({.at = now_ + back.plan.delay,
        .index = static_cast<std::uint32_t>(reports_.size() - 1),
        .incarnation = datagram.incarnation,
        .node = datagram.from,
        .kind = Queued::Kind::kReport});
}

void Cluster::set_cut(std::size_t from, std::size_t to, std::size_t link, bool cut) {
  Path& path = network_.path(from, to, link);
  if (path.cut == cut)
    return;
  path.cut = cut;
  path.cut_since = now_;
  path.changed = now_;
  path.trouble = now_;
}

void Cluster::set_limits(std::size_t from, std::size_t to, std::size_t link,
                         std::uint32_t device_mtu, std::uint32_t hole_mtu) {
  Path& path = network_.path(from, to, link);
  path.plan.device_mtu = device_mtu;
  path.plan.hole_mtu = hole_mtu;
  path.changed = now_;
}

void Cluster::heal() {
  healed_ = true;
  network_.heal(now_);
}

}  // namespace ringknet::sim
