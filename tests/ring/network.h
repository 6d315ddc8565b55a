// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A network of a test's own: the body runs on a thread in a fresh network namespace whose loopback
// device the test may ruin as it likes. The namespace ends with the thread; nothing is left behind.
#pragma once

#include <functional>

namespace ringknet::test {

// Runs `body` there. Where namespaces are not allowed, says so and does nothing ("SKIPPED: ...").
void in_own_network(const std::function<void()>& body);

// Runs a command in the calling thread's network; true if it succeeded.
bool run_command(const char* command);

}  // namespace ringknet::test
