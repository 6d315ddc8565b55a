// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The intruder's packets.
#include "tests/sim/intruder.h"

#include <algorithm>
#include <utility>

#include "engine/wire/packet.h"
#include "tests/sim/digest.h"
#include "tests/sim/fabric_inspector.h"

namespace ringknet::sim {
namespace {

constexpr std::size_t kRecordedSizeMax = 4096;
constexpr HostId kStranger{7};

}  // namespace

void Intruder::saw(const Datagram& datagram, std::uint32_t receiver_incarnation) {
  last_ = kRecordsMax;
  if (!scenario_.features.replays || datagram.bytes.size() > kRecordedSizeMax)
    return;
  ++seen_;
  const bool wanted = random_.chance(0.2);
  const std::size_t place = random_.below(kRecordsMax);
  if (!wanted)
    return;
  if (records_.size() < kRecordsMax) {
    last_ = records_.size();
    records_.push_back({datagram, receiver_incarnation});
  } else {
    last_ = place;
    records_[place] = {datagram, receiver_incarnation};
  }
}

void Intruder::not_taken() {
  if (last_ == kRecordsMax)
    return;
  if (last_ + 1 != records_.size())
    records_[last_] = std::move(records_.back());
  records_.pop_back();
}

const Intruder::Record* Intruder::recall() {
  return records_.empty() ? nullptr : &records_[random_.below(records_.size())];
}

void Intruder::noise(std::vector<std::byte>& bytes) {
  bytes.resize(random_.chance(0.2) ? random_.below(64000) : random_.below(200));
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>(random_.next() & 0xff);
  // Not too far from the real thing.
  if (random_.chance(0.5) && bytes.size() >= 2)
    bytes[0] = std::byte{kWireVersion};
}

void Intruder::legal_packet(std::vector<std::byte>& bytes, HostId sender, std::size_t link) {
  const std::uint64_t kind = random_.below(3);
  const MessageSeq seq{static_cast<std::uint16_t>(random_.between(1, 65535))};
  const std::size_t size = random_.between(1, 100);
  if (kind == 0) {
    bytes.resize(kDataHeaderSize + size);
    encode(DataHeader{.source = sender, .seq = seq}, bytes);
  } else {
    bytes.resize(kPingSize);
    PingPacket packet{.sender = sender, .link = LinkId(link), .seq = seq};
    packet.type = kind == 1 ? PacketType::kPing : PacketType::kPong;
    encode(packet, bytes);
  }
}

// With a stamp of zeros, or of some moment of the node's past: it would have to guess nanoseconds.
void Intruder::pong(std::vector<std::byte>& bytes, const Aim& aim) {
  const bool zeros = random_.chance(0.3);
  const Duration ago(static_cast<std::int64_t>(random_.below(3'000'000'000)));
  PingPacket packet{.type = PacketType::kPong, .sender = host_of(aim.as), .link = LinkId(aim.link)};
  if (!zeros)
    packet.stamp = stamp_of(std::max(Instant{}, aim.now - ago));
  bytes.resize(kPingSize);
  encode(packet, bytes);
}

Datagram Intruder::forge(const Aim& aim) {
  Datagram datagram;
  datagram.kind = Datagram::Kind::kBogus;
  datagram.from = static_cast<std::uint8_t>(aim.as);
  datagram.to = static_cast<std::uint8_t>(aim.node);
  datagram.link = static_cast<std::uint8_t>(aim.link);
  datagram.source = aim.source;
  const std::uint64_t kind = random_.below(4);
  if (!aim.clear_allowed && kind == 0) {
    noise(datagram.bytes);
  } else if (!aim.clear_allowed) {
    legal_packet(datagram.bytes, host_of(aim.as), aim.link);
  } else if (kind == 1) {
    legal_packet(datagram.bytes, kStranger, aim.link);
  } else if (kind == 2 && !aim.movable) {
    legal_packet(datagram.bytes, host_of(aim.as), aim.link);
    datagram.source.ip[0] = 192;
  } else if (kind == 3) {
    pong(datagram.bytes, aim);
  } else {
    do
      noise(datagram.bytes);
    while (!std::holds_alternative<Drop>(parse_packet(datagram.bytes)));
  }
  return datagram;
}

void Intruder::damage(std::vector<std::byte>& bytes, bool sealed) {
  const bool cut = random_.chance(0.4);
  const std::size_t reach = sealed ? bytes.size() : std::min<std::size_t>(bytes.size(), 2);
  const std::size_t bit = random_.below(8 * reach);
  const std::size_t rest = random_.below(sealed ? bytes.size() : kMtuHeaderSize);
  if (cut) {
    bytes.resize(rest);
  } else {
    bytes[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

std::uint64_t beliefs(Fabric& fabric, std::size_t peer, std::size_t links) {
  const FabricInspector inspector(fabric);
  Digest digest;
  const Host* known = inspector.host(host_of(peer));
  digest.add(known != nullptr);
  if (known == nullptr)
    return digest.value();
  const Host& host = *known;
  digest.add(host.reachable);
  digest.add(host.sequence.newest().value);
  digest.add(host.reassembly.empty());
  for (std::size_t l = 0; l < links; ++l) {
    if (host.link(LinkId(l)) == nullptr)
      continue;
    const Link& link = *host.link(LinkId(l));
    digest.add(link.connected());
    digest.add(link.suspect());
    digest.add(link.answered());
    digest.add(link.learned);
    digest.add(link.config.remote.port);
    digest.add(link.config.remote.ip[0] << 8 | link.config.remote.ip[2]);
    digest.add(link.slice);
    digest.add(static_cast<std::uint64_t>(link.last_pong().time_since_epoch().count()));
    digest.add(static_cast<std::uint64_t>(link.latency().mean().count()));
    digest.add(link.window.size());
  }
  digest.add(inspector.message_buffers_in_use());
  digest.add(fabric.data_mtu());
  return digest.value();
}

}  // namespace ringknet::sim
