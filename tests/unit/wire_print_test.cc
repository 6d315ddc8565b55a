// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One line per packet: what a reader of a trace relies on.
#include "engine/wire/print.h"

#include <doctest/doctest.h>

#include "tests/unit/bytes_kit.h"

namespace ringknet::test {

TEST_CASE("print: data") {
  CHECK(describe(parse_packet(data_packet({.host = 2, .seq = 7, .channel = 3}, Bytes(5)))) ==
        "DATA host=2 seq=7 channel=3 bytes=5");
  CHECK(describe(parse_packet(data_packet(
            {.host = 2, .seq = 7, .compress = 2, .broadcast = 1, .count = 3, .index = 2},
            Bytes(18)))) ==
        "DATA host=2 seq=7 channel=0 fragment=2/3 compress=2 broadcast bytes=18");
}

TEST_CASE("print: control packets") {
  CHECK(describe(parse_packet(ping_packet({.host = 1, .link = 4, .seq = 42}))) ==
        "PING host=1 link=4 seq=42");
  CHECK(describe(parse_packet(ping_packet({.type = 0x82, .host = 1, .seq = 8191, .timed = 0}))) ==
        "PONG host=1 link=0 seq=8191 forced");
  CHECK(describe(parse_packet(mtu_packet({.host = 9, .link = 1, .size = 1500}, 1472))) ==
        "PMTUD host=9 link=1 size=1500");
  CHECK(describe(parse_packet(mtu_packet({.type = 0x84, .host = 9, .size = 65535}))) ==
        "PMTUD_REPLY host=9 link=0 size=65535");
}

TEST_CASE("print: bad packets say why") {
  CHECK(describe(parse_packet({})) == "bad packet: too short");
}

}  // namespace ringknet::test
