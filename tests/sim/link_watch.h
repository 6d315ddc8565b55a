// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The oracle for links and hosts: a link comes up only after its PONGs, goes down only after
// something went wrong, is down in time when nothing comes through, is asked in time whatever else
// there is to send, and a host is reachable exactly while it has a usable link. It sees what the
// network carried and what the fabric says.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/core/fabric.h"
#include "tests/sim/network.h"
#include "tests/sim/scenario.h"

namespace ringknet::sim {

class LinkWatch {
 public:
  LinkWatch(const Scenario& scenario, Network& network);

  // A node's process began, ended, was held up or let go, or was configured differently: what its
  // links do within the next moments is explained by that.
  void disturbed(Instant now, std::size_t node) { disturbed_[node] = now; }
  void began(Instant now, std::size_t node);
  void set_present(Instant now, std::size_t node, bool present);
  // A link is gone; the next one of that id is as new.
  void cleared(std::size_t node, std::size_t peer, std::size_t link);
  // Its timers and its pong count are others than the scenario's.
  void retimed(std::size_t node, std::size_t peer, std::size_t link, const PingTimers& timers,
               std::uint8_t pong_count) {
    settings_[node][peer][link] = {timers, pong_count};
  }

  void arrived(Instant now, std::size_t node, const Datagram& datagram);
  // The node took it for what it is.
  void accepted(std::size_t node, const Datagram& datagram);
  void on_event(Instant now, std::size_t node, const Event& event);
  // A size in use was given up although its path carries it.
  void given_up_in_vain(Instant now, std::size_t node, std::size_t peer, std::size_t link);
  // A PING leaves.
  void pinged(Instant now, std::size_t node, std::size_t peer, std::size_t link);
  // Data leaves, in that many packets.
  void sent(Instant now, std::size_t node, std::size_t peer, std::size_t link, std::size_t bytes,
            std::size_t packets);
  // PINGs that should have left and did not.
  void check_pings(Instant now, Fabric& fabric, std::size_t node) const;
  // What was cut for this link after that was cut for the size it has now.
  Instant size_known_since(std::size_t node, std::size_t peer, std::size_t link) const {
    return std::max(state_[node][peer][link].size_changed, disturbed_[node]);
  }
  // Public answers against each other: after every event and now and then.
  void check_hosts(const Fabric& fabric, std::size_t node) const;
  // Links over paths that carry nothing must not be up any more.
  void check_detection(Instant now, const Fabric& fabric, std::size_t node) const;
  // Data of this IP packet size is about to leave towards a path that does not carry it.
  void oversized(Instant now, std::size_t from, std::size_t to, std::size_t link,
                 std::uint32_t packet_size) const;

  std::uint64_t ups() const { return ups_; }
  std::uint64_t downs() const { return downs_; }
  std::uint64_t restarts_seen() const { return restarts_seen_; }

  // What an answer to a probe may take.
  Duration probe_gap() const;
  // How long a complete search for the MTU may take, and how long a path may swallow large data.
  Duration search_max() const;
  Duration confirm_max() const;
  Duration black_hole_max() const;

 private:
  struct State {
    std::uint32_t pongs = 0;  // since the link was last down
    Instant last_data = kNever;
    Instant up = kNever;
    Instant last_ping{};
    // What left in a second, and in the one before.
    std::int64_t second = 0;
    unsigned pings = 0;
    std::size_t data = 0;  // as the send window counts it
    std::size_t data_before = 0;
    Instant learned{};
    Instant size_changed{};
  };
  // What a node heard of another one's process.
  struct Heard {
    std::uint32_t data = 0;     // incarnation that sent the last data, 0 for none since a restart
    std::uint32_t last = 0;     // incarnation that sent the last packet of any kind
    std::uint32_t noticed = 0;  // incarnation that was heard last when a restart was noticed
  };
  struct Settings {
    PingTimers timers;
    std::uint8_t pong_count = 0;
  };
  struct Presence {
    bool present = true;
    Instant since{};
  };

  Settings planned(std::size_t link) const {
    return {scenario_.link[link].timers, scenario_.link[link].pong_count};
  }
  static void begin_second(State& state, Instant now);
  void on_up(Instant now, std::size_t node, std::size_t peer, std::size_t link);
  void on_down(Instant now, std::size_t node, std::size_t peer, const Event& event);
  void on_restarted(std::size_t node, std::size_t peer);
  Duration ping_late_max() const;

  const Scenario& scenario_;
  Network& network_;
  std::array<std::array<std::array<State, kLinksMax>, kNodesMax>, kNodesMax> state_{};
  std::array<std::array<std::array<Settings, kLinksMax>, kNodesMax>, kNodesMax> settings_{};
  std::array<std::array<Heard, kNodesMax>, kNodesMax> heard_{};
  std::array<Instant, kNodesMax> disturbed_{};
  std::array<Presence, kNodesMax> presence_{};
  std::uint64_t ups_ = 0;
  std::uint64_t downs_ = 0;
  std::uint64_t restarts_seen_ = 0;
};

}  // namespace ringknet::sim
