// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Kernel buffer sizes of link sockets and socket pairs, with the rule of privileged handles.
#pragma once

#include <cstddef>

namespace ringknet {

inline constexpr int kSocketBufferSize = 8388608;

// Asks for kSocketBufferSize in both directions. A privileged handle insists, beyond the system's
// limit; not being allowed to is ENAMETOOLONG. Else a smaller grant is accepted: `granted` is
// lowered to the smallest seen. Answers an errno.
int enlarge_socket_buffers(int descriptor, bool privileged, std::size_t& granted);

}  // namespace ringknet
