// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Drawing scenarios. Every draw is a statement of its own: the order in which a compiler evaluates
// arguments must not decide what a seed means.
#include "tests/sim/scenario.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace ringknet::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

struct Switch {
  const char* name;
  bool Features::*feature;
  double probability;
};

constexpr Switch kSwitches[] = {
    {"loss", &Features::loss, 0.4},
    {"duplication", &Features::duplication, 0.4},
    {"jitter", &Features::jitter, 0.5},
    {"cuts", &Features::cuts, 0.4},
    {"one_way_cuts", &Features::one_way_cuts, 0.3},
    {"restarts", &Features::restarts, 0.35},
    {"reboots", &Features::reboots, 0.3},
    {"pauses", &Features::pauses, 0.3},
    {"device_limits", &Features::device_limits, 0.5},
    {"unnamed_limits", &Features::unnamed_limits, 0.2},
    {"black_holes", &Features::black_holes, 0.3},
    {"mtu_changes", &Features::mtu_changes, 0.3},
    {"slow_completion", &Features::slow_completion, 0.4},
    {"send_failures", &Features::send_failures, 0.25},
    {"path_reports", &Features::path_reports, 0.4},
    {"late_wakes", &Features::late_wakes, 0.3},
    {"dynamic_links", &Features::dynamic_links, 0.25},
    {"reconfiguration", &Features::reconfiguration, 0.25},
    {"bursts", &Features::bursts, 0.05},
    {"long_running", &Features::long_running, 0.3},
};

Duration between(Random& random, Duration low, Duration high) {
  return Duration(static_cast<std::int64_t>(random.between(
      static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count()))));
}

template <typename T, std::size_t kCount>
T one_of(Random& random, const T (&choices)[kCount]) {
  return choices[random.below(kCount)];
}

void draw_features(Random& random, Features& features) {
  const bool calm = random.chance(0.05);
  for (const Switch& entry : kSwitches)
    features.*entry.feature = random.chance(entry.probability) && !calm;
}

void draw_links(Random& random, Scenario& scenario) {
  constexpr int kIntervals[] = {20, 50, 100, 200, 400, 1000};
  for (std::size_t l = 0; l < scenario.links; ++l) {
    LinkPlan& plan = scenario.link[l];
    plan.timers.interval = milliseconds(one_of(random, kIntervals));
    plan.timers.timeout = plan.timers.interval * static_cast<int>(random.between(3, 6));
    plan.timers.precision = static_cast<std::uint32_t>(random.between(1, 64));
    plan.pong_count = static_cast<std::uint8_t>(random.between(1, 5));
    plan.ipv6 = random.chance(0.25);
    const auto learner = static_cast<int>(random.below(scenario.nodes));
    const bool dynamic = random.chance(0.6);
    if (scenario.features.dynamic_links && dynamic)
      plan.dynamic_node = learner;
  }
}

std::uint32_t draw_mtu(Random& random) {
  constexpr std::uint32_t kUsual[] = {576, 1280, 1400, 1492, 1500, 4000, 9000, 65535};
  if (random.chance(0.6))
    return one_of(random, kUsual);
  return static_cast<std::uint32_t>(random.between(576, 10000));
}

void draw_path(Random& random, const Scenario& scenario, PathPlan& plan) {
  const Features& features = scenario.features;
  // A duplicate may take twice the jitter; all of it stays below a quarter of the timeout.
  const Duration share = scenario.timeout_min() / 16;
  plan.delay = between(random, microseconds(20), share);
  const Duration jitter = between(random, Duration::zero(), share);
  const double loss = one_of(random, {0.0, 0.01, 0.05, 0.2});
  const double duplication = one_of(random, {0.0, 0.01, 0.1, 0.5});
  const std::uint32_t device = draw_mtu(random);
  const std::uint32_t hole = draw_mtu(random);
  plan.jitter = features.jitter ? jitter : Duration::zero();
  plan.loss = features.loss ? loss : 0;
  plan.duplication = features.duplication ? duplication : 0;
  plan.device_mtu = features.device_limits ? device : 65535;
  plan.hole_mtu = features.black_holes ? hole : 65535;
}

}  // namespace

Scenario Scenario::from_seed(std::uint64_t seed) {
  Random random = random_for(seed, Stream::kScenario);
  Scenario scenario;
  scenario.seed = seed;
  draw_features(random, scenario.features);
  scenario.nodes = random.chance(0.5) ? 2 : random.between(3, kNodesMax);
  scenario.links = random.between(1, kLinksMax);
  draw_links(random, scenario);
  for (std::size_t a = 0; a < scenario.nodes; ++a) {
    for (std::size_t b = 0; b < scenario.nodes; ++b) {
      scenario.policy[a][b] = Policy(random.below(3));
      for (std::size_t l = 0; l < scenario.links; ++l)
        draw_path(random, scenario, scenario.path[a][b][l]);
    }
    scenario.clock[a] = between(random, seconds(20), seconds(10'000'000));
    scenario.loopback[a] = random.chance(0.3);
    const auto first = static_cast<std::uint16_t>(random.between(65535 - 300, 65535));
    const auto anywhere = static_cast<std::uint16_t>(random.between(1, 65535));
    if (scenario.features.long_running)
      scenario.first_seq[a] = random.chance(0.7) ? first : anywhere;
  }
  const std::size_t slots = random.between(4, 24);
  if (scenario.features.slow_completion)
    scenario.send_slots = slots;
  scenario.chaos = between(random, seconds(5), seconds(20));
  scenario.mtu_interval = between(random, seconds(1), seconds(8));
  scenario.message_gap = between(random, milliseconds(5), milliseconds(150));
  return scenario;
}

Duration Scenario::interval_max() const {
  Duration most{};
  for (std::size_t l = 0; l < links; ++l)
    most = std::max(most, link[l].timers.interval);
  return most;
}

Duration Scenario::timeout_min() const {
  Duration least = Duration::max();
  for (std::size_t l = 0; l < links; ++l)
    least = std::min(least, link[l].timers.timeout);
  return least;
}

Duration Scenario::timeout_max() const {
  Duration most{};
  for (std::size_t l = 0; l < links; ++l)
    most = std::max(most, link[l].timers.timeout);
  return most;
}

Duration Scenario::delay_max() const {
  Duration most{};
  for (std::size_t a = 0; a < nodes; ++a) {
    for (std::size_t b = 0; b < nodes; ++b) {
      for (std::size_t l = 0; l < links; ++l)
        most = std::max(most, path[a][b][l].delay + 2 * path[a][b][l].jitter);
    }
  }
  return most;
}

// Round trips measured by a process that was held up include the time for which it was; what took
// longer than the timeout is not counted.
Duration Scenario::away_min() const {
  const Duration round_trip = features.pauses ? timeout_max() : 2 * delay_max();
  return 4 * round_trip + delay_max() + milliseconds(12);
}

std::string Scenario::describe() const {
  std::string text = std::to_string(nodes) + " nodes, " + std::to_string(links) + " links, faults:";
  bool any = false;
  for (const Switch& entry : kSwitches) {
    if (features.*entry.feature) {
      text += std::string(" ") + entry.name;
      any = true;
    }
  }
  return any ? text : text + " none";
}

}  // namespace ringknet::sim
