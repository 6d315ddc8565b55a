// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which logging subsystems exist. Their names and the names of levels are in log_names.cc, for the
// knet_log_get_ calls there; writing records is log.h.
#pragma once

#include <cstdint>

namespace ringknet {

bool is_log_subsystem(std::uint8_t subsystem);

}  // namespace ringknet
