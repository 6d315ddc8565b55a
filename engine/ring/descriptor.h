// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What all descriptors have in common here: the library's own ones stay off the standard ones, and
// writing to one that has lost its reader is an error and no signal.
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "engine/base/bytes.h"

namespace ringknet {

// A descriptor that was just made, or the same under another number: where 0, 1 or 2 were closed
// the kernel hands those out, and what the program writes to its standard output would go into our
// socket; channel numbers of 0 mean something else, too. -1 and errno, with nothing left open, on
// errors and for -1.
int off_standard(int descriptor);

enum class DescriptorKind : std::uint8_t { kSocket, kPipe, kOther };
DescriptorKind kind_of(int descriptor);

// One write. A pipe or socket without a reader is EPIPE; SIGPIPE is neither raised nor left
// pending, and the program's own signal state is as it was. A socket does not wait; others as they
// are set.
ssize_t write_silently(int descriptor, DescriptorKind kind, ConstBytes bytes);
// To a pipe, with flags of pwritev2.
ssize_t write_pipe_silently(int descriptor, ConstBytes bytes, int flags);

// The calling thread has SIGPIPE blocked for good: nothing has to be done about it.
void sigpipe_is_blocked_here();

}  // namespace ringknet
