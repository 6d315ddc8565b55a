// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The virtual cluster: real fabrics on virtual machines, each with its clock and its process,
// joined by the virtual network and driven by one queue of events. It plays the part of the ring:
// it feeds the fabrics, drains them, and shows everything to the oracles. What goes wrong and when
// is decided elsewhere (chaos.h), and so is what is sent (simulation.cc).
#pragma once

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "engine/core/fabric.h"
#include "tests/sim/digest.h"
#include "tests/sim/ledger.h"
#include "tests/sim/link_watch.h"
#include "tests/sim/network.h"
#include "tests/sim/scenario.h"

namespace ringknet::sim {

class Cluster {
 public:
  Cluster(const Scenario& scenario, std::FILE* trace);
  ~Cluster();

  Instant now() const { return now_; }
  void run_until(Instant end);
  void at(Instant when, std::function<void()> action);
  // Time as the traces and failures show it.
  std::string time() const;

  // --- faults
  void start(std::size_t node, bool reboot);
  void stop(std::size_t node);
  void pause(std::size_t node, Instant until);
  bool present(std::size_t node) const { return nodes_[node].fabric && !paused(nodes_[node]); }
  bool running(std::size_t node) const { return nodes_[node].fabric != nullptr; }
  void set_cut(std::size_t from, std::size_t to, std::size_t link, bool cut);
  void set_limits(std::size_t from, std::size_t to, std::size_t link, std::uint32_t device_mtu,
                  std::uint32_t hole_mtu);
  // Configuration calls go through here, so that what they cause is drained.
  void configure(std::size_t node, const std::function<void(Fabric&, Instant)>& call);
  // From now on nothing goes wrong: no loss, no cut, no refusal.
  void heal();

  // --- traffic
  // False when the fabric had no room or nobody could be reached.
  bool send(std::size_t node, const Ledger::Draft& draft, bool broadcast);

  // --- looking at it
  Fabric& fabric(std::size_t node) { return *nodes_[node].fabric; }
  Network& network() { return network_; }
  Ledger& ledger() { return ledger_; }
  LinkWatch& watch() { return watch_; }
  const Scenario& scenario() const { return scenario_; }
  std::uint64_t digest() const { return digest_.value(); }
  std::uint64_t datagrams() const { return datagram_count_; }
  // Sends that have not ended, over all nodes.
  std::size_t sends_in_flight() const;
  void check_everything();

 private:
  struct Completion {
    TransmitId id;
    TransmitResult result;
    ConstBytes bytes;  // of the fabric; must not change before the end of the send
    std::uint64_t checksum = 0;
  };
  struct Node {
    std::unique_ptr<Fabric> fabric;  // null while the process is gone
    std::uint32_t incarnation = 0;
    Duration clock{};      // added to virtual time
    Instant stopped_at{};  // by its clock
    Instant paused_until{};
    Instant wake = kNever;     // the wake event that counts
    std::size_t sends = 0;     // in flight
    std::size_t deferred = 0;  // events that wait for the end of a pause
  };
  struct Queued {
    enum class Kind : std::uint8_t { kArrival, kWake, kDone, kReport, kAction };
    Instant at;
    std::uint64_t order = 0;
    std::uint32_t index = 0;  // datagram, completion, report or action
    std::uint32_t incarnation = 0;
    std::uint8_t node = 0;
    Kind kind = Kind::kAction;
    bool deferred = false;
    bool operator<(const Queued& other) const {  // the earliest on top
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  Instant local(const Node& node) const { return now_ + node.clock; }
  bool paused(const Node& node) const { return node.paused_until > now_; }
  void push(Queued event);
  bool defer(const Queued& event);
  void handle(Queued& event);
  void handle_arrival(const Queued& event);
  void handle_wake(const Queued& event);
  void receive(std::size_t node, std::uint32_t index);
  void turn(std::size_t node);
  void poll_events(std::size_t node);
  void schedule_wake(std::size_t node);
  void transmit(std::size_t node, const Transmit& out);
  TransmitResult carry(std::size_t node, const Network::Place& to, const Transmit& out);
  void carry_segment(std::size_t node, const Network::Place& to, ConstBytes bytes, bool in_pieces);
  TransmitResult refusal(std::size_t node, const Network::Place& to, const Transmit& out);
  void complete(std::size_t node, const Completion& completion);
  void report_refused(const Datagram& datagram);
  void configure_node(std::size_t node);
  void configure_link(std::size_t node, std::size_t peer, std::size_t link);
  void check_bounds(std::size_t node);
  void check_drops(std::size_t node);
  void trace(std::size_t node, const char* what, const std::string& detail);

  const Scenario& scenario_;
  std::FILE* trace_;
  Network network_;
  Ledger ledger_;
  LinkWatch watch_;
  Digest digest_;
  Random random_;
  Instant now_{};
  bool healed_ = false;
  std::uint64_t order_ = 0;
  std::uint64_t datagram_count_ = 0;
  std::vector<Node> nodes_;
  std::priority_queue<Queued> queue_;
  std::vector<Completion> completions_;
  std::vector<std::uint32_t> completions_free_;
  std::vector<PathError> reports_;
  std::vector<std::function<void()>> actions_;
  std::vector<std::byte> scratch_;
};

}  // namespace ringknet::sim
