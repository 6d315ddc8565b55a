// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Several threads that wait until nobody is inside, while others come and go.
#include "api/pins.h"

#include <doctest/doctest.h>

#include <thread>
#include <vector>

namespace ringknet {

TEST_CASE("pins: every waiter is woken, also when somebody comes in meanwhile") {
  Pins pins;
  for (int turn = 0; turn < 2000; ++turn) {
    std::atomic<int> waiting = 0;
    std::vector<std::thread> waiters;
    {
      Pins::Hold inside;
      inside.enter(pins);
      for (int index = 0; index < 2; ++index) {
        waiters.emplace_back([&] {
          ++waiting;
          pins.wait_until_empty();
        });
      }
      while (waiting != 2)
        std::this_thread::yield();
    }
    {
      Pins::Hold younger;
      younger.enter(pins);
      std::this_thread::yield();
    }
    for (std::thread& waiter : waiters)
      waiter.join();
  }
  CHECK(pins.empty());
}

TEST_CASE("pins: a thread knows what it is inside of") {
  Pins pins;
  Pins others;
  Pins::Hold outer;
  CHECK_FALSE(pins.held_by_this_thread());
  outer.enter(pins);
  {
    Pins::Hold inner;
    inner.enter(others);
    CHECK(pins.held_by_this_thread());
    CHECK(others.held_by_this_thread());
    bool elsewhere = true;
    std::thread([&] { elsewhere = pins.held_by_this_thread(); }).join();
    CHECK_FALSE(elsewhere);
  }
  CHECK_FALSE(others.held_by_this_thread());
  outer.leave();
  CHECK_FALSE(pins.held_by_this_thread());
  CHECK(pins.empty());
}

}  // namespace ringknet
