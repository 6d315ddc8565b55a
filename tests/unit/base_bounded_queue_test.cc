// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The circular queue: order across the wrap, refusal when full, growth in mid-wrap.
#include "engine/base/bounded_queue.h"

#include <doctest/doctest.h>

#include <deque>
#include <memory>

#include "engine/base/random.h"

namespace ringknet::test {

TEST_CASE("bounded queue: capacity is rounded up to a power of two and is the limit") {
  BoundedQueue<int> queue(5);
  CHECK(queue.capacity() == 8);
  for (int i = 0; i < 8; ++i)
    CHECK(queue.push(i));
  CHECK(queue.room() == 0);
  CHECK_FALSE(queue.push(8));
  CHECK(queue.size() == 8);
  CHECK(queue.front() == 0);
  CHECK(queue.back() == 7);
}

TEST_CASE("bounded queue: growing in mid-wrap keeps the order") {
  BoundedQueue<int> queue(4);
  for (int i = 0; i < 4; ++i)
    queue.push(i);
  queue.pop();
  queue.pop();
  queue.push(4);
  queue.push(5);
  queue.grow(5);
  CHECK(queue.capacity() == 8);
  queue.push(6);
  for (int i = 2; i <= 6; ++i) {
    CHECK(queue.front() == i);
    queue.pop();
  }
  CHECK(queue.empty());
}

TEST_CASE("bounded queue: growing to less changes nothing") {
  BoundedQueue<int> queue(8);
  queue.push(1);
  queue.grow(2);
  CHECK(queue.capacity() == 8);
  CHECK(queue.front() == 1);
}

TEST_CASE("bounded queue: clear empties it") {
  BoundedQueue<int> queue(4);
  queue.push(1);
  queue.push(2);
  queue.clear();
  CHECK(queue.empty());
  CHECK(queue.push(3));
  CHECK(queue.front() == 3);
}

TEST_CASE("bounded queue: values that can only be moved") {
  BoundedQueue<std::unique_ptr<int>> queue(2);
  CHECK(queue.push(std::make_unique<int>(1)));
  queue.grow(4);
  CHECK(*queue.front() == 1);
}

TEST_CASE("bounded queue: behaves as a deque under random use") {
  constexpr std::uint64_t kSeed = 11;
  CAPTURE(kSeed);
  Random random(kSeed);
  BoundedQueue<std::uint64_t> queue(4);
  std::deque<std::uint64_t> model;
  for (int step = 0; step < 20000; ++step) {
    const std::uint64_t value = random.next();
    switch (random.below(6)) {
      case 0:
      case 1:
      case 2:
        REQUIRE(queue.push(value) == (model.size() < queue.capacity()));
        if (model.size() < queue.capacity())
          model.push_back(value);
        break;
      case 3:
      case 4:
        if (!model.empty()) {
          queue.pop();
          model.pop_front();
        }
        break;
      default:
        if (!model.empty()) {
          queue.pop_back();
          model.pop_back();
        }
        if (step % 5000 == 0)
          queue.grow(queue.capacity() + 1);
        break;
    }
    REQUIRE(queue.size() == model.size());
    REQUIRE(queue.room() == queue.capacity() - model.size());
    for (std::size_t i = 0; i < model.size(); ++i)
      REQUIRE(queue.at(i) == model[i]);
  }
}

}  // namespace ringknet::test
