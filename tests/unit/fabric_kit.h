// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A virtual cluster for tests of the fabric: two or more of them joined by paths in memory, under a
// virtual clock that jumps from event to event. It is no simulation of networks at large
// (tests/sim is): one delay, one loss rate, size limits, cuts - what a story about links needs.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "engine/base/random.h"
#include "engine/core/fabric.h"
#include "tests/unit/bytes_kit.h"

namespace ringknet {

// Reads what the fabric shows to nobody.
class FabricInspector {
 public:
  explicit FabricInspector(Fabric& fabric) : fabric_(&fabric) {}

  Host& host(unsigned id) const { return *fabric_->hosts_.find(HostId(id)); }
  Link& link(unsigned host_id, unsigned link_id) const {
    return *host(host_id).link(LinkId(link_id));
  }
  MessageSeq last_seq() const { return fabric_->last_seq_; }
  void set_last_seq(MessageSeq seq) { fabric_->last_seq_ = seq; }
  std::size_t buffers_in_use() const { return fabric_->messages_.in_use(); }
  std::size_t control_waiting() const { return fabric_->control_.waiting(); }
  std::size_t probes_waiting() const { return fabric_->control_.probes.size(); }
  std::size_t in_flight() const { return fabric_->in_flight_.size(); }
  std::size_t free_slabs() const { return fabric_->arena_.free_slabs(); }

 private:
  Fabric* fabric_;
};

}  // namespace ringknet

namespace ringknet::test {

using namespace std::chrono_literals;

// 10.<link>.0.<host> or fd00::<link>:<host>, port 5405.
Address address_of(unsigned host, unsigned link, Address::Family family = Address::Family::kIpv4);

// One direction of one link.
struct Path {
  Duration delay = 1ms;
  bool cut = false;
  double loss = 0;
  std::uint32_t silent_mtu = 65535;  // larger IP packets vanish
  std::size_t run_max = 65536;       // runs in one piece that are longer vanish
  std::uint32_t device_mtu = 1500;   // larger ones are refused by the sender's kernel...
  bool device_names_mtu = true;      // ...which says how large they may be, or not
  TransmitResult::Status status = TransmitResult::Status::kSent;  // how every send ends
};

struct Packet {
  Instant at;  // when it arrives
  std::uint64_t order = 0;
  unsigned from = 0;  // hosts
  unsigned to = 0;
  unsigned link = 0;
  Address source{};
  Bytes bytes;

  unsigned type() const { return std::to_integer<unsigned>(bytes[1]); }
  unsigned seq() const {  // of a PING, PONG or DATA packet
    const std::size_t at_byte = type() == 0 ? 6 : 23;
    return std::to_integer<unsigned>(bytes[at_byte]) << 8 |
           std::to_integer<unsigned>(bytes[at_byte + 1]);
  }
};

struct Received {
  unsigned from = 0;
  unsigned channel = 0;
  Bytes bytes;
  Instant at{};
};

struct Happened {
  Event event;
  Instant at{};
};

struct Node {
  explicit Node(Fabric::Config config) : fabric(std::move(config)), inspect(fabric) {}

  Fabric fabric;
  FabricInspector inspect;
  std::vector<Happened> events;
  std::vector<Received> received;
  std::size_t whole_runs = 0;  // that were handed out to be sent in one piece
  bool holding = false;        // sends are polled but do not end...
  std::vector<TransmitId> held;
  bool frozen = false;  // the process is not scheduled: packets wait for it, timers do not fire
  std::vector<Packet> inbox;

  std::size_t count(Event::Kind kind) const;
  std::string story() const;  // the kinds of all events in their order
  const Happened* last(Event::Kind kind) const;
  std::uint64_t drops(Drop reason) const { return fabric.drops()[reason]; }
};

class Cluster {
 public:
  struct Settings {
    unsigned nodes = 2;  // ids 1..nodes
    unsigned links = 1;  // ids 0..links-1
    PingTimers timers{.interval = 100ms, .timeout = 500ms, .precision = 2048};
    std::uint8_t pong_count = 2;
    Policy policy = Policy::kPassive;
    Address::Family family = Address::Family::kIpv4;
    bool enabled = true;
    std::size_t transmit_slabs = 48;
    std::size_t message_buffers = 1024;
    RandomSource* random = nullptr;  // of all nodes
    std::function<void(Fabric::Config& config)> prepare = {};
    // Called for every node that is made, before it has hosts.
    std::function<void(unsigned id, Fabric& fabric)> equip = {};
  };

  explicit Cluster(const Settings& settings);
  Cluster() : Cluster(Settings{}) {}

  Node& node(unsigned id) { return *nodes_[id - 1]; }
  Fabric& fabric(unsigned id) { return node(id).fabric; }
  Path& path(unsigned from, unsigned to, unsigned link) { return paths_[{from, to, link}]; }
  void both_ways(unsigned a, unsigned b, unsigned link, const std::function<void(Path&)>& change);
  void cut(unsigned a, unsigned b, unsigned link, bool is_cut = true);

  // A node's process ends and a new one starts under the same id and settings.
  void restart(unsigned id);
  void freeze(unsigned id, bool frozen = true);
  // Ends the sends that were held back.
  void finish_held(unsigned id, const TransmitResult& result = {});

  SendOutcome send(unsigned from, ConstBytes message, const Destinations& to = Destinations::all(),
                   unsigned channel = 0);
  // Hands a packet to a node as if it came over this link from this host.
  void inject(unsigned to, unsigned from, unsigned link, const Bytes& bytes);

  // Lets everything happen that is due now, then as time goes by.
  void settle();
  void run_for(Duration duration);
  // Until the condition holds; false when it did not within the limit.
  bool run_until(const std::function<bool()>& condition, Duration limit = 60s);
  // Until every link is connected and its MTU found.
  bool connect(Duration limit = 60s);

  bool connected(unsigned a, unsigned b, unsigned link);
  LinkStatus status(unsigned a, unsigned b, unsigned link) {
    return *fabric(a).link_status(host_id(b), link_id(link));
  }
  Address address(unsigned host, unsigned link) const {
    return address_of(host, link, settings_.family);
  }

  Instant now{1000s};
  Random random{1};
  std::vector<Packet> log;  // everything that left, when `recording`
  bool recording = false;
  std::function<bool(const Packet&)> tap;  // false: this packet is lost

 private:
  void make_node(unsigned id);
  void drain(unsigned id);
  void carry(unsigned from, const Transmit& transmit);
  void arrive(const Packet& packet);
  void deliver_due();
  Instant next_instant() const;

  Settings settings_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::map<std::tuple<unsigned, unsigned, unsigned>, Path> paths_;
  std::multimap<std::pair<Instant, std::uint64_t>, Packet> wire_;
  std::uint64_t order_ = 0;
};

// Everything a user of the fabric can see, as text: two equal ones mean that nothing happened in
// between. Received packet counters are left out on request: a packet that is refused for its
// content still was received.
std::string observe(Node& node, Instant now, bool with_receive_counters = true);

// The drop reasons whose counters differ, as "name:count" text.
std::string drop_text(const DropCounters& before, const DropCounters& after);

}  // namespace ringknet::test
