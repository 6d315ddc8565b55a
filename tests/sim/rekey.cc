// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The steps of a change of keys.
#include "tests/sim/rekey.h"

#include <algorithm>
#include <utility>

namespace ringknet::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// From the first node that takes a step to the last.
constexpr Duration kStepMax = milliseconds(300);
constexpr Suite kSuites[] = {Suite::kClassic, Suite::kOtherClassic, Suite::kNative,
                             Suite::kOtherNative};

}  // namespace

Rekey::Rekey(Cluster& cluster)
    : cluster_(cluster),
      scenario_(cluster.scenario()),
      random_(random_for(scenario_.seed, Stream::kKeys)),
      key_{scenario_.suite, 0} {}

void Rekey::begin(Instant end) {
  end_ = end;
  if (scenario_.features.rekey)
    next();
}

void Rekey::next() {
  running_ = false;
  const Duration wait(static_cast<std::int64_t>(
      random_.below(static_cast<std::uint64_t>(Duration(seconds(3)).count()))));
  cluster_.at(cluster_.now() + wait, [this] {
    if (cluster_.now() < end_)
      change();
  });
}

// Between two steps, where nothing may be lost: every node has asked every other one and been
// answered, and what was sent in the old envelope has arrived.
Duration Rekey::settling_max() const {
  return 3 * scenario_.interval_max() + 8 * scenario_.delay_max() + milliseconds(50);
}

Duration Rekey::duration_max() const {
  return 3 * (settling_max() + kStepMax + milliseconds(100));
}

Duration Rekey::settling() {
  const Duration enough = settling_max();
  const Duration any(
      static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(enough.count()))));
  return scenario_.lossless() ? enough : any;
}

void Rekey::change() {
  running_ = true;
  const std::size_t old_slot = slot_;
  const bool was_clear = key_.clear();
  // The same suite with another private key is a change, too.
  key_ = Key{kSuites[random_.below(4)], ++number_};
  slot_ = was_clear ? 1 : 3 - slot_;
  const std::size_t slot = slot_;
  const Key key = key_;
  const auto install = [this, slot, key](std::size_t node) {
    cluster_.install_key(node, slot, key);
  };
  const auto use = [this, slot](std::size_t node) { cluster_.use_key(node, slot); };
  const auto forget = [this, old_slot, was_clear](std::size_t node) {
    if (was_clear) {
      cluster_.allow_clear(node, false);
    } else {
      cluster_.erase_key(node, old_slot);
    }
  };
  const auto done = [this] {
    ++changes_;
    next();
  };
  everywhere(install, [=, this] { everywhere(use, [=, this] { everywhere(forget, done); }); });
}

void Rekey::everywhere(std::function<void(std::size_t)> step, std::function<void()> after) {
  pending_ = scenario_.nodes;
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    const Duration when(
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(kStepMax.count()))));
    cluster_.at(cluster_.now() + when, [=, this] { take(node, step, after); });
  }
}

// A process that is held up does it when it goes on; one that is gone finds it in its
// configuration.
void Rekey::take(std::size_t node, const std::function<void(std::size_t)>& step,
                 const std::function<void()>& after) {
  if (cluster_.running(node) && !cluster_.present(node)) {
    cluster_.at(cluster_.now() + milliseconds(20), [=, this] { take(node, step, after); });
    return;
  }
  step(node);
  if (--pending_ == 0)
    cluster_.at(cluster_.now() + settling(), after);
}

}  // namespace ringknet::sim
