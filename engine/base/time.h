// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Typed time. The core receives every instant as an argument; the clock below has no now(), so code
// that tries to read the time does not compile. Converting from and to the kernel's clocks is the
// ring's business.
#pragma once

#include <chrono>
#include <cstdint>
#include <ratio>

namespace ringknet {

struct CoreClock {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<CoreClock>;
  static constexpr bool is_steady = true;
};

using Duration = CoreClock::duration;
using Instant = CoreClock::time_point;

// A deadline that never comes, and the mark for "has not happened".
inline constexpr Instant kNever = Instant::max();

}  // namespace ringknet
