// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Large clusters.
#include "tests/sim/scale.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <deque>
#include <fstream>
#include <memory>
#include <queue>
#include <vector>

#include <unistd.h>

#include "engine/base/random.h"
#include "engine/core/fabric.h"

namespace ringknet::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kLinks = 2;
constexpr std::uint32_t kDeviceMtu = 1500;
constexpr Duration kDelay = microseconds(200);
constexpr Duration kStartMax = seconds(1);  // processes start within this
constexpr Duration kIdle = seconds(10);
constexpr std::size_t kMessages = 100;
constexpr std::size_t kMessageSize = 1000;

HostId host(std::size_t node) {
  return HostId(static_cast<std::uint16_t>(node + 1));
}

Address address(std::size_t node, std::size_t link) {
  Address result;
  result.family = Address::Family::kIpv4;
  result.ip = {10, static_cast<std::uint8_t>(link), static_cast<std::uint8_t>(node >> 8),
               static_cast<std::uint8_t>(node & 0xff)};
  result.port = static_cast<std::uint16_t>(5405 + link);
  return result;
}

std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0;
  std::size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

class World {
 public:
  World(std::size_t nodes, bool mesh);

  void run_until(Instant end);
  // Runs on until `done`, looked at each millisecond.
  template <typename Condition>
  void run_while_not(Condition&& done);
  void broadcast();
  bool all_reachable() const;
  bool all_measured() const;

  struct Costs {
    std::uint64_t inputs = 0;          // datagrams, timers
    std::uint64_t datagrams = 0;       // out
    std::chrono::nanoseconds spent{};  // in fabrics
  };
  Costs costs;
  Instant now{};
  std::size_t deliveries = 0;
  std::size_t reals() const { return fabrics_.size(); }

 private:
  using Clock = std::chrono::steady_clock;

  struct Item {
    enum class Kind : std::uint8_t { kStart, kDatagram, kWake, kPing };
    Instant at;
    std::uint64_t order = 0;
    Kind kind = Kind::kWake;
    std::uint8_t link = 0;
    std::uint16_t node = 0;
    std::uint16_t from = 0;
    std::uint32_t bytes = 0;  // datagram
    bool operator<(const Item& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  bool real(std::size_t node) const { return node < fabrics_.size(); }
  void push(Item item) {
    item.order = order_++;
    items_.push(item);
  }
  void start(std::size_t node);
  void handle(const Item& item);
  void turn(std::size_t node);
  void carry(std::size_t node, const Transmit& out);
  void deliver(std::size_t from, std::size_t to, std::size_t link, ConstBytes bytes);
  void model(std::size_t node, std::size_t from, std::size_t link, ConstBytes bytes);
  void model_ping(std::size_t node, std::size_t link);

  std::size_t nodes_;
  Random random_{1};
  std::vector<std::unique_ptr<Fabric>> fabrics_;
  std::vector<Instant> wake_;
  std::priority_queue<Item> items_;
  std::uint64_t order_ = 0;
  std::deque<std::vector<std::byte>> packets_;
  std::vector<std::uint32_t> free_;
};

World::World(std::size_t nodes, bool mesh) : nodes_(nodes) {
  fabrics_.resize(mesh ? nodes : 1);
  wake_.resize(fabrics_.size(), kNever);
  for (std::size_t node = 0; node < nodes; ++node) {
    const Duration when(static_cast<std::int64_t>(
        random_.below(static_cast<std::uint64_t>(Duration(kStartMax).count()))));
    push({.at = Instant{} + when,
          .kind = Item::Kind::kStart,
          .node = static_cast<std::uint16_t>(node)});
  }
}

void World::start(std::size_t node) {
  if (!real(node)) {
    for (std::size_t link = 0; link < kLinks; ++link)
      model_ping(node, link);
    return;
  }
  Fabric::Config config;
  config.self = host(node);
  fabrics_[node] = std::make_unique<Fabric>(std::move(config));
  Fabric& fabric = *fabrics_[node];
  for (std::size_t peer = 0; peer < nodes_; ++peer) {
    if (peer == node)
      continue;
    (void)fabric.host_add(host(peer));
    for (std::size_t l = 0; l < kLinks; ++l) {
      LinkConfig link{.socket = SocketId(static_cast<std::uint16_t>(l)),
                      .local = address(node, l),
                      .remote = address(peer, l)};
      (void)fabric.link_configure(now, host(peer), LinkId(l), link);
      (void)fabric.link_set_enabled(now, host(peer), LinkId(l), true);
    }
  }
  turn(node);
}

// A node that only answers: its own PINGs come at the usual interval.
void World::model_ping(std::size_t node, std::size_t link) {
  std::array<std::byte, kPingSize> bytes{};
  encode(PingPacket{.sender = host(node), .link = LinkId(link), .stamp = stamp_of(now)}, bytes);
  deliver(node, 0, link, bytes);
  push({.at = now + PingTimers{}.interval,
        .kind = Item::Kind::kPing,
        .link = static_cast<std::uint8_t>(link),
        .node = static_cast<std::uint16_t>(node)});
}

void World::model(std::size_t node, std::size_t from, std::size_t link, ConstBytes bytes) {
  const ParsedPacket packet = parse_packet(bytes);
  std::array<std::byte, kPingSize> answer{};
  if (const auto* ping = std::get_if<PingPacket>(&packet)) {
    if (ping->type != PacketType::kPing)
      return;
    PingPacket pong = *ping;
    pong.type = PacketType::kPong;
    pong.sender = host(node);
    encode(pong, answer);
    deliver(node, from, link, answer);
  } else if (const auto* probe = std::get_if<MtuPacket>(&packet)) {
    MtuPacket reply = *probe;
    reply.type = PacketType::kMtuReply;
    reply.sender = host(node);
    encode(reply, kMtuHeaderSize, answer);
    deliver(node, from, link, ConstBytes(answer).first(kMtuHeaderSize));
  } else {
    ++deliveries;
  }
}

void World::deliver(std::size_t from, std::size_t to, std::size_t link, ConstBytes bytes) {
  if (free_.empty()) {
    packets_.emplace_back();
    free_.push_back(static_cast<std::uint32_t>(packets_.size() - 1));
  }
  const std::uint32_t slot = free_.back();
  free_.pop_back();
  packets_[slot].assign(bytes.begin(), bytes.end());
  push({.at = now + kDelay,
        .kind = Item::Kind::kDatagram,
        .link = static_cast<std::uint8_t>(link),
        .node = static_cast<std::uint16_t>(to),
        .from = static_cast<std::uint16_t>(from),
        .bytes = slot});
}

void World::carry(std::size_t node, const Transmit& out) {
  const std::size_t to = std::size_t{out.to.ip[2]} << 8 | out.to.ip[3];
  for (std::size_t offset = 0; offset < out.bytes.size(); offset += out.segment_size) {
    const std::size_t size = std::min<std::size_t>(out.segment_size, out.bytes.size() - offset);
    deliver(node, to, out.to.ip[1], out.bytes.subspan(offset, size));
    ++costs.datagrams;
  }
}

// What the fabric does is measured, what the network does is not.
void World::turn(std::size_t node) {
  Fabric& fabric = *fabrics_[node];
  Transmit out;
  Event event{};
  for (;;) {
    const auto began = Clock::now();
    const bool any = fabric.poll_transmit(now, out);
    costs.spent += Clock::now() - began;
    if (!any)
      break;
    const bool too_big = out.segment_size + 28 > kDeviceMtu;
    if (!too_big)
      carry(node, out);
    const TransmitResult result =
        too_big ? TransmitResult{.status = TransmitResult::Status::kTooBig, .mtu = kDeviceMtu}
                : TransmitResult{};
    fabric.on_transmit_done(now, out.id, result);
  }
  while (fabric.poll_event(event)) {
  }
  const Instant deadline = fabric.next_deadline();
  if (deadline == wake_[node] || deadline == kNever)
    return;
  wake_[node] = deadline;
  push({.at = std::max(now, deadline), .node = static_cast<std::uint16_t>(node)});
}

void World::handle(const Item& item) {
  switch (item.kind) {
    case Item::Kind::kStart:
      return start(item.node);
    case Item::Kind::kPing:
      return model_ping(item.node, item.link);
    case Item::Kind::kWake: {
      if (wake_[item.node] != item.at)
        return;
      wake_[item.node] = kNever;
      const auto began = Clock::now();
      fabrics_[item.node]->on_timeout(now);
      costs.spent += Clock::now() - began;
      ++costs.inputs;
      return turn(item.node);
    }
    case Item::Kind::kDatagram:
      break;
  }
  std::vector<std::byte>& bytes = packets_[item.bytes];
  if (!real(item.node)) {
    model(item.node, item.from, item.link, bytes);
  } else if (fabrics_[item.node]) {
    const auto began = Clock::now();
    const auto delivery = fabrics_[item.node]->on_datagram(now, SocketId(item.link),
                                                           address(item.from, item.link), bytes);
    costs.spent += Clock::now() - began;
    ++costs.inputs;
    if (delivery) {
      ++deliveries;
      if (delivery->buffer != MessageBufferId::kNone)
        fabrics_[item.node]->release_message(delivery->buffer);
    }
    turn(item.node);
  }
  free_.push_back(item.bytes);
}

void World::run_until(Instant end) {
  while (!items_.empty() && items_.top().at <= end) {
    const Item item = items_.top();
    items_.pop();
    now = item.at;
    handle(item);
  }
  now = end;
}

template <typename Condition>
void World::run_while_not(Condition&& done) {
  while (!done())
    run_until(now + milliseconds(5));
}

void World::broadcast() {
  const std::vector<std::byte> message(kMessageSize);
  for (std::size_t i = 0; i < kMessages; ++i) {
    Fabric& fabric = *fabrics_[0];
    const auto began = Clock::now();
    (void)fabric.send(now, Channel{}, message, Destinations::all());
    costs.spent += Clock::now() - began;
    turn(0);
    run_until(now + milliseconds(2));
  }
}

bool World::all_reachable() const {
  for (const auto& fabric : fabrics_) {
    if (!fabric)
      return false;
    for (const HostId peer : fabric->hosts()) {
      if (!*fabric->host_reachable(peer))
        return false;
    }
  }
  return true;
}

bool World::all_measured() const {
  for (const auto& fabric : fabrics_) {
    for (const HostId peer : fabric->hosts()) {
      for (std::size_t l = 0; l < kLinks; ++l) {
        const auto status = fabric->link_status(peer, LinkId(l));
        if (!status->connected || status->mtu != kDeviceMtu - 28 - kReservedHeaderSize)
          return false;
      }
    }
  }
  return true;
}

double in_seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

void print_phase(const char* name, const World::Costs& costs, Duration lasted, std::size_t reals) {
  const auto count = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  const auto each_second = [&](std::uint64_t value) {
    return static_cast<double>(value) / in_seconds(lasted) / static_cast<double>(reals);
  };
  const std::uint64_t events = costs.inputs + costs.datagrams;
  std::printf(
      "%-10s %6.2f virtual s, %9llu events, %5.0f ns each; a node: %6.0f in/s, %6.0f out/s, "
      "%.3f %% of a core\n",
      name, in_seconds(lasted), count(events),
      static_cast<double>(costs.spent.count()) / static_cast<double>(events),
      each_second(costs.inputs), each_second(costs.datagrams),
      100 * in_seconds(costs.spent) / in_seconds(lasted) / static_cast<double>(reals));
}

}  // namespace

void print_scale(std::size_t nodes, bool mesh) {
  const std::size_t before = resident_bytes();
  World world(nodes, mesh);
  const auto phase = [&](const char* name, auto&& run) {
    world.costs = {};
    const Instant began = world.now;
    run();
    print_phase(name, world.costs, world.now - began, world.reals());
  };
  std::printf("%zu nodes x %zu links, %s\n", nodes, kLinks,
              mesh ? "all of them real" : "one of them real");
  // Reachable, and every MTU known.
  phase("together", [&] {
    world.run_while_not([&] { return world.all_reachable() && world.all_measured(); });
  });
  const std::size_t bytes = resident_bytes() - before;
  phase("idle", [&] { world.run_until(world.now + kIdle); });
  phase("broadcast", [&] { world.broadcast(); });
  std::printf("%zu of %zu messages arrived; %.1f MB in all, %.1f kB for each peer of a node\n",
              world.deliveries, kMessages * (nodes - 1), static_cast<double>(bytes) / 1e6,
              static_cast<double>(bytes) / 1e3 / static_cast<double>(world.reals() * (nodes - 1)));
}

}  // namespace ringknet::sim
