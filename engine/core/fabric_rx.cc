// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The fabric's receive side: from a datagram to a message for the application or an answer for the
// peer.
#include <algorithm>
#include <utility>

#include "engine/core/fabric.h"

namespace ringknet {
namespace {

// Whose packet it is, if it is a legal one in no envelope.
std::optional<HostId> clear_sender(ConstBytes bytes) {
  const ParsedPacket packet = parse_packet(bytes);
  if (const auto* data = std::get_if<DataPacket>(&packet))
    return data->header.source;
  if (const auto* ping = std::get_if<PingPacket>(&packet))
    return ping->sender;
  if (const auto* mtu = std::get_if<MtuPacket>(&packet))
    return mtu->sender;
  return std::nullopt;
}

// As what clear packets are refused where they are taken for encrypted ones; the native envelope
// reads a sender and a counter out of them.
bool may_be_clear(Drop reason) {
  switch (reason) {
    case Drop::kSealShort:
    case Drop::kSealMac:
    case Drop::kSealSender:
    case Drop::kSealReflected:
    case Drop::kSealCounter:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::optional<Delivery> Fabric::on_datagram(Instant now, SocketId socket, const Address& from,
                                            MutableBytes bytes) {
  const bool timed = !keyring_.empty() && stats_.rx_opened % kTimedEvery == 0;
  const Instant began = timed ? read_stopwatch() : Instant{};
  const OpenResult result = keyring_.open(bytes);
  if (const auto* reason = std::get_if<Drop>(&result)) {
    refuse_unopened(now, from, *reason, bytes);
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
    const Drop reason = std::get<Drop>(packet);
    drops_.add(reason);
    offences_.note(now, reason, from);
  }
  return std::nullopt;
}

// A packet that is refused because of who sent it, and what it said it was.
void Fabric::refuse(const Arrival& arrival, Drop reason, HostId host, std::optional<LinkId> link) {
  drops_.add(reason);
  offences_.note(arrival.now, reason, arrival.from, host, link);
}

// A clear packet looks like one in a wrong envelope, or like one shorter than any. It is called by
// its name if it is too short to be another key's, or names one of our hosts: one encrypted packet
// in ten thousand looks like a clear one, but hardly any like one of ours.
void Fabric::refuse_unopened(Instant now, const Address& from, Drop reason, ConstBytes bytes) {
  const std::optional<HostId> sender = may_be_clear(reason) ? clear_sender(bytes) : std::nullopt;
  if (sender && (reason == Drop::kSealShort || hosts_.find(*sender) != nullptr))
    reason = Drop::kClearRefused;
  drops_.add(reason);
  offences_.note(now, reason, from, reason == Drop::kClearRefused ? sender : std::nullopt);
}

void Fabric::release_message(MessageBufferId buffer) {
  messages_.give_back(buffer);
}

// Whether the packet may change anything. In envelopes that name their sender this has to be the
// one the packet names, and in an epoch that is known to be its present one; PINGs and PONGs are
// what proves an epoch, so they may come without.
bool Fabric::sender_proven(const Arrival& arrival, HostId sender, bool may_prove) {
  const Opened& opened = arrival.opened;
  if (opened.sender != sender) {
    refuse(arrival, Drop::kSealImpostor, sender);
    return false;
  }
  if (opened.proof == Proof::kUnverified && !may_prove) {
    drops_.add(Drop::kSealUnverified);
    // What comes before the PONG that proves its epoch is lost, so that PONG should come soon.
    Host* host = hosts_.find(sender);
    Link* link = host != nullptr ? host->source_link(arrival.from, arrival.socket) : nullptr;
    if (link != nullptr && admits(*link, arrival.from))
      ask_sender(arrival, *link);
    return false;
  }
  return true;
}

// Whose epoch is not proven is sent a challenge, if none is under way.
bool Fabric::ask_sender(const Arrival& arrival, Link& link) {
  const bool anew = arrival.opened.first && link.unverified.admit(arrival.now);
  if (!link.ask(arrival.now, anew))
    return false;
  reschedule(link);
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
  const auto refused = [&](Drop reason) {
    refuse(arrival, reason, header.source);
    return std::nullopt;
  };
  if (host == nullptr)
    return refused(Drop::kUnknownHost);
  if (!proven(arrival, header.source, false))
    return std::nullopt;
  notice_boot(arrival, *host);
  Link* link = host->source_link(from, arrival.socket);
  if (link == nullptr)
    return refused(Drop::kNoSourceLink);
  if (!admits(*link, from)) {
    return refused(Drop::kAccessList);
  }
  link->stats.rx_data.add(arrival.size());
  // What is late says nothing of the link either.
  using Kind = PeerSequence::Place::Kind;
  const PacketAge age = host->newest.age(arrival.opened);
  auto place = host->sequence.place(now, header.seq, age);
  if (place.kind == Kind::kStale && held_up(now)) {
    host->sequence.on_held_up();
    place = host->sequence.place(now, header.seq, age);
  }
  if (place.kind == Kind::kStale)
    return dropped(Drop::kSequenceStale);
  // The sender has this link up, and one PONG proves it for us, too: waiting for more would lose
  // its messages.
  if (link->enabled() && !link->connected() && link->answered())
    link_up(now, *link);
  if (!host->reachable)
    return dropped(Drop::kUnreachable);
  // Before anything is copied: the second copy of an ACTIVE message costs no more than this.
  if (place.kind == Kind::kSeen)
    return dropped(Drop::kDuplicate);

  if (header.whole()) {
    note_first(*host, place);
    moved_on(arrival, *host, place);
    host->sequence.done(place.position);
    return deliver(header, packet.payload, MessageBufferId::kNone);
  }
  const MessagePosition certain =
      place.certain ? std::max(place.position, host->sequence.head()) : host->sequence.head();
  const Reassembly::Outcome outcome = host->reassembly.add(now, packet, place.position, certain);
  if (const auto* reason = std::get_if<Drop>(&outcome))
    return dropped(*reason);
  const auto* pending = std::get_if<Reassembly::Pending>(&outcome);
  if (pending == nullptr) {
    --missing_;
  } else if (pending->started) {
    note_first(*host, place);
    ++missing_;
  }
  moved_on(arrival, *host, place);
  if (pending != nullptr) {
    if (pending->evicted != 0) {
      host->sequence.done(pending->evicted);
      drops_.add(Drop::kEvicted);
    }
    return std::nullopt;
  }
  const auto& complete = std::get<Reassembly::Complete>(outcome);
  host->sequence.done(place.position);
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
  const bool is_ping = packet.type == PacketType::kPing;
  Link* link = control_link(arrival, packet.sender, packet.link, is_ping);
  if (link == nullptr)
    return;
  if (is_ping) {
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
  Link* link = control_link(arrival, packet.sender, packet.link, false);
  if (link == nullptr)
    return;
  link->stats.rx_mtu.add(arrival.size());
  if (packet.type == PacketType::kMtuProbe) {
    queue_answer(*link, MtuAnswer{packet.size});
    return;
  }
  const std::uint16_t size = probe_size_of(packet.size);
  RunCheck::News news = RunCheck::News::kNone;
  MtuSearch::Step step;
  const bool of_run = link->runs.on_reply(arrival.now, size, news);
  if (!link->mtu.on_reply(arrival.now, size, step) && !of_run) {
    drops_.add(Drop::kMtuReplyUnmatched);
    return;
  }
  act_on_runs(*link, news);
  act_on_mtu(arrival.now, *link, step);
  reschedule(*link);
}

// Whoever proves an epoch of another boot than before has started anew, whatever kind of packet it
// is: the next one that tells of its messages may come in another envelope, which names no boot.
void Fabric::on_other_boot(Host& host) {
  host.sequence.reset();
  on_restart(host);
}

// Data was taken.
void Fabric::moved_on(const Arrival& arrival, Host& host, const PeerSequence::Place& place) {
  host.sequence.on_data(arrival.now, place);
  host.unproven.reset();  // that it had sent nothing is over
  host.newest.note(arrival.opened);
  expire_outside(host);
}

// The first packet of a message came.
void Fabric::note_first(Host& host, const PeerSequence::Place& place) {
  ++arrived_;
  missing_ += host.gaps.on_first(place.position);
}

// The sender's messages begin anew.
void Fabric::on_restart(Host& host) {
  give_up_partials(host);
  host.newest = {};
  emit({.kind = Event::Kind::kPeerRestarted, .host = host.id});
}

// The link that a control packet is about, if it may speak for it.
Link* Fabric::control_link(const Arrival& arrival, HostId sender, LinkId id, bool is_ping) {
  Host* host = hosts_.find(sender);
  if (host == nullptr) {
    refuse(arrival, Drop::kUnknownHost, sender, id);
    return nullptr;
  }
  Link* link = host->link(id);
  if (link == nullptr || link->loopback()) {
    refuse(arrival, Drop::kUnknownLink, sender, id);
    return nullptr;
  }
  if (!admits(*link, arrival.from)) {
    refuse(arrival, Drop::kAccessList, sender, id);
    return nullptr;
  }
  const bool known = link->config.dynamic ? from_peer(arrival, *host, *link, is_ping)
                                          : link->config.remote.same_ip(arrival.from);
  if (!known) {
    refuse(arrival, Drop::kSourceAddress, sender, id);
    return nullptr;
  }
  return link;
}

// Static links admit their peer's address and need no list.
bool Fabric::admits(const Link& link, const Address& from) const {
  return !access_lists_ || !link.config.dynamic || link.access.accepts(from);
}

// A dynamic link's peer is wherever its PINGs come from, port included: it may sit behind a NAT
// whose mapping changes. Anybody can send PINGs from anywhere, in clear, and in the classic
// envelope what was recorded. So a link moves only when the PING proves itself under a key, as the
// newest that its sender made, or when the present address does not answer; which is asked at once.
bool Fabric::from_peer(const Arrival& arrival, const Host& host, Link& link, bool is_ping) {
  if (link.learned && link.config.remote.same_endpoint(arrival.from))
    return true;
  if (!is_ping)
    return false;
  const bool proven = arrival.opened.proof == Proof::kFresh &&
                      (host.newest.other_boot(arrival.opened) || !host.newest.late(arrival.opened));
  if (proven || link.movable(arrival.now)) {
    move(arrival, link);
    return true;
  }
  if (link.answered() && link.ask(arrival.now))
    reschedule(link);
  return false;
}

void Fabric::move(const Arrival& arrival, Link& link) {
  emit({.kind = Event::Kind::kLinkLearned,
        .host = link.ref.host,
        .link = link.ref.link,
        .address = arrival.from,
        .previous = link.config.remote});
  link.config.remote = arrival.from;
  link.config.socket = arrival.socket;
  link.move(arrival.now);
  reschedule(link);
}

void Fabric::on_ping(const Arrival& arrival, Host& host, Link& link, const PingPacket& packet) {
  if (arrival.opened.proof == Proof::kUnverified) {
    if (packet.timed && packet.seq.none())
      host.unproven = {arrival.opened.epoch, packet};
    // The sender is asked itself, as its answer proves the epoch, or else it is answered, as that
    // changes nothing here: one packet for each of his, and not too many. Both for the first one of
    // an epoch, so that two nodes have proven theirs to each other in one and a half round trips.
    const bool asked = ask_sender(arrival, link);
    if (asked && !arrival.opened.first)
      return;
    if (!link.unverified.admit(arrival.now)) {
      if (!asked)
        drops_.add(Drop::kSealUnverified);
      return;
    }
  } else {
    notice_boot(arrival, host);
    const bool newest = host.newest.age(arrival.opened) == PacketAge::kNewest;
    if (newest || arrival.opened.proof != Proof::kFresh)
      on_progress(arrival, host, link, packet);
  }
  queue_answer(link, PongAnswer{.stamp = packet.stamp,
                                .seq = packet.seq,
                                .timed = packet.timed,
                                .warming = arrival.opened.slot != 0 &&
                                           arrival.opened.slot == keyring_.warming()});
}

// A PING that is not late tells how far its sender is.
void Fabric::on_progress(const Arrival& arrival, Host& host, const Link& link,
                         const PingPacket& packet) {
  const PeerSequence::PingTrust trust{.newest = arrival.opened.proof == Proof::kFresh,
                                      .authentic = arrival.opened.proof != Proof::kNone,
                                      .slack = link.slack(),
                                      .quiet = link.timers.timeout};
  if (!packet.seq.none())
    host.unproven.reset();
  const auto meaning = host.sequence.on_ping(arrival.now, packet, trust);
  missing_ += host.gaps.on_announced(arrival.now, host.sequence.head());
  if (meaning == PeerSequence::PingMeaning::kRestarted)
    on_restart(host);
  // A forced PING leaves behind messages that were sealed before it and have later numbers.
  if (packet.timed)
    host.newest.note(arrival.opened);
  expire_outside(host);
}

void Fabric::on_pong(const Arrival& arrival, Link& link, const PingPacket& packet) {
  const auto left = answered_ping(arrival, link, packet.stamp);
  if (!left)
    return;
  notice_boot(arrival, *hosts_.find(link.ref.host));
  if (arrival.opened.proof == Proof::kUnverified)
    on_proof(arrival, *hosts_.find(link.ref.host), link);
  const bool was_suspect = link.suspect();
  if (link.on_pong(arrival.now, *left)) {
    link_up(arrival.now, link);
  } else if (was_suspect) {
    refresh_host(*hosts_.find(link.ref.host));
  }
  reschedule(link);
}

// The epoch has just been proven. That its sender began anew may have been said in PINGs before
// only: the next ones tell of its first messages.
void Fabric::on_proof(const Arrival& arrival, Host& host, const Link& link) {
  const auto unproven = std::exchange(host.unproven, std::nullopt);
  if (!unproven || unproven->epoch != arrival.opened.epoch)
    return;
  const PeerSequence::PingTrust trust{
      .authentic = true, .slack = link.slack(), .quiet = link.timers.timeout};
  if (host.sequence.on_ping(arrival.now, unproven->ping, trust) ==
      PeerSequence::PingMeaning::kRestarted)
    on_restart(host);
}

// When the PING left that this PONG answers; nothing if it answers none of ours, or comes from an
// epoch that it does not prove.
std::optional<Instant> Fabric::answered_ping(const Arrival& arrival, Link& link,
                                             const PingStamp& stamp) {
  const auto ping = link.pings.answer(stamp);
  if (arrival.opened.proof == Proof::kUnverified &&
      (!ping || !keyring_.confirm(arrival.opened, ping->era))) {
    drops_.add(Drop::kSealUnverified);
    return std::nullopt;
  }
  if (!ping) {
    drops_.add(Drop::kPongStamp);
    return std::nullopt;
  }
  return ping->left;
}

// Whenever the sender's sequence moved on: what it left far behind must not be taken for a part of
// the message that will have the same number. Nor is anything marked: those numbers are others by
// now.
void Fabric::expire_outside(Host& host) {
  const PeerSequence& sequence = host.sequence;
  for (std::size_t left = host.reassembly.keep(sequence.oldest(), sequence.furthest()); left > 0;
       --left)
    drops_.add(Drop::kExpired);
}

void Fabric::give_up_partials(Host& host) {
  for (std::size_t left = host.reassembly.clear(); left > 0; --left)
    drops_.add(Drop::kReset);
}

}  // namespace ringknet
