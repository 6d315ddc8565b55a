// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The five packets of protocol version 1: parsing into checked views and encoding. A parsed packet
// holds legal values only; whether they make sense here and now (configured host, expected
// fragment) is the core's question.
//
// Every packet begins with the common header, every integer is in network order unless said
// otherwise:
//
//    0        1        2                 4        5
//   +--------+--------+-----------------+--------+--------+
//   | ver=1  | type   | sender's id     | pad    | pad    |
//   +--------+--------+-----------------+--------+--------+
//
// DATA (type 0x00), 14 bytes and payload:
//
//    6                 8        9        10       11       12       13       14
//   +-----------------+--------+--------+--------+--------+--------+--------+---------
//   | sequence        | compr. | pad    | bcast  | count  | index  | chan.  | payload
//   +-----------------+--------+--------+--------+--------+--------+--------+---------
//   count = fragments of the message, 1..254; index = 1..count, or 0 when count is 1.
//
// PING (0x81) and PONG (0x82), 26 bytes; a PONG is the PING with type and sender replaced:
//
//    6        7                                23                25
//   +--------+--------------------------------+-----------------+--------+
//   | link   | pinger's clock, opaque (16)    | sequence        | timed  |
//   +--------+--------------------------------+-----------------+--------+
//
// PMTUD (0x83), 9 bytes filled with zeros to the size under test, and its REPLY (0x84), exactly 9
// bytes:
//
//    6        7                 9
//   +--------+-----------------+- - - - -
//   | link   | size, opaque    | zeros
//   +--------+-----------------+- - - - -
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "engine/base/bytes.h"
#include "engine/base/drop.h"
#include "engine/base/ids.h"
#include "engine/base/sequence.h"
#include "engine/base/time.h"

namespace ringknet {

inline constexpr std::uint8_t kWireVersion = 1;
inline constexpr std::size_t kCommonHeaderSize = 6;
inline constexpr std::size_t kDataHeaderSize = 14;
inline constexpr std::size_t kPingSize = 26;
inline constexpr std::size_t kMtuHeaderSize = 9;
inline constexpr std::uint8_t kFragmentsMax = 254;
inline constexpr std::uint8_t kCompressIdMax = 7;

enum class PacketType : std::uint8_t {
  kData = 0x00,
  kPing = 0x81,
  kPong = 0x82,
  kMtuProbe = 0x83,
  kMtuReply = 0x84,
};

struct DataHeader {
  HostId source{};
  MessageSeq seq{};
  std::uint8_t compress = 0;
  bool broadcast = false;
  std::uint8_t fragment_count = 1;
  std::uint8_t fragment_index = 0;  // 1..count, 0 when the message is whole
  Channel channel{};

  bool whole() const { return fragment_count == 1; }
};

struct DataPacket {
  DataHeader header;
  ConstBytes payload;  // not empty
};

// The pinger's clock. Others echo it as it is; only the pinger reads its own.
using PingStamp = std::array<std::byte, 16>;

struct PingPacket {  // and PONG
  PacketType type = PacketType::kPing;
  HostId sender{};
  LinkId link{};
  PingStamp stamp{};
  MessageSeq seq{};   // the pinger's last used data sequence, none before its first message
  bool timed = true;  // false: sent because of sequence progress
};

struct MtuPacket {  // probe and reply
  PacketType type = PacketType::kMtuProbe;
  HostId sender{};
  LinkId link{};
  std::array<std::byte, 2> size{};  // the prober's own byte order, echoed untouched
};

using ParsedPacket = std::variant<Drop, DataPacket, PingPacket, MtuPacket>;

// Views into `packet`; every field is checked against its legal range, every length before it is
// read.
ParsedPacket parse_packet(ConstBytes packet);

// Encoders write the whole packet (for data: the header) to the front of `out`, which must be large
// enough, and return its size.
std::size_t encode(const DataHeader& header, MutableBytes out);
std::size_t encode(const PingPacket& packet, MutableBytes out);
// A probe is filled with zeros to `size` bytes; a reply has kMtuHeaderSize.
std::size_t encode(const MtuPacket& packet, std::size_t size, MutableBytes out);

// The clock of 64-bit Linux nodes: two 64-bit little-endian numbers, seconds and nanoseconds.
PingStamp stamp_of(Instant now);
// The instant in a stamp; kNever when it is not of that form (another kind of node made it).
Instant instant_of(const PingStamp& stamp);

// The probe's size field holds the IP packet size modulo 65536, little-endian.
std::array<std::byte, 2> probe_size_field(std::size_t ip_packet_size);
std::uint16_t probe_size_of(const std::array<std::byte, 2>& field);

}  // namespace ringknet
