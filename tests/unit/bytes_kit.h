// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Bytes for tests: from hex text, by pattern, and as whole packets. Packets are laid out by hand
// from the protocol's description, not by the encoders under test.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/ids.h"
#include "engine/base/random.h"
#include "engine/base/sequence.h"
#include "engine/base/time.h"

namespace ringknet::test {

using Bytes = std::vector<std::byte>;

// Ids from the plain numbers that tests are written with.
inline HostId host_id(unsigned id) {
  return HostId{static_cast<std::uint16_t>(id)};
}
inline LinkId link_id(unsigned id) {
  return LinkId{static_cast<std::uint8_t>(id)};
}
inline MessageSeq seq(unsigned value) {
  return MessageSeq{static_cast<std::uint16_t>(value)};
}

inline int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  assert(c >= 'a' && c <= 'f');
  return c - 'a' + 10;
}

// Spaces and line ends are ignored.
inline Bytes hex(std::string_view text) {
  Bytes bytes;
  int high = -1;
  for (const char c : text) {
    if (c == ' ' || c == '\n')
      continue;
    if (high < 0) {
      high = hex_digit(c);
    } else {
      bytes.push_back(std::byte(high << 4 | hex_digit(c)));
      high = -1;
    }
  }
  assert(high < 0);
  return bytes;
}

inline std::string to_hex(ConstBytes bytes) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    if (!text.empty())
      text += ' ';
    text += kDigits[std::to_integer<std::size_t>(byte >> 4)];
    text += kDigits[std::to_integer<std::size_t>(byte & std::byte{15})];
  }
  return text;
}

inline Bytes text_bytes(std::string_view text) {
  Bytes bytes;
  for (const char c : text)
    bytes.push_back(std::byte(c));
  return bytes;
}

// Bytes that differ everywhere, so that a slice in the wrong place is seen.
inline Bytes pattern(std::size_t size, std::uint64_t seed = 1) {
  Random random(seed);
  Bytes bytes(size);
  for (std::byte& byte : bytes)
    byte = std::byte(random.next() & 0xff);
  return bytes;
}

inline bool same(ConstBytes a, ConstBytes b) {
  return std::ranges::equal(a, b);
}

// The fields of a DATA packet as raw numbers: tests write illegal ones, too.
struct RawData {
  unsigned host = 1;
  unsigned seq = 1;
  unsigned compress = 0;
  unsigned broadcast = 0;
  unsigned count = 1;
  unsigned index = 0;
  unsigned channel = 0;
};

inline void append(Bytes& bytes, std::initializer_list<unsigned> values) {
  for (const unsigned value : values)
    bytes.push_back(std::byte(value & 0xff));
}

inline Bytes data_packet(const RawData& raw, ConstBytes payload) {
  Bytes bytes;
  append(bytes, {1, 0, raw.host >> 8, raw.host, 0, 0});
  append(bytes, {raw.seq >> 8, raw.seq, raw.compress, 0, raw.broadcast, raw.count, raw.index,
                 raw.channel});
  bytes.insert(bytes.end(), payload.begin(), payload.end());
  return bytes;
}

struct RawPing {
  unsigned type = 0x81;  // 0x82 is a PONG
  unsigned host = 1;
  unsigned link = 0;
  Instant clock{};
  unsigned seq = 0;
  unsigned timed = 1;
};

inline Bytes ping_packet(const RawPing& raw) {
  Bytes bytes;
  append(bytes, {1, raw.type, raw.host >> 8, raw.host, 0, 0, raw.link});
  const auto total = static_cast<std::uint64_t>(raw.clock.time_since_epoch().count());
  for (std::uint64_t part : {total / 1'000'000'000, total % 1'000'000'000}) {
    for (int i = 0; i < 8; ++i, part >>= 8)
      bytes.push_back(std::byte(part & 0xff));
  }
  append(bytes, {raw.seq >> 8, raw.seq, raw.timed});
  return bytes;
}

struct RawMtu {
  unsigned type = 0x83;  // 0x84 is a reply
  unsigned host = 1;
  unsigned link = 0;
  unsigned size = 1500;
};

inline Bytes mtu_packet(const RawMtu& raw, std::size_t length = 9) {
  Bytes bytes;
  append(bytes, {1, raw.type, raw.host >> 8, raw.host, 0, 0, raw.link, raw.size, raw.size >> 8});
  bytes.resize(length);
  return bytes;
}

}  // namespace ringknet::test
