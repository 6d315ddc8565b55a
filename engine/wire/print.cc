// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One-line descriptions of packets.
#include "engine/wire/print.h"

#include <string_view>

namespace ringknet {
namespace {

template <typename Number>
std::string field(std::string_view label, Number value) {
  return " " + std::string(label) + "=" + std::to_string(value);
}

std::string_view type_name(PacketType type) {
  switch (type) {
    case PacketType::kData:
      return "DATA";
    case PacketType::kPing:
      return "PING";
    case PacketType::kPong:
      return "PONG";
    case PacketType::kMtuProbe:
      return "PMTUD";
    case PacketType::kMtuReply:
      return "PMTUD_REPLY";
  }
  return "?";
}

struct Describer {
  std::string operator()(Drop reason) const { return "bad packet: " + std::string(name(reason)); }

  std::string operator()(const DataPacket& packet) const {
    const DataHeader& header = packet.header;
    std::string line = "DATA" + field("host", raw(header.source)) + field("seq", header.seq.value) +
                       field("channel", raw(header.channel));
    if (!header.whole()) {
      line += " fragment=" + std::to_string(header.fragment_index) + "/" +
              std::to_string(header.fragment_count);
    }
    if (header.compress != 0)
      line += field("compress", header.compress);
    if (header.broadcast)
      line += " broadcast";
    return line + field("bytes", packet.payload.size());
  }

  std::string operator()(const PingPacket& packet) const {
    return std::string(type_name(packet.type)) + field("host", raw(packet.sender)) +
           field("link", raw(packet.link)) + field("seq", packet.seq.value) +
           (packet.timed ? "" : " forced");
  }

  std::string operator()(const MtuPacket& packet) const {
    return std::string(type_name(packet.type)) + field("host", raw(packet.sender)) +
           field("link", raw(packet.link)) + field("size", probe_size_of(packet.size));
  }
};

}  // namespace

std::string describe(const ParsedPacket& packet) {
  return std::visit(Describer{}, packet);
}

}  // namespace ringknet
