// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The fabric's transmit side: from a message to runs of packets, and handing out everything that is
// to be sent. Order of precedence: control packets, probes, data on its second try, data.
#include <algorithm>
#include <cstring>

#include "engine/core/fabric.h"

namespace ringknet {
namespace {

// A forced PING goes out each time the sequence passes a multiple of this, so that receivers which
// were sent no data for long keep their windows near the sender.
constexpr std::uint16_t kForcedPingEvery = 8191;

}  // namespace

bool Fabric::can_send() const {
  return runs_.has_room(link_count_) && arena_.has_room(TransmitArena::kSlabSize);
}

SendOutcome Fabric::send(Instant now, Channel channel, ConstBytes message,
                         const Destinations& destinations) {
  if (message.empty() || message.size() > kMessageSizeMax || raw(channel) >= kChannelCount) {
    return {.error = Error::kInvalid};
  }
  if (!can_send())
    return {.error = Error::kNoBuffers};
  const bool to_self =
      destinations.broadcast ||
      std::ranges::find(destinations.hosts, config_.self) != destinations.hosts.end();
  SendOutcome outcome{.error = Error::kNone, .local = has_loopback_ && to_self};
  std::uint32_t slice = kMessageSizeMax;
  if (!collect_targets(destinations, outcome.local, slice)) {
    if (!outcome.local)
      outcome.error = Error::kHostDown;
    return outcome;
  }

  last_seq_ = last_seq_.next();
  if (last_seq_.value % kForcedPingEvery == 0) {
    hosts_.for_each_link([this](Host&, Link& link) {
      if (!link.enabled() || link.loopback() || !link.addressable())
        return;
      queue_control({.kind = ControlItem::Kind::kForcedPing, .link = link.ref, .seq = last_seq_});
    });
  }
  const std::size_t count = (message.size() + slice - 1) / slice;
  const std::size_t last = message.size() - (count - 1) * slice;
  const std::size_t full_packet =
      envelope_.size(kDataHeaderSize + std::min<std::size_t>(slice, message.size()));
  const std::size_t total = (count - 1) * full_packet + envelope_.size(kDataHeaderSize + last);
  const auto piece = arena_.allocate(TransmitArena::Use::kData, total);
  assert(piece && count <= kFragmentsMax);  // can_send() said so; slices are at least kSliceSizeMin
  const DataHeader header{.source = config_.self,
                          .seq = last_seq_,
                          .compress = 0,
                          .broadcast = destinations.broadcast,
                          .fragment_count = static_cast<std::uint8_t>(count),
                          .fragment_index = 0,
                          .channel = channel};
  queue_message(header, message, slice, *piece);
  for (const LinkRef& target : targets_) {
    Link* link = find_link(target);
    link->mtu.on_data(
        now, static_cast<std::uint32_t>(full_packet + ip_overhead(link->config.local.family)));
    reschedule(*link);
  }
  return outcome;
}

// Lays the packets of a message one behind the other and queues them in runs.
void Fabric::queue_message(const DataHeader& header, ConstBytes message, std::uint32_t slice,
                           const TransmitArena::Piece& piece) {
  const std::size_t full_packet =
      envelope_.size(kDataHeaderSize + std::min<std::size_t>(slice, message.size()));
  const std::size_t packets_per_run =
      std::clamp<std::size_t>(kRunBytesMax / full_packet, 1, kRunSegmentsMax);
  MutableBytes out = arena_.bytes(piece);
  DataHeader fragment = header;
  std::size_t offset = 0;  // of the packet being written, within the piece
  std::size_t run_start = 0;
  std::size_t in_run = 0;
  for (std::size_t index = 1; index <= header.fragment_count; ++index) {
    if (!header.whole())
      fragment.fragment_index = static_cast<std::uint8_t>(index);
    const ConstBytes part = message.subspan(
        (index - 1) * slice, std::min<std::size_t>(slice, message.size() - (index - 1) * slice));
    encode(fragment, out.subspan(offset));
    std::memcpy(out.data() + offset + kDataHeaderSize, part.data(), part.size());
    offset += envelope_.size(kDataHeaderSize + part.size());
    if (++in_run < packets_per_run && index < header.fragment_count)
      continue;
    RunRef run{piece, static_cast<std::uint32_t>(std::min(full_packet, offset - run_start)),
               static_cast<std::uint32_t>(std::min<std::size_t>(slice, message.size()))};
    run.piece.offset += static_cast<std::uint32_t>(run_start);
    run.piece.size = static_cast<std::uint32_t>(offset - run_start);
    arena_.hold(piece.slab);
    runs_.push(run, targets_);
    run_start = offset;
    in_run = 0;
  }
  arena_.release(piece.slab);  // each run holds its own reference now
}

// Fills `targets_` and lowers `slice` to what all of them carry; false when there is nobody.
bool Fabric::collect_targets(const Destinations& destinations, bool local, std::uint32_t& slice) {
  targets_.clear();
  ++sends_;
  const auto take = [&](HostId id) {
    Host* host = hosts_.find(id);
    if (host == nullptr || !host->reachable || (local && id == config_.self))
      return;
    if (host->chosen_by == sends_)
      return;
    host->chosen_by = sends_;
    collect_links(*host, slice);
  };
  if (destinations.broadcast) {
    for (const HostId id : hosts_.order())
      take(id);
  } else {
    for (const HostId id : destinations.hosts)
      take(id);
  }
  return !targets_.empty();
}

void Fabric::collect_links(Host& host, std::uint32_t& slice) {
  const auto take = [&](const Link& link) {
    targets_.push_back(link.ref);
    slice = std::min(slice, link.slice);
  };
  if (host.routes.empty())
    return;
  if (host.policy != Policy::kRoundRobin) {
    for (const Link* link : host.routes)
      take(*link);
    return;
  }
  take(*host.routes[host.round_robin]);
  host.round_robin = static_cast<std::uint8_t>((host.round_robin + 1u) % host.routes.size());
}

void Fabric::queue_control(const ControlItem& item) {
  if (!control_.items.push(item))
    drops_.add(Drop::kControlQueueFull);
}

bool Fabric::poll_transmit(Instant now, Transmit& out, bool control_only) {
  if (poll_control(now, out) || poll_probe(out))
    return true;
  return !control_only && poll_data(out);
}

bool Fabric::poll_control(Instant now, Transmit& out) {
  while (!control_.items.empty()) {
    const ControlItem item = control_.items.front();
    Link* link = find_link(item.link);
    const bool is_ping = item.kind == ControlItem::Kind::kPing ||
                         item.kind == ControlItem::Kind::kForcedPing ||
                         item.kind == ControlItem::Kind::kMark;
    if (link == nullptr || !link->addressable() || (is_ping && !link->enabled())) {
      if (link != nullptr && item.kind == ControlItem::Kind::kPing)
        link->ping_queued = false;
      control_.items.pop();
      continue;
    }
    MutableBytes bytes;
    const bool is_reply = item.kind == ControlItem::Kind::kMtuReply;
    const InFlight::Kind kind = is_ping    ? InFlight::Kind::kPing
                                : is_reply ? InFlight::Kind::kMtuReply
                                           : InFlight::Kind::kPong;
    if (!hand_out_control(*link, kind, is_reply ? kMtuHeaderSize : kPingSize, bytes, out))
      return false;
    if (is_reply) {
      encode(MtuPacket{PacketType::kMtuReply, config_.self, link->ref.link, item.size},
             kMtuHeaderSize, bytes);
    } else if (is_ping) {
      const bool timed = item.kind != ControlItem::Kind::kForcedPing;
      if (item.kind == ControlItem::Kind::kPing)
        link->ping_queued = false;
      if (item.kind == ControlItem::Kind::kMark) {
        link->window.on_mark(now);
        reschedule(*link);
      }
      encode(PingPacket{PacketType::kPing, config_.self, link->ref.link, stamp_of(now),
                        timed ? last_seq_ : item.seq, timed},
             bytes);
      link->stats.tx_ping.add(bytes.size());
    } else {
      encode(PingPacket{PacketType::kPong, config_.self, link->ref.link, item.stamp, item.seq,
                        item.timed},
             bytes);
      link->stats.tx_pong.add(bytes.size());
    }
    control_.items.pop();
    return true;
  }
  return false;
}

bool Fabric::poll_probe(Transmit& out) {
  while (!control_.probes.empty()) {
    Link* link = find_link(control_.probes.front());
    if (link == nullptr || link->mtu.phase() == MtuSearch::Phase::kIdle || !link->addressable()) {
      if (link != nullptr)
        link->probe_queued = false;
      control_.probes.pop();
      continue;
    }
    const std::uint32_t size = link->mtu.candidate();
    const std::size_t clear = link->mtu.slice(size) + kReservedHeaderSize;
    MutableBytes bytes;
    if (!hand_out_control(*link, InFlight::Kind::kMtuProbe, clear, bytes, out))
      return false;
    encode(MtuPacket{PacketType::kMtuProbe, config_.self, link->ref.link, probe_size_field(size)},
           clear, bytes);
    link->probe_queued = false;
    control_.probes.pop();
    return true;
  }
  return false;
}

bool Fabric::poll_data(Transmit& out) {
  RunQueue::Item item;
  while (!runs_.empty()) {
    Link* link = find_link(runs_.next_target());
    if (link != nullptr && link->usable() && !link->window.open())
      return false;
    runs_.pop(item);
    bool rerouted = item.rerouted;
    if (link == nullptr || !link->usable()) {
      // It went away while the data waited. What has another way takes it.
      link = rerouted ? nullptr : alternative(item.target, item.run);
      rerouted = true;
    }
    if (link == nullptr) {
      drops_.add(Drop::kLinkGone);
      arena_.release(item.run.piece.slab);
      continue;
    }
    return hand_out(*link, InFlight::Kind::kData, item.run, rerouted, out);
  }
  return false;
}

// Another usable link of the host that carries packets of this run; none for ACTIVE, where the
// other links have their copy anyway.
Link* Fabric::alternative(const LinkRef& ref, const RunRef& run) const {
  Host* host = hosts_.find(ref.host);
  if (host == nullptr || host->policy == Policy::kActive)
    return nullptr;
  for (const auto& link : host->links) {
    if (link && link->ref != ref && !link->loopback() && link->usable() && !link->suspect() &&
        link->slice >= run.slice) {
      return link.get();
    }
  }
  return nullptr;
}

bool Fabric::hand_out(Link& link, InFlight::Kind kind, const RunRef& run, bool rerouted,
                      Transmit& out) {
  const bool is_data = kind == InFlight::Kind::kData;
  out.kind = is_data                             ? Transmit::Kind::kData
             : kind == InFlight::Kind::kMtuProbe ? Transmit::Kind::kProbe
                                                 : Transmit::Kind::kControl;
  out.socket = link.config.socket;
  out.to = link.config.remote;
  out.segment_size = run.segment_size;
  out.bytes = arena_.bytes(run.piece);
  out.id = in_flight_.add({kind, rerouted, link.ref, run});
  if (is_data) {
    link.stats.tx_data.add(out.bytes.size(), out.segments());
    if (link.window.on_data(out.bytes.size(), out.segments()))
      queue_control({.kind = ControlItem::Kind::kMark, .link = link.ref});
  }
  return true;
}

bool Fabric::hand_out_control(Link& link, InFlight::Kind kind, std::size_t clear_size,
                              MutableBytes& bytes, Transmit& out) {
  const std::size_t size = envelope_.size(clear_size);
  const auto piece = arena_.allocate(TransmitArena::Use::kControl, size);
  if (!piece)
    return false;
  bytes = arena_.bytes(*piece);
  return hand_out(link, kind, {*piece, static_cast<std::uint32_t>(size), 0}, false, out);
}

void Fabric::on_transmit_done(Instant now, TransmitId id, const TransmitResult& result) {
  using Status = TransmitResult::Status;
  const InFlight sent = in_flight_.take(id);
  Link* link = find_link(sent.link);
  if (link != nullptr) {
    SendTrouble* trouble = nullptr;
    switch (sent.kind) {
      case InFlight::Kind::kPing:
        trouble = &link->stats.ping_trouble;
        break;
      case InFlight::Kind::kPong:
        trouble = &link->stats.pong_trouble;
        break;
      case InFlight::Kind::kMtuReply:
        trouble = &link->stats.mtu_trouble;
        break;
      case InFlight::Kind::kMtuProbe:
        if (result.status == Status::kSent)
          link->stats.tx_mtu.add(sent.run.piece.size);
        trouble = &link->stats.mtu_trouble;
        break;
      case InFlight::Kind::kData:
        trouble = &link->stats.data_trouble;
        break;
    }
    trouble->retries += result.retries;
    const bool is_data = sent.kind == InFlight::Kind::kData;
    if (result.status == Status::kTooBig) {
      // A probe finds out what the kernel takes; data was sent in pieces by the ring, but must
      // shrink.
      if (is_data || sent.kind == InFlight::Kind::kMtuProbe) {
        const auto size = static_cast<std::uint32_t>(sent.run.segment_size +
                                                     ip_overhead(link->config.local.family));
        act_on_mtu(now, *link, link->mtu.on_kernel_limit(now, result.mtu, size));
        reschedule(*link);
      }
    } else if (result.status != Status::kSent) {
      ++trouble->errors;
      // A probe may be refused for its size alone; its silence is judged by the search.
      if (sent.kind != InFlight::Kind::kMtuProbe) {
        suspect(now, *link,
                result.status == Status::kRefused ? Event::Reason::kRefused
                                                  : Event::Reason::kUnreachable);
      }
    }
  }
  const bool lost = result.status != Status::kSent && result.status != Status::kTooBig;
  if (lost && sent.kind == InFlight::Kind::kData && !sent.rerouted) {
    if (const Link* other = alternative(sent.link, sent.run)) {
      if (!runs_.push_retry(sent.run, other->ref) && link != nullptr)
        ++link->stats.data_trouble.errors;
    }
  }
  arena_.release(sent.run.piece.slab);
}

bool Fabric::data_pending() const {
  return !runs_.empty() || in_flight_.data() > 0;
}

}  // namespace ringknet
