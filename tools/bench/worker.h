// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A worker process: one node in a process, and where possible a network namespace, of its own,
// doing what the controller says.
#pragma once

#include "tools/bench/common.h"

namespace ringknet::bench {

// Serves the control channel on this descriptor until it ends; returns the exit status of the
// process. Only a worker in a network namespace of its own makes devices and cuts links when told
// to.
int run_worker(Descriptor control, bool own_namespace);

}  // namespace ringknet::bench
