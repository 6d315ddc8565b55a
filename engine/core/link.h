// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One link to one host: its settings, its up/down machine, its latency and its MTU. The machine
// decides what is due; sending and telling others is the fabric's part.
//
//   disabled --enable--> probing: a PING now and every interval
//   probing  --pong_count + 1 PONGs in a row, or data after one PONG--> connected
//   connected --silence for longer than the timeout--> probing
//
// Long before that, a PING whose answer is late is repeated, and if that is not answered either the
// link is suspect: other links are preferred, and no harm is done if it was just slow.
//
// Silence counts from the last PONG, but the time in which this process did not get to send its
// PINGs does not count: a process that was stopped must not blame its peers.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/base/rate_limit.h"
#include "engine/core/access_list.h"
#include "engine/core/deadline_heap.h"
#include "engine/core/event.h"
#include "engine/core/latency.h"
#include "engine/core/link_config.h"
#include "engine/core/link_control.h"
#include "engine/core/mtu_search.h"
#include "engine/core/pings_under_way.h"
#include "engine/core/run_check.h"
#include "engine/core/send_window.h"
#include "engine/core/stats.h"

namespace ringknet {

// Names a link for as long as it is configured: a cleared and configured-again link is another one.
struct LinkRef {
  HostId host{};
  LinkId link{};
  std::uint32_t generation = 0;

  friend bool operator==(const LinkRef&, const LinkRef&) = default;
};

class Link : public DeadlineNode {
 public:
  // Answers to PINGs that may have been recorded: a peer that started anew needs its first ones at
  // once, and then one at each of its intervals until it has proven itself, which takes a round
  // trip.
  static constexpr Duration kUnverifiedGap = std::chrono::milliseconds(10);
  static constexpr unsigned kUnverifiedBurst = 4;

  Link(const LinkRef& ref, const LinkConfig& config, const Envelope& envelope,
       Duration mtu_interval);

  const LinkRef ref;
  LinkConfig config;
  PingTimers timers;
  std::uint8_t pong_count = kPongCountDefault;
  std::uint8_t priority = 0;
  LinkStats stats;
  MtuSearch mtu;
  RunCheck runs;
  SendWindow window;
  AccessList access;  // dynamic links only
  PingsUnderWay pings;
  LinkControl control;
  RateLimit unverified{kUnverifiedGap, kUnverifiedBurst};  // answers to what may be recorded
  std::uint32_t slice = 0;          // largest message slice per packet at present
  std::uint32_t slice_counted = 0;  // as the fabric's census knows it; 0 while it carries no data
  bool learned = false;             // dynamic: config.remote is known and in use
  bool probe_queued = false;        // an MTU probe waits to be polled
  bool run_probe_queued = false;    // a run of them, or the single one behind it

  bool loopback() const { return config.transport == Transport::kLoopback; }
  bool enabled() const { return enabled_; }
  bool connected() const { return connected_; }
  bool usable() const { return enabled_ && connected_; }
  bool suspect() const { return suspect_; }
  bool addressable() const { return !config.dynamic || learned; }
  // Whether at least one PONG proves the path since it last went down.
  bool answered() const { return connected_ || pongs_ > 0; }
  Instant last_pong() const { return last_pong_; }
  const Latency& latency() const { return latency_; }
  // Between two probes of one size, at least: a busy peer needs some time to answer.
  Duration probe_gap() const {
    return std::max<Duration>(std::chrono::milliseconds(40), 2 * latency_.mean());
  }
  // How long a sender may be trusted to need for a round trip, with room for jitter. A path that
  // was never measured may be as slow as the timeout allows.
  Duration slack() const {
    return latency_.samples() == 0 ? timers.timeout
                                   : 4 * latency_.mean() + std::chrono::milliseconds(10);
  }

  void set_enabled(Instant now, bool enabled);
  // The sizes of the key in use changed: what was found out about MTUs is void.
  void set_envelope(const Envelope& envelope);
  void set_timers(Instant now, const PingTimers& new_timers);
  // PINGs start (or go on) now: the link was enabled, or its peer's address was learned.
  void wake(Instant now);
  // A PING at once, as what came proves nothing: false if one leaves anyway, or left a moment
  // ago and is yet to be answered. Two peers that ask each other would never stop otherwise.
  // `anew`: the last one may have left before the peer had the key.
  bool ask(Instant now, bool anew = false);
  // A dynamic link's peer is elsewhere from now on. It is asked at the next multiple of the
  // interval, so that who forges an address has one packet sent there for his; a link in use asks
  // at once. If the address never answers it is forgotten after the timeout.
  void move(Instant now);
  // Whether the peer's address may be given up for another one: it has left a PING and its
  // repetition unanswered, or it never answered and had some time to.
  bool movable(Instant now) const;

  struct Due {
    bool ping = false;
    bool silent = false;   // the link is to be taken down
    bool overdue = false;  // an answer is late: the link has become suspect
    MtuSearch::Step mtu;
  };
  Due on_timeout(Instant now);
  // The PONG of our PING that left at that instant; true when the link is to come up.
  bool on_pong(Instant now, Instant left);
  // An answer that took longer than this matters no more: silence would have taken the link down.
  Duration answer_kept() const { return 2 * timers.timeout; }
  // The network reported trouble on this path. The verdict: nothing new, ask at once, or take the
  // link down because it answers nothing but refusals.
  enum class Verdict : std::uint8_t { kKnown, kAsk, kDown };
  Verdict on_trouble(Instant now, bool refused);

  void up(Instant now);
  void down(Instant now);

  // The earliest of everything this link waits for.
  Instant next_deadline() const;

 private:
  Duration silence_max() const;
  Duration answer_max() const;
  Duration ask_gap() const;
  Duration alarm_gap() const;
  Instant next_multiple(Instant now) const;
  bool pinging() const { return enabled_ && !loopback() && addressable(); }

  bool enabled_ = false;
  bool connected_ = false;
  bool suspect_ = false;
  std::uint16_t pongs_ = 0;    // since the last time down
  std::uint8_t refusals_ = 0;  // PINGs in a row that were answered by a refusal
  bool refused_this_ping_ = false;
  std::uint8_t false_alarms_ = 0;  // reports of trouble in a row that a PONG refuted
  Instant last_trouble_{};
  Instant last_pong_ = kNever;
  Instant last_ping_{};
  Instant next_ping_ = kNever;
  Instant judge_from_ = kNever;  // last PONG plus what we slept through
  Instant answer_due_ =
      kNever;  // when the PING sent last should have been answered, or is repeated
  bool asked_again_ = false;
  bool unanswering_ = false;  // the repetition was not answered either
  Instant moved_ = kNever;    // when the peer's address was learned
  Latency latency_;
};

}  // namespace ringknet
