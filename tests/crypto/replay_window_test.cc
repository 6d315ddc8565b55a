// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The replay window against the obvious: a set of everything that was marked.
#include "engine/crypto/replay_window.h"

#include <memory>
#include <set>

#include "tests/crypto/support.h"

namespace ringknet {
namespace {

template <std::size_t kWidth>
class Model {
 public:
  using Verdict = typename ReplayWindow<kWidth>::Verdict;

  Verdict check(std::uint64_t counter) const {
    if (counter > head_)
      return Verdict::kNew;
    if (counter <= floor_ || counter + kWidth <= head_)
      return Verdict::kOld;
    return marked_.count(counter) != 0 ? Verdict::kSeen : Verdict::kNew;
  }
  void mark(std::uint64_t counter) {
    marked_.insert(counter);
    head_ = std::max(head_, counter);
    while (!marked_.empty() && *marked_.begin() + kWidth <= head_)
      marked_.erase(marked_.begin());
  }
  void reset() {
    marked_.clear();
    head_ = floor_ = 0;
  }
  void raise_floor(std::uint64_t floor) { floor_ = std::max(floor_, floor); }
  std::uint64_t head() const { return head_; }

 private:
  std::set<std::uint64_t> marked_;
  std::uint64_t head_ = 0;
  std::uint64_t floor_ = 0;
};

// Steps of all kinds: the next one, a bit back, about a width back or ahead, far ahead.
template <std::size_t kWidth>
std::uint64_t pick(Random& random, std::uint64_t head) {
  const auto back = [&](std::uint64_t by) { return head > by ? head - by : random.between(1, 5); };
  switch (random.below(8)) {
    case 0:
    case 1:
      return head + 1;
    case 2:
      return head + random.between(1, 130);
    case 3:
      return back(random.below(130));
    case 4:
      return back(kWidth - 3 + random.below(6));
    case 5:
      return head + kWidth - 3 + random.below(6);
    case 6:
      return back(random.below(kWidth * 2));
    default:
      return random.chance(0.02) ? head + random.between(1, kWidth * 10) : head + 2;
  }
}

template <std::size_t kWidth>
void compare(std::uint64_t seed, int steps) {
  Random random(seed);
  auto window = std::make_unique<ReplayWindow<kWidth>>();
  Model<kWidth> model;
  int seen[3] = {};
  for (int step = 0; step < steps; ++step) {
    const std::uint64_t counter = pick<kWidth>(random, model.head());
    const auto verdict = window->check(counter);
    REQUIRE(verdict == model.check(counter));
    ++seen[static_cast<int>(verdict)];
    if (verdict == ReplayWindow<kWidth>::Verdict::kNew && random.chance(0.9)) {
      window->mark(counter);
      model.mark(counter);
    }
    REQUIRE(window->head() == model.head());
    if (random.chance(0.001)) {
      const std::uint64_t floor = random.below(model.head() + 1);
      window->raise_floor(floor);
      model.raise_floor(floor);
    } else if (random.chance(0.0005)) {
      window->reset();
      model.reset();
    }
  }
  CHECK(seen[0] > 0);
  CHECK(seen[1] > 0);
  CHECK(seen[2] > 0);
}

TEST_CASE("crypto replay window: agrees with a set, width 64") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed)
    compare<64>(seed, 5000);
}

TEST_CASE("crypto replay window: agrees with a set, width 1024") {
  for (std::uint64_t seed = 1; seed <= 10; ++seed)
    compare<1024>(seed, 20000);
}

TEST_CASE("crypto replay window: agrees with a set, width 65536") {
  compare<65536>(1, 200000);
}

TEST_CASE("crypto replay window: exactly its width is remembered") {
  auto window = std::make_unique<ReplayWindow<>>();
  using Verdict = ReplayWindow<>::Verdict;
  CHECK(window->check(1) == Verdict::kNew);
  window->mark(1);
  CHECK(window->check(1) == Verdict::kSeen);
  window->mark(65536);
  CHECK(window->check(1) == Verdict::kSeen);
  CHECK(window->check(2) == Verdict::kNew);
  window->mark(65537);
  CHECK(window->check(1) == Verdict::kOld);
  CHECK(window->check(2) == Verdict::kNew);
  CHECK(window->check(0) == Verdict::kOld);
}

TEST_CASE("crypto replay window: nothing at or below the floor is new") {
  auto window = std::make_unique<ReplayWindow<>>();
  using Verdict = ReplayWindow<>::Verdict;
  window->mark(1005);
  window->raise_floor(1000);
  CHECK(window->check(1000) == Verdict::kOld);
  CHECK(window->check(999) == Verdict::kOld);
  CHECK(window->check(1001) == Verdict::kNew);
  CHECK(window->check(1005) == Verdict::kSeen);
  window->raise_floor(500);
  CHECK(window->check(1000) == Verdict::kOld);
}

}  // namespace
}  // namespace ringknet
