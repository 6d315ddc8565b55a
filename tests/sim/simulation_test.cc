// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The simulation as a whole: the same seed is the same run, different seeds are different ones, and
// seeds that once found a defect keep passing.
#include "tests/sim/simulation.h"

#include <doctest/doctest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "tests/sim/scenario.h"

namespace ringknet::sim {

TEST_CASE("simulation: the same seed twice is the same run") {
  std::set<std::uint64_t> digests;
  for (std::uint64_t seed = 1001; seed <= 1012; ++seed) {
    CAPTURE(seed);
    const Report first = simulate(seed, {});
    const Report second = simulate(seed, {});
    CHECK_MESSAGE(first.passed, first.failure);
    CHECK(first.digest == second.digest);
    CHECK(first.datagrams == second.datagrams);
    CHECK(first.simulated == second.simulated);
    CHECK(digests.insert(first.digest).second);
  }
}

// What most seeds save: nothing but the bytes of packets may depend on the ciphers.
TEST_CASE("simulation: with quick ciphers a seed is the same run as with real ones") {
  int different = 0;
  for (std::uint64_t seed = 3001; seed <= 3024; ++seed) {
    CAPTURE(seed);
    const Report real = simulate(seed, {.real_ciphers = true});
    const Report quick = simulate(seed, {.real_ciphers = false});
    CHECK_MESSAGE(real.passed, real.failure);
    CHECK(real.course == quick.course);
    CHECK(real.bogus == quick.bogus);
    CHECK(real.repeated == quick.repeated);
    CHECK((real.digest != quick.digest) == real.real_ciphers);
    different += real.digest != quick.digest ? 1 : 0;
  }
  CHECK(different > 5);
}

TEST_CASE("simulation: some seeds have real ciphers, of every kind") {
  std::set<Suite> suites;
  int real = 0;
  constexpr std::uint64_t kSeeds = 2000;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Scenario scenario = Scenario::from_seed(seed);
    real += scenario.real_ciphers ? 1 : 0;
    if (scenario.real_ciphers)
      suites.insert(scenario.suite);
  }
  CHECK(real > 80);
  CHECK(real < 200);
  CHECK(suites.size() == 5);
}

// A simulation in which nothing goes wrong proves nothing, and one without traffic even less.
TEST_CASE("simulation: runs are eventful") {
  Report sum;
  for (std::uint64_t seed = 2001; seed <= 2020; ++seed) {
    const Report report = simulate(seed, {});
    CHECK_MESSAGE(report.passed, report.failure);
    CHECK(report.link_ups >= 2);
    CHECK(report.deliveries >= 20);
    sum.link_downs += report.link_downs;
    sum.restarts_seen += report.restarts_seen;
  }
  CHECK(sum.link_downs > 20);
  CHECK(sum.restarts_seen > 0);
}

TEST_CASE("simulation: delays stay within what the protocol promises") {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    const Scenario scenario = Scenario::from_seed(seed);
    CAPTURE(seed);
    CHECK(4 * scenario.delay_max() < scenario.timeout_min());
  }
}

TEST_CASE("simulation: load alone takes no link down") {
  int loaded = 0;
  for (std::uint64_t seed = 1; loaded < 5; ++seed) {
    const Scenario scenario = Scenario::from_seed(seed);
    if (!scenario.lossless() || !scenario.features.floods)
      continue;
    ++loaded;
    const Report report = simulate(seed, {});
    CHECK_MESSAGE(report.passed, report.failure);
    CHECK(report.link_downs == 0);
  }
}

TEST_CASE("simulation: a feature that is switched off leaves all other decisions alone") {
  for (const FeatureName& feature : feature_names()) {
    CAPTURE(feature.name);
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
      const Scenario whole = Scenario::from_seed(seed);
      const Scenario part = Scenario::from_seed(seed, {feature.name});
      CHECK_FALSE(part.features.*feature.feature);
      CHECK(part.nodes == whole.nodes);
      CHECK(part.links == whole.links);
      CHECK(part.chaos == whole.chaos);
      CHECK(part.message_gap == whole.message_gap);
      CHECK(part.path[0][1][0].delay == whole.path[0][1][0].delay);
    }
  }
}

// A line of tests/sim/regressions/seeds: the seed, then what it found. Where the drawing of
// scenarios changes, a seed comes to mean another run; the directed unit test beside each fix
// stays.
TEST_CASE("simulation: seeds that once found a defect pass") {
  std::ifstream list(RINGKNET_REGRESSIONS "/seeds");
  REQUIRE(list);
  std::string line;
  int seeds = 0;
  while (std::getline(list, line)) {
    if (line.empty() || line[0] == '#')
      continue;
    std::istringstream fields(line);
    std::uint64_t seed = 0;
    fields >> seed;
    REQUIRE(seed != 0);
    const Report report = simulate(seed, {});
    CHECK_MESSAGE(report.passed, line << ": " << report.failure);
    ++seeds;
  }
  CHECK(seeds > 0);
}

}  // namespace ringknet::sim
