// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Chaos.
#include "tests/sim/chaos.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace ringknet::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::array<std::uint32_t, 6> kLimits = {576, 1300, 1500, 2000, 9000, 65535};

}  // namespace

Chaos::Chaos(Cluster& cluster)
    : cluster_(cluster),
      scenario_(cluster.scenario()),
      random_(random_for(scenario_.seed, Stream::kChaos)),
      runs_(random_for(scenario_.seed, Stream::kStreams)) {
  const auto add = [this](bool Features::*feature, std::function<void()> happen) {
    if (scenario_.drawn.*feature)
      faults_.push_back({scenario_.features.*feature, std::move(happen)});
  };
  add(&Features::cuts, [this] { cut(true); });
  add(&Features::one_way_cuts, [this] { cut(false); });
  add(&Features::restarts, [this] { restart(); });
  add(&Features::pauses, [this] { pause(); });
  add(&Features::mtu_changes, [this] { change_limits(); });
  add(&Features::reconfiguration, [this] { reconfigure(); });
  add(&Features::bursts, [this] { burst(); });
  add(&Features::clogs, [this] { clog(); });
  add(&Features::rebinds, [this] { rebind(); });
  add(&Features::recompress, [this] { recompress(); });
  add(&Features::forgery, [this] { forge(); });
  add(&Features::replays, [this] { repeat(); });
  add(&Features::floods, [this] { flood(); });
  add(&Features::false_numbers, [this] { lie(); });
  add(&Features::relinks, [this] { relink(); });
  add(&Features::rehosts, [this] { rehost(); });
  add(&Features::retiming, [this] { retime(); });
  add(&Features::manual_mtus, [this] { set_mtu(); });
  add(&Features::mtu_intervals, [this] { set_mtu_interval(); });
  add(&Features::access_lists, [this] { refuse_peer(); });
}

Duration Chaos::between(Duration low, Duration high) {
  return Duration(static_cast<std::int64_t>(random_.between(
      static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count()))));
}

std::size_t Chaos::other_node(std::size_t node) {
  return (node + 1 + random_.below(scenario_.nodes - 1)) % scenario_.nodes;
}

void Chaos::begin(Instant end) {
  end_ = end;
  if (!faults_.empty())
    next();
  constexpr unsigned kStreams = 3;
  const auto length = static_cast<std::uint64_t>((end - cluster_.now()).count());
  for (unsigned i = 0; i < kStreams && scenario_.features.run_limits; ++i)
    cluster_.at(cluster_.now() + Duration(static_cast<std::int64_t>(runs_.below(length))),
                [this] { stream(); });
}

void Chaos::next() {
  cluster_.at(cluster_.now() + between(milliseconds(20), seconds(2)), [this] {
    if (cluster_.now() >= end_)
      return;
    const Fault& fault = faults_[random_.below(faults_.size())];
    const Random before = random_;
    if (fault.on)
      fault.happen();
    random_ = before;
    random_.next();
    next();
  });
}

void Chaos::cut(bool both_ways) {
  const std::size_t a = any_node();
  const std::size_t b = other_node(a);
  // Now and then all links at once.
  const bool all = random_.chance(0.3);
  const std::size_t only = any_link();
  const Instant until = cluster_.now() + between(milliseconds(5), 3 * scenario_.timeout_max());
  for (std::size_t l = 0; l < scenario_.links; ++l) {
    if (!all && l != only)
      continue;
    const auto set = [this, a, b, l, both_ways](bool cut) {
      cluster_.set_cut(a, b, l, cut);
      if (both_ways)
        cluster_.set_cut(b, a, l, cut);
    };
    set(true);
    cluster_.at(until, [set] { set(false); });
  }
}

void Chaos::restart() {
  const std::size_t node = any_node();
  if (!cluster_.running(node))
    return;
  const bool reboot = scenario_.features.reboots && random_.chance(0.5);
  const bool fast = scenario_.features.fast_restarts && random_.chance(0.5);
  const Duration away_min = scenario_.away_min();
  const Duration slow = between(away_min, away_min + 2 * scenario_.timeout_max());
  const Duration away = fast ? between(scenario_.delay_max(), away_min) : slow;
  cluster_.stop(node);
  cluster_.at(cluster_.now() + away, [this, node, reboot, fast] {
    if (!cluster_.running(node))
      cluster_.start(node, reboot, fast);
  });
}

void Chaos::pause() {
  const std::size_t node = any_node();
  const Duration length =
      between(milliseconds(1), random_.chance(0.5) ? seconds(5) : milliseconds(300));
  if (cluster_.present(node))
    cluster_.pause(node, cluster_.now() + length);
}

void Chaos::change_limits() {
  const std::size_t a = any_node();
  const std::size_t b = other_node(a);
  const std::size_t link = any_link();
  const std::size_t first = random_.below(kLimits.size());
  const std::size_t second = random_.below(kLimits.size());
  const std::uint32_t device = kLimits[first];
  const std::uint32_t hole = kLimits[second];
  const std::uint32_t run = kLimits[(first + second) % kLimits.size()];
  cluster_.set_limits(a, b, link, scenario_.features.device_limits ? device : 65535,
                      scenario_.features.black_holes ? hole : 65535,
                      scenario_.features.run_limits ? run : kIpPacketMax + 1);
}

void Chaos::reconfigure() {
  const std::size_t node = any_node();
  const HostId host = host_of(other_node(node));
  const LinkId link = LinkId(any_link());
  const auto value = static_cast<std::uint8_t>(random_.below(3));
  const std::uint64_t kind = random_.below(3);
  if (!cluster_.present(node))
    return;
  if (kind == 2)
    return disable_link(node, host, link);
  cluster_.configure(node, [=](Fabric& fabric, Instant now) {
    if (kind == 0) {
      (void)fabric.host_set_policy(now, host, Policy(value));
    } else {
      (void)fabric.link_set_priority(now, host, link, value);
    }
  });
}

void Chaos::disable_link(std::size_t node, HostId host, LinkId link) {
  const auto set = [this, node, host, link](bool enabled) {
    cluster_.configure(node, [=](Fabric& fabric, Instant now) {
      (void)fabric.link_set_enabled(now, host, link, enabled);
    });
  };
  set(false);
  const Instant until = cluster_.now() + between(milliseconds(1), 2 * scenario_.timeout_max());
  cluster_.at(until, [this, node, set] {
    if (cluster_.present(node))
      set(true);
  });
}

// Thousands of small messages to one host: all others lose track of the sender's sequence, but for
// its forced PINGs. It is for the sender to see that no more are under way than 16 bits can tell
// apart.
void Chaos::burst() {
  const std::size_t node = any_node();
  const std::size_t peer = other_node(node);
  const auto count = static_cast<std::uint32_t>(random_.between(2000, 40000));
  if (burst_done_)
    return;
  burst_done_ = true;
  continue_burst(node, peer, count);
}

void Chaos::continue_burst(std::size_t node, std::size_t peer, std::uint32_t left) {
  if (!cluster_.present(node) || cluster_.now() >= end_)
    return;
  Ledger::Draft draft;
  draft.receivers = static_cast<std::uint8_t>(1u << peer);
  constexpr std::uint32_t kAtOnce = 500;
  for (std::uint32_t sent = 0; sent < kAtOnce && left > 0; ++sent, --left) {
    draft.size = 1 + left % 7;
    if (!cluster_.send(node, draft, false))
      break;
  }
  if (left > 0)
    cluster_.at(cluster_.now() + milliseconds(1),
                [this, node, peer, left] { continue_burst(node, peer, left); });
}

// A few paths hold back what they carry, and let go of it one after the other, in another order.
void Chaos::clog() {
  const bool everywhere = random_.chance(0.1);
  const Duration most = scenario_.clog_max();
  for (std::size_t a = 0; a < scenario_.nodes; ++a) {
    for (std::size_t b = 0; b < scenario_.nodes; ++b) {
      for (std::size_t l = 0; l < scenario_.links && a != b; ++l) {
        const bool chosen = random_.chance(0.3);
        const Duration begin = between(Duration::zero(), most / 2);
        const Duration length = between(Duration::zero(), most / 2);
        if (!chosen && !everywhere)
          continue;
        cluster_.at(cluster_.now() + begin, [this, a, b, l] {
          if (cluster_.now() < end_)
            cluster_.set_clogged(a, b, l, true);
        });
        cluster_.at(cluster_.now() + begin + length,
                    [this, a, b, l] { cluster_.set_clogged(a, b, l, false); });
      }
    }
  }
}

void Chaos::rebind() {
  const std::size_t link = any_link();
  const int learner = scenario_.link[link].dynamic_node;
  const std::size_t draw = random_.next() % scenario_.nodes;
  if (learner < 0 || static_cast<int>(draw) == learner)
    return;
  cluster_.rebind(draw, static_cast<std::size_t>(learner), link);
}

void Chaos::recompress() {
  const std::size_t node = any_node();
  const std::size_t above = random_.chance(0.3) ? 0 : random_.between(1, 3000);
  if (cluster_.present(node))
    cluster_.set_compression(node, above);
}

// A few packets at a time.
void Chaos::forge() {
  for (std::uint64_t left = random_.between(1, 40); left > 0; --left) {
    const std::size_t node = any_node();
    const std::size_t as = other_node(node);
    const std::size_t link = any_link();
    const Duration wait = between(Duration::zero(), milliseconds(500));
    cluster_.at(cluster_.now() + wait, [this, node, as, link] {
      if (cluster_.present(node))
        cluster_.forge_packet(node, as, link);
    });
  }
}

void Chaos::lie() {
  const std::size_t node = any_node();
  const std::size_t as = other_node(node);
  const std::size_t link = any_link();
  const std::uint64_t ahead = random_.between(16385, 32768);
  if (cluster_.present(node))
    cluster_.forge_number(node, as, link, static_cast<std::uint16_t>(ahead));
}

void Chaos::repeat() {
  for (std::uint64_t left = random_.between(1, 100); left > 0; --left) {
    const Duration wait = between(Duration::zero(), milliseconds(500));
    cluster_.at(cluster_.now() + wait, [this] { cluster_.repeat_packet(); });
  }
}

// All that the fabric takes, for a while. What it costs to simulate is bounded.
void Chaos::flood() {
  constexpr std::size_t kFloodsMax = 2;
  constexpr std::size_t kBudget = std::size_t{4} * 1024 * 1024;
  const std::size_t node = any_node();
  const Duration length = between(milliseconds(20), milliseconds(400));
  if (floods_++ < kFloodsMax)
    continue_flood(node, cluster_.now() + length, kBudget);
}

void Chaos::continue_flood(std::size_t node, Instant until, std::size_t budget) {
  if (cluster_.now() >= std::min(until, end_) || !cluster_.present(node))
    return;
  Ledger::Draft draft;
  draft.receivers = static_cast<std::uint8_t>((1u << scenario_.nodes) - 1);
  constexpr std::size_t kAtOnce = 64;
  for (std::size_t sent = 0; sent < kAtOnce && cluster_.can_send(node); ++sent) {
    draft.size = static_cast<std::uint32_t>(random_.chance(0.6) ? random_.between(1, 1500)
                                                                : random_.between(1500, 30000));
    if (draft.size > budget || !cluster_.send(node, draft, true))
      return;
    budget -= draft.size;
  }
  cluster_.at(cluster_.now() + milliseconds(1),
              [this, node, until, budget] { continue_flood(node, until, budget); });
}

// --- settings
// -----------------------------------------------------------------------------------

// Configured again at once, so that what is under way meets the next link of that id, or later.
void Chaos::relink() {
  const std::size_t node = any_node();
  const std::size_t peer = other_node(node);
  const std::size_t link = any_link();
  const bool drained = random_.chance(0.5);
  const bool at_once = random_.chance(0.3);
  const Duration wait = between(Duration::zero(), 2 * scenario_.timeout_max());
  if (!cluster_.present(node))
    return;
  cluster_.clear_link(node, peer, link, drained);
  const auto restore = [this, node, peer, link] {
    if (cluster_.present(node))
      cluster_.restore_link(node, peer, link);
  };
  if (at_once) {
    restore();
  } else {
    cluster_.at(cluster_.now() + wait, restore);
  }
}

void Chaos::rehost() {
  const std::size_t node = any_node();
  const std::size_t peer = other_node(node);
  const bool drained = random_.chance(0.5);
  const bool at_once = random_.chance(0.2);
  const Duration wait = between(Duration::zero(), 2 * scenario_.timeout_max());
  if (!cluster_.present(node))
    return;
  cluster_.remove_host(node, peer, drained);
  const auto restore = [this, node, peer] {
    for (std::size_t l = 0; l < scenario_.links && cluster_.present(node); ++l)
      cluster_.restore_link(node, peer, l);
  };
  if (at_once) {
    restore();
  } else {
    cluster_.at(cluster_.now() + wait, restore);
  }
}

// Never less than at first: delays are drawn for that.
void Chaos::retime() {
  const std::size_t node = any_node();
  const std::size_t peer = other_node(node);
  const std::size_t link = any_link();
  const LinkPlan& plan = scenario_.link[link];
  PingTimers timers = plan.timers;
  const auto times = static_cast<int>(random_.between(1, 3));
  const auto more = static_cast<int>(random_.between(0, 3));
  timers.interval = between(plan.timers.interval, times * plan.timers.interval);
  timers.timeout = std::max(plan.timers.timeout, (3 + more) * timers.interval);
  timers.precision = static_cast<std::uint32_t>(random_.between(1, 64));
  const auto pongs = static_cast<std::uint8_t>(random_.between(1, 8));
  const auto priority = static_cast<std::uint8_t>(random_.below(256));
  if (cluster_.present(node))
    cluster_.retime(node, peer, link, timers, pongs, priority);
}

void Chaos::set_mtu() {
  constexpr std::array<std::uint32_t, 6> kUsual = {60, 576, 1280, 1500, 9000, 65535};
  const std::size_t node = any_node();
  const std::uint32_t usual = kUsual[random_.below(kUsual.size())];
  const auto odd = static_cast<std::uint32_t>(random_.between(60, 10000));
  std::uint32_t mtu = random_.chance(0.5) ? usual : odd;
  if (random_.chance(0.3))
    mtu = 0;
  for (std::size_t peer = 0; peer < scenario_.nodes && scenario_.lossless(); ++peer) {
    for (std::size_t l = 0; l < scenario_.links && peer != node; ++l) {
      const PathPlan& plan = cluster_.network().path(node, peer, l).plan;
      mtu = std::min({mtu, plan.device_mtu, plan.hole_mtu});
    }
  }
  if (cluster_.present(node))
    cluster_.set_manual_mtu(node, mtu);
}

void Chaos::set_mtu_interval() {
  const std::size_t node = any_node();
  const Duration interval = between(milliseconds(200), seconds(20));
  if (!cluster_.present(node))
    return;
  cluster_.configure(node,
                     [=](Fabric& fabric, Instant now) { fabric.set_mtu_interval(now, interval); });
}

void Chaos::refuse_peer() {
  const std::size_t link = any_link();
  const int learner = scenario_.link[link].dynamic_node;
  const std::size_t draw = any_node();
  const Duration wait = between(Duration::zero(), 2 * scenario_.timeout_max());
  if (learner < 0 || static_cast<int>(draw) == learner)
    return;
  const auto node = static_cast<std::size_t>(learner);
  if (!cluster_.present(node))
    return;
  cluster_.refuse_peer(node, draw, link, true);
  cluster_.at(cluster_.now() + wait, [this, node, draw, link] {
    if (cluster_.present(node))
      cluster_.refuse_peer(node, draw, link, false);
  });
}

// Long messages in a row, so that runs are worth asking for; and where messages may be lost, a rule
// that appears under them, or goes.
void Chaos::stream() {
  const std::size_t node = runs_.below(scenario_.nodes);
  const std::size_t peer = (node + 1 + runs_.below(scenario_.nodes - 1)) % scenario_.nodes;
  const auto size = static_cast<std::uint32_t>(runs_.between(2000, 20000));
  continue_stream(node, peer, size, 300);
}

void Chaos::continue_stream(std::size_t node, std::size_t peer, std::uint32_t size, unsigned left) {
  if (!cluster_.present(node) || cluster_.now() >= end_ || left == 0)
    return;
  constexpr std::uint32_t kRunLimits[] = {1000, 1500, 9000, kIpPacketMax + 1};
  if (left == 150 && !scenario_.lossless()) {
    const std::uint32_t limit = kRunLimits[runs_.below(std::size(kRunLimits))];
    for (std::size_t l = 0; l < scenario_.links; ++l)
      cluster_.set_run_limit(node, peer, l, limit);
  }
  Ledger::Draft draft;
  draft.receivers = static_cast<std::uint8_t>(1u << peer);
  draft.size = size;
  cluster_.send(node, draft, false);
  // Receivers hold 32 partial messages of a sender: eight of a stream are under way at most.
  const Duration gap = std::max<Duration>(milliseconds(3), scenario_.delay_max() / 8);
  cluster_.at(cluster_.now() + gap,
              [this, node, peer, size, left] { continue_stream(node, peer, size, left - 1); });
}

void Chaos::stop() {
  end_ = cluster_.now();
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    if (!cluster_.present(node))
      continue;
    cluster_.restore_settings(node);
    for (std::size_t peer = 0; peer < scenario_.nodes; ++peer) {
      for (std::size_t l = 0; l < scenario_.links && peer != node; ++l) {
        cluster_.configure(node, [=](Fabric& fabric, Instant now) {
          (void)fabric.link_set_enabled(now, host_of(peer), LinkId(l), true);
        });
      }
    }
  }
}

}  // namespace ringknet::sim
