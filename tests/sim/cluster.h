// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The virtual cluster: real fabrics on virtual machines, each with its clock and its process,
// joined by the virtual network and driven by one queue of events. It plays the part of the ring:
// it feeds the fabrics, drains them, and shows everything to the oracles. What goes wrong and when
// is decided elsewhere (chaos.h, rekey.h), and so is what is sent (simulation.cc).
#pragma once

#include <array>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "engine/core/fabric.h"
#include "tests/sim/accounts.h"
#include "tests/sim/digest.h"
#include "tests/sim/intruder.h"
#include "tests/sim/ledger.h"
#include "tests/sim/link_watch.h"
#include "tests/sim/network.h"
#include "tests/sim/scenario.h"
#include "tests/sim/sealing.h"

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
  void start(std::size_t node, bool reboot, bool fast = false);
  void stop(std::size_t node);
  void pause(std::size_t node, Instant until);
  bool present(std::size_t node) const { return nodes_[node].fabric && !paused(nodes_[node]); }
  bool running(std::size_t node) const { return nodes_[node].fabric != nullptr; }
  void set_cut(std::size_t from, std::size_t to, std::size_t link, bool cut);
  void set_run_limit(std::size_t from, std::size_t to, std::size_t link, std::uint32_t run_max);
  void set_limits(std::size_t from, std::size_t to, std::size_t link, std::uint32_t device_mtu,
                  std::uint32_t hole_mtu, std::uint32_t run_max);
  // A path holds back what would arrive, or lets go of it.
  void set_clogged(std::size_t from, std::size_t to, std::size_t link, bool clogged);
  // The address under which a node is seen on a dynamic link changes.
  void rebind(std::size_t node, std::size_t peer, std::size_t link);
  // Somebody repeats a packet that a node was given, or makes one up for it.
  void repeat_packet();
  void forge_packet(std::size_t node, std::size_t as, std::size_t link);
  // Or a clear one of a peer, with a number so far ahead of the last that came, while there is one
  // by which a node can tell that it is false.
  void forge_number(std::size_t node, std::size_t as, std::size_t link, std::uint16_t ahead);

  // --- configuration that outlives a process: a new one begins with it
  void install_key(std::size_t node, std::size_t slot, Key key);
  void use_key(std::size_t node, std::size_t slot);
  void erase_key(std::size_t node, std::size_t slot);
  void allow_clear(std::size_t node, bool allowed);
  // Bytes above which messages are compressed; 0 for none.
  void set_compression(std::size_t node, std::size_t above);

  // --- configuration of a process: a new one begins as the scenario says
  // `drained`: what disabling the link causes happens before it is cleared. Nothing happens where
  // the link is not there, or is there already.
  void clear_link(std::size_t node, std::size_t peer, std::size_t link, bool drained);
  void remove_host(std::size_t node, std::size_t peer, bool drained);
  // With its host, if that is missing.
  void restore_link(std::size_t node, std::size_t peer, std::size_t link);
  void retime(std::size_t node, std::size_t peer, std::size_t link, const PingTimers& timers,
              std::uint8_t pong_count, std::uint8_t priority);
  void set_manual_mtu(std::size_t node, std::uint32_t mtu);
  // The access list of a dynamic link refuses the address its peer has at present, or all are let
  // in.
  void refuse_peer(std::size_t node, std::size_t peer, std::size_t link, bool refused);
  // Everything as the scenario began.
  void restore_settings(std::size_t node);

  // Configuration calls go through here, so that what they cause is drained.
  void configure(std::size_t node, const std::function<void(Fabric&, Instant)>& call);
  // From now on nothing goes wrong: no loss, no cut, no refusal.
  void heal();

  // --- traffic
  // False when the fabric had no room or nobody could be reached.
  bool send(std::size_t node, const Ledger::Draft& draft, bool broadcast);
  bool can_send(std::size_t node) const { return nodes_[node].fabric->can_send(); }
  // Whether messages wait anywhere: to be sent, to be received, or to be read.
  bool idle() const;

  // --- looking at it
  // The largest slice that a path carries in the sender's envelope.
  std::uint32_t exact_slice(std::size_t from, std::size_t to, std::size_t link);
  Fabric& fabric(std::size_t node) { return *nodes_[node].fabric; }
  Network& network() { return network_; }
  Ledger& ledger() { return ledger_; }
  LinkWatch& watch() { return watch_; }
  const Scenario& scenario() const { return scenario_; }
  // Of when what was sent, how much, and what came of it; and of the bytes, too.
  std::uint64_t course() const { return course_.value(); }
  std::uint64_t digest() const { return course_.value() ^ bytes_.value(); }
  std::uint64_t datagrams() const { return datagram_count_; }
  const Intruder& intruder() const { return intruder_; }
  // What reading may take of what came to a node, and still comes while it reads.
  Duration reading_max() const;
  std::uint64_t unread_lost() const { return unread_lost_; }
  void check_everything();

 private:
  struct Completion {
    TransmitId id;
    Network::Place to;
    Transmit::Kind kind = Transmit::Kind::kData;
    std::size_t size = 0;
    std::size_t segments = 1;
    TransmitResult result;
    ConstBytes bytes;  // of the fabric; must not change before the end of the send
    std::uint64_t checksum = 0;
    std::uint32_t cleared = 0;  // how often its link had been cleared
  };
  struct Node {
    SealLog seal_log;
    std::unique_ptr<SeededSource> randomness;
    std::unique_ptr<Fabric> fabric;  // null while the process is gone
    std::uint32_t incarnation = 0;
    // Configuration.
    std::array<std::optional<Key>, kKeySlots + 1> keys{};
    std::size_t key_in_use = 0;
    bool clear_allowed = true;
    std::size_t compress_above = 0;
    // Datagrams in its sockets while it is busy, and what its application has not read yet.
    std::deque<std::uint32_t> inbox;
    std::array<std::size_t, kLinksMax> inbox_bytes{};
    bool serving = false;
    std::size_t unread = 0;
    bool reading = false;
    Accounts accounts;
    std::uint32_t manual_mtu = 0;
    std::array<std::array<std::uint32_t, kLinksMax>, kNodesMax> cleared{};
    Instant stalled_since = kNever;  // data waits, and none left although there are send slots
    std::array<std::array<std::uint32_t, kLinksMax>, kNodesMax> slice{};  // as it was told last
    Duration clock{};                                                     // added to virtual time
    Instant stopped_at{};                                                 // by its clock
    Instant paused_until{};
    Instant wake = kNever;     // the wake event that counts
    std::size_t sends = 0;     // in flight
    std::size_t deferred = 0;  // events that wait for the end of a pause
  };
  struct Queued {
    enum class Kind : std::uint8_t { kArrival, kServe, kRead, kWake, kDone, kReport, kAction };
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

  Instant local(const Node& node) const { return local(node, now_); }
  Instant local(const Node& node, Instant at) const;
  Instant global(const Node& node, Instant local_time) const;
  std::uint8_t late_to_notice() const;
  bool paused(const Node& node) const { return node.paused_until > now_; }
  void push(Queued event);
  bool defer(const Queued& event);
  void handle(Queued& event);
  void handle_arrival(const Queued& event);
  void handle_wake(const Queued& event);
  bool hold(const Queued& event);
  bool straggle(std::uint32_t index);
  void let_go(std::uint32_t index);
  void enqueue(std::size_t node, std::uint32_t index);
  void serve(std::size_t node);
  void receive(std::size_t node, std::uint32_t index);
  void receive_foreign(std::size_t node, std::uint32_t index);
  void take_delivery(std::size_t node, std::size_t size);
  void read(std::size_t node);
  void turn(std::size_t node);
  void poll_events(std::size_t node);
  void schedule_wake(std::size_t node);
  void transmit(std::size_t node, const Transmit& out);
  TransmitResult carry(std::size_t node, const Network::Place& to, const Transmit& out,
                       const ParsedPacket& packet);
  void carry_segment(std::size_t node, const Network::Place& to, ConstBytes bytes,
                     const ParsedPacket& packet, bool in_pieces);
  std::uint8_t certain_receivers(std::size_t node);
  void push_arrival(Instant at, std::uint32_t index);
  // What a packet says, sealed or not.
  ParsedPacket read_packet(std::size_t node, ConstBytes bytes) const;
  void check_size(std::size_t node, const Network::Place& to, const Transmit& out,
                  const ParsedPacket& packet);
  TransmitResult refusal(std::size_t node, const Network::Place& to, const Transmit& out);
  bool vanishes(std::size_t node, const Network::Place& to, const Transmit& out);
  void check_run(std::size_t node, const Network::Place& to);
  void complete(std::size_t node, const Completion& completion);
  void report_refused(const Datagram& datagram);
  void configure_node(std::size_t node);
  void configure_keys(std::size_t node);
  bool knows_native_only(std::size_t node) const;
  void apply_key(std::size_t node, std::size_t slot);
  void apply_compression(Fabric& fabric, std::size_t above);
  void configure_link(std::size_t node, std::size_t peer, std::size_t link);
  bool has_link(std::size_t node, std::size_t peer, std::size_t link) const;
  void admit_all(std::size_t node, std::size_t peer, std::size_t link);
  void check_bounds(std::size_t node);
  void check_leaks(std::size_t node);
  void check_stall(std::size_t node, bool data_left);
  Duration stall_max() const;
  void check_drops(std::size_t node);
  bool excused(Drop reason) const;
  void check_black_hole(std::size_t node, const Event& event);
  void trace(std::size_t node, const char* what, const std::string& detail);

  const Scenario& scenario_;
  std::FILE* trace_;
  Network network_;
  Ledger ledger_;
  LinkWatch watch_;
  NonceWatch nonces_;
  Intruder intruder_;
  Digest course_;
  Digest bytes_;
  Random random_;
  Instant now_{};
  bool healed_ = false;
  std::uint64_t order_ = 0;
  std::uint64_t at_once_ = 0;  // events at this instant so far
  std::uint64_t datagram_count_ = 0;
  std::uint64_t unread_lost_ = 0;  // messages that found too much unread
  std::vector<Node> nodes_;
  std::priority_queue<Queued> queue_;
  std::vector<Completion> completions_;
  std::vector<std::uint32_t> completions_free_;
  std::vector<PathError> reports_;
  std::vector<std::function<void()>> actions_;
  std::vector<std::byte> scratch_;
  std::vector<std::uint32_t> stragglers_;  // datagrams that come later
};

}  // namespace ringknet::sim
