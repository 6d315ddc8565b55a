// SPDX-License-Identifier: LGPL-2.1-or-later
#include <doctest/doctest.h>

#include "engine/base/backoff.h"

namespace ringknet {
namespace {

using std::chrono::seconds;

TEST_CASE("backoff: pauses double up to the most, and start over after it has worked for as long") {
  Backoff backoff(seconds(10), seconds(60));
  Instant now{seconds(1)};
  CHECK_FALSE(backoff.waiting(now));
  CHECK(backoff.begin(now));
  CHECK(backoff.waiting(now + seconds(9)));
  CHECK_FALSE(backoff.waiting(now + seconds(10)));
  for (const int pause : {20, 40, 60, 60}) {
    now = backoff.until() + seconds(1);
    CHECK_FALSE(backoff.begin(now));
    CHECK(backoff.until() == now + seconds(pause));
  }
  // Not quite as long as the last pause took.
  now = backoff.until() + seconds(59);
  CHECK_FALSE(backoff.begin(now));
  now = backoff.until() + seconds(60);
  CHECK(backoff.begin(now));
  CHECK(backoff.until() == now + seconds(10));
}

}  // namespace
}  // namespace ringknet
