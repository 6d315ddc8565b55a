// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The fixed-capacity vector.
#include "engine/base/fixed_vector.h"

#include <doctest/doctest.h>

#include <numeric>

namespace ringknet::test {

TEST_CASE("fixed vector: holds its capacity and refuses more") {
  FixedVector<int, 3> vector;
  CHECK(vector.empty());
  CHECK(vector.push_back(1));
  CHECK(vector.push_back(2));
  CHECK(vector.push_back(3));
  CHECK_FALSE(vector.push_back(4));
  CHECK(vector.size() == 3);
  CHECK(vector[2] == 3);
  CHECK(std::accumulate(vector.begin(), vector.end(), 0) == 6);
}

TEST_CASE("fixed vector: can be used again after clear") {
  FixedVector<int, 2> vector;
  vector.push_back(1);
  vector.push_back(2);
  vector.clear();
  CHECK(vector.empty());
  CHECK(vector.begin() == vector.end());
  CHECK(vector.push_back(3));
  CHECK(vector[0] == 3);
}

}  // namespace ringknet::test
