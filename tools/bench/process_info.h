// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a worker can say about its own process: CPU time, resident memory, threads, and which
// libknet it has loaded. All of it comes from the kernel, nothing from the library under test.
#pragma once

#include <cstdint>
#include <string>

#include "tools/bench/common.h"

namespace ringknet::bench {

// User and system time of all threads of this process, those the kernel runs for it included.
Duration cpu_used();

// Resident memory in bytes.
std::int64_t resident_memory();

// Threads of this process besides the one that asks, kernel workers of an io_uring included.
std::int64_t other_threads();

// Resolved path of the libknet.so this process has mapped.
std::string mapped_library();

}  // namespace ringknet::bench
