// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The mean of round-trip times.
#include "engine/core/latency.h"

#include <doctest/doctest.h>

namespace ringknet::test {
namespace {

using namespace std::chrono_literals;

}  // namespace

TEST_CASE("latency: a plain mean of the first samples") {
  Latency latency;
  CHECK(latency.mean() == 0ns);
  CHECK(latency.samples() == 0);
  latency.add(10ms, 4);
  CHECK(latency.mean() == 10ms);
  latency.add(20ms, 4);
  CHECK(latency.mean() == 15ms);
  latency.add(30ms, 4);
  CHECK(latency.mean() == 20ms);
  CHECK(latency.samples() == 3);
}

TEST_CASE("latency: then each sample weighs one part of the precision") {
  Latency latency;
  for (int i = 0; i < 4; ++i)
    latency.add(10ms, 4);
  latency.add(50ms, 4);
  CHECK(latency.samples() == 4);
  CHECK(latency.mean() == 20ms);
}

TEST_CASE("latency: a lower precision later shortens the memory") {
  Latency latency;
  for (int i = 0; i < 100; ++i)
    latency.add(10ms, 2048);
  latency.add(30ms, 2);
  CHECK(latency.mean() == 20ms);
  CHECK(latency.samples() == 2);
}

}  // namespace ringknet::test
