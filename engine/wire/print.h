// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One line about a packet, for traces and dumps; never for machines.
#pragma once

#include <string>

#include "engine/wire/packet.h"

namespace ringknet {

std::string describe(const ParsedPacket& packet);

}  // namespace ringknet
