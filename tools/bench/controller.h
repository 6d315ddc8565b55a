// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The whole measurement: which network can be had, which libraries, all runs of all rows, and the
// report.
#pragma once

#include "tools/bench/options.h"

namespace ringknet::bench {

// Returns the exit status of the program.
int run_controller(const Options& options);

}  // namespace ringknet::bench
