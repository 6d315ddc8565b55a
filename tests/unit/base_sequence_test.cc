// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sequence arithmetic: the wrap that leaves out 0, and distances around it.
#include "engine/base/sequence.h"

#include <doctest/doctest.h>

namespace ringknet::test {

TEST_CASE("sequence: none comes first and never again") {
  MessageSeq seq;
  CHECK(seq.none());
  seq = seq.next();
  CHECK(seq.value == 1);
  for (int i = 0; i < 200000; ++i) {
    seq = seq.next();
    REQUIRE_FALSE(seq.none());
  }
  CHECK(MessageSeq{65535}.next().value == 1);
}

TEST_CASE("sequence: distances wrap") {
  CHECK(MessageSeq{5}.ahead_of(MessageSeq{3}) == 2);
  CHECK(MessageSeq{3}.ahead_of(MessageSeq{5}) == -2);
  CHECK(MessageSeq{1}.ahead_of(MessageSeq{65535}) == 2);
  CHECK(MessageSeq{65535}.ahead_of(MessageSeq{1}) == -2);
  CHECK(MessageSeq{32767}.ahead_of(MessageSeq{0}) == 32767);
  CHECK(MessageSeq{7}.ahead_of(MessageSeq{7}) == 0);
}

}  // namespace ringknet::test
