// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Drop reasons: every one has a name of its own and a counter of its own.
#include "engine/base/drop.h"

#include <doctest/doctest.h>

#include <set>

namespace ringknet::test {

TEST_CASE("drop: every reason has a name and no two share one") {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kDropCount; ++i) {
    CHECK_FALSE(name(static_cast<Drop>(i)).empty());
    names.insert(name(static_cast<Drop>(i)));
  }
  CHECK(names.size() == kDropCount);
  CHECK(name(Drop::kCount) == "unknown");
}

// The names stand in a list of their own; an entry in the wrong place would mislabel a counter.
TEST_CASE("drop: names stand where their reasons do") {
  CHECK(name(Drop::kTooShort) == "too short");
  CHECK(name(Drop::kLinkId) == "link id");
  CHECK(name(Drop::kFragmentCount) == "fragment count");
  CHECK(name(Drop::kEmpty) == "empty");
  CHECK(name(Drop::kUnknownHost) == "unknown host");
  CHECK(name(Drop::kNoSourceLink) == "no source link");
  CHECK(name(Drop::kFragmentOffset) == "fragment offset");
  CHECK(name(Drop::kPongStamp) == "pong stamp");
  CHECK(name(Drop::kReaderError) == "reader error");
  CHECK(name(Drop::kLinkGone) == "link gone");
}

TEST_CASE("drop: counters count apart and sum up") {
  DropCounters counters;
  CHECK(counters.total() == 0);
  counters.add(Drop::kVersion);
  counters.add(Drop::kVersion);
  counters.add(Drop::kEmpty);
  CHECK(counters[Drop::kVersion] == 2);
  CHECK(counters[Drop::kEmpty] == 1);
  CHECK(counters[Drop::kType] == 0);
  CHECK(counters.total() == 3);
}

}  // namespace ringknet::test
