// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The five packets: the protocol description's examples byte for byte, every refusal, and round
// trips.
#include "engine/wire/packet.h"

#include <doctest/doctest.h>

#include "engine/wire/print.h"
#include "tests/unit/bytes_kit.h"

namespace ringknet::test {
namespace {

using namespace std::chrono_literals;

constexpr const char* kPingExample =
    "01 81 00 01 00 00 00 39 30 00 00 00 00 00 00 f2 "
    "35 77 28 00 00 00 00 00 2a 01";
constexpr const char* kPongExample =
    "01 82 00 02 00 00 00 39 30 00 00 00 00 00 00 f2 "
    "35 77 28 00 00 00 00 00 2a 01";
constexpr Instant kExampleClock{12345s + 678901234ns};

Drop refused(const Bytes& bytes) {
  const ParsedPacket parsed = parse_packet(bytes);
  const Drop* reason = std::get_if<Drop>(&parsed);
  return reason != nullptr ? *reason : Drop::kCount;
}

template <typename Packet>
Packet accepted(const Bytes& bytes) {
  const ParsedPacket parsed = parse_packet(bytes);
  REQUIRE_MESSAGE(std::holds_alternative<Packet>(parsed), describe(parsed));
  return std::get<Packet>(parsed);
}

template <typename... Arguments>
std::string encoded(std::size_t room, const Arguments&... arguments) {
  Bytes bytes(room, std::byte{0xee});
  bytes.resize(encode(arguments..., bytes));
  return to_hex(bytes);
}

const Bytes kPayload = text_bytes("hello");

}  // namespace

TEST_CASE("packet: the example PING is encoded byte for byte") {
  const PingPacket ping{.type = PacketType::kPing,
                        .sender = HostId{1},
                        .link = LinkId{0},
                        .stamp = stamp_of(kExampleClock),
                        .seq = MessageSeq{42},
                        .timed = true};
  CHECK(encoded(26, ping) == to_hex(hex(kPingExample)));
}

TEST_CASE("packet: the example PING is parsed") {
  const auto ping = accepted<PingPacket>(hex(kPingExample));
  CHECK(ping.type == PacketType::kPing);
  CHECK(raw(ping.sender) == 1);
  CHECK(raw(ping.link) == 0);
  CHECK(instant_of(ping.stamp) == kExampleClock);
  CHECK(ping.seq.value == 42);
  CHECK(ping.timed);
}

TEST_CASE("packet: the example PONG is the PING with type and sender replaced") {
  auto pong = accepted<PingPacket>(hex(kPingExample));
  pong.type = PacketType::kPong;
  pong.sender = HostId{2};
  CHECK(encoded(26, pong) == to_hex(hex(kPongExample)));
  CHECK(accepted<PingPacket>(hex(kPongExample)).type == PacketType::kPong);
}

TEST_CASE("packet: the example MTU probe and its reply") {
  MtuPacket probe{.type = PacketType::kMtuProbe,
                  .sender = HostId{1},
                  .link = LinkId{0},
                  .size = probe_size_field(1500)};
  Bytes expected = hex("01 83 00 01 00 00 00 dc 05");
  expected.resize(1472);
  CHECK(encoded(1472, probe, std::size_t{1472}) == to_hex(expected));

  auto reply = accepted<MtuPacket>(expected);
  CHECK(probe_size_of(reply.size) == 1500);
  reply.type = PacketType::kMtuReply;
  reply.sender = HostId{2};
  CHECK(encoded(9, reply, kMtuHeaderSize) == "01 84 00 02 00 00 00 dc 05");
}

TEST_CASE("packet: the example message in three fragments") {
  const Bytes message = text_bytes("The quick brown fox jumps over the lazy dog.!");
  const std::array<const char*, 3> packets = {
      "01 00 00 02 00 00 12 34 00 00 01 03 01 00 54 68 "
      "65 20 71 75 69 63 6b 20 62 72 6f 77 6e 20 66 6f",
      "01 00 00 02 00 00 12 34 00 00 01 03 02 00 78 20 "
      "6a 75 6d 70 73 20 6f 76 65 72 20 74 68 65 20 6c",
      "01 00 00 02 00 00 12 34 00 00 01 03 03 00 61 7a "
      "79 20 64 6f 67 2e 21"};
  DataHeader header{.source = HostId{2},
                    .seq = MessageSeq{0x1234},
                    .compress = 0,
                    .broadcast = true,
                    .fragment_count = 3,
                    .fragment_index = 0,
                    .channel = Channel{0}};
  for (std::size_t i = 0; i < 3; ++i) {
    header.fragment_index = static_cast<std::uint8_t>(i + 1);
    const Bytes packet = hex(packets[i]);
    CHECK(encoded(14, header) == to_hex(ConstBytes(packet).first(14)));
    const auto data = accepted<DataPacket>(packet);
    CHECK(raw(data.header.source) == 2);
    CHECK(data.header.seq.value == 0x1234);
    CHECK(data.header.broadcast);
    CHECK(data.header.fragment_count == 3);
    CHECK(data.header.fragment_index == i + 1);
    CHECK(same(data.payload, ConstBytes(message).subspan(i * 18, i == 2 ? 9 : 18)));
  }
}

TEST_CASE("packet: the example whole message") {
  const Bytes packet = hex("01 00 00 02 00 00 12 35 00 00 01 01 00 00 68 65 6c 6c 6f");
  const auto data = accepted<DataPacket>(packet);
  CHECK(data.header.whole());
  CHECK(same(data.payload, kPayload));
}

TEST_CASE("packet: the example compressed message keeps its model id") {
  const Bytes packet =
      hex("01 00 00 02 00 00 12 36 01 00 01 01 00 00 "
          "78 01 73 74 a4 03 00 00 1c 8f 19 a6");
  const auto data = accepted<DataPacket>(packet);
  CHECK(data.header.compress == 1);
  CHECK(data.payload.size() == 12);
}

TEST_CASE("packet: too short for the common header") {
  for (std::size_t size = 0; size < 6; ++size)
    CHECK(refused(Bytes(size, std::byte{1})) == Drop::kTooShort);
}

TEST_CASE("packet: too short for its type at every length") {
  const auto cut_short = [](const Bytes& whole, std::size_t least) {
    for (std::size_t size = 6; size < least; ++size)
      REQUIRE(refused(Bytes(whole.begin(), whole.begin() + static_cast<int>(size))) ==
              Drop::kTooShort);
    CHECK(refused(Bytes(whole.begin(), whole.begin() + static_cast<int>(least))) == Drop::kCount);
  };
  cut_short(ping_packet({}), 26);
  cut_short(ping_packet({.type = 0x82}), 26);
  cut_short(mtu_packet({}), 9);
  cut_short(mtu_packet({.type = 0x84}), 9);
  const Bytes data = data_packet({}, kPayload);
  for (std::size_t size = 6; size < 14; ++size)
    CHECK(refused(Bytes(data.begin(), data.begin() + static_cast<int>(size))) == Drop::kTooShort);
}

TEST_CASE("packet: longer control packets are taken for their first bytes") {
  Bytes ping = ping_packet({.seq = 5});
  ping.resize(100, std::byte{0xff});
  CHECK(accepted<PingPacket>(ping).seq.value == 5);
  CHECK(probe_size_of(accepted<MtuPacket>(mtu_packet({.type = 0x84, .size = 900}, 80)).size) ==
        900);
}

TEST_CASE("packet: every other version is refused") {
  Bytes packet = data_packet({}, kPayload);
  for (unsigned version = 0; version < 256; ++version) {
    packet[0] = std::byte(version);
    CHECK(refused(packet) == (version == 1 ? Drop::kCount : Drop::kVersion));
  }
}

TEST_CASE("packet: every other type is refused") {
  Bytes packet(64);
  packet[0] = std::byte{1};
  for (unsigned type = 1; type < 256; ++type) {
    packet[1] = std::byte(type);
    const bool known = type >= 0x81 && type <= 0x84;
    CHECK(refused(packet) == (known ? Drop::kCount : Drop::kType));
  }
}

TEST_CASE("packet: link ids beyond 7 are refused in every control packet") {
  for (unsigned link = 0; link < 256; ++link) {
    const Drop expected = link < 8 ? Drop::kCount : Drop::kLinkId;
    CHECK(refused(ping_packet({.link = link})) == expected);
    CHECK(refused(ping_packet({.type = 0x82, .link = link})) == expected);
    CHECK(refused(mtu_packet({.link = link})) == expected);
    CHECK(refused(mtu_packet({.type = 0x84, .link = link})) == expected);
  }
}

TEST_CASE("packet: channels beyond 31 are refused") {
  for (unsigned channel = 0; channel < 256; ++channel)
    CHECK(refused(data_packet({.channel = channel}, kPayload)) ==
          (channel < 32 ? Drop::kCount : Drop::kChannel));
}

TEST_CASE("packet: data never has sequence 0") {
  CHECK(refused(data_packet({.seq = 0}, kPayload)) == Drop::kSequenceZero);
  CHECK(refused(data_packet({.seq = 1}, kPayload)) == Drop::kCount);
  CHECK(refused(data_packet({.seq = 65535}, kPayload)) == Drop::kCount);
}

TEST_CASE("packet: compression ids beyond 7 are refused") {
  for (unsigned id = 0; id < 256; ++id)
    CHECK(refused(data_packet({.compress = id}, kPayload)) ==
          (id <= 7 ? Drop::kCount : Drop::kCompressId));
}

TEST_CASE("packet: fragment counts are 1 to 254") {
  for (unsigned count = 0; count < 256; ++count)
    CHECK(refused(data_packet({.count = count, .index = 1}, kPayload)) ==
          (count >= 1 && count <= 254 ? Drop::kCount : Drop::kFragmentCount));
}

TEST_CASE("packet: fragment indexes are 1 to the count") {
  for (const unsigned count : {2u, 3u, 100u, 254u}) {
    for (unsigned index = 0; index < 256; ++index)
      CHECK(refused(data_packet({.count = count, .index = index}, kPayload)) ==
            (index >= 1 && index <= count ? Drop::kCount : Drop::kFragmentIndex));
  }
}

TEST_CASE("packet: the index of a whole message means nothing") {
  for (unsigned index = 0; index < 256; ++index) {
    const Bytes packet = data_packet({.count = 1, .index = index}, kPayload);
    const auto data = accepted<DataPacket>(packet);
    CHECK(data.header.whole());
    CHECK(data.header.fragment_index == 0);
  }
}

TEST_CASE("packet: data without payload is refused") {
  CHECK(refused(data_packet({}, {})) == Drop::kEmpty);
}

TEST_CASE("packet: data with more payload than a message can have is refused") {
  CHECK(refused(data_packet({}, Bytes(65536))) == Drop::kCount);
  CHECK(refused(data_packet({}, Bytes(65537))) == Drop::kTooLong);
}

TEST_CASE("packet: pads are zero when sent and ignored when received") {
  Bytes ping = ping_packet({.seq = 9});
  ping[4] = ping[5] = std::byte{0xff};
  CHECK(accepted<PingPacket>(ping).seq.value == 9);
  Bytes data = data_packet({.seq = 9}, kPayload);
  data[4] = data[5] = data[9] = std::byte{0xff};
  CHECK(accepted<DataPacket>(data).header.seq.value == 9);
  CHECK(encoded(14, DataHeader{.source = HostId{0x0102}, .seq = MessageSeq{3}}) ==
        "01 00 01 02 00 00 00 03 00 00 00 01 00 00");
}

TEST_CASE("packet: any broadcast value but 0 means broadcast") {
  CHECK_FALSE(accepted<DataPacket>(data_packet({.broadcast = 0}, kPayload)).header.broadcast);
  CHECK(accepted<DataPacket>(data_packet({.broadcast = 1}, kPayload)).header.broadcast);
  CHECK(accepted<DataPacket>(data_packet({.broadcast = 255}, kPayload)).header.broadcast);
}

TEST_CASE("packet: clocks that are not seconds and nanoseconds are no instants") {
  PingStamp stamp = stamp_of(kExampleClock);
  CHECK(instant_of(stamp) == kExampleClock);
  stamp[15] = std::byte{0x80};
  CHECK(instant_of(stamp) == kNever);
  stamp = stamp_of(kExampleClock);
  stamp[7] = std::byte{0x80};
  CHECK(instant_of(stamp) == kNever);
  stamp.fill(std::byte{0xff});
  CHECK(instant_of(stamp) == kNever);
  CHECK(instant_of(stamp_of(Instant{})) == Instant{});
  // One second's worth of nanoseconds is a second that was not carried.
  PingStamp carried{};
  carried[8] = std::byte{0x00};
  carried[9] = std::byte{0xca};
  carried[10] = std::byte{0x9a};
  carried[11] = std::byte{0x3b};
  CHECK(instant_of(carried) == kNever);
}

TEST_CASE("packet: probe sizes are little-endian and wrap at 65536") {
  CHECK(to_hex(probe_size_field(1500)) == "dc 05");
  CHECK(to_hex(probe_size_field(65535)) == "ff ff");
  CHECK(probe_size_of(probe_size_field(65536 + 7)) == 7);
}

TEST_CASE("packet: random legal packets survive a round trip") {
  constexpr std::uint64_t kSeed = 21;
  CAPTURE(kSeed);
  Random random(kSeed);
  for (int i = 0; i < 2000; ++i) {
    CAPTURE(i);
    const auto count = static_cast<std::uint8_t>(random.between(1, 254));
    const DataHeader header{
        .source = HostId(static_cast<std::uint16_t>(random.below(65536))),
        .seq = MessageSeq{static_cast<std::uint16_t>(random.between(1, 65535))},
        .compress = static_cast<std::uint8_t>(random.below(8)),
        .broadcast = random.chance(0.5),
        .fragment_count = count,
        .fragment_index = static_cast<std::uint8_t>(count == 1 ? 0 : random.between(1, count)),
        .channel = Channel(static_cast<std::uint8_t>(random.below(32)))};
    Bytes packet(kDataHeaderSize + random.between(1, 2000));
    encode(header, packet);
    const auto data = accepted<DataPacket>(packet);
    Bytes again(kDataHeaderSize);
    encode(data.header, again);
    REQUIRE(same(again, ConstBytes(packet).first(kDataHeaderSize)));
    REQUIRE(data.payload.size() == packet.size() - kDataHeaderSize);
  }
}

TEST_CASE("packet: random bytes are refused or parsed to legal values only") {
  constexpr std::uint64_t kSeed = 22;
  CAPTURE(kSeed);
  Random random(kSeed);
  constexpr std::array<unsigned, 6> kTypes = {0, 0x81, 0x82, 0x83, 0x84, 0x42};
  std::size_t parsed_count = 0;
  for (int i = 0; i < 50000; ++i) {
    CAPTURE(i);
    Bytes packet(random.below(64));
    for (std::byte& byte : packet)
      byte = std::byte(random.below(random.chance(0.5) ? 4 : 256));
    if (packet.size() > 1 && random.chance(0.9)) {
      packet[0] = std::byte{1};
      packet[1] = std::byte(kTypes[random.below(kTypes.size())]);
    }
    const ParsedPacket parsed = parse_packet(packet);
    REQUIRE_FALSE(describe(parsed).empty());
    if (const auto* data = std::get_if<DataPacket>(&parsed)) {
      const DataHeader& header = data->header;
      REQUIRE_FALSE(header.seq.none());
      REQUIRE(raw(header.channel) < 32);
      REQUIRE(header.compress <= 7);
      REQUIRE(header.fragment_count >= 1);
      REQUIRE(header.fragment_count <= 254);
      REQUIRE(header.fragment_index <= header.fragment_count);
      REQUIRE((header.fragment_index == 0) == header.whole());
      REQUIRE(data->payload.size() == packet.size() - 14);
      ++parsed_count;
    } else if (const auto* ping = std::get_if<PingPacket>(&parsed)) {
      REQUIRE(raw(ping->link) < 8);
      ++parsed_count;
    } else if (const auto* mtu = std::get_if<MtuPacket>(&parsed)) {
      REQUIRE(raw(mtu->link) < 8);
      ++parsed_count;
    }
  }
  CHECK(parsed_count > 1000);
}

}  // namespace ringknet::test
