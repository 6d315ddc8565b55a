// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Parsing and encoding of the protocol's packets. No state, no policy.
#include "engine/wire/packet.h"

#include <algorithm>

namespace ringknet {
namespace {

template <std::size_t kSize>
void write_common(HeaderWriter<kSize>& writer, PacketType type, HostId sender) {
  writer.template u8<0>(kWireVersion);
  writer.template u8<1>(static_cast<std::uint8_t>(type));
  writer.template u16<2>(raw(sender));
  writer.template u8<4>(0);
  writer.template u8<5>(0);
}

ParsedPacket parse_data(ConstBytes packet) {
  const auto reader = HeaderReader<kDataHeaderSize>::of(packet);
  if (!reader)
    return Drop::kTooShort;
  DataPacket data;
  DataHeader& header = data.header;
  header.source = HostId{reader->u16<2>()};
  header.seq = MessageSeq{reader->u16<6>()};
  header.compress = reader->u8<8>();
  header.broadcast = reader->u8<10>() != 0;
  header.fragment_count = reader->u8<11>();
  header.fragment_index = reader->u8<12>();
  header.channel = Channel{reader->u8<13>()};
  data.payload = packet.subspan(kDataHeaderSize);

  if (header.seq.none())
    return Drop::kSequenceZero;
  if (header.compress > kCompressIdMax)
    return Drop::kCompressId;
  if (header.fragment_count == 0 || header.fragment_count > kFragmentsMax)
    return Drop::kFragmentCount;
  if (header.whole()) {
    header.fragment_index = 0;  // classic nodes ignore it in whole messages, so it means nothing
  } else if (header.fragment_index == 0 || header.fragment_index > header.fragment_count) {
    return Drop::kFragmentIndex;
  }
  if (raw(header.channel) >= kChannelCount)
    return Drop::kChannel;
  if (data.payload.empty())
    return Drop::kEmpty;
  if (data.payload.size() > kMessageSizeMax)
    return Drop::kTooLong;
  return data;
}

ParsedPacket parse_ping(ConstBytes packet, PacketType type) {
  const auto reader = HeaderReader<kPingSize>::of(packet);
  if (!reader)
    return Drop::kTooShort;
  if (reader->u8<6>() >= kLinksPerHost)
    return Drop::kLinkId;
  PingPacket ping;
  ping.type = type;
  ping.sender = HostId{reader->u16<2>()};
  ping.link = LinkId{reader->u8<6>()};
  reader->copy<7>(std::span(ping.stamp));
  ping.seq = MessageSeq{reader->u16<23>()};
  ping.timed = reader->u8<25>() != 0;
  return ping;
}

ParsedPacket parse_mtu(ConstBytes packet, PacketType type) {
  const auto reader = HeaderReader<kMtuHeaderSize>::of(packet);
  if (!reader)
    return Drop::kTooShort;
  if (reader->u8<6>() >= kLinksPerHost)
    return Drop::kLinkId;
  MtuPacket mtu;
  mtu.type = type;
  mtu.sender = HostId{reader->u16<2>()};
  mtu.link = LinkId{reader->u8<6>()};
  reader->copy<7>(std::span(mtu.size));
  return mtu;
}

std::uint64_t load_little_endian(std::span<const std::byte, 8> bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 8; i-- > 0;)
    value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

void store_little_endian(std::uint64_t value, std::span<std::byte, 8> bytes) {
  for (std::byte& byte : bytes) {
    byte = std::byte(value & 0xff);
    value >>= 8;
  }
}

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

}  // namespace

ParsedPacket parse_packet(ConstBytes packet) {
  const auto common = HeaderReader<kCommonHeaderSize>::of(packet);
  if (!common)
    return Drop::kTooShort;
  if (common->u8<0>() != kWireVersion)
    return Drop::kVersion;
  switch (const auto type = PacketType{common->u8<1>()}) {
    case PacketType::kData:
      return parse_data(packet);
    case PacketType::kPing:
    case PacketType::kPong:
      return parse_ping(packet, type);
    case PacketType::kMtuProbe:
    case PacketType::kMtuReply:
      return parse_mtu(packet, type);
  }
  return Drop::kType;
}

std::size_t encode(const DataHeader& header, MutableBytes out) {
  HeaderWriter<kDataHeaderSize> writer(out);
  write_common(writer, PacketType::kData, header.source);
  writer.u16<6>(header.seq.value);
  writer.u8<8>(header.compress);
  writer.u8<9>(0);
  writer.u8<10>(header.broadcast ? 1 : 0);
  writer.u8<11>(header.fragment_count);
  writer.u8<12>(header.fragment_index);
  writer.u8<13>(raw(header.channel));
  return kDataHeaderSize;
}

std::size_t encode(const PingPacket& packet, MutableBytes out) {
  HeaderWriter<kPingSize> writer(out);
  write_common(writer, packet.type, packet.sender);
  writer.u8<6>(raw(packet.link));
  writer.copy<7>(std::span(packet.stamp));
  writer.u16<23>(packet.seq.value);
  writer.u8<25>(packet.timed ? 1 : 0);
  return kPingSize;
}

std::size_t encode(const MtuPacket& packet, std::size_t size, MutableBytes out) {
  assert(size >= kMtuHeaderSize && out.size() >= size);
  HeaderWriter<kMtuHeaderSize> writer(out);
  write_common(writer, packet.type, packet.sender);
  writer.u8<6>(raw(packet.link));
  writer.copy<7>(std::span(packet.size));
  std::ranges::fill(out.subspan(kMtuHeaderSize, size - kMtuHeaderSize), std::byte{0});
  return size;
}

PingStamp stamp_of(Instant now) {
  const auto total = static_cast<std::uint64_t>(now.time_since_epoch().count());
  PingStamp stamp;
  store_little_endian(total / kNanosecondsPerSecond, std::span(stamp).first<8>());
  store_little_endian(total % kNanosecondsPerSecond, std::span(stamp).last<8>());
  return stamp;
}

Instant instant_of(const PingStamp& stamp) {
  const std::uint64_t seconds = load_little_endian(std::span(stamp).first<8>());
  const std::uint64_t nanoseconds = load_little_endian(std::span(stamp).last<8>());
  constexpr std::uint64_t kSecondsMax = std::uint64_t{1}
                                        << 33;  // 272 years of uptime; keeps the sum in range
  if (seconds >= kSecondsMax || nanoseconds >= kNanosecondsPerSecond)
    return kNever;
  return Instant(
      Duration(static_cast<std::int64_t>(seconds * kNanosecondsPerSecond + nanoseconds)));
}

std::array<std::byte, 2> probe_size_field(std::size_t ip_packet_size) {
  return {std::byte(ip_packet_size & 0xff), std::byte(ip_packet_size >> 8 & 0xff)};
}

std::uint16_t probe_size_of(const std::array<std::byte, 2>& field) {
  return static_cast<std::uint16_t>(std::to_integer<unsigned>(field[0]) |
                                    std::to_integer<unsigned>(field[1]) << 8);
}

}  // namespace ringknet
