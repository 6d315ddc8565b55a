// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The fabric's transmit side: from a message to runs of packets, and handing out everything that is
// to be sent. Order of precedence: control packets, probes, runs of probes, data on its second try,
// data.
#include <algorithm>
#include <cstring>

#include "engine/core/fabric.h"

namespace ringknet {
namespace {

// A forced PING goes out each time the sequence passes a multiple of this, so that receivers which
// were sent no data for long keep their windows near the sender.
constexpr std::uint16_t kForcedPingEvery = 8191;

// How long a PONG waits at most: long enough to halve a sender's window again and again, short
// enough that it never lets go of it.
constexpr Duration kHoldMax = std::chrono::milliseconds(30);
static_assert(kHoldMax < SendWindow::kPatience / 2);

bool is_probe(InFlight::Kind kind) {
  return kind == InFlight::Kind::kMtuProbe || kind == InFlight::Kind::kRunProbe;
}

}  // namespace

bool Fabric::can_send(std::size_t size) const {
  if (!runs_.has_room(link_count_))
    return false;
  if (arena_.has_room(TransmitArena::kSlabSize))
    return true;
  // Neither more packets nor longer envelopes than these, whatever slices its links will have.
  const std::size_t packets = (size + kSliceSizeMin - 1) / kSliceSizeMin;
  const std::size_t around = shape_.lead + kDataHeaderSize + shape_.block + shape_.mac;
  return arena_.has_room(size + packets * around);
}

SendOutcome Fabric::send(Instant now, Channel channel, ConstBytes message,
                         const Destinations& destinations) {
  if (message.empty() || message.size() > kMessageSizeMax || raw(channel) >= kChannelCount) {
    return {.error = Error::kInvalid};
  }
  if (!can_send(message.size()))
    return {.error = Error::kNoBuffers};
  const bool to_self =
      destinations.broadcast ||
      std::ranges::find(destinations.hosts, config_.self) != destinations.hosts.end();
  SendOutcome outcome{.error = Error::kNone, .local = has_loopback_ && to_self};
  if (outcome.local) {
    for (const auto& link : hosts_.find(config_.self)->links) {
      if (link && link->loopback())
        link->stats.tx_data.add(message.size());
    }
  }
  std::uint32_t slice = kMessageSizeMax;
  if (!collect_targets(destinations, outcome.local, slice)) {
    if (!outcome.local)
      outcome.error = Error::kHostDown;
    return outcome;
  }

  last_seq_ = last_seq_.next();
  ++messages_sent_;
  if (last_seq_.value % kForcedPingEvery == 0) {
    hosts_.for_each_link([this](Host&, Link& link) {
      if (!link.enabled() || link.loopback() || !link.addressable())
        return;
      link.control.forced_seq = last_seq_;
      control_.want(link, PingKind::kForced);
    });
  }
  std::uint8_t compress_id = 0;
  message = compress(message, compress_id);
  const std::size_t count = (message.size() + slice - 1) / slice;
  const std::size_t last = message.size() - (count - 1) * slice;
  const std::size_t full_packet =
      shape_.size(kDataHeaderSize + std::min<std::size_t>(slice, message.size()));
  const std::size_t total = (count - 1) * full_packet + shape_.size(kDataHeaderSize + last);
  const auto piece = arena_.allocate(TransmitArena::Use::kData, total);
  assert(piece && count <= kFragmentsMax);  // can_send() said so; slices are at least kSliceSizeMin
  const DataHeader header{.source = config_.self,
                          .seq = last_seq_,
                          .compress = compress_id,
                          .broadcast = destinations.broadcast,
                          .fragment_count = static_cast<std::uint8_t>(count),
                          .fragment_index = 0,
                          .channel = channel};
  if (!queue_message(header, message, slice, *piece)) {
    outcome.error = Error::kSealFailed;
    return outcome;
  }
  for (const LinkRef& target : targets_) {
    Link* link = find_link(target);
    link->mtu.on_data(
        now, static_cast<std::uint32_t>(full_packet + ip_overhead(link->config.local.family)));
    reschedule(*link);
  }
  return outcome;
}

// The message as it is to be sent: compressed if that is switched on and helps.
ConstBytes Fabric::compress(ConstBytes message, std::uint8_t& id) {
  if (compressor_ == nullptr)
    return message;
  const bool tried = message.size() > compress_threshold_ && compress_gauge_.worth_trying();
  std::size_t size = 0;
  if (tried) {
    const Instant began = read_stopwatch();
    size = compressor_->compress(message, compressed_);
    if (size != 0) {
      stats_.tx_compress.add(read_stopwatch() - began);
      ++stats_.tx_compressed;
      stats_.tx_compressed_from += message.size();
      stats_.tx_compressed_to += size;
    }
  } else if (message.size() > compress_threshold_) {
    ++stats_.tx_compress_skipped;
  }
  if (size != 0 && size < message.size()) {
    compress_gauge_.shrank();
    id = static_cast<std::uint8_t>(compress_id_);
    return ConstBytes(compressed_).first(size);
  }
  if (tried)
    compress_gauge_.failed();
  ++stats_.tx_uncompressed;
  return message;
}

// Lays the packets of a message one behind the other, seals them, each while it is still in the
// cache unless all together take less, and queues them in runs. False if one could not be sealed:
// then none is sent.
bool Fabric::queue_message(const DataHeader& header, ConstBytes message, std::uint32_t slice,
                           const TransmitArena::Piece& piece) {
  const std::size_t part_max = std::min<std::size_t>(slice, message.size());
  const std::size_t full_packet = shape_.size(kDataHeaderSize + part_max);
  MutableBytes rest = arena_.bytes(piece);
  DataHeader fragment = header;
  const bool in_a_row = keyring_.seals_rows();
  bool sealed = true;
  std::size_t clear = 0;
  for (std::size_t index = 1; index <= header.fragment_count && sealed; ++index) {
    if (!header.whole())
      fragment.fragment_index = static_cast<std::uint8_t>(index);
    const ConstBytes left = message.subspan((index - 1) * part_max);
    const ConstBytes part = left.first(std::min(part_max, left.size()));
    clear = kDataHeaderSize + part.size();
    const MutableBytes packet = rest.first(shape_.size(clear));
    rest = rest.subspan(packet.size());
    encode(fragment, packet.subspan(shape_.lead));
    std::memcpy(packet.data() + shape_.lead + kDataHeaderSize, part.data(), part.size());
    if (!in_a_row)
      sealed = seal_data(packet, 1, clear, clear);
  }
  if (in_a_row) {
    sealed =
        seal_data(arena_.bytes(piece), header.fragment_count, kDataHeaderSize + part_max, clear);
  }
  if (sealed) {
    const std::size_t run_bytes =
        full_packet * std::clamp<std::size_t>(kRunBytesMax / full_packet, 1, kRunSegmentsMax);
    for (std::size_t offset = 0; offset < piece.size; offset += run_bytes) {
      RunRef run{piece, 0, static_cast<std::uint32_t>(part_max), messages_sent_};
      run.piece.offset += static_cast<std::uint32_t>(offset);
      run.piece.size = static_cast<std::uint32_t>(std::min(run_bytes, piece.size - offset));
      run.segment_size =
          static_cast<std::uint32_t>(std::min<std::size_t>(full_packet, run.piece.size));
      arena_.hold(piece.slab);
      runs_.push(run, targets_, header.channel, header.whole());
    }
  }
  arena_.release(piece.slab);  // each run holds its own reference now
  return sealed;
}

// The `count` packets of a message; the last one has `last` bytes in clear and the others `clear`.
bool Fabric::seal_data(MutableBytes row, std::size_t count, std::size_t clear, std::size_t last) {
  if (keyring_.in_use() == 0)
    return true;
  const bool timed = sends_ % kTimedEvery == 1;
  const Instant began = timed ? read_stopwatch() : Instant{};
  if (!(count == 1 ? keyring_.seal(row, last) : keyring_.seal_row(row, clear, last)))
    return false;
  if (timed)
    stats_.tx_seal.add(read_stopwatch() - began, count);
  stats_.tx_sealed += count;
  stats_.tx_seal_overhead += row.size() - (count - 1) * clear - last;
  return true;
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

void Fabric::queue_answer(Link& link, const PongAnswer& pong) {
  if (!control_.answer(link, pong))
    drops_.add(Drop::kControlQueueFull);
}

// The answer to a probe before, which has not left yet, is one to this, too: they come in runs.
void Fabric::queue_answer(Link& link, const MtuAnswer& answer) {
  const auto same = [&](const MtuAnswer& waiting) { return waiting.size == answer.size; };
  if (link.control.mtu_answers.any(same))
    return;
  if (!control_.answer(link, answer))
    drops_.add(Drop::kControlQueueFull);
}

bool Fabric::poll_transmit(Instant now, Transmit& out, bool control_only) {
  ControlSend control = poll_own(now, out);
  if (control == ControlSend::kNothing)
    control = poll_answers(now, out);
  if (control == ControlSend::kReady || poll_probe(now, out))
    return true;
  if (control_only)
    return false;
  // Data that has to wait may have asked for a mark.
  return poll_run_probe(now, out) || poll_data(now, out) ||
         poll_own(now, out) == ControlSend::kReady;
}

// PINGs of our own: few, and every link's whole life hangs on them.
Fabric::ControlSend Fabric::poll_own(Instant now, Transmit& out) {
  while (Link* link = control_.next_own()) {
    const PingKind kind = link->control.next();
    const bool wanted = link->enabled() && link->addressable();
    const ControlSend sent =
        wanted ? hand_out_ping(now, *link, kind, out) : ControlSend::kNotSealed;
    if (sent == ControlSend::kNoRoom)
      return sent;
    control_.own_done(*link, kind);
    if (sent == ControlSend::kReady)
      return sent;
  }
  return ControlSend::kNothing;
}

Fabric::ControlSend Fabric::poll_answers(Instant now, Transmit& out) {
  while (Link* link = control_.next_answering()) {
    const LinkControl& waiting = link->control;
    const bool is_pong = !waiting.pongs.empty() && (!backlogged_ || waiting.released > 0);
    if (!is_pong && waiting.mtu_answers.empty()) {
      control_.hold(*link);
      held_due_ = std::min(held_due_, now + std::min(kHoldMax, link->timers.timeout / 4));
      continue;
    }
    ControlSend sent = ControlSend::kNotSealed;
    if (link->addressable()) {
      sent = is_pong ? hand_out_pong(*link, waiting.pongs.front(), out)
                     : hand_out_mtu_answer(*link, waiting.mtu_answers.front(), out);
    }
    if (sent == ControlSend::kNoRoom)
      return sent;
    if (is_pong) {
      control_.pong_done(*link);
    } else {
      control_.mtu_answer_done(*link);
    }
    if (sent == ControlSend::kReady)
      return sent;
  }
  return ControlSend::kNothing;
}

void Fabric::set_backlogged(bool backlogged) {
  backlogged_ = backlogged;
  if (!backlogged)
    release_held();
}

void Fabric::release_held() {
  held_due_ = kNever;
  control_.release();
}

Fabric::ControlSend Fabric::hand_out_ping(Instant now, Link& link, PingKind kind, Transmit& out) {
  const bool timed = kind != PingKind::kForced;
  const Instant leaves = link.pings.departure(now);
  PingPacket packet{.sender = config_.self,
                    .link = link.ref.link,
                    .stamp = stamp_of(leaves),
                    .seq = timed ? last_seq_ : link.control.forced_seq,
                    .timed = timed};
  if (keyring_.challenges() && !keyring_.random().fill(packet.stamp)) {
    drops_.add(Drop::kSealFailed);
    return ControlSend::kNotSealed;
  }
  const bool warms = kind == PingKind::kWarming && keyring_.warming() != 0;
  const ControlSend result =
      hand_out_sealed(link, warms ? keyring_.warming() : keyring_.in_use(), InFlight::Kind::kPing,
                      kPingSize, out, [&](MutableBytes bytes) { encode(packet, bytes); });
  if (result != ControlSend::kReady)
    return result;
  link.stats.tx_ping.add(out.bytes.size());
  const PingsUnderWay::Ping ping{leaves, keyring_.era(link.ref.host)};
  // Where data left long ago and none since, an announcement is the mark behind it.
  if (kind == PingKind::kMark || (kind == PingKind::kForced && link.window.unmarked())) {
    link.pings.add_mark(packet.stamp, ping);
    link.window.on_mark(leaves);
    reschedule(link);
  } else {
    link.pings.add(packet.stamp, ping, link.answer_kept());
  }
  return result;
}

Fabric::ControlSend Fabric::hand_out_pong(Link& link, const PongAnswer& pong, Transmit& out) {
  const PingPacket packet{.type = PacketType::kPong,
                          .sender = config_.self,
                          .link = link.ref.link,
                          .stamp = pong.stamp,
                          .seq = pong.seq,
                          .timed = pong.timed};
  const bool warms = pong.warming && keyring_.warming() != 0;
  const ControlSend result =
      hand_out_sealed(link, warms ? keyring_.warming() : keyring_.in_use(), InFlight::Kind::kPong,
                      kPingSize, out, [&](MutableBytes bytes) { encode(packet, bytes); });
  if (result == ControlSend::kReady)
    link.stats.tx_pong.add(out.bytes.size());
  return result;
}

Fabric::ControlSend Fabric::hand_out_mtu_answer(Link& link, const MtuAnswer& answer,
                                                Transmit& out) {
  const MtuPacket packet{PacketType::kMtuReply, config_.self, link.ref.link, answer.size};
  return hand_out_sealed(link, keyring_.in_use(), InFlight::Kind::kMtuReply, kMtuHeaderSize, out,
                         [&](MutableBytes bytes) { encode(packet, kMtuHeaderSize, bytes); });
}

bool Fabric::poll_probe(Instant now, Transmit& out) {
  while (!control_.probes.empty()) {
    Link* link = find_link(control_.probes.front());
    ControlSend result = ControlSend::kNotSealed;
    if (link != nullptr && link->mtu.phase() != MtuSearch::Phase::kIdle && link->addressable()) {
      result = hand_out_probes(*link, InFlight::Kind::kMtuProbe, link->mtu.candidate(), 1, out);
    }
    if (result == ControlSend::kNoRoom)
      return false;
    if (link != nullptr)
      link->probe_queued = false;
    control_.probes.pop();
    if (result == ControlSend::kReady) {
      link->runs.on_single_probe(now, static_cast<std::uint16_t>(link->mtu.candidate()));
      return true;
    }
  }
  return false;
}

// Encodes, seals and hands out one control packet of `clear` bytes.
template <typename Encode>
Fabric::ControlSend Fabric::hand_out_sealed(Link& link, std::size_t slot, InFlight::Kind kind,
                                            std::size_t clear, Transmit& out,
                                            Encode&& encode_into) {
  const SealShape shape = keyring_.shape(slot);
  const std::size_t size = shape.size(clear);
  const auto piece = arena_.allocate(TransmitArena::Use::kControl, size);
  if (!piece)
    return ControlSend::kNoRoom;
  const MutableBytes bytes = arena_.bytes(*piece);
  encode_into(bytes.subspan(shape.lead, clear));
  if (!keyring_.seal(slot, bytes, clear)) {
    arena_.release(piece->slab);
    drops_.add(Drop::kSealFailed);
    return ControlSend::kNotSealed;
  }
  if (slot != 0)
    ++stats_.tx_sealed;
  hand_out(link, kind, {*piece, static_cast<std::uint32_t>(size), 0, 0}, false, out);
  return ControlSend::kReady;
}

bool Fabric::poll_data(Instant now, Transmit& out) {
  RunQueue::Item item;
  while (!runs_.empty()) {
    Link* link = find_link(runs_.next_target());
    if (link != nullptr && link->usable() &&
        !may_leave(*hosts_.find(link->ref.host), *link, runs_.next_message()))
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
    hand_out(*link, InFlight::Kind::kData, item.run, rerouted, out);
    if (out.segments() > 1)
      check_run(now, *link, out);
    return true;
  }
  return false;
}

// Whether data may go to the host over that link. Where a host has had nothing for long but one
// message that no mark followed, one is sent now.
bool Fabric::may_leave(Host& host, const Link& link, std::uint64_t message) {
  if (!link.window.open())
    return false;
  if (message < host.roomy_until)
    return true;
  host.find_room(message);
  if (message < host.roomy_until)
    return true;
  for (const auto& other : host.links) {
    if (other && other->usable() && !other->window.marked() &&
        other->window.oldest_under_way() + Host::kUnderWayMax <= message)
      control_.want(*other, PingKind::kMark);
  }
  return false;
}

// Where a run goes that did not leave by one link: another usable one of the host that carries its
// packets, a sound one if there is one, and if there is no other, the same one once more: what was
// in its way may have passed. With ACTIVE the others have copies of their own.
Link* Fabric::alternative(const LinkRef& ref, const RunRef& run) const {
  const Host* host = hosts_.find(ref.host);
  if (host == nullptr)
    return nullptr;
  Link* other = nullptr;
  for (const auto& link : host->links) {
    if (!link || link->ref == ref || link->loopback() || !link->usable() || link->slice < run.slice)
      continue;
    if (other == nullptr || (other->suspect() && !link->suspect()))
      other = link.get();
  }
  if (other != nullptr)
    return host->policy == Policy::kActive ? nullptr : other;
  Link* same = find_link(ref);
  return same != nullptr && same->usable() ? same : nullptr;
}

void Fabric::hand_out(Link& link, InFlight::Kind kind, const RunRef& run, bool rerouted,
                      Transmit& out) {
  const bool is_data = kind == InFlight::Kind::kData;
  out.kind = is_data          ? Transmit::Kind::kData
             : is_probe(kind) ? Transmit::Kind::kProbe
                              : Transmit::Kind::kControl;
  out.split = false;
  out.socket = link.config.socket;
  out.to = link.config.remote;
  out.segment_size = run.segment_size;
  out.bytes = arena_.bytes(run.piece);
  out.id = in_flight_.add({kind, rerouted, link.ref, run});
  if (is_data) {
    link.stats.tx_data.add(out.bytes.size(), out.segments());
    if (link.window.on_data(out.bytes.size(), out.segments(), run.message))
      control_.want(link, PingKind::kMark);
  }
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
      case InFlight::Kind::kRunProbe:
        if (result.status != Status::kSent)
          link->runs.on_unsent();
        if (result.split)
          link->runs.on_split(now);
        [[fallthrough]];
      case InFlight::Kind::kMtuProbe:
        if (result.status == Status::kSent)
          link->stats.tx_mtu.add(sent.run.piece.size, sent.run.segments());
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
      if (is_data || is_probe(sent.kind)) {
        const auto size = static_cast<std::uint32_t>(sent.run.segment_size +
                                                     ip_overhead(link->config.local.family));
        act_on_mtu(now, *link, link->mtu.on_kernel_limit(now, result.mtu, size));
        reschedule(*link);
      }
    } else if (result.status != Status::kSent) {
      ++trouble->errors;
      // A probe may be refused for its size alone; its silence is judged by the search.
      if (!is_probe(sent.kind)) {
        suspect(now, *link,
                result.status == Status::kRefused ? Event::Reason::kRefused
                                                  : Event::Reason::kUnreachable);
      }
    }
  }
  if (sent.kind == InFlight::Kind::kRunProbe)
    run_probe_under_way_ = false;
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
