// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How rows are measured in a session: what each kind of them has the two nodes do, and which
// figures it makes of their answers. What cannot be measured is a Failure. Which rows there are,
// and on what nodes, is the business of rows.cc.
#pragma once

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

enum class Waiting { kSleeping, kSpinning };

constexpr std::int64_t kPingSize = 100;
// Of the messages that stream while others are waited for.
constexpr std::size_t kLong = 65536;

void measure_setup(Session& session, const Sink& sink);
void measure_latency(Session& session, const Sink& sink, Waiting waiting);
void measure_throughput(Session& session, const Sink& sink, std::size_t size);
// Round trips on one channel while long messages stream on another: one each `pace`, or, at no
// pace, as fast as the library takes them.
void measure_mixed(Session& session, const Sink& sink, Duration pace);
// Every message goes to all hosts there are.
void measure_fan_out(Session& session, const Sink& sink, std::size_t size);
void measure_memory(Session& session, const Sink& sink);
// Of the nodes in the first processes, of so many.
void measure_idle(Session& session, const Sink& sink, std::size_t nodes);
// A link is cut that has been up for so long.
void measure_failover(Session& session, const Sink& sink, Duration link_age);

}  // namespace ringknet::bench
