// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The queue for slow readers against a naive model: a deque of copies.
#include "engine/ring/pending_messages.h"

#include <doctest/doctest.h>

#include <deque>
#include <vector>

#include "engine/base/random.h"
#include "tests/ring/node.h"

namespace ringknet::test {
namespace {

TEST_CASE("pending messages: same as a deque of copies, for random sizes and orders") {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    PendingMessages pending;
    std::deque<std::vector<std::byte>> model;
    std::uint32_t number = 0;
    const std::uint64_t largest = seed % 2 == 0 ? 300 : kMessageSizeMax;
    for (int step = 0; step < 1500; ++step) {
      // Now more pushing, now more taking.
      const bool push = random.chance(step / 300 % 2 == 0 ? 0.8 : 0.3);
      if (push) {
        const auto message = pattern(random.between(1, largest), ++number);
        if (pending.push(message)) {
          model.push_back(message);
        } else {
          // Refused for a reason: what is kept, and at most one message's room lost at either end.
          std::size_t bytes = 0;
          for (const auto& kept : model)
            bytes += kept.size() + 16;
          CHECK((model.size() == PendingMessages::kMessagesMax ||
                 bytes + 3 * (kMessageSizeMax + 16) > PendingMessages::kBytesMax));
        }
      } else if (!model.empty()) {
        const ConstBytes front = pending.front();
        REQUIRE(std::equal(front.begin(), front.end(), model.front().begin(), model.front().end()));
        const std::size_t part =
            random.chance(0.2) ? random.between(1, front.size()) : front.size();
        pending.consume(part);
        model.front().erase(model.front().begin(), model.front().begin() + static_cast<long>(part));
        if (model.front().empty()) {
          model.pop_front();
        }
      }
      REQUIRE(pending.size() == model.size());
      REQUIRE(pending.empty() == model.empty());
    }
  }
}

TEST_CASE("pending messages: bounded in number and in bytes") {
  PendingMessages many;
  for (std::size_t i = 0; i < PendingMessages::kMessagesMax; ++i)
    REQUIRE(many.push(pattern(1, 1)));
  CHECK_FALSE(many.push(pattern(1, 1)));
  many.consume(1);
  CHECK(many.push(pattern(1, 1)));

  PendingMessages large;
  std::size_t count = 0;
  while (large.push(pattern(kMessageSizeMax, 1)))
    ++count;
  CHECK(count == 63);  // sizes take room, too
  CHECK(large.push(pattern(1000, 2)));
}

}  // namespace
}  // namespace ringknet::test
