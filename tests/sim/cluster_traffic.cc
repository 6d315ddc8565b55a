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

// What waits for an application in the ring, and when senders are told to wait.
constexpr std::size_t kUnreadMax = std::size_t{4} * 1024 * 1024;
constexpr std::size_t kUnreadHigh = kUnreadMax / 4;
// What a path holds back at most.
constexpr std::size_t kHeldMax = 1000;

using Status = TransmitResult::Status;

PacketType type_of(const ParsedPacket& packet) {
  if (const auto* ping = std::get_if<PingPacket>(&packet))
    return ping->type;
  const auto* mtu = std::get_if<MtuPacket>(&packet);
  return mtu != nullptr ? mtu->type : PacketType::kData;
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
  const std::size_t slabs = inspector.free_slabs();
  const std::size_t buffers = inspector.message_buffers_in_use();
  const MessageSeq before = inspector.last_seq();
  const bool room = node.fabric->can_send(scratch_.size());
  const SendOutcome outcome =
      node.fabric->send(local(node), draft.channel, scratch_,
                        broadcast ? Destinations::all() : Destinations::to(hosts));
  if ((outcome.error == Error::kNoBuffers) == room)
    fail(label("node", index) + ": can_send() and send() disagree");
  if (outcome.error != Error::kNone &&
      (inspector.free_slabs() != slabs || inspector.message_buffers_in_use() != buffers)) {
    fail(label("node", index) + " holds memory for a message that it refused");
  }
  const bool to_self = broadcast || (draft.receivers >> index & 1) != 0;
  if (room && outcome.local != (to_self && scenario_.loopback[index]))
    fail(label("node", index) + ": a message for itself is not delivered as its links say");
  const bool left = !(inspector.last_seq() == before);
  if (left) {
    Ledger::Draft remote = draft;
    remote.receivers &= static_cast<std::uint8_t>(~(1u << index));
    if (scenario_.lossless())
      remote.required |= certain_receivers(index);
    remote.required &= remote.receivers;
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

// Those that this node and that see each other: nothing may be lost between them where nothing goes
// wrong.
std::uint8_t Cluster::certain_receivers(std::size_t index) {
  std::uint8_t mask = 0;
  for (std::size_t peer = 0; peer < nodes_.size(); ++peer) {
    const auto sees = [&](std::size_t from, std::size_t to) {
      const auto reachable = nodes_[from].fabric->host_reachable(host_of(to));
      return reachable && *reachable;
    };
    if (peer != index && sees(index, peer) && sees(peer, index)) {
      mask |= static_cast<std::uint8_t>(1u << peer);
    }
  }
  return mask;
}

// One run of datagrams leaves the fabric. Its end comes at once, or later.
void Cluster::transmit(std::size_t index, const Transmit& out) {
  Node& node = nodes_[index];
  const auto to = network_.locate(index, out.to);
  if (!to || to->link != raw(out.socket) || to->node == index)
    fail(label("node", index) + " sends to an address where nobody is");
  if (out.bytes.empty() || out.segment_size == 0 || out.segments() > kRunSegmentsMax ||
      (out.segments() > 1 && out.bytes.size() > kRunBytesMax)) {
    fail(label("node", index) + " hands out a run that no kernel takes");
  }
  course_.add(static_cast<std::uint64_t>(now_.time_since_epoch().count()));
  course_.add(out.bytes.size() << 16 | to->node << 8 | to->link);
  bytes_.add(out.bytes.first(std::min<std::size_t>(out.bytes.size(), 32)));
  const ParsedPacket packet = read_packet(index, out.bytes.first(out.segment_size));
  if (out.kind == Transmit::Kind::kData)
    check_size(index, *to, out, packet);
  ++node.sends;
  Completion completion{.id = out.id,
                        .to = *to,
                        .kind = out.kind,
                        .size = out.bytes.size(),
                        .segments = out.segments(),
                        .result = carry(index, *to, out, packet),
                        .bytes = {},
                        .cleared = node.cleared[to->node][to->link]};
  if (!scenario_.features.slow_completion || healed_) {
    complete(index, completion);
    return;
  }
  completion.bytes = out.bytes;
  completion.checksum = checksum(0, out.bytes);
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

// No data packet is larger than what its sender knows to pass. A message that was cut before the
// size was found anew keeps its pieces.
void Cluster::check_size(std::size_t index, const Network::Place& to, const Transmit& out,
                         const ParsedPacket& packet) {
  const auto* data = std::get_if<DataPacket>(&packet);
  if (data == nullptr)
    fail(label("node", index) + " sends something as data that is none");
  Node& node = nodes_[index];
  const Link& link = *FabricInspector(*node.fabric).link(host_of(to.node), LinkId(to.link));
  const SealShape shape = node.fabric->keyring().shape();
  const std::uint32_t message = ledger_.find(index, node.incarnation, data->header.seq);
  if (message == kNoMessage)
    return;
  const std::size_t most = shape.size(kDataHeaderSize + link.slice);
  // An event that was not looked at yet may be a change of size.
  if (out.segment_size > most && FabricInspector(*node.fabric).events_waiting() == 0 &&
      ledger_.sent_at(message) > watch_.size_known_since(index, to.node, to.link)) {
    fail(label("node", index) + " sends a packet of " + std::to_string(out.segment_size) +
         " bytes over " + label("link", to.link) + ", which is known to carry no more than " +
         std::to_string(most));
  }
}

void Cluster::complete(std::size_t index, const Completion& completion) {
  Node& node = nodes_[index];
  if (!completion.bytes.empty() && checksum(0, completion.bytes) != completion.checksum)
    fail(label("node", index) + " changed the bytes of a send that had not ended");
  --node.sends;
  const Network::Place& to = completion.to;
  if (completion.kind == Transmit::Kind::kProbe && completion.result.status == Status::kSent &&
      completion.cleared == node.cleared[to.node][to.link]) {
    node.accounts.handed_out(completion.to.node, completion.to.link, PacketType::kMtuProbe,
                             completion.size, completion.segments);
  }
  node.fabric->on_transmit_done(local(node), completion.id, completion.result);
}

TransmitResult Cluster::carry(std::size_t index, const Network::Place& to, const Transmit& out,
                              const ParsedPacket& packet) {
  if (std::holds_alternative<Drop>(packet))
    fail(label("node", index) + " sends a packet that does not parse");
  const PacketType type = type_of(packet);
  if (type != PacketType::kMtuProbe) {
    nodes_[index].accounts.handed_out(to.node, to.link, type, out.bytes.size(), out.segments());
  }
  if (const auto* ping = std::get_if<PingPacket>(&packet);
      ping != nullptr && ping->type == PacketType::kPing && ping->timed) {
    watch_.pinged(now_, index, to.node, to.link);
  }
  if (type == PacketType::kData)
    watch_.sent(now_, index, to.node, to.link, out.bytes.size(), out.segments());
  const TransmitResult result = refusal(index, to, out);
  if (vanishes(index, to, out) && result.status == Status::kSent) {
    if (trace_ != nullptr)
      trace(index, "run lost", std::to_string(out.segments()) + " datagrams at once");
    if (out.kind == Transmit::Kind::kData)
      check_run(index, to);
    network_.path(index, to.node, to.link).trouble = now_;
    return result;
  }
  const bool in_pieces = result.status == Status::kTooBig && out.kind == Transmit::Kind::kData;
  if (result.status == Status::kSent || in_pieces) {
    for (std::size_t offset = 0; offset < out.bytes.size(); offset += out.segment_size) {
      const std::size_t size = std::min<std::size_t>(out.segment_size, out.bytes.size() - offset);
      const ConstBytes bytes = out.bytes.subspan(offset, size);
      carry_segment(index, to, bytes, offset == 0 ? packet : read_packet(index, bytes), in_pieces);
    }
  } else if (result.status != Status::kTooBig) {
    network_.path(index, to.node, to.link).trouble = now_;
    if (type == PacketType::kMtuProbe || type == PacketType::kMtuReply)
      network_.path(index, to.node, to.link).lose_probe(now_);
  }
  return result;
}

// A rule that appears costs runs for half a second, and as long as answers may be under way. That
// needs clocks that go on, and answers that nobody repeats or makes up.
void Cluster::check_run(std::size_t index, const Network::Place& to) {
  const Features& on = scenario_.features;
  if (on.pauses || on.clogs || on.forgery || on.replays || on.damage)
    return;
  const Duration most = std::chrono::milliseconds(700) + 8 * scenario_.delay_max();
  if (now_ - network_.path(index, to.node, to.link).runs_changed > most)
    fail(label("node", index) + " sends a run in one piece, long after the path took no such run");
}

// A run that is too long for somebody on its way who takes it for one packet.
bool Cluster::vanishes(std::size_t index, const Network::Place& to, const Transmit& out) {
  return out.segments() > 1 && !out.split &&
         network_.packet_size(to.link, out.bytes.size()) >
             network_.path(index, to.node, to.link).plan.run_max;
}

// What the sender's own kernel has against it.
TransmitResult Cluster::refusal(std::size_t index, const Network::Place& to, const Transmit& out) {
  const PathPlan& plan = network_.path(index, to.node, to.link).plan;
  const std::uint32_t size = network_.packet_size(to.link, out.segment_size);
  if (size > plan.device_mtu) {
    if (out.kind == Transmit::Kind::kData && nodes_[index].manual_mtu == 0)
      watch_.oversized(now_, index, to.node, to.link, size);
    return {.status = Status::kTooBig,
            .mtu = scenario_.features.unnamed_limits ? 0 : plan.device_mtu};
  }
  if (size > plan.hole_mtu && out.kind == Transmit::Kind::kData && nodes_[index].manual_mtu == 0)
    watch_.oversized(now_, index, to.node, to.link, size);
  if (scenario_.features.send_failures && !healed_ && random_.chance(0.01)) {
    static constexpr Status kCauses[] = {Status::kUnreachable, Status::kNoBuffers, Status::kDenied,
                                         Status::kFailed};
    return {.status = kCauses[random_.below(4)], .retries = 1};
  }
  return {};
}

ParsedPacket Cluster::read_packet(std::size_t index, ConstBytes bytes) const {
  const SealLog::Entry* sealed = nodes_[index].seal_log.find(bytes);
  return parse_packet(sealed != nullptr ? sealed->packet() : bytes);
}

void Cluster::carry_segment(std::size_t index, const Network::Place& to, ConstBytes bytes,
                            const ParsedPacket& packet, bool in_pieces) {
  const SealLog::Entry* sealed = nodes_[index].seal_log.find(bytes);
  // Data that waits to be sent stays as it is.
  const bool data_waited = std::holds_alternative<DataPacket>(packet);
  if (sealed == nullptr && !nodes_[index].clear_allowed && !data_waited)
    fail(label("node", index) + " sends a packet in clear that has to be encrypted");
  if (std::holds_alternative<Drop>(packet))
    fail(label("node", index) + " sends a packet that does not parse");
  ++datagram_count_;
  const Network::Fate fate = network_.send(now_, index, to, bytes.size(), in_pieces);
  const PacketType type = type_of(packet);
  const bool about_size = type == PacketType::kMtuProbe || type == PacketType::kMtuReply;
  if (about_size && (fate.copies == 0 || fate.damaged))
    network_.path(index, to.node, to.link).lose_probe(now_);
  if (trace_ != nullptr) {
    trace(index,
          fate.copies == 0   ? "lost"
          : fate.damaged     ? "damaged"
          : fate.copies == 1 ? "send"
                             : "send twice",
          "to node " + std::to_string(to.node) + " link " + std::to_string(to.link) + " " +
              describe(packet) + (sealed != nullptr ? " sealed" : ""));
  }
  for (std::size_t copy = 0; copy < fate.copies; ++copy) {
    const std::uint32_t slot = network_.take_datagram();
    Datagram& datagram = network_.datagram(slot);
    datagram.bytes.assign(bytes.begin(), bytes.end());
    datagram.source = network_.source(index, to.node, to.link);
    datagram.from = static_cast<std::uint8_t>(index);
    datagram.to = static_cast<std::uint8_t>(to.node);
    datagram.link = static_cast<std::uint8_t>(to.link);
    datagram.incarnation = nodes_[index].incarnation;
    datagram.type = type;
    datagram.sealed = sealed != nullptr;
    if (const auto* data = std::get_if<DataPacket>(&packet)) {
      datagram.message = ledger_.find(index, datagram.incarnation, data->header.seq);
      datagram.whole = data->header.whole();
    }
    if (fate.damaged && copy == 0) {
      datagram.kind = Datagram::Kind::kBogus;
      intruder_.damage(datagram.bytes, sealed != nullptr);
    }
    push_arrival(fate.arrivals[copy], slot);
  }
}

void Cluster::push_arrival(Instant at, std::uint32_t slot) {
  push({.at = at,
        .index = slot,
        .node = network_.datagram(slot).to,
        .kind = Queued::Kind::kArrival});
}

// A path that is clogged keeps what would arrive now.
bool Cluster::hold(const Queued& event) {
  if (event.kind != Queued::Kind::kArrival || event.deferred)
    return false;
  const Datagram& datagram = network_.datagram(event.index);
  Path& way = network_.path(datagram.from, datagram.to, datagram.link);
  if (!way.clogged)
    return straggle(event.index);
  way.trouble = now_;
  if (way.held.size() < kHeldMax) {
    way.held.push_back(event.index);
  } else {
    network_.give_back(event.index);
  }
  return true;
}

// One data packet in 300 comes as late as any that a path holds back.
bool Cluster::straggle(std::uint32_t index) {
  if (!scenario_.features.stragglers || healed_ ||
      network_.datagram(index).type != PacketType::kData || !random_.chance(1.0 / 300))
    return false;
  const auto most = static_cast<std::uint64_t>(scenario_.clog_max().count());
  stragglers_.push_back(index);
  at(now_ + Duration(static_cast<std::int64_t>(random_.below(most + 1))),
     [this, index] { let_go(index); });
  return true;
}

void Cluster::let_go(std::uint32_t index) {
  const auto found = std::ranges::find(stragglers_, index);
  if (found == stragglers_.end())
    return;
  stragglers_.erase(found);
  push_arrival(now_, index);
}

void Cluster::handle_arrival(const Queued& event) {
  Node& node = nodes_[event.node];
  if (node.fabric && scenario_.service > Duration::zero()) {
    enqueue(event.node, event.index);
    return;
  }
  if (node.fabric) {
    receive(event.node, event.index);
    network_.give_back(event.index);
    turn(event.node);
    return;
  }
  const Datagram& datagram = network_.datagram(event.index);
  network_.path(datagram.from, datagram.to, datagram.link).trouble = now_;
  if (scenario_.features.path_reports && datagram.kind == Datagram::Kind::kHonest)
    report_refused(datagram);
  network_.give_back(event.index);
}

// A busy node: what comes waits in the sockets, as far as there is room.
void Cluster::enqueue(std::size_t index, std::uint32_t slot) {
  Node& node = nodes_[index];
  const Datagram& datagram = network_.datagram(slot);
  std::size_t& held = node.inbox_bytes[datagram.link];
  const std::size_t size = datagram.bytes.size() + kPacketInSocketMin;
  if (held + size > scenario_.receive_buffer) {
    if (scenario_.lossless())
      fail(label("node", index) + " lost a packet to a full socket, although senders have windows");
    network_.path(datagram.from, datagram.to, datagram.link).trouble = now_;
    network_.give_back(slot);
    return;
  }
  held += size;
  node.inbox.push_back(slot);
  if (!node.serving)
    serve(index);
}

void Cluster::serve(std::size_t index) {
  Node& node = nodes_[index];
  node.serving = !node.inbox.empty();
  if (!node.serving)
    return;
  const std::uint32_t slot = node.inbox.front();
  node.inbox.pop_front();
  const Datagram& datagram = network_.datagram(slot);
  node.inbox_bytes[datagram.link] -= datagram.bytes.size() + kPacketInSocketMin;
  push({.at = now_ + scenario_.service,
        .incarnation = node.incarnation,
        .node = static_cast<std::uint8_t>(index),
        .kind = Queued::Kind::kServe});
  receive(index, slot);
  network_.give_back(slot);
  turn(index);
}

void Cluster::receive(std::size_t index, std::uint32_t slot) {
  Node& node = nodes_[index];
  Fabric& fabric = *node.fabric;
  Datagram& datagram = network_.datagram(slot);
  if (datagram.kind != Datagram::Kind::kHonest)
    return receive_foreign(index, slot);
  if (trace_ != nullptr) {
    trace(index, "receive",
          "from node " + std::to_string(datagram.from) + " link " + std::to_string(datagram.link) +
              " " +
              (datagram.sealed ? std::to_string(datagram.bytes.size()) + " bytes"
                               : describe(parse_packet(datagram.bytes))) +
              (datagram.message != kNoMessage ? " of " + label("message", datagram.message) : ""));
  }
  intruder_.saw(datagram, node.incarnation);
  watch_.arrived(now_, index, datagram);
  InputAccount account(fabric, datagram.from, scenario_.links);
  const auto delivery = fabric.on_datagram(local(node), SocketId(datagram.link), datagram.source,
                                           std::span<std::byte>(datagram.bytes));
  account.close();
  account.check(index);
  if (account.dropped() != 0)
    intruder_.not_taken();
  // What a host that was removed sends in the native envelope is refused for any reason.
  bool refused = account.dropped() != 0 && !fabric.host_exists(host_of(datagram.from));
  for (const Drop reason :
       {Drop::kUnknownLink, Drop::kNoSourceLink, Drop::kSealSender, Drop::kAccessList})
    refused = refused || account.dropped_as(reason);
  if (refused)
    network_.path(datagram.from, datagram.to, datagram.link).trouble = now_;
  if (trace_ != nullptr && account.dropped() != 0)
    trace(index, "drop", std::string(name(account.reason())));
  // The new key shows itself to nodes that have not been given it yet, and native envelopes of
  // nobody that is known are tried as clear packets where those are let in.
  if (datagram.sealed &&
      (fabric.keyring().empty() || !fabric.host_exists(host_of(datagram.from)))) {
    node.accounts.bogus(account.reason());
  }
  // Events first: what the receiver forgot, it forgot before this packet meant anything.
  poll_events(index);
  if (account.counted() != 0 && account.dropped() == 0)
    watch_.accepted(index, datagram);
  if (datagram.whole && account.dropped_as(Drop::kDuplicate))
    ledger_.refused_as_seen(index, node.incarnation, datagram);
  if (datagram.message != kNoMessage && account.dropped_as(Drop::kSequenceStale))
    ledger_.refused_as_stale(index, datagram);
  if (!delivery)
    return;
  course_.add(std::uint64_t{datagram.message} << 8 | index);
  if (trace_ != nullptr)
    trace(index, "deliver", label("message", datagram.message));
  ledger_.delivered(index, node.incarnation, *delivery, datagram);
  const std::size_t size = delivery->bytes.size();
  if (delivery->buffer != MessageBufferId::kNone)
    fabric.release_message(delivery->buffer);
  if (scenario_.read_rate != 0)
    take_delivery(index, size);
}

// An application that reads slowly: what it has not read yet waits in the ring, as far as there is
// room.
void Cluster::take_delivery(std::size_t index, std::size_t size) {
  Node& node = nodes_[index];
  if (node.unread + size > kUnreadMax) {
    node.fabric->count_drop(Drop::kReaderSlow);
    ++unread_lost_;
    return;
  }
  node.unread += size;
  node.fabric->set_backlogged(node.unread > kUnreadHigh);
  if (!node.reading)
    read(index);
}

Duration Cluster::reading_max() const {
  if (scenario_.read_rate == 0)
    return {};
  return Duration(static_cast<std::int64_t>(2 * kUnreadMax * 1'000'000'000 / scenario_.read_rate));
}

void Cluster::read(std::size_t index) {
  Node& node = nodes_[index];
  constexpr std::size_t kAtOnce = 65536;
  if (node.reading) {
    node.unread -= std::min(node.unread, kAtOnce);
    node.fabric->set_backlogged(node.unread > kUnreadHigh);
    turn(index);
  }
  node.reading = node.unread > 0;
  if (!node.reading)
    return;
  const std::size_t next = std::min(node.unread, kAtOnce);
  push(
      {.at = now_ + Duration(static_cast<std::int64_t>(next * 1'000'000'000 / scenario_.read_rate)),
       .incarnation = node.incarnation,
       .node = static_cast<std::uint8_t>(index),
       .kind = Queued::Kind::kRead});
}

// The machine is there, the process is not: its kernel says so to whoever asks.
void Cluster::report_refused(const Datagram& datagram) {
  const Path& back = network_.path(datagram.to, datagram.from, datagram.link);
  if (back.cut || !nodes_[datagram.from].fabric ||
      nodes_[datagram.from].incarnation != datagram.incarnation) {
    return;
  }
  reports_.push_back({.socket = SocketId(datagram.link),
                      .to = network_.source(datagram.to, datagram.from, datagram.link),
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
                         std::uint32_t device_mtu, std::uint32_t hole_mtu, std::uint32_t run_max) {
  Path& path = network_.path(from, to, link);
  path.plan.device_mtu = device_mtu;
  path.plan.hole_mtu = hole_mtu;
  path.changed = now_;
  set_run_limit(from, to, link, run_max);
}

void Cluster::set_run_limit(std::size_t from, std::size_t to, std::size_t link,
                            std::uint32_t run_max) {
  Path& path = network_.path(from, to, link);
  if (path.plan.run_max == run_max)
    return;
  path.plan.run_max = run_max;
  path.runs_changed = now_;
}

void Cluster::heal() {
  for (std::size_t a = 0; a < nodes_.size(); ++a) {
    for (std::size_t b = 0; b < nodes_.size(); ++b) {
      for (std::size_t l = 0; l < scenario_.links; ++l)
        set_clogged(a, b, l, false);
    }
  }
  healed_ = true;
  while (!stragglers_.empty())
    let_go(stragglers_.back());
  network_.heal(now_);
}

}  // namespace ringknet::sim
