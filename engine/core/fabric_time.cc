// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The fabric in time: timers, links going up and down, and what follows from it for hosts and MTU.
#include <algorithm>

#include "engine/core/fabric.h"

namespace ringknet {
namespace {

// A partial message whose last fragment came this long ago will not become complete: fragments are
// sent back to back, and nothing is sent twice.
constexpr Duration kPartialAgeMax = std::chrono::seconds(10);

// A deadline that was missed by more means that this process did not run.
constexpr Duration kMissed = std::chrono::milliseconds(10);
// It has read what came meanwhile after this: what fits into sockets' buffers.
constexpr Duration kCaughtUp = std::chrono::milliseconds(200);

}  // namespace

Instant Fabric::next_deadline() const {
  return std::min(deadlines_.next(), held_due_);
}

void Fabric::on_timeout(Instant now) {
  if (now - deadlines_.next() > kMissed)
    held_up_until_ = now + kCaughtUp;
  if (held_due_ <= now)
    release_held();
  while (deadlines_.next() <= now) {
    auto& link = static_cast<Link&>(deadlines_.front());
    const Link::Due due = link.on_timeout(now);
    if (due.silent)
      link_down(now, link, Event::Reason::kSilence);
    if (due.ping) {
      queue_ping(link);
      Host& host = *hosts_.find(link.ref.host);
      host.reassembly.expire(now - kPartialAgeMax, [&](MessagePosition position) {
        host.sequence.done(position);
        drops_.add(Drop::kExpired);
      });
    }
    if (due.overdue)
      prefer_others(link, Event::Reason::kSilence);
    act_on_mtu(now, link, due.mtu);
    reschedule(link);
  }
}

// Timers run between packets, so a missed one may still be ahead.
bool Fabric::held_up(Instant now) const {
  return now < held_up_until_ || now - deadlines_.next() > kMissed;
}

void Fabric::on_path_error(Instant now, const PathError& error) {
  // Rare, and the report names an address, not a link: looking at all of them is fine.
  hosts_.for_each_link([&](Host&, Link& link) {
    if (link.loopback() || link.config.socket != error.socket)
      return;
    if (!link.config.remote.same_endpoint(error.to))
      return;
    switch (error.status) {
      case TransmitResult::Status::kTooBig:
        act_on_mtu(now, link, link.mtu.on_kernel_limit(now, error.mtu, link.mtu.candidate()));
        break;
      case TransmitResult::Status::kRefused:
        suspect(now, link, Event::Reason::kRefused);
        break;
      default:
        suspect(now, link, Event::Reason::kUnreachable);
        break;
    }
    reschedule(link);
  });
}

void Fabric::link_up(Instant now, Link& link) {
  link.up(now);
  emit({.kind = Event::Kind::kLinkUp, .host = link.ref.host, .link = link.ref.link});
  start_mtu(now, link);
  refresh_host(*hosts_.find(link.ref.host));
}

void Fabric::link_down(Instant now, Link& link, Event::Reason reason) {
  const bool was_connected = link.connected();
  link.down(now);
  if (!was_connected)
    return;
  emit({.kind = Event::Kind::kLinkDown,
        .reason = reason,
        .host = link.ref.host,
        .link = link.ref.link});
  refresh_host(*hosts_.find(link.ref.host));
  count_slice(link);
  refresh_data_mtu(false);
}

// The network, or our own kernel, says that this path does not work at present. That may be wrong,
// even forged: the link is asked at once and passed over while others are sound, but only its
// silence takes it down.
void Fabric::suspect(Instant now, Link& link, Event::Reason reason) {
  const bool was_suspect = link.suspect();
  if (link.on_trouble(now, reason == Event::Reason::kRefused) == Link::Verdict::kDown) {
    link_down(now, link, reason);
  } else if (link.suspect() && !was_suspect) {
    prefer_others(link, reason);
  }
  reschedule(link);
}

// The link has become suspect.
void Fabric::prefer_others(const Link& link, Event::Reason reason) {
  Host& host = *hosts_.find(link.ref.host);
  const LinkList before = host.routes;
  refresh_host(host);
  emit({.kind = Event::Kind::kLinkSuspect,
        .reason = reason,
        .host = link.ref.host,
        .link = link.ref.link,
        .rerouted = !std::ranges::equal(before, host.routes)});
}

// The link carries data from now on: at the floor until its MTU is known.
void Fabric::start_mtu(Instant now, Link& link) {
  search_mtu(now, link);
  count_slice(link);
  refresh_data_mtu(true);
}

void Fabric::search_mtu(Instant now, Link& link) {
  if (manual_mtu_ != 0) {
    link.mtu.stop();
    link.slice = std::max<std::uint32_t>(link.mtu.slice(manual_mtu_), kSliceSizeMin);
  } else {
    link.slice = static_cast<std::uint32_t>(floor_slice(envelope_));
    act_on_mtu(now, link, link.mtu.start(now, link.probe_gap()));
  }
  reschedule(link);
}

void Fabric::act_on_mtu(Instant now, Link& link, const MtuSearch::Step& step) {
  (void)now;
  if (step.ping)
    queue_ping(link);
  if (step.probe)
    queue_probe(link);
  if (!step.settled)
    return;
  const std::uint32_t slice = link.mtu.slice(link.mtu.proven());
  if (slice == link.slice)
    return;
  link.slice = slice;
  emit({.kind = Event::Kind::kLinkMtu,
        .reason = step.black_hole ? Event::Reason::kBlackHole : Event::Reason::kNone,
        .host = link.ref.host,
        .link = link.ref.link,
        .mtu = slice});
  count_slice(link);
  refresh_data_mtu(false);
}

// Which links carry the host's data, and whether there are any.
void Fabric::refresh_host(Host& host) {
  host.choose_routes();
  if (host.has_loopback())
    return;  // reachable by definition, and nobody is told
  const bool reachable = !host.routes.empty();
  if (reachable == host.reachable)
    return;
  host.reachable = reachable;
  if (!reachable) {
    // Whoever comes back under this id may be a new process with a sequence of its own.
    give_up_partials(host);
    host.sequence.reset();
    host.newest = {};
  }
  emit({.kind = reachable ? Event::Kind::kHostReachable : Event::Kind::kHostUnreachable,
        .host = host.id});
}

// Wherever a link begins or ends to carry data, or its slice changes.
void Fabric::count_slice(Link& link) {
  const std::uint32_t slice = !link.loopback() && link.usable() ? link.slice : 0;
  slices_.move(link.slice_counted, slice);
  link.slice_counted = slice;
}

// The figure users see: what every link in use carries. Without any, the last one stays.
void Fabric::refresh_data_mtu(bool reset) {
  std::uint32_t least = slices_.least();
  if (least == 0)
    least = reset ? static_cast<std::uint32_t>(floor_slice(envelope_)) : data_mtu_;
  const bool changed = least != data_mtu_;
  data_mtu_ = least;
  if (changed || reset)
    emit({.kind = Event::Kind::kDataMtu, .mtu = data_mtu_});
}

void Fabric::queue_ping(Link& link) {
  control_.want(link, PingKind::kHeartbeat);
  if (keyring_.warming() != 0)
    control_.want(link, PingKind::kWarming);
}

void Fabric::queue_probe(Link& link) {
  if (!link.probe_queued)
    link.probe_queued = control_.probes.push(link.ref);
}

void Fabric::emit(const Event& event) {
  if (events_.room() == 0)
    events_.grow(2 * events_.capacity());  // the owner drains it every turn
  events_.push(event);
}

bool Fabric::poll_event(Event& out) {
  if (events_.empty())
    return false;
  out = events_.front();
  events_.pop();
  return true;
}

}  // namespace ringknet
