// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sizes: what the arithmetic promises fits, for every suite, family and MTU; and it promises as
// much as can be had by the classic formula.
#include "engine/wire/size.h"

#include "tests/crypto/support.h"

namespace ringknet {
namespace {

Envelope envelope_of(const SealShape& shape) {
  return {.block = shape.block, .salt = shape.lead, .mac = shape.mac};
}

SealShape shape_of(const NamedSuite& suite) {
  SeededRandom random(1);
  Keyring keyring(HostId{1}, random);
  return must_make(keyring, suite, counting(128))->shape();
}

TEST_CASE("crypto sizes: a slice's packet fits its MTU, for every suite, family and MTU") {
  for (const NamedSuite& suite : all_suites()) {
    CAPTURE(label(suite));
    const SealShape shape = shape_of(suite);
    const Envelope envelope = envelope_of(shape);
    for (Address::Family family : {Address::Family::kIpv4, Address::Family::kIpv6}) {
      for (std::size_t mtu = 256; mtu <= kIpPacketMax; ++mtu) {
        const std::size_t datagram = mtu - ip_overhead(family);
        const std::size_t slice = envelope.slice(datagram);
        if (slice == 0) {
          // Not even one byte would have fitted.
          REQUIRE(envelope.size(kReservedHeaderSize + 1) > datagram);
          continue;
        }
        REQUIRE(shape.size(kReservedHeaderSize + slice) <= datagram);
        REQUIRE(shape.size(kDataHeaderSize + slice) <= datagram);
        REQUIRE(envelope.size(kReservedHeaderSize + slice) <= datagram);
        REQUIRE(envelope.size(kReservedHeaderSize + slice + 1) > datagram);
      }
    }
  }
}

TEST_CASE("crypto sizes: arithmetic and wire differ by the stream ciphers' one byte only") {
  for (const NamedSuite& suite : all_suites()) {
    CAPTURE(label(suite));
    const SealShape shape = shape_of(suite);
    const std::size_t extra = shape.block == 1 ? 1 : 0;
    for (std::size_t clear = 0; clear <= 65535; ++clear)
      REQUIRE(envelope_of(shape).size(clear) == shape.size(clear) + extra);
  }
}

struct Row {
  NamedSuite suite;
  std::size_t floor, v4, v6, v4_1500, v6_1500, v4_9000, v4_max, ping;
};

TEST_CASE("crypto sizes: the classic library's figures") {
  const Row rows[] = {
      {{"nss", "none", "md5"}, 466, 506, 1190, 1430, 1410, 8930, 65465, 42},
      {{"nss", "none", "sha1"}, 462, 502, 1186, 1426, 1406, 8926, 65461, 46},
      {{"nss", "none", "sha256"}, 450, 490, 1174, 1414, 1394, 8914, 65449, 58},
      {{"nss", "none", "sha512"}, 418, 458, 1142, 1382, 1362, 8882, 65417, 90},
      {{"nss", "aes256", "md5"}, 437, 485, 1173, 1413, 1381, 8901, 65445, 64},
      {{"nss", "aes128", "sha1"}, 437, 485, 1157, 1397, 1381, 8901, 65429, 68},
      {{"nss", "aes256", "sha256"}, 421, 469, 1157, 1397, 1365, 8885, 65429, 80},
      {{"nss", "aes192", "sha384"}, 405, 453, 1141, 1381, 1349, 8869, 65413, 96},
      {{"nss", "aes256", "sha512"}, 389, 437, 1125, 1365, 1333, 8853, 65397, 112},
      {{"openssl", "aes-256-ctr", "sha256"}, 433, 473, 1157, 1397, 1377, 8897, 65432, 74},
      // ours: 32 bytes less than clear
      {{"wolfssl", "aes256gcm", "none"}, 450, 490, 1174, 1414, 1394, 8914, 65449, 58},
  };
  for (const Row& row : rows) {
    CAPTURE(label(row.suite));
    const SealShape shape = shape_of(row.suite);
    const Envelope envelope = envelope_of(shape);
    CHECK(floor_slice(envelope) == row.floor);
    CHECK(default_slice(envelope, Address::Family::kIpv4) == row.v4);
    CHECK(default_slice(envelope, Address::Family::kIpv6) == row.v6);
    CHECK(envelope.slice(1500 - 28) == row.v4_1500);
    CHECK(envelope.slice(1500 - 48) == row.v6_1500);
    CHECK(envelope.slice(9000 - 28) == row.v4_9000);
    CHECK(envelope.slice(65535 - 28) == row.v4_max);
    CHECK(shape.size(kPingSize) == row.ping);
  }
}

TEST_CASE("crypto sizes: the native envelope keeps its promise of 34 bytes at most") {
  for (const NamedSuite& suite : native_suites()) {
    CHECK(shape_of(suite).size(0) <= 34);
    CHECK(shape_of(suite).size(1000) <= 1034);
  }
}

}  // namespace
}  // namespace ringknet
