// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Lets the core measure how long work took, for its statistics only: no decision may depend on what
// it says. The owner of the core brings one that reads a real clock; simulations bring none.
#pragma once

#include "engine/base/time.h"

namespace ringknet {

class Stopwatch {
 public:
  virtual ~Stopwatch() = default;
  virtual Instant read() = 0;
};

}  // namespace ringknet
