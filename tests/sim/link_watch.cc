// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The oracle for links and hosts.
#include "tests/sim/link_watch.h"

#include <algorithm>
#include <string>

#include "engine/core/send_window.h"
#include "tests/sim/fabric_inspector.h"
#include "tests/sim/failure.h"

namespace ringknet::sim {
namespace {

using std::chrono::milliseconds;

// Timers fire late by up to 4 ms (Features::late_wakes), and what a PING is late prolongs the wait
// for its answer: six of them fit into a timeout.
constexpr Duration kLateness = milliseconds(30);
// PINGs in a second: the shortest interval makes 50, each PING of the peer that proves nothing is
// answered by another, and while keys change every one leaves in two envelopes.
constexpr unsigned kPingsMax = 250;
// A mark, in two envelopes at most, follows a quarter of the send window at the soonest.
constexpr std::size_t kMarkedMin = SendWindow::kSizeMin / 4;
// Sizes that a search tries, tries per size, and the gaps they take.
constexpr int kSearchSteps = 17;
constexpr int kGapsPerStep = 6;

std::string link_name(std::size_t node, std::size_t peer, std::size_t link) {
  return label("link", link) + " from " + label("node", node) + " to " + label("node", peer);
}

}  // namespace

LinkWatch::LinkWatch(const Scenario& scenario, Network& network)
    : scenario_(scenario), network_(network) {}

void LinkWatch::began(Instant now, std::size_t node) {
  disturbed(now, node);
  state_[node] = {};
  heard_[node] = {};
  for (auto& links : settings_[node]) {
    for (std::size_t l = 0; l < scenario_.links; ++l)
      links[l] = planned(l);
  }
}

void LinkWatch::cleared(std::size_t node, std::size_t peer, std::size_t link) {
  state_[node][peer][link] = {};
  settings_[node][peer][link] = planned(link);
}

void LinkWatch::set_present(Instant now, std::size_t node, bool present) {
  disturbed(now, node);
  presence_[node] = {present, now};
}

void LinkWatch::arrived(Instant now, std::size_t node, const Datagram& datagram) {
  State& state = state_[node][datagram.from][datagram.link];
  Heard& heard = heard_[node][datagram.from];
  heard.last = datagram.incarnation;
  if (datagram.type == PacketType::kPong)
    ++state.pongs;
  if (datagram.type == PacketType::kData)
    state.last_data = now;
}

void LinkWatch::accepted(std::size_t node, const Datagram& datagram) {
  if (datagram.type == PacketType::kData)
    heard_[node][datagram.from].data = datagram.incarnation;
}

void LinkWatch::on_event(Instant now, std::size_t node, const Event& event) {
  switch (event.kind) {
    case Event::Kind::kLinkUp:
      on_up(now, node, node_of(event.host), raw(event.link));
      break;
    case Event::Kind::kLinkDown:
      on_down(now, node, node_of(event.host), event);
      break;
    case Event::Kind::kPeerRestarted:
      on_restarted(node, node_of(event.host));
      break;
    case Event::Kind::kLinkMtu:
      state_[node][node_of(event.host)][raw(event.link)].size_changed = now;
      break;
    case Event::Kind::kLinkLearned:
      state_[node][node_of(event.host)][raw(event.link)].learned = now;
      break;
    default:
      break;
  }
}

void LinkWatch::on_up(Instant now, std::size_t node, std::size_t peer, std::size_t link) {
  State& state = state_[node][peer][link];
  const std::uint32_t needed = settings_[node][peer][link].pong_count + 1u;
  const bool by_data = state.last_data == now && state.pongs >= 1;
  if (state.pongs < needed && !by_data) {
    fail(link_name(node, peer, link) + " came up after " + std::to_string(state.pongs) +
         " PONGs, but needs " + std::to_string(needed));
  }
  state.up = now;
  state.size_changed = now;
  ++ups_;
}

void LinkWatch::on_down(Instant now, std::size_t node, std::size_t peer, const Event& event) {
  const std::size_t link = raw(event.link);
  const PingTimers& timers = settings_[node][peer][link].timers;
  // A PING that was lost before that was followed by another one, which had its answer.
  const Instant since = now - (timers.timeout + timers.interval);
  const Instant last_trouble =
      std::max({network_.path(node, peer, link).trouble, network_.path(peer, node, link).trouble,
                disturbed_[node], disturbed_[peer]});
  const bool away = !presence_[peer].present;
  if (last_trouble < since && !away)
    fail(link_name(node, peer, link) + " went down, although nothing was lost on it for long");
  // Reports wait for a node that does not run.
  const bool of_old = std::max(disturbed_[node], disturbed_[peer]) >= since;
  if (event.reason == Event::Reason::kRefused && !away && !of_old)
    fail(link_name(node, peer, link) + " went down as refused by a process that is there");
  state_[node][peer][link].pongs = 0;
  ++downs_;
}

void LinkWatch::on_restarted(std::size_t node, std::size_t peer) {
  Heard& heard = heard_[node][peer];
  // Its first messages may have come in an envelope that names no boot: see scenario.h.
  const bool unproven = scenario_.features.rekey && heard.last > 1 && heard.noticed != heard.last;
  if (heard.data == heard.last && !unproven) {
    fail(label("node", node) + " took " + label("node", peer) + " for restarted, but " +
         label("incarnation", heard.last) + " is the one it had data from");
  }
  heard.data = 0;
  heard.noticed = heard.last;
  ++restarts_seen_;
}

// Probes may be lost like anything else; but only several of them say something.
void LinkWatch::given_up_in_vain(Instant now, std::size_t node, std::size_t peer,
                                 std::size_t link) {
  const Path& out = network_.path(node, peer, link);
  const Path& in = network_.path(peer, node, link);
  const Instant since = now - black_hole_max();
  const auto recent = [&](Instant at) { return at >= since && at != Instant{}; };
  const auto losses = std::ranges::count_if(out.lost_probes, recent) +
                      std::ranges::count_if(in.lost_probes, recent);
  const Features& on = scenario_.features;
  // Answers may come late, too.
  const bool slow = on.pauses || on.clogs || on.bandwidth || scenario_.loaded();
  if (slow || losses >= static_cast<int>(Path::kProbesMax) ||
      std::max({out.changed, disturbed_[node], disturbed_[peer]}) >= since)
    return;
  fail(link_name(node, peer, link) + " gave the size in use up, but its path carries it and lost " +
       std::to_string(losses) + " packets in a long time");
}

void LinkWatch::pinged(Instant now, std::size_t node, std::size_t peer, std::size_t link) {
  State& state = state_[node][peer][link];
  state.last_ping = now;
  begin_second(state, now);
  ++state.pings;
  const std::size_t marks = 2 * (state.data + state.data_before) / kMarkedMin;
  if (state.pings > kPingsMax + marks) {
    fail(link_name(node, peer, link) + " is asked " + std::to_string(state.pings) +
         " times in a second, of which " + std::to_string(marks) + " may be marks behind data");
  }
}

void LinkWatch::sent(Instant now, std::size_t node, std::size_t peer, std::size_t link,
                     std::size_t bytes, std::size_t packets) {
  State& state = state_[node][peer][link];
  begin_second(state, now);
  state.data += bytes + packets * SendWindow::kPacketOverhead;
}

void LinkWatch::begin_second(State& state, Instant now) {
  const std::int64_t second = now.time_since_epoch() / std::chrono::seconds(1);
  if (second == state.second)
    return;
  state.data_before = second == state.second + 1 ? state.data : 0;
  state.data = 0;
  state.pings = 0;
  state.second = second;
}

void LinkWatch::check_pings(Instant now, Fabric& fabric, std::size_t node) const {
  const FabricInspector inspector(fabric);
  for (std::size_t peer = 0; peer < scenario_.nodes; ++peer) {
    for (std::size_t l = 0; l < scenario_.links && peer != node; ++l) {
      const Link* found = inspector.link(host_of(peer), LinkId(l));
      if (found == nullptr || !found->enabled() || !found->addressable())
        continue;
      const Link& link = *found;
      const State& state = state_[node][peer][l];
      const Instant since = std::max({state.last_ping, state.learned, disturbed_[node]});
      if (now - since > link.timers.interval + ping_late_max()) {
        fail(link_name(node, peer, l) + " has not been asked for " +
             std::to_string((now - since) / milliseconds(1)) + " ms");
      }
    }
  }
}

// PINGs wait for a send slot at most: what else there is to send makes no difference. When a
// process goes on after a pause, or a path lets go of what it held back, answers are as urgent.
Duration LinkWatch::ping_late_max() const {
  const Features& on = scenario_.features;
  return on.slow_completion && (on.pauses || on.clogs) ? milliseconds(100) : milliseconds(5);
}

void LinkWatch::check_hosts(const Fabric& fabric, std::size_t node) const {
  std::uint32_t least = UINT32_MAX;
  for (std::size_t peer = 0; peer < scenario_.nodes; ++peer) {
    if (peer == node || !fabric.host_exists(host_of(peer)))
      continue;
    bool usable = false;
    for (std::size_t l = 0; l < scenario_.links; ++l) {
      const auto status = fabric.link_status(host_of(peer), LinkId(l));
      if (!status || !status->enabled || !status->connected)
        continue;
      usable = true;
      least = std::min(least, status->mtu);
    }
    if (*fabric.host_reachable(host_of(peer)) != usable) {
      fail(label("node", node) + " calls " + label("node", peer) +
           (usable ? " unreachable with a usable link" : " reachable without a usable link"));
    }
  }
  if (least != UINT32_MAX && fabric.data_mtu() != least) {
    fail(label("node", node) + " says that every link carries " +
         std::to_string(fabric.data_mtu()) + " bytes, but the least one carries " +
         std::to_string(least));
  }
}

void LinkWatch::check_detection(Instant now, const Fabric& fabric, std::size_t node) const {
  for (std::size_t peer = 0; peer < scenario_.nodes; ++peer) {
    for (std::size_t l = 0; l < scenario_.links && peer != node; ++l) {
      const Path& out = network_.path(node, peer, l);
      const Path& in = network_.path(peer, node, l);
      Instant silent_since = kNever;
      if (out.cut)
        silent_since = out.cut_since;
      if (in.cut)
        silent_since = std::min(silent_since, in.cut_since);
      if (!presence_[peer].present)
        silent_since = std::min(silent_since, presence_[peer].since);
      if (silent_since == kNever || out.clogged || in.clogged)
        continue;
      silent_since = std::max({silent_since, out.released, in.released});
      const PingTimers& timers = settings_[node][peer][l].timers;
      const Duration late = scenario_.features.late_wakes ? kLateness : milliseconds(5);
      const Duration bound = timers.timeout + timers.interval + 2 * scenario_.delay_max() + late;
      // A peer that was held up answers what waited for it.
      if (now - std::max({silent_since, disturbed_[node], disturbed_[peer]}) <= bound)
        continue;
      const auto status = fabric.link_status(host_of(peer), LinkId(l));
      if (status && status->enabled && status->connected)
        fail(link_name(node, peer, l) + " is still up, but nothing came through for too long");
    }
  }
}

void LinkWatch::oversized(Instant now, std::size_t from, std::size_t to, std::size_t link,
                          std::uint32_t packet_size) const {
  const Path& out = network_.path(from, to, link);
  const Instant up = state_[from][to][link].up;
  const Instant last_change =
      std::max({out.changed, out.trouble, network_.path(to, from, link).trouble, disturbed_[from],
                disturbed_[to], up == kNever ? Instant{} : up});
  if (now - last_change <= black_hole_max())
    return;
  fail(link_name(from, to, link) + " still carries data in packets of " +
       std::to_string(packet_size) + " bytes, but its path has carried no more than " +
       std::to_string(std::min(out.plan.device_mtu, out.plan.hole_mtu)) + " for too long");
}

// The gap between two tries is twice the round trip that was measured, which is spoilt by pauses.
Duration LinkWatch::probe_gap() const {
  const Features& on = scenario_.features;
  const Duration slowest = on.pauses || on.clogs
                               ? scenario_.timeout_max()
                               : 2 * scenario_.delay_max() + milliseconds(on.slow_readers ? 30 : 0);
  return std::max<Duration>(milliseconds(40), 2 * slowest) + milliseconds(5);
}

Duration LinkWatch::search_max() const {
  return kSearchSteps * kGapsPerStep * probe_gap();
}

// Five tries of the size in use, and more while nothing at all comes back.
Duration LinkWatch::confirm_max() const {
  return 10 * probe_gap();
}

// A hole that opens during a search for more is looked at when that search is over.
Duration LinkWatch::black_hole_max() const {
  return search_max() + milliseconds(250) + confirm_max() + scenario_.timeout_max();
}

}  // namespace ringknet::sim
