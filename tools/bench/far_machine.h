// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The second of two machines: the listener that serves as its node, and the call that reaches it.
// The connection then carries the same control protocol as between processes. There is no
// authentication: it is for a network one trusts, for as long as a measurement takes.
#pragma once

#include <cstddef>
#include <string>

#include "tools/bench/common.h"
#include "tools/bench/options.h"

namespace ringknet::bench {

// Connects to the listener and has it start a worker on the library of this side.
Descriptor call_far_machine(const std::string& address, const std::string& port, std::size_t side);

// Serves one call after the other until the process is ended.
int serve_far_machine(const Options& options);

}  // namespace ringknet::bench
