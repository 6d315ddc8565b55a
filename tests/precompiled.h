// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What every doctest program includes, compiled once for each program: a third of the time that a
// test file takes to compile is these headers. Test files include what they use themselves, as if
// this header were not there.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <variant>
#include <vector>
