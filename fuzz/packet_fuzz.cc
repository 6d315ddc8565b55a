// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The packet parser: any bytes are refused with a reason or give a packet of legal values, which
// encoded and parsed again is the same packet.
#include <algorithm>
#include <vector>

#include "engine/wire/packet.h"
#include "engine/wire/print.h"
#include "fuzz/input.h"

namespace ringknet::fuzz {
namespace {

bool same(ConstBytes a, ConstBytes b) {
  return std::ranges::equal(a, b);
}

void check(const DataPacket& packet) {
  const DataHeader& header = packet.header;
  require(!packet.payload.empty() && packet.payload.size() <= kMessageSizeMax, "payload size");
  require(!header.seq.none(), "sequence");
  require(raw(header.channel) < kChannelCount, "channel");
  require(header.fragment_count >= 1 && header.fragment_count <= kFragmentsMax, "fragment count");
  require(header.whole()
              ? header.fragment_index == 0
              : header.fragment_index >= 1 && header.fragment_index <= header.fragment_count,
          "fragment index");

  std::vector<std::byte> bytes(kDataHeaderSize + packet.payload.size());
  require(encode(header, bytes) == kDataHeaderSize, "size of an encoded header");
  std::ranges::copy(packet.payload, bytes.begin() + kDataHeaderSize);
  const ParsedPacket again = parse_packet(bytes);
  const auto* data = std::get_if<DataPacket>(&again);
  require(data != nullptr, "an encoded data packet parses as one");
  const DataHeader& other = data->header;
  require(other.source == header.source && other.seq == header.seq &&
              other.compress == header.compress && other.broadcast == header.broadcast &&
              other.fragment_count == header.fragment_count &&
              other.fragment_index == header.fragment_index && other.channel == header.channel,
          "a data header survives encoding");
  require(same(data->payload, packet.payload), "a payload survives encoding");
}

void check(const PingPacket& packet) {
  require(raw(packet.link) < kLinksPerHost, "link id");
  std::vector<std::byte> bytes(kPingSize);
  require(encode(packet, bytes) == kPingSize, "size of an encoded PING");
  const ParsedPacket again = parse_packet(bytes);
  const auto* ping = std::get_if<PingPacket>(&again);
  require(ping != nullptr && ping->type == packet.type && ping->sender == packet.sender &&
              ping->link == packet.link && ping->stamp == packet.stamp && ping->seq == packet.seq &&
              ping->timed == packet.timed,
          "a PING survives encoding");
  const Instant stamp = instant_of(packet.stamp);
  require(stamp == kNever || stamp_of(stamp) == packet.stamp, "a clock survives reading");
}

void check(const MtuPacket& packet, std::size_t size) {
  require(raw(packet.link) < kLinksPerHost, "link id");
  std::vector<std::byte> bytes(size);
  require(encode(packet, size, bytes) == size, "size of an encoded probe");
  const ParsedPacket again = parse_packet(bytes);
  const auto* mtu = std::get_if<MtuPacket>(&again);
  require(mtu != nullptr && mtu->type == packet.type && mtu->sender == packet.sender &&
              mtu->link == packet.link && mtu->size == packet.size,
          "a probe survives encoding");
  require(probe_size_field(probe_size_of(packet.size)) == packet.size, "a size survives reading");
}

}  // namespace
}  // namespace ringknet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ringknet;
  const ConstBytes bytes = std::as_bytes(std::span(data, size));
  const ParsedPacket packet = parse_packet(bytes);
  fuzz::require(!describe(packet).empty(), "every packet has a description");
  if (const auto* reason = std::get_if<Drop>(&packet)) {
    fuzz::require(*reason < Drop::kUnknownHost, "the parser gives reasons about bytes only");
  } else if (const auto* message = std::get_if<DataPacket>(&packet)) {
    fuzz::check(*message);
  } else if (const auto* ping = std::get_if<PingPacket>(&packet)) {
    fuzz::check(*ping);
  } else {
    fuzz::check(std::get<MtuPacket>(packet), size);
  }
  return 0;
}
