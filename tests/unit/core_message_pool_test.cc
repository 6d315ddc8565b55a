// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The pool of message buffers: bounded, reused, never the same buffer twice.
#include "engine/core/message_pool.h"

#include <doctest/doctest.h>

#include <set>

namespace ringknet::test {

TEST_CASE("message pool: bounded and reused") {
  MessagePool pool(3);
  std::set<MessageBufferId> ids;
  for (int i = 0; i < 3; ++i) {
    const auto id = pool.take();
    REQUIRE(id);
    ids.insert(*id);
    CHECK(pool.bytes(*id).size() == kMessageSizeMax);
  }
  CHECK(ids.size() == 3);
  CHECK(pool.in_use() == 3);
  CHECK_FALSE(pool.take());
  pool.give_back(*ids.begin());
  CHECK(pool.in_use() == 2);
  CHECK(pool.take() == *ids.begin());
  CHECK_FALSE(ids.contains(MessageBufferId::kNone));
}

TEST_CASE("message pool: buffers do not overlap") {
  MessagePool pool(2);
  const MutableBytes a = pool.bytes(*pool.take());
  const MutableBytes b = pool.bytes(*pool.take());
  a.front() = a.back() = std::byte{1};
  b.front() = b.back() = std::byte{2};
  CHECK(a.front() == std::byte{1});
  CHECK(a.back() == std::byte{1});
}

}  // namespace ringknet::test
