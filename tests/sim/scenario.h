// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A scenario: everything about one run that is decided before it starts, drawn from the seed. Each
// seed switches a random subset of the faults on (swarm testing): a fault that is always there
// hides what only happens without it.
//
// Faults stay inside what the protocol promises; these are its honest limits:
//  - One-way delay, jitter included, is below a quarter of the shortest link timeout. Later packets
//    may bring the link down or, after the loss of a host, be taken for new ones.
//  - When the last link to a host goes down, what was seen from it is forgotten: a copy that is
//    still in the network may be delivered again. The ledger excuses exactly this.
//  - A node that restarts stays away for longer than its peers allow for packets out of order: four
//    times the round trip they measured, and 10 ms. One that is faster (Features::fast_restarts),
//    and had sent its very first messages just before, is told from its former self only by a later
//    PING, and what it sends until then is taken for duplicates: the ledger excuses that. Its last
//    packets have arrived before it is back.
//  - While native keys wait to be used, PINGs in other envelopes have no clock. To a node that did
//    not run meanwhile, the PINGs of a process and of the one before it come at the same time: it
//    tells them apart only by the third PING after that: the ledger excuses that as well.
//  - A process that has just begun may send its first messages in an envelope that names no boot,
//    before the native one has proven that it is a new process: those may be delivered again.
//  - The clock of a machine never goes back by less than ten seconds: a smaller step back is taken
//    for packets out of order.
//  - Packets are held back for long (Features::clogs) only where no process restarts: in clear,
//    nobody can tell what an earlier process sent from what the present one sends; and where no
//    keys change: while native ones wait to be used, PINGs in other envelopes have no clock. PINGs
//    that come long after they were sent can still make a receiver take the sender for one that
//    fell behind, and a held copy be delivered again: the ledger excuses that, too.
//  - What damage, forgery and replay can do depends on the envelope: see intruder.h.
//  - Timers are never set to less than what the scenario began with, as delays are drawn for those;
//    and before healing is judged, every setting is what it was at first.
//  - A rule on the length of runs takes those of 12,000 bytes, too, or none. While the MTU search
//  asks
//    for the packets in use, runs are asked for with shorter ones, and the longest that there are,
//    of 64 packets or 65,000 bytes, are not asked for in full.
//  - A manual MTU is believed: what it makes too large for a path is lost. Where nothing may be
//    lost, none is set that its paths do not carry.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/random.h"
#include "engine/core/link_config.h"
#include "engine/wire/size.h"
#include "tests/sim/suite.h"

namespace ringknet::sim {

inline constexpr std::size_t kNodesMax = 5;
inline constexpr std::size_t kLinksMax = 8;
// What a received datagram takes up in a socket at least, as the kernel counts.
inline constexpr std::size_t kPacketInSocketMin = 768;

struct Features {
  bool loss = false;
  bool duplication = false;
  bool jitter = false;           // and with it reordering
  bool cuts = false;             // links cut in both directions
  bool one_way_cuts = false;     // or in one
  bool restarts = false;         // a process ends and a new one takes its place
  bool reboots = false;          // with its restart, the machine's clock begins anew
  bool pauses = false;           // a process is not scheduled for a while
  bool device_limits = false;    // interfaces of different MTU, and kernels that say so
  bool unnamed_limits = false;   // kernels that refuse without saying what would pass
  bool black_holes = false;      // paths that silently drop large packets
  bool mtu_changes = false;      // any of these, later
  bool slow_completion = false;  // few send slots, and ends of sends that come late
  bool send_failures = false;    // sends that the kernel refuses
  bool path_reports = false;     // "nobody listens here" from hosts whose process is gone
  bool late_wakes = false;       // timers that fire late
  bool dynamic_links = false;    // links whose peer is learned
  bool reconfiguration = false;  // policies, priorities, links disabled and enabled
  bool bursts = false;           // thousands of messages to one host, unheard by the others
  bool long_running = false;     // sequences near their wrap
  bool native = false;           // the native envelope
  bool classic = false;          // the classic envelope, unless it is the native one
  bool rekey = false;            // other keys and envelopes, in the documented order
  bool compression = false;      // some nodes compress
  bool recompress = false;       // compression switched on, off or over
  bool bandwidth = false;        // paths of limited rate with a queue that drops what is too much
  bool clogs = false;            // paths hold back what they carry and release it later
  bool damage = false;           // bits flipped, datagrams cut short
  bool forgery = false;          // packets made up by somebody without a key
  bool replays = false;          // packets that came once are sent again
  bool rebinds = false;          // peers of dynamic links change their address
  bool fast_restarts = false;    // a process is back before the others notice
  bool busy_nodes = false;       // datagrams take their time to be received
  bool slow_readers = false;     // applications that read slowly
  bool floods = false;           // a node sends all it can for a while
  bool drift = false;            // clocks of different speed
  bool run_limits = false;       // paths that silently drop runs sent in one piece, if long
  // Configuration that changes under traffic, beyond `reconfiguration`.
  bool relinks = false;        // links cleared and configured again
  bool rehosts = false;        // hosts removed with all their links, and added again
  bool retiming = false;       // timers, pong counts and priorities set anew
  bool manual_mtus = false;    // MTUs that are said and not searched
  bool mtu_intervals = false;  // the time between two searches
  bool access_lists = false;   // dynamic links that refuse their peer for a while
  // Numbers that are not where they should be.
  bool stragglers = false;     // data packets that come long after those around them
  bool false_numbers = false;  // clear packets made up in a peer's name, with numbers far ahead
};

// All features by name, in the order in which they are drawn.
struct FeatureName {
  const char* name;
  bool Features::*feature;
};
std::vector<FeatureName> feature_names();

struct PathPlan {
  Duration delay{};
  Duration jitter{};
  double loss = 0;
  double duplication = 0;
  std::uint32_t device_mtu = 65535;  // of the sending interface; the kernel refuses what is larger
  std::uint32_t hole_mtu = 65535;    // what is larger disappears
  // Runs of several datagrams that leave in one piece are one packet to firewalls on their way; a
  // longer one disappears.
  std::uint32_t run_max = kIpPacketMax + 1;
  // Bytes per second, 0 for no limit; a packet that finds more than `queue` bytes waiting is lost.
  std::uint64_t rate = 0;
  std::uint64_t queue = 0;

  // How long the largest packet may take behind a full queue.
  Duration queueing() const;
};

struct LinkPlan {
  PingTimers timers;
  std::uint8_t pong_count = 1;
  bool ipv6 = false;
  int dynamic_node = -1;  // the node on which this link learns its peers, if any
};

struct Scenario {
  std::uint64_t seed = 0;
  Features features;
  Features drawn;  // what the seed says, before anything was switched off by hand
  std::size_t nodes = 2;
  std::size_t links = 1;
  std::array<LinkPlan, kLinksMax> link{};
  std::array<std::array<std::array<PathPlan, kLinksMax>, kNodesMax>, kNodesMax> path{};
  std::array<std::array<Policy, kNodesMax>, kNodesMax> policy{};
  std::array<Duration, kNodesMax> clock{};      // each machine's clock at virtual time zero
  std::array<std::int64_t, kNodesMax> drift{};  // how much faster it runs, in 10^-9
  std::array<bool, kNodesMax> loopback{};
  std::array<std::uint16_t, kNodesMax> first_seq{};
  std::array<std::size_t, kNodesMax> compress_above{};  // bytes; 0: does not compress at first
  Suite suite = Suite::kClear;                          // of the first key
  bool real_ciphers = false;  // in the envelopes; or quick ones (quick_ciphers.h)
  std::size_t receive_buffer = 8u * 1024 * 1024;  // of each socket
  Duration service{};                             // what a datagram takes its receiver (busy_nodes)
  std::uint64_t read_rate = 0;  // bytes per second that an application reads (slow_readers)
  std::size_t send_slots = 64;
  Duration chaos{};         // how long faults happen
  Duration mtu_interval{};  // between two searches for a larger MTU
  Duration message_gap{};   // between two messages of a node, on average

  // `without`: features that are switched off whatever the seed says. All other decisions stay.
  static Scenario from_seed(std::uint64_t seed, const std::vector<std::string>& without = {});

  // Whether nothing in it may lose a message between two nodes that see each other.
  bool lossless() const;
  bool loaded() const { return features.floods || features.busy_nodes || features.slow_readers; }
  // Whether links or hosts may be missing for a while.
  bool takes_away() const { return features.relinks || features.rehosts; }

  Duration interval_max() const;
  Duration timeout_min() const;
  Duration timeout_max() const;
  Duration away_min() const;     // of a node that restarts
  Duration delay_max() const;    // one way, with jitter, a duplicate's extra delay and all queues
  Duration service_max() const;  // behind a full receive buffer
  Duration clog_max() const;     // how long a path may hold packets back
  // Whether what a path held back may come when it is not recognised any more: its number means
  // another message, or PINGs that were held back as well were believed.
  bool holds_back_long() const {
    return (features.clogs && clog_max() > timeout_min() / 4) ||
           (features.stragglers && features.bursts);
  }
  std::string describe() const;
};

// A generator of its own for every purpose, so that one fault switched off leaves the others'
// decisions alone.
enum class Stream : std::uint64_t {
  kScenario = 1,
  kNetwork,
  kTraffic,
  kChaos,
  kNode,
  kKeys,
  kIntruder,
  kCiphers,
  kWide,
  kRuns,
  kStreams,
  kSettings = 32,
  kNumbers
};
inline Random random_for(std::uint64_t seed, Stream stream) {
  Random base(seed);
  return Random(base.next() ^ (static_cast<std::uint64_t>(stream) * 0xd1342543de82ef95u));
}

}  // namespace ringknet::sim
