// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The virtual cluster: its events, and the life of a process. How datagrams travel is in
// cluster_traffic.cc.
#include "tests/sim/cluster.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "engine/compress/codecs/codecs.h"
#include "tests/sim/fabric_inspector.h"
#include "tests/sim/failure.h"

namespace ringknet::sim {
namespace {

using std::chrono::microseconds;

// Events of one instant: a pause ends with thousands of them.
constexpr std::uint64_t kAtOnceMax = 2'000'000;
// What a socket's receive buffer holds while its process does not run.
constexpr std::size_t kInboxMax = 2000;

template <typename T>
std::uint32_t keep(std::vector<T>& slots, T value) {
  slots.push_back(std::move(value));
  return static_cast<std::uint32_t>(slots.size() - 1);
}

}  // namespace

Cluster::Cluster(const Scenario& scenario, std::FILE* trace)
    : scenario_(scenario),
      trace_(trace),
      network_(scenario),
      ledger_(scenario),
      watch_(scenario, network_),
      intruder_(scenario),
      random_(random_for(scenario.seed, Stream::kNode)),
      nodes_(scenario.nodes) {
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    nodes_[node].clock = scenario.clock[node];
    nodes_[node].compress_above = scenario.compress_above[node];
    if (scenario.suite != Suite::kClear) {
      nodes_[node].keys[1] = Key{scenario.suite, 0};
      nodes_[node].key_in_use = 1;
      nodes_[node].clear_allowed = false;
    }
    start(node, false);
  }
}

Cluster::~Cluster() = default;

std::string Cluster::time() const {
  const auto total = std::chrono::duration_cast<microseconds>(now_.time_since_epoch()).count();
  std::string fraction = std::to_string(total % 1'000'000);
  return std::to_string(total / 1'000'000) + "." + std::string(6 - fraction.size(), '0') +
         fraction + " s";
}

// A machine's clock: it began somewhere, and runs a little fast or slow.
Instant Cluster::local(const Node& node, Instant at) const {
  const std::int64_t drift = scenario_.drift[static_cast<std::size_t>(&node - nodes_.data())];
  const Duration gone = at.time_since_epoch();
  return at + node.clock + gone * drift / 1'000'000'000;
}

// When that clock will show `local_time` or more.
Instant Cluster::global(const Node& node, Instant local_time) const {
  const std::int64_t drift = scenario_.drift[static_cast<std::size_t>(&node - nodes_.data())];
  const Duration gone = local_time.time_since_epoch() - node.clock;
  Instant at(gone - gone * drift / (1'000'000'000 + drift));
  while (local(node, at) < local_time)
    at += Duration(1);
  while (local(node, at - Duration(1)) >= local_time)
    at -= Duration(1);
  return at;
}

void Cluster::trace(std::size_t node, const char* what, const std::string& detail) {
  std::fprintf(trace_, "%16s  node %zu  %-10s %s\n", time().c_str(), node, what, detail.c_str());
}

// --- events
// ---------------------------------------------------------------------------------------

void Cluster::push(Queued event) {
  event.order = order_++;
  queue_.push(event);
}

void Cluster::at(Instant when, std::function<void()> action) {
  push({.at = std::max(when, now_), .index = keep(actions_, std::move(action))});
}

void Cluster::run_until(Instant end) {
  while (!queue_.empty() && queue_.top().at <= end) {
    Queued event = queue_.top();
    queue_.pop();
    assert(event.at >= now_);
    at_once_ = event.at == now_ ? at_once_ + 1 : 0;
    if (at_once_ > kAtOnceMax)
      fail("virtual time stands still");
    now_ = event.at;
    if (event.kind == Queued::Kind::kAction) {
      const std::function<void()> action = std::move(actions_[event.index]);
      action();
    } else if (!hold(event) && !defer(event)) {
      handle(event);
    }
  }
  now_ = end;
}

// What happens to a process that is held up waits for it. Timers wait until everything else that
// came meanwhile was handled: a process drains its sockets before it judges anybody.
bool Cluster::defer(const Queued& event) {
  Node& node = nodes_[event.node];
  if (event.deferred && event.incarnation != node.incarnation)
    return false;  // what waited for a process that is gone is not held for the next one
  if (event.deferred && node.deferred > 0)
    --node.deferred;
  const bool timer = event.kind == Queued::Kind::kWake;
  const bool draining = node.deferred > 0 && node.paused_until == now_;
  if (!paused(node) && !(timer && draining))
    return false;
  if (timer && event.at != node.wake)
    return true;  // another wake took its place
  Queued later = event;
  later.at = std::max(now_, node.paused_until);
  if (timer) {
    node.wake = later.at;
  } else {
    if (event.kind == Queued::Kind::kArrival && node.deferred >= kInboxMax) {
      Datagram& datagram = network_.datagram(event.index);
      network_.path(datagram.from, datagram.to, datagram.link).trouble = now_;
      network_.give_back(event.index);
      return true;
    }
    if (!event.deferred)
      later.incarnation = node.incarnation;  // a socket's buffer goes with its process
    later.deferred = true;
    ++node.deferred;
  }
  push(later);
  return true;
}

void Cluster::handle(Queued& event) {
  Node& node = nodes_[event.node];
  switch (event.kind) {
    case Queued::Kind::kArrival:
      if (event.deferred && event.incarnation != node.incarnation) {
        network_.give_back(event.index);
      } else {
        handle_arrival(event);
      }
      break;
    case Queued::Kind::kServe:
      if (node.fabric && node.incarnation == event.incarnation)
        serve(event.node);
      break;
    case Queued::Kind::kRead:
      if (node.fabric && node.incarnation == event.incarnation)
        read(event.node);
      break;
    case Queued::Kind::kWake:
      handle_wake(event);
      break;
    case Queued::Kind::kDone: {
      const Completion completion = completions_[event.index];
      completions_free_.push_back(event.index);
      if (node.fabric && node.incarnation == event.incarnation) {
        complete(event.node, completion);
        turn(event.node);
      }
      break;
    }
    case Queued::Kind::kReport:
      if (node.fabric && node.incarnation == event.incarnation) {
        node.fabric->on_path_error(local(node), reports_[event.index]);
        turn(event.node);
      }
      break;
    case Queued::Kind::kAction:
      break;
  }
}

void Cluster::handle_wake(const Queued& event) {
  Node& node = nodes_[event.node];
  if (!node.fabric || node.incarnation != event.incarnation || node.wake != event.at)
    return;
  node.wake = kNever;
  node.fabric->on_timeout(local(node));
  if (node.fabric->next_deadline() <= local(node))
    fail(label("node", event.node) + ": after on_timeout the next deadline is not in the future");
  turn(event.node);
}

// Drains the fabric, as the ring does at the end of each of its turns.
void Cluster::turn(std::size_t index) {
  Node& node = nodes_[index];
  constexpr std::size_t kControlSlots = 2;
  constexpr std::size_t kSendsMax = 1'000'000;
  Transmit out;
  bool data_left = false;
  for (std::size_t sends = 0;; ++sends) {
    if (node.sends >= scenario_.send_slots)
      break;
    const bool control_only = node.sends + kControlSlots >= scenario_.send_slots;
    const FabricInspector inspector(*node.fabric);
    const std::size_t waiting = inspector.control_waiting();
    if (!node.fabric->poll_transmit(local(node), out, control_only))
      break;
    // What waits may be unwanted by now, and data may want a mark behind it: hence two.
    if (out.kind == Transmit::Kind::kData && waiting >= 2 &&
        inspector.control_waiting() >= waiting && inspector.free_slabs() > 0) {
      fail(label("node", index) + " sends data while PINGs wait");
    }
    if (sends > kSendsMax)
      fail(label("node", index) + " never stops sending");
    data_left = data_left || out.kind == Transmit::Kind::kData;
    transmit(index, out);
  }
  poll_events(index);
  check_bounds(index);
  check_leaks(index);
  check_stall(index, data_left);
  schedule_wake(index);
}

void Cluster::poll_events(std::size_t index) {
  Node& node = nodes_[index];
  Event event{};
  bool any = false;
  while (node.fabric->poll_event(event)) {
    any = true;
    course_.add(static_cast<std::uint64_t>(event.kind) << 32 | event.mtu);
    if (trace_ != nullptr) {
      static constexpr const char* kNames[] = {"reachable", "unreachable", "data mtu", "link up",
                                               "link down", "link mtu",    "learned",  "suspect",
                                               "restarted", "runs vanish", "runs pass"};
      trace(index, kNames[static_cast<std::size_t>(event.kind)],
            "host=" + std::to_string(raw(event.host)) + " link=" + std::to_string(raw(event.link)) +
                " mtu=" + std::to_string(event.mtu) +
                " reason=" + std::to_string(static_cast<int>(event.reason)));
    }
    if (event.kind == Event::Kind::kPeerRestarted || event.kind == Event::Kind::kHostUnreachable)
      ledger_.forgotten(index, node_of(event.host));
    watch_.on_event(now_, index, event);
    if (event.kind == Event::Kind::kLinkMtu)
      check_black_hole(index, event);
  }
  if (any)
    watch_.check_hosts(*node.fabric, index);
}

void Cluster::check_black_hole(std::size_t index, const Event& event) {
  const std::size_t peer = node_of(event.host);
  const std::size_t link = raw(event.link);
  std::uint32_t& slice = nodes_[index].slice[peer][link];
  if (event.reason == Event::Reason::kBlackHole && slice <= exact_slice(index, peer, link))
    watch_.given_up_in_vain(now_, index, peer, link);
  slice = event.mtu;
}

void Cluster::schedule_wake(std::size_t index) {
  Node& node = nodes_[index];
  const Instant deadline = node.fabric->next_deadline();
  Instant wake = deadline == kNever ? kNever : std::max(now_, global(node, deadline));
  // A wake that is set and no later than needed does.
  if (wake == kNever) {
    node.wake = kNever;
    return;
  }
  if (scenario_.features.late_wakes && !healed_) {
    if (node.wake != kNever && node.wake >= wake && node.wake - wake <= microseconds(2000))
      return;
    wake += microseconds(random_.below(2000));
  }
  if (wake == node.wake)
    return;
  node.wake = wake;
  push({.at = wake,
        .incarnation = node.incarnation,
        .node = static_cast<std::uint8_t>(index),
        .kind = Queued::Kind::kWake});
}

// --- the life of a process
// ------------------------------------------------------------------------

void Cluster::start(std::size_t index, bool reboot, bool fast) {
  Node& node = nodes_[index];
  assert(!node.fabric);
  // The clock of a machine that booted begins near zero. See scenario.h for small steps back.
  constexpr Duration kBooted = std::chrono::seconds(5);
  if (reboot && node.stopped_at.time_since_epoch() > kBooted + std::chrono::seconds(12))
    node.clock += Instant(kBooted) - local(node);
  ++node.incarnation;
  const Random keys = random_for(scenario_.seed, Stream::kKeys);
  node.randomness =
      std::make_unique<SeededSource>(Random(keys).next() + 256 * node.incarnation + index);
  Fabric::Config config;
  config.self = host_of(index);
  config.random = node.randomness.get();
  for (const CompressId id : {CompressId::kLz4, CompressId::kLz4hc})
    config.decompressors[static_cast<std::size_t>(id)] = find_codec(id)->decompressor();
  node.fabric = std::make_unique<Fabric>(std::move(config));
  node.seal_log = {};
  node.accounts = {};
  node.unread = 0;
  node.reading = false;
  node.sends = 0;
  node.wake = kNever;
  node.manual_mtu = 0;
  node.stalled_since = kNever;
  if (node.incarnation == 1)
    FabricInspector(*node.fabric).set_last_seq(MessageSeq{scenario_.first_seq[index]});
  watch_.began(now_, index);
  watch_.set_present(now_, index, true);
  ledger_.began(index, node.incarnation, fast ? 0xff : late_to_notice());
  if (trace_ != nullptr)
    trace(index, "start", label("incarnation", node.incarnation));
  configure_node(index);
  turn(index);
}

void Cluster::configure_node(std::size_t index) {
  Node& node = nodes_[index];
  Fabric& fabric = *node.fabric;
  fabric.set_mtu_interval(local(node), scenario_.mtu_interval);
  fabric.set_access_lists(scenario_.features.access_lists);
  configure_keys(index);
  apply_compression(fabric, node.compress_above);
  for (std::size_t peer = 0; peer < nodes_.size(); ++peer) {
    if (peer == index && !scenario_.loopback[index])
      continue;
    if (!fabric.host_add(host_of(peer)))
      fail("host_add refused a new host");
    if (peer == index) {
      LinkConfig loopback{.transport = Transport::kLoopback, .local = network_.address(index, 0)};
      if (!fabric.link_configure(local(node), host_of(peer), LinkId(0), loopback) ||
          !fabric.link_set_enabled(local(node), host_of(peer), LinkId(0), true)) {
        fail("a loopback link to the own host was refused");
      }
      continue;
    }
    for (std::size_t l = 0; l < scenario_.links; ++l)
      configure_link(index, peer, l);
    const Policy policy = scenario_.policy[index][peer];
    if (!fabric.host_set_policy(local(node), host_of(peer), policy))
      fail("host_set_policy refused a legal policy");
  }
}

void Cluster::configure_link(std::size_t index, std::size_t peer, std::size_t link) {
  Node& node = nodes_[index];
  Fabric& fabric = *node.fabric;
  const LinkPlan& plan = scenario_.link[link];
  const HostId host = host_of(peer);
  const LinkId id = LinkId(link);
  LinkConfig config;
  config.socket = SocketId(static_cast<std::uint16_t>(link));
  config.local = network_.address(index, link);
  config.dynamic = plan.dynamic_node == static_cast<int>(index);
  if (!config.dynamic)
    config.remote = network_.address(peer, link);
  config.receive_buffer = scenario_.receive_buffer;
  const auto priority = static_cast<std::uint8_t>(random_.below(3));
  if (!fabric.link_configure(local(node), host, id, config) ||
      !fabric.link_set_timers(local(node), host, id, plan.timers) ||
      !fabric.link_set_pong_count(host, id, plan.pong_count) ||
      !fabric.link_set_priority(local(node), host, id, priority) ||
      !fabric.link_set_enabled(local(node), host, id, true)) {
    fail("a legal link configuration was refused");
  }
  if (config.dynamic)
    admit_all(index, peer, link);
}

void Cluster::stop(std::size_t index) {
  Node& node = nodes_[index];
  check_drops(index);
  node.accounts.check(*node.fabric, index, nodes_.size(), scenario_.links);
  node.fabric.reset();
  for (const std::uint32_t slot : node.inbox)
    network_.give_back(slot);
  node.inbox.clear();
  node.inbox_bytes = {};
  node.serving = false;
  node.stopped_at = local(node);
  node.paused_until = Instant{};
  node.deferred = 0;
  watch_.set_present(now_, index, false);
  if (trace_ != nullptr)
    trace(index, "stop", "");
}

// Who takes the first PINGs of a process for ones that were overtaken: see scenario.h.
std::uint8_t Cluster::late_to_notice() const {
  std::uint8_t nodes = 0;
  for (std::size_t n = 0; n < nodes_.size() && scenario_.features.rekey; ++n)
    nodes |= static_cast<std::uint8_t>((paused(nodes_[n]) ? 1u : 0u) << n);
  return nodes;
}

void Cluster::pause(std::size_t index, Instant until) {
  nodes_[index].paused_until = until;
  nodes_[index].stalled_since = kNever;
  watch_.set_present(now_, index, false);
  if (trace_ != nullptr)
    trace(index, "pause", "");
  at(until, [this, index, until] {
    if (!nodes_[index].fabric || nodes_[index].paused_until != until)
      return;
    watch_.set_present(now_, index, true);
    if (trace_ != nullptr)
      trace(index, "resume", "");
  });
}

void Cluster::configure(std::size_t index, const std::function<void(Fabric&, Instant)>& call) {
  call(*nodes_[index].fabric, local(nodes_[index]));
  watch_.disturbed(now_, index);
  turn(index);
}

// --- oracles
// --------------------------------------------------------------------------------------

void Cluster::check_bounds(std::size_t index) {
  Node& node = nodes_[index];
  const FabricInspector inspector(*node.fabric);
  const std::size_t peers = nodes_.size();
  const std::size_t links = peers * scenario_.links + 1;
  if (inspector.sends_in_flight() != node.sends) {
    fail(label("node", index) + " counts " + std::to_string(inspector.sends_in_flight()) +
         " sends in flight, there are " + std::to_string(node.sends));
  }
  if (inspector.message_buffers_in_use() > peers * Reassembly::kSlots)
    fail(label("node", index) + " holds more message buffers than partial messages can be");
  // Four kinds of PINGs, a probe, and the answers that a link keeps.
  constexpr std::size_t kPerLink = 5 + LinkControl::kPongsMax + LinkControl::kMtuAnswersMax;
  if (inspector.control_waiting() > kPerLink * links)
    fail(label("node", index) + ": control packets pile up");
  if (inspector.events_waiting() != 0)
    fail(label("node", index) + " has events after the last one was taken");
}

// What is refused, dropped or lost holds nothing: looked at after every turn.
void Cluster::check_leaks(std::size_t index) {
  Node& node = nodes_[index];
  const FabricInspector inspector(*node.fabric);
  if (inspector.sends_in_flight() == 0 && !node.fabric->data_pending() &&
      inspector.free_slabs() + 2 < Fabric::Config{}.transmit_slabs) {
    fail(label("node", index) + " holds slabs, and sends nothing");
  }
  const std::span<const HostId> hosts = node.fabric->hosts();
  const bool partial = std::ranges::any_of(
      hosts, [&](const HostId id) { return !inspector.host(id)->reassembly.empty(); });
  if (!partial && inspector.message_buffers_in_use() != 0)
    fail(label("node", index) + " holds message buffers, and no message is in pieces");
}

// Data for one host waits behind a closed window of another one, as all data leaves in one order;
// but no longer than that window's patience, and as long again where another window is closed, too.
void Cluster::check_stall(std::size_t index, bool data_left) {
  Node& node = nodes_[index];
  constexpr std::size_t kControlSlots = 2;
  const bool waits = FabricInspector(*node.fabric).runs_waiting() && !data_left &&
                     node.sends + kControlSlots < scenario_.send_slots;
  if (!waits) {
    node.stalled_since = kNever;
  } else if (node.stalled_since == kNever) {
    node.stalled_since = now_;
  } else if (now_ - node.stalled_since > stall_max()) {
    fail(label("node", index) + " has had data to send for " +
         std::to_string((now_ - node.stalled_since) / std::chrono::milliseconds(1)) +
         " ms, and sent none");
  }
}

// Where round trips are measured while something is held up, a path seems to be as long as is
// believed at most.
Duration Cluster::stall_max() const {
  const Features& on = scenario_.features;
  const bool spoilt = on.pauses || on.clogs || on.bandwidth || scenario_.loaded();
  const Duration patience =
      spoilt ? SendWindow::kPatienceMax
             : std::clamp<Duration>(8 * scenario_.delay_max(), SendWindow::kPatience,
                                    SendWindow::kPatienceMax);
  return 2 * patience + std::chrono::milliseconds(10);
}

// Reasons that only forged or broken packets give: nobody forges here.
void Cluster::check_drops(std::size_t index) {
  static constexpr Drop kImpossible[] = {
      Drop::kTooShort,      Drop::kTooLong,        Drop::kVersion,
      Drop::kType,          Drop::kLinkId,         Drop::kChannel,
      Drop::kSequenceZero,  Drop::kCompressId,     Drop::kCompressUnsupported,
      Drop::kFragmentCount, Drop::kFragmentIndex,  Drop::kEmpty,
      Drop::kUnknownHost,   Drop::kUnknownLink,    Drop::kSourceAddress,
      Drop::kSliceSize,     Drop::kFragmentOffset, Drop::kFragmentChanged,
      Drop::kNoBuffers};
  const DropCounters& drops = nodes_[index].fabric->drops();
  for (const Drop reason : kImpossible) {
    if (drops[reason] != nodes_[index].accounts.bogus_as(reason) && !excused(reason)) {
      fail(label("node", index) + " dropped a packet as \"" + std::string(name(reason)) +
           "\", which no honest packet deserves");
    }
  }
  // Of the PINGs that waited for the end of a pause, that a path held back, or whose answers wait
  // for readers, the newest are answered; and of the marks of a flood, which come in two envelopes
  // while keys change.
  const Features& on = scenario_.features;
  const bool many = on.pauses || on.clogs || on.slow_readers || (on.floods && on.rekey);
  if (drops[Drop::kControlQueueFull] != 0 && !many)
    fail(label("node", index) + " had no room for a control packet");
}

// Until a process is told from its predecessor, its fragments may be taken for the other one's.
// A dynamic link believes no address but its peer's, and that may have changed.
bool Cluster::excused(Drop reason) const {
  const Features& on = scenario_.features;
  if (scenario_.takes_away() && (reason == Drop::kUnknownLink || reason == Drop::kUnknownHost))
    return true;
  if (on.dynamic_links && reason == Drop::kSourceAddress)
    return true;
  return on.restarts && on.fast_restarts &&
         (reason == Drop::kFragmentChanged || reason == Drop::kSliceSize ||
          reason == Drop::kFragmentOffset);
}

void Cluster::check_everything() {
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    if (!present(node))
      continue;
    check_drops(node);
    nodes_[node].accounts.check(fabric(node), node, nodes_.size(), scenario_.links);
    watch_.check_hosts(fabric(node), node);
    watch_.check_detection(now_, fabric(node), node);
    watch_.check_pings(now_, fabric(node), node);
  }
}

bool Cluster::idle() const {
  return std::ranges::none_of(nodes_, [](const Node& node) {
    return node.fabric && (node.fabric->data_pending() || !node.inbox.empty() || node.unread > 0);
  });
}

}  // namespace ringknet::sim
