// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One run: traffic, the order of its parts, and the oracles for the time after healing.
#include "tests/sim/simulation.h"

#include <algorithm>

#include "engine/wire/size.h"
#include "tests/sim/chaos.h"
#include "tests/sim/cluster.h"
#include "tests/sim/fabric_inspector.h"
#include "tests/sim/failure.h"
#include "tests/sim/rekey.h"

namespace ringknet::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Partial messages are given up after this long without a fragment.
constexpr Duration kPartialAge = seconds(10);

class Run {
 public:
  Run(const Scenario& scenario, const Options& options)
      : scenario_(scenario),
        cluster_(scenario, options.trace),
        chaos_(cluster_),
        rekey_(cluster_),
        random_(random_for(scenario.seed, Stream::kTraffic)) {}

  void operator()();
  Cluster& cluster() { return cluster_; }
  const Rekey& rekey() const { return rekey_; }

 private:
  void talk(std::size_t node);
  void look();
  std::uint32_t draw_size();
  void send_random(std::size_t node);
  void heal();
  void prove();
  void fall_silent();
  void send_required(std::size_t node, std::uint8_t receivers, std::uint32_t size, bool broadcast);

  // Runs on until `done`, at most for `bound`; false when the bound came first.
  template <typename Condition>
  bool wait(Duration bound, Condition&& done);
  Duration noticed_max() const;
  Duration runs_proven_max();
  Duration followed_max() const;
  Duration links_up_max() const;
  Duration slow_max() const;
  Duration mtu_exact_max();
  // Links whose size in use was perhaps about to be given up when everything was well again.
  struct Doubt {
    std::size_t node;
    std::size_t peer;
    std::size_t link;
  };
  MtuSearch::Phase mtu_phase(const Doubt& doubt);
  void note_doubts();
  bool nothing_in_doubt();
  std::string missing_link();
  std::string inexact_mtu();
  std::string leak();

  const Scenario& scenario_;
  Cluster cluster_;
  Chaos chaos_;
  Rekey rekey_;
  Random random_;
  std::vector<Doubt> doubts_;
  Duration gap_{};  // between two messages of a node; zero: silence
};

template <typename Condition>
bool Run::wait(Duration bound, Condition&& done) {
  const Instant end = cluster_.now() + bound;
  while (!done()) {
    if (cluster_.now() >= end)
      return false;
    cluster_.run_until(std::min(end, cluster_.now() + milliseconds(10)));
  }
  return true;
}

void Run::operator()() {
  gap_ = scenario_.message_gap;
  for (std::size_t node = 0; node < scenario_.nodes; ++node)
    talk(node);
  look();
  const Instant end = cluster_.now() + scenario_.chaos;
  chaos_.begin(end);
  rekey_.begin(end);
  cluster_.run_until(end);
  heal();
  prove();
  fall_silent();
}

// A node sends a message now and then, for as long as the run wants traffic.
void Run::talk(std::size_t node) {
  const auto most = static_cast<std::uint64_t>(2 * gap_.count());
  cluster_.at(cluster_.now() + Duration(static_cast<std::int64_t>(random_.below(most) + 1)),
              [this, node] {
                if (gap_ == Duration::zero())
                  return;
                if (cluster_.present(node))
                  send_random(node);
                talk(node);
              });
}

void Run::look() {
  cluster_.check_everything();
  cluster_.at(cluster_.now() + milliseconds(50), [this] { look(); });
}

std::uint32_t Run::draw_size() {
  const std::uint64_t kind = random_.below(100);
  if (kind < 60)
    return static_cast<std::uint32_t>(random_.between(1, 200));
  if (kind < 80)
    return static_cast<std::uint32_t>(random_.between(400, 1600));
  if (kind < 98)
    return static_cast<std::uint32_t>(random_.between(1600, 12000));
  return static_cast<std::uint32_t>(random_.between(12000, kMessageSizeMax));
}

void Run::send_random(std::size_t node) {
  Ledger::Draft draft;
  draft.size = draw_size();
  draft.channel = Channel(random_.below(kChannelCount));
  const auto everybody = static_cast<std::uint8_t>((1u << scenario_.nodes) - 1);
  const bool broadcast = random_.chance(0.4);
  const auto some = static_cast<std::uint8_t>(random_.between(1, everybody));
  draft.receivers = broadcast ? everybody : some;
  cluster_.send(node, draft, broadcast);
}

// --- healing
// --------------------------------------------------------------------------------------

// A PING that was sent just before the end of the fault, then one PONG more than the pong count,
// each an interval and a round trip apart; and a link that learns its peer waits for the peer's
// next PING first.
Duration Run::links_up_max() const {
  Duration most{};
  for (std::size_t l = 0; l < scenario_.links; ++l) {
    const LinkPlan& plan = scenario_.link[l];
    const int learning = plan.dynamic_node >= 0 ? 1 : 0;
    most = std::max(most, (plan.pong_count + 2 + learning) * plan.timers.interval);
  }
  return most + 4 * scenario_.delay_max() + milliseconds(20);
}

// A process that was back before the others noticed may be told from its predecessor only by a PING
// that comes when no packet of that can be under way any more, or when nothing new came from it for
// a timeout.
Duration Run::noticed_max() const {
  if (!scenario_.features.fast_restarts || !scenario_.features.restarts)
    return {};
  return scenario_.away_min() + scenario_.timeout_max() + 2 * scenario_.interval_max();
}

// A run that came through before a rule appeared is taken to say that the next ones do, for half a
// second and what an answer may take.
Duration Run::runs_proven_max() {
  if (!scenario_.features.run_limits)
    return {};
  return milliseconds(500) + 2 * cluster_.watch().probe_gap();
}

// A peer that moved is followed when a PING to its old address, and its repetition, were not
// answered in time, and its next one comes.
Duration Run::followed_max() const {
  if (!scenario_.features.rebinds)
    return {};
  return 2 * scenario_.interval_max() + scenario_.timeout_max() + 4 * scenario_.delay_max();
}

// A search that is under way ends; an interval later the size in use is confirmed or given up, and
// searched again. Where nothing was lost the first search was right.
Duration Run::mtu_exact_max() {
  const LinkWatch& watch = cluster_.watch();
  if (scenario_.lossless())
    return watch.search_max();
  return scenario_.mtu_interval + watch.black_hole_max() + watch.search_max();
}

std::string Run::missing_link() {
  for (std::size_t a = 0; a < scenario_.nodes; ++a) {
    for (std::size_t b = 0; b < scenario_.nodes; ++b) {
      for (std::size_t l = 0; l < scenario_.links && a != b; ++l) {
        const auto status = cluster_.fabric(a).link_status(host_of(b), LinkId(l));
        if (!status->connected)
          return label("link", l) + " from " + label("node", a) + " to " + label("node", b);
      }
      if (a != b && !*cluster_.fabric(a).host_reachable(host_of(b)))
        return label("node", b) + " seen by " + label("node", a);
    }
  }
  return {};
}

std::string Run::inexact_mtu() {
  for (std::size_t a = 0; a < scenario_.nodes; ++a) {
    for (std::size_t b = 0; b < scenario_.nodes; ++b) {
      for (std::size_t l = 0; l < scenario_.links && a != b; ++l) {
        const auto status = cluster_.fabric(a).link_status(host_of(b), LinkId(l));
        const std::uint32_t exact = cluster_.exact_slice(a, b, l);
        if (status->mtu != exact) {
          return label("link", l) + " from " + label("node", a) + " to " + label("node", b) +
                 " has MTU " + std::to_string(status->mtu) + ", its path carries " +
                 std::to_string(exact);
        }
      }
    }
  }
  return {};
}

MtuSearch::Phase Run::mtu_phase(const Doubt& doubt) {
  return FabricInspector(cluster_.fabric(doubt.node))
      .link(host_of(doubt.peer), LinkId(doubt.link))
      ->mtu.phase();
}

void Run::note_doubts() {
  for (std::size_t a = 0; a < scenario_.nodes; ++a) {
    for (std::size_t b = 0; b < scenario_.nodes; ++b) {
      for (std::size_t l = 0; l < scenario_.links && a != b; ++l)
        doubts_.push_back({a, b, l});
    }
  }
}

bool Run::nothing_in_doubt() {
  std::erase_if(doubts_, [this](const Doubt& doubt) {
    return mtu_phase(doubt) != MtuSearch::Phase::kConfirming;
  });
  return doubts_.empty();
}

void Run::heal() {
  cluster_.heal();
  // Whoever is held up or away comes back first.
  if (!wait(seconds(6) + scenario_.away_min() + 2 * scenario_.timeout_max(), [this] {
        for (std::size_t node = 0; node < scenario_.nodes; ++node) {
          if (!cluster_.present(node))
            return false;
        }
        return true;
      })) {
    fail("the simulation left a node paused or stopped");
  }
  chaos_.stop();
  // A flood that was under way takes its time, and so does reading it.
  const Duration idle_max =
      scenario_.loaded() ? seconds(1) + cluster_.reading_max() : milliseconds(100);
  if (!wait(rekey_.duration_max(), [this] { return rekey_.idle(); }))
    fail("the simulation left a change of keys half done");
  // What was lost before may still take a link down or its MTU to the floor: silence since then, or
  // a confirmation that has begun.
  note_doubts();
  const Duration aftermath = std::max({scenario_.interval_max() + 4 * scenario_.delay_max(),
                                       noticed_max(), runs_proven_max(), followed_max()});
  cluster_.run_until(cluster_.now() + aftermath);
  if (!wait(cluster_.watch().confirm_max(), [this] { return nothing_in_doubt(); }))
    fail("a size in use is neither confirmed nor given up in time");
  if (!wait(links_up_max(), [this] { return missing_link().empty(); }))
    fail("not back in time after healing: " + missing_link());
  if (!wait(mtu_exact_max(), [this] { return inexact_mtu().empty(); }))
    fail("not exact in time after healing: " + inexact_mtu());
  gap_ = Duration::zero();
  if (!wait(idle_max, [this] { return cluster_.idle(); }))
    fail("messages still wait somewhere, although everything is well");
}

// --- proof
// ----------------------------------------------------------------------------------------

// What a message may take beyond its way through the network, at what is slow at both ends.
Duration Run::slow_max() const {
  const bool slow = scenario_.features.bandwidth || scenario_.loaded();
  return slow ? scenario_.timeout_max() / 2 + milliseconds(250) : milliseconds(20);
}

void Run::send_required(std::size_t node, std::uint8_t receivers, std::uint32_t size,
                        bool broadcast) {
  Ledger::Draft draft;
  draft.size = size;
  draft.channel = Channel(random_.below(kChannelCount));
  draft.receivers = receivers;
  draft.required = receivers;
  // A sender waits for receivers that are slow.
  if (!wait(slow_max(), [this, node] { return cluster_.can_send(node); }))
    fail(label("node", node) + " has had no room for a message for too long");
  if (!cluster_.send(node, draft, broadcast))
    fail(label("node", node) + " could not send, although everybody is reachable");
  // A long path is given more than small sockets hold, and so are several senders together.
  if (scenario_.features.busy_nodes && scenario_.receive_buffer < LinkConfig{}.receive_buffer) {
    cluster_.run_until(cluster_.now() + scenario_.delay_max());
    if (!wait(slow_max(), [this] { return cluster_.idle(); }))
      fail(label("node", node) + " still has something to send after a long time");
  }
}

void Run::prove() {
  const std::uint64_t downs = cluster_.watch().downs();
  const std::uint64_t excused = cluster_.ledger().excused();
  const auto everybody = static_cast<std::uint8_t>((1u << scenario_.nodes) - 1);
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    const auto others = static_cast<std::uint8_t>(everybody & ~(1u << node));
    for (const std::uint32_t size : {1u, 100u, 1500u, 9000u, 65536u}) {
      send_required(node, others, size, true);
      cluster_.run_until(cluster_.now() + milliseconds(1));
    }
    for (std::size_t peer = 0; peer < scenario_.nodes; ++peer) {
      if (peer == node)
        continue;
      // Around the size at which a second fragment begins.
      const std::uint32_t slice = cluster_.exact_slice(node, peer, 0);
      for (const std::uint32_t size : {slice - 1, slice, slice + 1, 2 * slice, draw_size()}) {
        const auto fits = static_cast<std::uint32_t>(std::min<std::size_t>(size, kMessageSizeMax));
        send_required(node, static_cast<std::uint8_t>(1u << peer), fits, false);
      }
      cluster_.run_until(cluster_.now() + milliseconds(1));
    }
  }
  if (!wait(scenario_.delay_max() + slow_max(),
            [this] { return cluster_.ledger().all_required_arrived(); }))
    cluster_.ledger().require_all_arrived();
  // Copies had their time, too.
  cluster_.run_until(cluster_.now() + 2 * scenario_.timeout_max());
  if (cluster_.watch().downs() != downs)
    fail("a link went down after healing");
  if (cluster_.ledger().excused() != excused)
    fail("a message was delivered twice after healing");
  if (const std::string inexact = inexact_mtu(); !inexact.empty())
    fail("no longer exact after healing: " + inexact);
}

// --- silence
// --------------------------------------------------------------------------------------

std::string Run::leak() {
  for (std::size_t node = 0; node < scenario_.nodes; ++node) {
    const FabricInspector inspector(cluster_.fabric(node));
    if (inspector.message_buffers_in_use() != 0)
      return label("node", node) + " still holds message buffers";
    if (cluster_.fabric(node).data_pending())
      return label("node", node) + " still has data to send";
    // Each of the two uses may keep the slab it writes to.
    if (inspector.free_slabs() + 2 < Fabric::Config{}.transmit_slabs)
      return label("node", node) + " still holds transmit slabs";
  }
  return {};
}

void Run::fall_silent() {
  const Duration bound = kPartialAge + 2 * scenario_.interval_max() + milliseconds(200);
  if (!wait(bound, [this] { return leak().empty(); }))
    fail("not let go of in time: " + leak());
  cluster_.check_everything();
}

}  // namespace

Report simulate(std::uint64_t seed, const Options& options) {
  Scenario scenario = Scenario::from_seed(seed, options.without);
  scenario.real_ciphers = options.real_ciphers.value_or(scenario.real_ciphers);
  Run run(scenario, options);
  Report report;
  try {
    run();
    report.passed = true;
  } catch (const Failure& failure) {
    report.failure = "seed " + std::to_string(seed) + " at " + run.cluster().time() + ": " +
                     failure.what() + "\n  (" + scenario.describe() + ")";
  }
  Cluster& cluster = run.cluster();
  report.digest = cluster.digest();
  report.course = cluster.course();
  report.simulated = cluster.now().time_since_epoch();
  report.datagrams = cluster.datagrams();
  report.messages = cluster.ledger().size();
  report.deliveries = cluster.ledger().deliveries();
  report.excused = cluster.ledger().excused();
  report.link_ups = cluster.watch().ups();
  report.link_downs = cluster.watch().downs();
  report.restarts_seen = cluster.watch().restarts_seen();
  report.key_changes = run.rekey().changes();
  report.real_ciphers =
      scenario.real_ciphers && (scenario.suite != Suite::kClear || report.key_changes > 0);
  report.bogus = cluster.intruder().bogus();
  report.repeated = cluster.intruder().repeated();
  return report;
}

}  // namespace ringknet::sim
