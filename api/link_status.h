// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The core's view of a link as the C structure that knet_link_get_status hands out.
#pragma once

#include "api/libknet.h"
#include "engine/core/fabric.h"

namespace ringknet {

knet_link_status to_c(const LinkStatus& status);

}  // namespace ringknet
