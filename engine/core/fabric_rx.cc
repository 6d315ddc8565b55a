// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The fabric's receive side: from a datagram to a message for the application or an answer for the
// peer.
#include "engine/core/fabric.h"

namespace ringknet {

std::optional<Delivery> Fabric::on_datagram(Instant now, SocketId socket, const Address& from,
                                            MutableBytes bytes) {
  const ParsedPacket packet = parse_packet(bytes);
  if (const auto* data = std::get_if<DataPacket>(&packet)) {
    return on_data(now, socket, from, *data, bytes.size());
  }
  if (const auto* ping = std::get_if<PingPacket>(&packet)) {
    on_control(now, socket, from, *ping, bytes.size());
  } else if (const auto* mtu = std::get_if<MtuPacket>(&packet)) {
    on_control(now, socket, from, *mtu, bytes.size());
  } else {
    drops_.add(std::get<Drop>(packet));
  }
  return std::nullopt;
}

void Fabric::release_message(MessageBufferId buffer) {
  messages_.give_back(buffer);
}

std::optional<Delivery> Fabric::on_data(Instant now, SocketId socket, const Address& from,
                                        const DataPacket& packet, std::size_t size) {
  const DataHeader& header = packet.header;
  const auto dropped = [this](Drop reason) {
    drops_.add(reason);
    return std::nullopt;
  };
  Host* host = hosts_.find(header.source);
  if (host == nullptr)
    return dropped(Drop::kUnknownHost);
  Link* link = host->source_link(from, socket);
  if (link == nullptr)
    return dropped(Drop::kNoSourceLink);
  if (!admits(*link, from)) {
    return dropped(Drop::kAccessList);
  }
  link->stats.rx_data.add(size);
  // The sender has this link up, and one PONG proves it for us, too: waiting for more would lose
  // its messages.
  if (link->enabled() && !link->connected() && link->answered())
    link_up(now, *link);
  if (!host->reachable)
    return dropped(Drop::kUnreachable);
  // Before anything is copied: the second copy of an ACTIVE message costs no more than this.
  if (host->sequence.seen(header.seq))
    return dropped(Drop::kDuplicate);

  if (header.whole()) {
    host->sequence.on_data(now, header.seq);
    expire_behind(*host);
    host->sequence.done(header.seq);
    return deliver(header, packet.payload, MessageBufferId::kNone);
  }
  const Reassembly::Outcome outcome = host->reassembly.add(now, packet);
  if (const auto* reason = std::get_if<Drop>(&outcome))
    return dropped(*reason);
  host->sequence.on_data(now, header.seq);
  expire_behind(*host);
  if (const auto* pending = std::get_if<Reassembly::Pending>(&outcome)) {
    if (!pending->evicted.none()) {
      host->sequence.done(pending->evicted);
      drops_.add(Drop::kEvicted);
    }
    return std::nullopt;
  }
  const auto& complete = std::get<Reassembly::Complete>(outcome);
  host->sequence.done(header.seq);
  return deliver(header, messages_.bytes(complete.buffer).first(complete.size), complete.buffer);
}

std::optional<Delivery> Fabric::deliver(const DataHeader& header, ConstBytes bytes,
                                        MessageBufferId buffer) {
  if (header.compress != 0) {
    drops_.add(Drop::kCompressUnsupported);
    if (buffer != MessageBufferId::kNone)
      messages_.give_back(buffer);
    return std::nullopt;
  }
  return Delivery{header.source, header.channel, bytes, buffer};
}

void Fabric::on_control(Instant now, SocketId socket, const Address& from, const PingPacket& packet,
                        std::size_t size) {
  Link* link = control_link(now, packet.sender, packet.link, socket, from);
  if (link == nullptr)
    return;
  if (packet.type == PacketType::kPing) {
    link->stats.rx_ping.add(size);
    on_ping(now, *hosts_.find(packet.sender), *link, packet);
  } else {
    link->stats.rx_pong.add(size);
    on_pong(now, *link, packet);
  }
}

void Fabric::on_control(Instant now, SocketId socket, const Address& from, const MtuPacket& packet,
                        std::size_t size) {
  Link* link = control_link(now, packet.sender, packet.link, socket, from);
  if (link == nullptr)
    return;
  link->stats.rx_mtu.add(size);
  if (packet.type == PacketType::kMtuProbe) {
    ControlItem reply{.kind = ControlItem::Kind::kMtuReply, .link = link->ref};
    reply.size = packet.size;
    queue_control(reply);
    return;
  }
  MtuSearch::Step step;
  if (!link->mtu.on_reply(now, probe_size_of(packet.size), step)) {
    drops_.add(Drop::kMtuReplyUnmatched);
    return;
  }
  act_on_mtu(now, *link, step);
  reschedule(*link);
}

// The link that a control packet is about, if it may speak for it.
Link* Fabric::control_link(Instant now, HostId sender, LinkId id, SocketId socket,
                           const Address& from) {
  Host* host = hosts_.find(sender);
  if (host == nullptr) {
    drops_.add(Drop::kUnknownHost);
    return nullptr;
  }
  Link* link = host->link(id);
  if (link == nullptr || link->loopback()) {
    drops_.add(Drop::kUnknownLink);
    return nullptr;
  }
  if (!admits(*link, from)) {
    drops_.add(Drop::kAccessList);
    return nullptr;
  }
  if (link->config.dynamic) {
    learn(now, *link, socket, from);
  } else if (!link->config.remote.same_ip(from)) {
    drops_.add(Drop::kSourceAddress);
    return nullptr;
  }
  return link;
}

// Static links admit their peer's address and need no list.
bool Fabric::admits(const Link& link, const Address& from) const {
  return !access_lists_ || !link.config.dynamic || link.access.accepts(from);
}

// A dynamic link's peer is wherever its control packets come from, port included: it may sit behind
// a NAT whose mapping changes.
void Fabric::learn(Instant now, Link& link, SocketId socket, const Address& from) {
  if (link.learned && link.config.remote.same_endpoint(from))
    return;
  link.config.remote = from;
  link.config.socket = socket;
  link.learned = true;
  link.wake(now);
  emit({.kind = Event::Kind::kLinkLearned,
        .host = link.ref.host,
        .link = link.ref.link,
        .address = from});
  reschedule(link);
}

void Fabric::on_ping(Instant now, Host& host, Link& link, const PingPacket& packet) {
  const auto meaning = host.sequence.on_ping(now, packet, link.slack(), link.timers.timeout);
  if (meaning == PeerSequence::PingMeaning::kRestarted) {
    give_up_partials(host);
    emit({.kind = Event::Kind::kPeerRestarted, .host = host.id});
  }
  expire_behind(host);
  queue_control({.kind = ControlItem::Kind::kPong,
                 .link = link.ref,
                 .seq = packet.seq,
                 .timed = packet.timed,
                 .stamp = packet.stamp});
}

void Fabric::on_pong(Instant now, Link& link, const PingPacket& packet) {
  const Instant sent = instant_of(packet.stamp);
  if (sent > now) {
    drops_.add(Drop::kPongStamp);
    return;
  }
  const bool was_suspect = link.suspect();
  if (link.on_pong(now, sent)) {
    link_up(now, link);
  } else if (was_suspect) {
    refresh_host(*hosts_.find(link.ref.host));
  }
  reschedule(link);
}

// Whenever the sender's sequence moved on: what it left far behind must not be taken for a part of
// the message that will have the same number.
void Fabric::expire_behind(Host& host) {
  host.reassembly.expire_behind(host.sequence.newest(), [&](MessageSeq seq) {
    host.sequence.done(seq);
    drops_.add(Drop::kExpired);
  });
}

void Fabric::give_up_partials(Host& host) {
  for (std::size_t left = host.reassembly.clear(); left > 0; --left)
    drops_.add(Drop::kReset);
}

}  // namespace ringknet
