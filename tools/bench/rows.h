// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The rows of the table: how each group of them is measured in a session. A group that cannot be
// measured throws.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/bench/report.h"
#include "tools/bench/session.h"

namespace ringknet::bench {

// Where the values of one measurement go.
struct Sink {
  Section& section;
  std::size_t side;
  unsigned run;

  void add(const std::string& name, const std::string& label, const std::string& unit,
           Better better, double value) const {
    section.metric(name, label, unit, better).values[side][run] = value;
  }
};

struct RowGroup {
  std::string id;
  std::string title;
  std::function<void(Session&, const Sink&)> measure;
  // Why it cannot be measured at all in these circumstances; empty if it can.
  std::string impossible;
};

// What the options ask for, in the order in which it is to be measured.
std::vector<RowGroup> wanted_rows(const Options& options, Network network);

}  // namespace ringknet::bench
