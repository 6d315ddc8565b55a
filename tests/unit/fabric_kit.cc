// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The virtual cluster.
#include "tests/unit/fabric_kit.h"

#include <sstream>

namespace ringknet::test {

Address address_of(unsigned host, unsigned link, Address::Family family) {
  Address address;
  address.family = family;
  address.port = 5405;
  if (family == Address::Family::kIpv4) {
    address.ip = {10, static_cast<std::uint8_t>(link), 0, static_cast<std::uint8_t>(host)};
  } else {
    address.ip[0] = 0xfd;
    address.ip[13] = static_cast<std::uint8_t>(link);
    address.ip[15] = static_cast<std::uint8_t>(host);
  }
  return address;
}

std::size_t Node::count(Event::Kind kind) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      events, [&](const Happened& happened) { return happened.event.kind == kind; }));
}

std::string Node::story() const {
  static constexpr std::array<const char*, 9> kNames = {
      "host-reachable", "host-unreachable", "data-mtu", "link-up",       "link-down",
      "link-mtu",       "link-learned",     "suspect",  "peer-restarted"};
  std::string text;
  for (const Happened& happened : events) {
    if (!text.empty())
      text += ' ';
    text += kNames[static_cast<std::size_t>(happened.event.kind)];
  }
  return text;
}

const Happened* Node::last(Event::Kind kind) const {
  for (auto it = events.rbegin(); it != events.rend(); ++it) {
    if (it->event.kind == kind)
      return &*it;
  }
  return nullptr;
}

Cluster::Cluster(const Settings& settings) : settings_(settings) {
  nodes_.resize(settings.nodes);
  for (unsigned id = 1; id <= settings.nodes; ++id)
    make_node(id);
}

void Cluster::make_node(unsigned id) {
  Fabric::Config config{.self = host_id(id),
                        .random = settings_.random,
                        .transmit_slabs = settings_.transmit_slabs,
                        .message_buffers = settings_.message_buffers};
  if (settings_.prepare)
    settings_.prepare(config);
  nodes_[id - 1] = std::make_unique<Node>(std::move(config));
  Fabric& made = fabric(id);
  if (settings_.equip)
    settings_.equip(id, made);
  for (unsigned other = 1; other <= settings_.nodes; ++other) {
    if (other == id)
      continue;
    const HostId host = host_id(other);
    [[maybe_unused]] bool ok = made.host_add(host).ok();
    ok = ok && made.host_set_policy(now, host, settings_.policy).ok();
    for (unsigned i = 0; i < settings_.links; ++i) {
      const LinkId link = link_id(i);
      const LinkConfig config{
          .socket = SocketId(i), .local = address(id, i), .remote = address(other, i)};
      ok = ok && made.link_configure(now, host, link, config).ok() &&
           made.link_set_timers(now, host, link, settings_.timers).ok() &&
           made.link_set_pong_count(host, link, settings_.pong_count).ok() &&
           made.link_set_enabled(now, host, link, settings_.enabled).ok();
    }
    assert(ok);
  }
}

void Cluster::both_ways(unsigned a, unsigned b, unsigned link,
                        const std::function<void(Path&)>& change) {
  change(path(a, b, link));
  change(path(b, a, link));
}

void Cluster::cut(unsigned a, unsigned b, unsigned link, bool is_cut) {
  both_ways(a, b, link, [&](Path& path) { path.cut = is_cut; });
}

void Cluster::restart(unsigned id) {
  make_node(id);
}

void Cluster::freeze(unsigned id, bool frozen) {
  Node& target = node(id);
  target.frozen = frozen;
  if (frozen)
    return;
  // Sockets are read before any link is judged.
  std::vector<Packet> waiting;
  waiting.swap(target.inbox);
  for (const Packet& packet : waiting)
    arrive(packet);
}

void Cluster::finish_held(unsigned id, const TransmitResult& result) {
  Node& target = node(id);
  std::vector<TransmitId> ended;
  ended.swap(target.held);
  for (const TransmitId transmit : ended)
    target.fabric.on_transmit_done(now, transmit, result);
}

SendOutcome Cluster::send(unsigned from, ConstBytes message, const Destinations& to,
                          unsigned channel) {
  const SendOutcome outcome =
      fabric(from).send(now, Channel(static_cast<std::uint8_t>(channel)), message, to);
  drain(from);
  return outcome;
}

void Cluster::inject(unsigned to, unsigned from, unsigned link, const Bytes& bytes) {
  arrive({.at = now,
          .from = from,
          .to = to,
          .link = link,
          .source = address(from, link),
          .bytes = bytes});
}

void Cluster::drain(unsigned id) {
  Node& target = node(id);
  Transmit transmit;
  while (target.fabric.poll_transmit(now, transmit)) {
    carry(id, transmit);
    if (target.holding) {
      target.held.push_back(transmit.id);
      continue;
    }
    const std::size_t ip_size = transmit.segment_size + ip_overhead(transmit.to.family);
    const unsigned link = raw(transmit.socket);
    const Path& way =
        path(id, transmit.to.ip[transmit.to.family == Address::Family::kIpv4 ? 3 : 15], link);
    TransmitResult result{.status = way.status};
    if (way.status == TransmitResult::Status::kSent && ip_size > way.device_mtu) {
      result.status = TransmitResult::Status::kTooBig;
      result.mtu = way.device_names_mtu ? way.device_mtu : 0;
    }
    target.fabric.on_transmit_done(now, transmit.id, result);
  }
  Event event{};
  while (target.fabric.poll_event(event))
    target.events.push_back({event, now});
}

void Cluster::carry(unsigned from, const Transmit& transmit) {
  const unsigned to = transmit.to.ip[transmit.to.family == Address::Family::kIpv4 ? 3 : 15];
  const unsigned link = raw(transmit.socket);
  const Path& way = path(from, to, link);
  const bool whole = transmit.segments() > 1 && !transmit.split;
  if (whole && transmit.kind == Transmit::Kind::kData)
    ++node(from).whole_runs;
  const bool too_long = whole && transmit.bytes.size() > way.run_max;
  for (std::size_t at = 0; at < transmit.bytes.size(); at += transmit.segment_size) {
    const ConstBytes part = transmit.bytes.subspan(
        at, std::min<std::size_t>(transmit.segment_size, transmit.bytes.size() - at));
    Packet packet{.at = now + way.delay,
                  .order = ++order_,
                  .from = from,
                  .to = to,
                  .link = link,
                  .source = address(from, link),
                  .bytes = Bytes(part.begin(), part.end())};
    if (recording)
      log.push_back(packet);
    const std::size_t ip_size = part.size() + ip_overhead(transmit.to.family);
    // Data too large for the device is sent in pieces by the ring; a probe is not.
    const bool refused = transmit.kind == Transmit::Kind::kProbe && ip_size > way.device_mtu;
    if (way.cut || refused || too_long || ip_size > way.silent_mtu || random.chance(way.loss) ||
        way.status != TransmitResult::Status::kSent || (tap && !tap(packet)))
      continue;
    if (to >= 1 && to <= nodes_.size())
      wire_.emplace(std::pair(packet.at, packet.order), std::move(packet));
  }
}

void Cluster::arrive(const Packet& packet) {
  Node& target = node(packet.to);
  if (target.frozen) {
    target.inbox.push_back(packet);
    return;
  }
  Bytes bytes = packet.bytes;
  const auto delivery = target.fabric.on_datagram(now, SocketId(packet.link), packet.source, bytes);
  if (delivery) {
    target.received.push_back({raw(delivery->from), raw(delivery->channel),
                               Bytes(delivery->bytes.begin(), delivery->bytes.end()), now});
    if (delivery->buffer != MessageBufferId::kNone)
      target.fabric.release_message(delivery->buffer);
  }
}

void Cluster::deliver_due() {
  while (!wire_.empty() && wire_.begin()->first.first <= now) {
    const Packet packet = std::move(wire_.begin()->second);
    wire_.erase(wire_.begin());
    arrive(packet);
    if (!node(packet.to).frozen)
      drain(packet.to);
  }
}

void Cluster::settle() {
  deliver_due();
  for (unsigned id = 1; id <= nodes_.size(); ++id) {
    if (node(id).frozen)
      continue;
    if (fabric(id).next_deadline() <= now)
      fabric(id).on_timeout(now);
    drain(id);
  }
}

Instant Cluster::next_instant() const {
  Instant next = wire_.empty() ? kNever : wire_.begin()->first.first;
  for (const auto& node : nodes_) {
    if (!node->frozen)
      next = std::min(next, node->fabric.next_deadline());
  }
  return next;
}

bool Cluster::run_until(const std::function<bool()>& condition, Duration limit) {
  const Instant end = now + limit;
  settle();
  while (!condition()) {
    const Instant next = std::max(now, next_instant());
    if (next > end) {
      now = end;
      return false;
    }
    now = next;
    settle();
  }
  return true;
}

void Cluster::run_for(Duration duration) {
  run_until([] { return false; }, duration);
}

bool Cluster::connected(unsigned a, unsigned b, unsigned link) {
  return status(a, b, link).connected;
}

bool Cluster::connect(Duration limit) {
  return run_until(
      [&] {
        for (unsigned a = 1; a <= nodes_.size(); ++a) {
          for (unsigned b = 1; b <= nodes_.size(); ++b) {
            for (unsigned link = 0; a != b && link < settings_.links; ++link) {
              if (!connected(a, b, link) ||
                  node(a).inspect.link(b, link).mtu.phase() != MtuSearch::Phase::kSettled)
                return false;
            }
          }
        }
        return true;
      },
      limit);
}

namespace {

void show(std::ostream& out, const char* label, const PacketCount& count) {
  out << ' ' << label << '=' << count.packets << '/' << count.bytes;
}

void show(std::ostream& out, const char* label, const SendTrouble& trouble) {
  out << ' ' << label << '=' << trouble.errors << '/' << trouble.retries;
}

void show(std::ostream& out, const Address& address) {
  out << static_cast<int>(address.family) << ':';
  for (const unsigned byte : address.ip)
    out << byte << '.';
  out << address.port;
}

void show_stats(std::ostream& out, const LinkStats& stats, bool received) {
  show(out, "tx_data", stats.tx_data);
  show(out, "tx_ping", stats.tx_ping);
  show(out, "tx_pong", stats.tx_pong);
  show(out, "tx_mtu", stats.tx_mtu);
  if (received) {
    show(out, "rx_data", stats.rx_data);
    show(out, "rx_ping", stats.rx_ping);
    show(out, "rx_pong", stats.rx_pong);
    show(out, "rx_mtu", stats.rx_mtu);
  }
  show(out, "data_trouble", stats.data_trouble);
  show(out, "ping_trouble", stats.ping_trouble);
  show(out, "pong_trouble", stats.pong_trouble);
  show(out, "mtu_trouble", stats.mtu_trouble);
  out << " latency=" << stats.latency_min.count() << '/' << stats.latency_max.count() << '/'
      << stats.latency_mean.count() << '/' << stats.latency_samples;
  out << " ups=" << stats.ups.count << " downs=" << stats.downs.count;
}

void show_link(std::ostream& out, const LinkStatus& status, bool received) {
  out << " enabled=" << status.enabled << " connected=" << status.connected
      << " learned=" << status.learned << " socket=" << raw(status.config.socket) << " remote=";
  show(out, status.config.remote);
  out << " last_pong=" << status.last_pong.time_since_epoch().count()
      << " latency=" << status.latency.count() << " mtu=" << status.mtu
      << " overhead=" << status.overhead;
  show_stats(out, status.stats, received);
}

}  // namespace

std::string observe(Node& node, Instant now, bool with_receive_counters) {
  Fabric& fabric = node.fabric;
  std::ostringstream out;
  Event event{};
  while (fabric.poll_event(event)) {
    out << "event " << static_cast<int>(event.kind) << " host " << raw(event.host) << '\n';
    node.events.push_back({event, now});
  }
  Transmit transmit;
  while (fabric.poll_transmit(now, transmit)) {
    out << "transmit " << to_hex(transmit.bytes) << '\n';
    fabric.on_transmit_done(now, transmit.id, {});
  }
  out << "deadline=" << fabric.next_deadline().time_since_epoch().count()
      << " data_mtu=" << fabric.data_mtu() << " can_send=" << fabric.can_send()
      << " pending=" << fabric.data_pending() << " buffers=" << node.inspect.buffers_in_use()
      << " control=" << node.inspect.control_waiting() << '\n';
  for (const HostId host : fabric.hosts()) {
    const Host& inner = node.inspect.host(raw(host));
    out << "host " << raw(host) << " reachable=" << *fabric.host_reachable(host)
        << " partial=" << !inner.reassembly.empty() << " routes=" << inner.routes.size() << '\n';
    for (std::uint8_t i = 0; i < kLinksPerHost; ++i) {
      if (const auto status = fabric.link_status(host, LinkId(i))) {
        out << " link " << int{i};
        show_link(out, *status, with_receive_counters);
        out << '\n';
      }
    }
  }
  return out.str();
}

std::string drop_text(const DropCounters& before, const DropCounters& after) {
  std::string text;
  for (std::size_t i = 0; i < kDropCount; ++i) {
    const Drop reason = static_cast<Drop>(i);
    if (after[reason] == before[reason])
      continue;
    if (!text.empty())
      text += ' ';
    text += std::string(name(reason)) + ":" + std::to_string(after[reason] - before[reason]);
  }
  return text;
}

}  // namespace ringknet::test
