// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Results: a value or an error.
#include "engine/base/result.h"

#include <doctest/doctest.h>

#include <string>

namespace ringknet::test {

TEST_CASE("result: a value") {
  const Result<std::string> result(std::string("yes"));
  CHECK(result.ok());
  CHECK(result);
  CHECK(result.error() == Error::kNone);
  CHECK(*result == "yes");
  CHECK(result->size() == 3);
}

TEST_CASE("result: an error") {
  const Result<int> result = Error::kBusy;
  CHECK_FALSE(result.ok());
  CHECK_FALSE(result);
  CHECK(result.error() == Error::kBusy);
}

TEST_CASE("result: nothing to return is fine by default") {
  const Result<> result;
  CHECK(result.ok());
  CHECK(Result<>(Error::kInvalid).error() == Error::kInvalid);
}

}  // namespace ringknet::test
