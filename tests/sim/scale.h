// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Large clusters on a virtual clock: what a node costs by the number of its peers. No faults and no
// oracles here; other parts of the simulation are about those.
#pragma once

#include <cstddef>

namespace ringknet::sim {

// Brings a cluster of `nodes` with two links each up, lets it idle and sends a few messages, and
// prints what that took. One node is a real fabric and the others only answer; with `mesh` all are
// real.
void print_scale(std::size_t nodes, bool mesh);

}  // namespace ringknet::sim
