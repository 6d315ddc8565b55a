// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The fabric's receive side: from a datagram to a message for the application or an answer for the
// peer.
#include "engine/core/fabric.h"

namespace ringknet {

std::optional<Delivery> Fabric::on_datagram(Instant now, SocketId socket, const Address& from,
                                            MutableBytes bytes) {
  const bool timed = !keyring_.empty() && stats_.rx_opened % kTimedEvery == 0;
  const Instant began = timed ? read_stopwatch() : Instant{};
  const OpenResult result = keyring_.open(bytes);
  if (const auto* reason = std::get_if<Drop>(&result)) {
    drops_.add(*reason);
    return std::nullopt;
  }
  const auto& opened = std::get<Opened>(result);
  const Arrival arrival{now, socket, from, opened};
  const ParsedPacket packet = parse_packet(opened.clear);
  if (const auto* data = std::get_if<DataPacket>(&packet)) {
    if (opened.proof != Proof::kNone) {
      ++stats_.rx_opened;
      if (timed)
        stats_.rx_open.add(read_stopwatch() - began);
    }
    return on_data(arrival, *data);
  }
  if (const auto* ping = std::get_if<PingPacket>(&packet)) {
    on_control(arrival, *ping);
  } else if (const auto* mtu = std::get_if<MtuPacket>(&packet)) {
    on_control(arrival, *mtu);
  } else {
    drops_.add(std::get<Drop>(packet));
  }
  return std::nullopt;
}

void Fabric::release_message(MessageBufferId buffer) {
  messages_.give_back(buffer);
}

// Whether the packet may change anything. In envelopes that name their sender this has to be the
// one the packet names, and in an epoch that is known to be its present one; PINGs and PONGs are
// what proves an epoch, so they may come without.
bool Fabric::proven(const Arrival& arrival, HostId sender, bool may_prove) {
  const Opened& opened = arrival.opened;
  if (opened.proof == Proof::kNone || opened.proof == Proof::kKey) {
    return true;
  }
  if (opened.sender != sender) {
    drops_.add(Drop::kSealImpostor);
    return false;
  }
  if (opened.proof == Proof::kUnverified && !may_prove) {
    drops_.add(Drop::kSealUnverified);
    return false;
  }
  return true;
}

std::optional<Delivery> Fabric::on_data(const Arrival& arrival, const DataPacket& packet) {
  const Instant now = arrival.now;
  const Address& from = arrival.from;
  const DataHeader& header = packet.header;
  const auto dropped = [this](Drop reason) {
    drops_.add(reason);
    return std::nullopt;
  };
  Host* host = hosts_.find(header.source);
  if (host == nullptr)
    return dropped(Drop::kUnknownHost);
  if (!proven(arrival, header.source, false))
    return std::nullopt;
  in_order(arrival, *host);
  Link* link = host->source_link(from, arrival.socket);
  if (link == nullptr)
    return dropped(Drop::kNoSourceLink);
  if (!admits(*link, from)) {
    return dropped(Drop::kAccessList);
  }
  link->stats.rx_data.add(arrival.size());
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
  if (header.compress == 0) {
    return Delivery{header.source, header.channel, bytes, buffer};
  }
  const auto delivery = decompress(header, bytes);
  if (buffer != MessageBufferId::kNone)
    messages_.give_back(buffer);
  return delivery;
}

std::optional<Delivery> Fabric::decompress(const DataHeader& header, ConstBytes bytes) {
  Decompressor* decompressor = config_.decompressors[header.compress].get();
  if (decompressor == nullptr) {
    drops_.add(Drop::kCompressUnsupported);
    return std::nullopt;
  }
  const auto buffer = messages_.take();
  if (!buffer) {
    drops_.add(Drop::kNoBuffers);
    return std::nullopt;
  }
  const Instant began = read_stopwatch();
  const MutableBytes out = messages_.bytes(*buffer);
  const std::size_t size = decompressor->decompress(bytes, out);
  if (size == 0 || size > out.size()) {
    messages_.give_back(*buffer);
    drops_.add(Drop::kDecompress);
    return std::nullopt;
  }
  stats_.rx_compress.add(read_stopwatch() - began);
  ++stats_.rx_compressed;
  stats_.rx_compressed_from += bytes.size();
  stats_.rx_compressed_to += size;
  return Delivery{header.source, header.channel, out.first(size), *buffer};
}

void Fabric::on_control(const Arrival& arrival, const PingPacket& packet) {
  if (!proven(arrival, packet.sender, true))
    return;
  Link* link = control_link(arrival, packet.sender, packet.link);
  if (link == nullptr)
    return;
  if (packet.type == PacketType::kPing) {
    link->stats.rx_ping.add(arrival.size());
    on_ping(arrival, *hosts_.find(packet.sender), *link, packet);
  } else {
    link->stats.rx_pong.add(arrival.size());
    on_pong(arrival, *link, packet);
  }
}

void Fabric::on_control(const Arrival& arrival, const MtuPacket& packet) {
  if (!proven(arrival, packet.sender, false))
    return;
  Link* link = control_link(arrival, packet.sender, packet.link);
  if (link == nullptr)
    return;
  link->stats.rx_mtu.add(arrival.size());
  if (packet.type == PacketType::kMtuProbe) {
    ControlItem reply{.kind = ControlItem::Kind::kMtuReply, .link = link->ref};
    reply.size = packet.size;
    queue_control(reply);
    return;
  }
  MtuSearch::Step step;
  if (!link->mtu.on_reply(arrival.now, probe_size_of(packet.size), step)) {
    drops_.add(Drop::kMtuReplyUnmatched);
    return;
  }
  act_on_mtu(arrival.now, *link, step);
  reschedule(*link);
}

// Where packets carry a challenge instead of a clock, their counters tell which one was overtaken,
// and their epochs that the sender started anew. True where there is no counter.
bool Fabric::in_order(const Arrival& arrival, Host& host) {
  if (arrival.opened.proof != Proof::kFresh)
    return true;
  if (host.newest.other_boot(arrival.opened)) {
    host.sequence.reset();
    on_restart(host);
  }
  return host.newest.advance(arrival.opened);
}

// The sender's messages begin anew.
void Fabric::on_restart(Host& host) {
  give_up_partials(host);
  host.newest = {};
  emit({.kind = Event::Kind::kPeerRestarted, .host = host.id});
}

// The link that a control packet is about, if it may speak for it.
Link* Fabric::control_link(const Arrival& arrival, HostId sender, LinkId id) {
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
  if (!admits(*link, arrival.from)) {
    drops_.add(Drop::kAccessList);
    return nullptr;
  }
  if (link->config.dynamic) {
    learn(arrival, *link);
  } else if (!link->config.remote.same_ip(arrival.from)) {
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
void Fabric::learn(const Arrival& arrival, Link& link) {
  if (link.learned && link.config.remote.same_endpoint(arrival.from))
    return;
  // An old packet, sent again by somebody else, must not lead a link away that works.
  if (arrival.opened.proof == Proof::kUnverified && link.answered())
    return;
  link.config.remote = arrival.from;
  link.config.socket = arrival.socket;
  link.learned = true;
  link.wake(arrival.now);
  emit({.kind = Event::Kind::kLinkLearned,
        .host = link.ref.host,
        .link = link.ref.link,
        .address = arrival.from});
  reschedule(link);
}

void Fabric::on_ping(const Arrival& arrival, Host& host, Link& link, const PingPacket& packet) {
  if (arrival.opened.proof == Proof::kUnverified) {
    // It is answered, as that changes nothing here, and asked itself: its answer proves the epoch.
    link.ask(arrival.now);
    reschedule(link);
  } else if (in_order(arrival, host)) {
    const auto meaning =
        host.sequence.on_ping(arrival.now, packet, link.slack(), link.timers.timeout);
    if (meaning == PeerSequence::PingMeaning::kRestarted)
      on_restart(host);
    expire_behind(host);
  }
  queue_control({.kind = ControlItem::Kind::kPong,
                 .link = link.ref,
                 .seq = packet.seq,
                 .timed = packet.timed,
                 .stamp = packet.stamp,
                 .warming = arrival.opened.slot != 0 && arrival.opened.slot == keyring_.warming()});
}

void Fabric::on_pong(const Arrival& arrival, Link& link, const PingPacket& packet) {
  const auto sent = answered_ping(arrival, link, packet);
  if (!sent)
    return;
  const bool was_suspect = link.suspect();
  if (link.on_pong(arrival.now, *sent)) {
    link_up(arrival.now, link);
  } else if (was_suspect) {
    refresh_host(*hosts_.find(link.ref.host));
  }
  reschedule(link);
}

// When the PING left that this PONG answers; nothing if it answers none of ours, or comes from an
// epoch that it does not prove.
std::optional<Instant> Fabric::answered_ping(const Arrival& arrival, Link& link,
                                             const PingPacket& packet) {
  if (const auto answer = link.challenges.answer(packet.stamp)) {
    if (arrival.opened.proof != Proof::kUnverified ||
        keyring_.confirm(arrival.opened, answer->era)) {
      return answer->sent;
    }
  }
  if (arrival.opened.proof == Proof::kUnverified) {
    drops_.add(Drop::kSealUnverified);
    return std::nullopt;
  }
  const Instant sent = instant_of(packet.stamp);
  if (sent > arrival.now || arrival.opened.proof == Proof::kFresh) {
    drops_.add(Drop::kPongStamp);
    return std::nullopt;
  }
  return sent;
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
