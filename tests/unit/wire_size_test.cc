// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Size arithmetic: the protocol description's table, row by row, and what must hold for all sizes.
#include "engine/wire/size.h"

#include <doctest/doctest.h>

#include <array>

namespace ringknet::test {
namespace {

struct Row {
  const char* name;
  Envelope envelope;
  std::size_t floor, default_v4, default_v6, v4_1500, v6_1500, v4_9000, v4_65535, ping;
};

// The last row's PING takes 74 bytes on the wire; the formula counts one more for stream ciphers.
constexpr std::array<Row, 11> kTable = {{
    {"clear", {0, 0, 0}, 482, 522, 1206, 1446, 1426, 8946, 65481, 26},
    {"md5 only", {0, 0, 16}, 466, 506, 1190, 1430, 1410, 8930, 65465, 42},
    {"sha1 only", {0, 0, 20}, 462, 502, 1186, 1426, 1406, 8926, 65461, 46},
    {"sha256 only", {0, 0, 32}, 450, 490, 1174, 1414, 1394, 8914, 65449, 58},
    {"sha512 only", {0, 0, 64}, 418, 458, 1142, 1382, 1362, 8882, 65417, 90},
    {"AES-CBC md5", {16, 16, 16}, 437, 485, 1173, 1413, 1381, 8901, 65445, 64},
    {"AES-CBC sha1", {16, 16, 20}, 437, 485, 1157, 1397, 1381, 8901, 65429, 68},
    {"AES-CBC sha256", {16, 16, 32}, 421, 469, 1157, 1397, 1365, 8885, 65429, 80},
    {"AES-CBC sha384", {16, 16, 48}, 405, 453, 1141, 1381, 1349, 8869, 65413, 96},
    {"AES-CBC sha512", {16, 16, 64}, 389, 437, 1125, 1365, 1333, 8853, 65397, 112},
    {"AES-CTR sha256", {1, 16, 32}, 433, 473, 1157, 1397, 1377, 8897, 65432, 75},
}};

constexpr auto kIpv4 = Address::Family::kIpv4;
constexpr auto kIpv6 = Address::Family::kIpv6;

}  // namespace

TEST_CASE("size: the table of slices for every envelope") {
  for (const Row& row : kTable) {
    CAPTURE(row.name);
    CHECK(floor_slice(row.envelope) == row.floor);
    CHECK(default_slice(row.envelope, kIpv4) == row.default_v4);
    CHECK(default_slice(row.envelope, kIpv6) == row.default_v6);
    CHECK(row.envelope.slice(1500 - ip_overhead(kIpv4)) == row.v4_1500);
    CHECK(row.envelope.slice(1500 - ip_overhead(kIpv6)) == row.v6_1500);
    CHECK(row.envelope.slice(9000 - ip_overhead(kIpv4)) == row.v4_9000);
    CHECK(row.envelope.slice(65535 - ip_overhead(kIpv4)) == row.v4_65535);
    CHECK(row.envelope.size(26) == row.ping);
  }
}

TEST_CASE("size: the examples of sealed packets") {
  const Envelope aes{16, 16, 32};
  CHECK(aes.size(19) == 80);
  CHECK(aes.size(1411) == 1472);
  CHECK(Envelope{0, 0, 32}.size(19) == 51);
}

TEST_CASE("size: what a slice makes fits the datagram it was computed from") {
  for (const Row& row : kTable) {
    CAPTURE(row.name);
    for (std::size_t datagram = 0; datagram <= 2000; ++datagram) {
      const std::size_t slice = row.envelope.slice(datagram);
      if (slice == 0)
        continue;
      REQUIRE(row.envelope.size(slice + kReservedHeaderSize) <= datagram);
      // One byte more in a probe of this slice would not fit.
      REQUIRE(row.envelope.size(slice + 1 + kReservedHeaderSize) > datagram);
    }
  }
}

TEST_CASE("size: where not even headers fit there is no slice") {
  for (const Row& row : kTable) {
    CAPTURE(row.name);
    const Envelope& envelope = row.envelope;
    for (std::size_t datagram = 0; datagram <= envelope.salt + envelope.mac + 26; ++datagram)
      REQUIRE(envelope.slice(datagram) == 0);
  }
}

TEST_CASE("size: the smallest slice still takes the largest message") {
  CHECK((kMessageSizeMax + kSliceSizeMin - 1) / kSliceSizeMin <= kFragmentsMax);
  CHECK((kMessageSizeMax + kSliceSizeMin - 2) / (kSliceSizeMin - 1) > kFragmentsMax);
  for (const Row& row : kTable)
    CHECK(row.floor >= kSliceSizeMin);
}

TEST_CASE("size: headers around a datagram") {
  CHECK(ip_overhead(kIpv4) == 28);
  CHECK(ip_overhead(kIpv6) == 48);
}

}  // namespace ringknet::test
