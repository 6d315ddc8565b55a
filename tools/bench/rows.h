// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The rows of the table, group by group, and the stages in which they are measured.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/bench/measure.h"

namespace ringknet::bench {

struct RowGroup {
  std::string id;
  std::string title;
  std::function<void(Session&, const Sink&)> measure;
  // Why it cannot be measured at all in these circumstances; empty if it can.
  std::string impossible;
};

// Rows that are measured in the same session, one after the other.
struct Stage {
  Setup setup;
  std::vector<RowGroup> rows;
  bool theirs = true;  // whether there is anything to compare with in the other library
};

// What the options ask for, in the order in which it is to be measured.
std::vector<Stage> wanted_stages(const Options& options, Network network);

// Figures of a run that follow from others of the same run, which have been measured.
void add_shares(Report& report, unsigned run);

}  // namespace ringknet::bench
