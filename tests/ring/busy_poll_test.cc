// SPDX-License-Identifier: LGPL-2.1-or-later
//
// When looking is tried, shortened, given up, and tried again: the rule alone, without an engine.
#include "engine/ring/busy_poll.h"

#include <doctest/doctest.h>

namespace ringknet {
namespace {

using std::chrono::microseconds;

TEST_CASE("busy poll: off in the beginning, and off for ever without a limit") {
  BusyPoll poll;
  CHECK_FALSE(poll.on());
  CHECK(poll.budget() == Duration::zero());
  poll.slept(Duration::zero());
  poll.looked(true);
  CHECK(poll.budget() == Duration::zero());
}

TEST_CASE("busy poll: looking in vain ends by itself") {
  BusyPoll poll;
  poll.set(microseconds(80));
  CHECK(poll.budget() == microseconds(80));
  Duration spent{};
  int looks = 0;
  for (; poll.budget() > Duration::zero(); ++looks) {
    spent += poll.budget();
    poll.looked(false);
  }
  CHECK(looks == 4);
  CHECK(spent == microseconds(80 + 40 + 20 + 10));
  CHECK(poll.on());
}

TEST_CASE("busy poll: finding something, or a sleep too short to be worth it, brings it back") {
  BusyPoll poll;
  poll.set(microseconds(80));
  poll.looked(false);
  CHECK(poll.budget() == microseconds(40));
  poll.looked(true);
  CHECK(poll.budget() == microseconds(80));
  while (poll.budget() > Duration::zero())
    poll.looked(false);
  poll.slept(microseconds(80));
  CHECK(poll.budget() == Duration::zero());
  poll.slept(microseconds(79));
  CHECK(poll.budget() == microseconds(80));
  poll.set(Duration::zero());
  CHECK(poll.budget() == Duration::zero());
}

}  // namespace
}  // namespace ringknet
