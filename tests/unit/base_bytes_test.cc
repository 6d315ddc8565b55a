// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Bounded header access: byte order, and refusal of what is too short. Out-of-range offsets do not
// compile, so there is no test of them.
#include "engine/base/bytes.h"

#include <doctest/doctest.h>

#include <array>

#include "tests/unit/bytes_kit.h"

namespace ringknet::test {

TEST_CASE("bytes: a reader is made of enough bytes only") {
  const Bytes bytes = hex("01 02 03 04");
  CHECK(HeaderReader<4>::of(bytes));
  CHECK(HeaderReader<3>::of(bytes));
  CHECK_FALSE(HeaderReader<5>::of(bytes));
  CHECK_FALSE(HeaderReader<1>::of({}));
}

TEST_CASE("bytes: fields are read in network order at their offsets") {
  const Bytes bytes = hex("00 11 ff 33 80 01");
  const auto reader = *HeaderReader<6>::of(bytes);
  CHECK(reader.u8<2>() == 0xff);
  CHECK(reader.u16<1>() == 0x11ff);
  CHECK(reader.u16<4>() == 0x8001);
}

TEST_CASE("bytes: copying takes exactly the bytes asked for") {
  const Bytes bytes = hex("0a 0b 0c 0d 0e");
  const auto reader = *HeaderReader<5>::of(bytes);
  std::array<std::byte, 3> out{};
  reader.copy<1>(std::span(out));
  CHECK(to_hex(out) == "0b 0c 0d");
}

TEST_CASE("bytes: a writer writes its fields and nothing else") {
  Bytes bytes(8, std::byte{0xee});
  HeaderWriter<6> writer(bytes);
  const std::array<std::byte, 2> two{std::byte{7}, std::byte{8}};
  writer.u8<0>(0x42);
  writer.u16<1>(0xabcd);
  writer.copy<4>(std::span(two));
  CHECK(to_hex(bytes) == "42 ab cd ee 07 08 ee ee");
}

}  // namespace ringknet::test
