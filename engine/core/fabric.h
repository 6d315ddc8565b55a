// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The fabric: the whole protocol of one handle as a state machine without I/O. It never reads a
// clock, opens a socket, starts a thread or calls back into its owner; time comes in as an argument
// and everything it wants done comes out of poll calls. The same inputs give the same outputs, byte
// for byte.
//
// Inputs
//   on_datagram       bytes from a socket; answers with a message for the application, if any
//   send              a message to hosts
//   on_transmit_done  a send that ended
//   on_path_error     from the kernel's error queue
//   on_timeout        the deadline has come
//   configuration     hosts, links, MTU
// Outputs
//   poll_transmit     datagrams to send, control first
//   poll_event        what changed, in order
//   next_deadline     when to call on_timeout
//
// After any batch of inputs: drain poll_transmit as far as there are send slots, drain poll_event,
// then sleep until next_deadline or the next input. A Delivery must be taken care of before the
// next on_datagram or send: see there. `now` must never go backwards.
//
// The destination filter is not called from here: its owner calls it before send and after
// on_datagram, when the fabric is in no call at all, so that the filter may use the whole API. For
// the same reason there is no callback of any kind.
//
// Not thread-safe: one thread owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/base/bounded_queue.h"
#include "engine/base/bytes.h"
#include "engine/base/drop.h"
#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/base/stopwatch.h"
#include "engine/base/time.h"
#include "engine/compress/codec.h"
#include "engine/core/compress_gauge.h"
#include "engine/core/control_queue.h"
#include "engine/core/deadline_heap.h"
#include "engine/core/event.h"
#include "engine/core/host.h"
#include "engine/core/host_table.h"
#include "engine/core/in_flight.h"
#include "engine/core/link_config.h"
#include "engine/core/message_pool.h"
#include "engine/core/offences.h"
#include "engine/core/run_queue.h"
#include "engine/core/slice_census.h"
#include "engine/core/stats.h"
#include "engine/core/transmit.h"
#include "engine/core/transmit_arena.h"
#include "engine/crypto/keyring.h"
#include "engine/wire/packet.h"
#include "engine/wire/size.h"

namespace ringknet {

// A complete message for the application.
struct Delivery {
  HostId from{};
  Channel channel{};
  // Either inside the datagram given to on_datagram (buffer is none) or inside a reassembly buffer,
  // which stays valid until release_message(buffer).
  ConstBytes bytes;
  MessageBufferId buffer = MessageBufferId::kNone;
};

// Where a message goes: everybody reachable, or the hosts listed.
struct Destinations {
  bool broadcast = true;
  std::span<const HostId> hosts{};  // when not broadcast

  static Destinations all() { return {}; }
  static Destinations to(std::span<const HostId> hosts) { return {false, hosts}; }
};

struct SendOutcome {
  Error error = Error::kNone;  // kNone: on its way to at least one host, or local only
  bool local = false;          // the message also goes to this very node: deliver it to its channel
};

struct LinkStatus {
  LinkConfig config;
  PingTimers timers;
  std::uint8_t pong_count = 0;
  std::uint8_t priority = 0;
  bool enabled = false;
  bool connected = false;
  bool suspect = false;  // connected, but in trouble: other links are preferred
  bool learned = false;  // dynamic only: the peer's address is known and in use
  Duration latency{};
  Instant last_pong = kNever;  // kNever: none since the link went down
  std::uint32_t mtu = 0;       // largest payload per packet
  std::uint32_t overhead = 0;  // bytes around it, IP header included; 0 until the MTU was probed
  LinkStats stats;
};

class Fabric {
 public:
  struct Config {
    HostId self{};
    // Outlives the fabric; without it packets cannot be encrypted.
    RandomSource* random = nullptr;
    // Measures work for the statistics, and nothing else: no decision depends on it. May be
    // missing.
    Stopwatch* stopwatch = nullptr;
    // By wire id; what is missing cannot be received.
    std::array<std::unique_ptr<Decompressor>, kCompressIds> decompressors{};
    // Upper bounds of what peers and applications can make the fabric hold. Buffers are allocated
    // on first use and kept.
    // Of TransmitArena::kSlabSize bytes. What waits here is in front of everything that comes
    // later: 24 cost a message beside a stream twice the time of 10, and the stream gained nothing.
    std::size_t transmit_slabs = 10;
    // Of kMessageSizeMax bytes, for messages of which a part has come. Every host has its share and
    // no more, two at least: with more hosts than half of this there are more buffers.
    std::size_t message_buffers = 1024;
  };

  explicit Fabric(Config config);
  ~Fabric();
  Fabric(const Fabric&) = delete;
  Fabric& operator=(const Fabric&) = delete;

  // --- inputs: traffic ---

  // One datagram. `bytes` is borrowed for the call, except that a returned Delivery without a
  // buffer points into it. At most one message becomes complete per datagram.
  std::optional<Delivery> on_datagram(Instant now, SocketId socket, const Address& from,
                                      MutableBytes bytes);
  void release_message(MessageBufferId buffer);

  // A message from the application, 1..kMessageSizeMax bytes, borrowed for the call. kNoBuffers:
  // call again after on_transmit_done made room (nothing happened); other errors are final.
  SendOutcome send(Instant now, Channel channel, ConstBytes message,
                   const Destinations& destinations);
  // Whether send() would find buffers for a message of this size now. While it is false, leave the
  // message where it is; a shorter one may still find room.
  bool can_send(std::size_t size = kMessageSizeMax) const;

  void on_transmit_done(Instant now, TransmitId id, const TransmitResult& result);
  void on_path_error(Instant now, const PathError& error);
  // While applications are behind with reading, PONGs wait a little: senders that mark their data
  // with PINGs (send_window.h) then slow down, and no link takes harm.
  void set_backlogged(bool backlogged);
  void on_timeout(Instant now);

  // --- outputs ---

  // The next run of datagrams to send; false when there is nothing (more). Each one polled is
  // answered by on_transmit_done exactly once, in any order. Control packets and probes come before
  // data; with `control_only` data stays where it is, so that the caller can keep its last send
  // slots for control.
  bool poll_transmit(Instant now, Transmit& out, bool control_only = false);
  bool poll_event(Event& out);
  Instant next_deadline() const;
  // Whether data waits to be polled or is in flight.
  bool data_pending() const;

  // --- configuration ---

  Result<> host_add(HostId host);
  Result<> host_remove(HostId host);
  Result<> host_set_policy(Instant now, HostId host, Policy policy);
  Result<Policy> host_policy(HostId host) const;
  Result<bool> host_reachable(HostId host) const;
  std::size_t link_count() const { return link_count_; }
  bool host_exists(HostId host) const { return hosts_.find(host) != nullptr; }
  // Most recently added first.
  std::span<const HostId> hosts() const { return hosts_.order(); }

  // May the link be configured so? Checks everything link_configure checks, so that the owner can
  // open a socket in between.
  Result<> link_check(HostId host, LinkId link, const LinkConfig& config) const;
  Result<> link_configure(Instant now, HostId host, LinkId link, const LinkConfig& config);
  // Forgets the link; its config is returned so that the owner can release the socket.
  Result<LinkConfig> link_clear(Instant now, HostId host, LinkId link);
  Result<> link_set_enabled(Instant now, HostId host, LinkId link, bool enabled);
  Result<> link_set_timers(Instant now, HostId host, LinkId link, const PingTimers& timers);
  Result<> link_set_pong_count(HostId host, LinkId link, std::uint8_t count);
  Result<> link_set_priority(Instant now, HostId host, LinkId link, std::uint8_t priority);
  // A link whose packets go to this address.
  std::optional<LinkRef> link_to(const Address& remote) const;
  Result<LinkStatus> link_status(HostId host, LinkId link) const;
  // Ascending ids of configured links; `count` entries of `out` are written.
  Result<std::size_t> link_list(HostId host, std::span<LinkId, kLinksPerHost> out) const;

  // Whether dynamic links consult their access lists; off at first. Static links always admit their
  // peer's address only.
  void set_access_lists(bool enabled) { access_lists_ = enabled; }
  // Dynamic links only (kInvalid for static ones). `position`: see AccessList::insert.
  Result<> access_insert(HostId host, LinkId link, int position, const AccessEntry& entry);
  Result<> access_remove(HostId host, LinkId link, const AccessEntry& entry);
  Result<> access_clear(HostId host, LinkId link);

  // Interface MTU to assume instead of probing (1..65535), or 0 to probe.
  Result<> set_manual_mtu(Instant now, std::uint32_t interface_mtu);
  // How often a settled MTU is searched again for a larger one.
  void set_mtu_interval(Instant now, Duration interval);
  // Runs that are split, as they did not arrive in one piece, are tried again (run_check.h).
  void retry_runs();
  Duration mtu_interval() const { return mtu_interval_; }
  std::uint32_t data_mtu() const { return data_mtu_; }

  // Keys; see keyring.h for the slots. Whoever wants a change of the slot in use refused, asks
  // keyring() before. A change of what is sent resets every MTU, as another envelope leaves another
  // room.
  Keyring& keyring() { return keyring_; }
  Result<> crypto_install(Instant now, std::size_t slot, std::unique_ptr<Sealer> sealer);
  Result<> crypto_use(Instant now, std::size_t slot);

  // Messages longer than `threshold` are compressed from now on; none of them with a null
  // compressor.
  void set_compressor(std::unique_ptr<Compressor> compressor, CompressId id, std::size_t threshold);

  const HandleStats& stats() const { return stats_; }
  // Messages of which something came, so far, of all senders.
  std::uint64_t arrived() const { return arrived_; }
  // Messages that are known of and did not come, or not all of them: what was sent to others only
  // is among them, so nothing but changes tells anything.
  std::int64_t missing() const { return missing_; }
  void clear_stats() { stats_ = HandleStats{}; }
  void clear_link_stats();
  const DropCounters& drops() const { return drops_; }
  // For the owner's own drops after on_datagram: filter, channel, reader.
  void count_drop(Drop reason) { drops_.add(reason); }
  // Who sent what was refused, for people. An offence may have ended meanwhile, by configuration.
  Offences& offences() { return offences_; }
  bool still_offends(const Offence& offence) const;
  HostId self() const { return config_.self; }

 private:
  friend class FabricInspector;  // tests and simulation read the state through it

  // fabric_rx.cc
  // One packet, out of its envelope, and how it got here.
  struct Arrival {
    Instant now;
    SocketId socket;
    const Address& from;
    const Opened& opened;
    std::size_t size() const { return opened.clear.size(); }
  };
  std::optional<Delivery> on_data(const Arrival& arrival, const DataPacket& packet);
  std::optional<Delivery> deliver(const DataHeader& header, ConstBytes bytes,
                                  MessageBufferId buffer);
  std::optional<Delivery> decompress(const DataHeader& header, ConstBytes bytes);
  void on_control(const Arrival& arrival, const PingPacket& packet);
  void on_control(const Arrival& arrival, const MtuPacket& packet);
  void on_ping(const Arrival& arrival, Host& host, Link& link, const PingPacket& packet);
  void on_pong(const Arrival& arrival, Link& link, const PingPacket& packet);
  std::optional<Instant> answered_ping(const Arrival& arrival, Link& link, const PingStamp& stamp);
  Link* control_link(const Arrival& arrival, HostId sender, LinkId id, bool is_ping);
  bool proven(const Arrival& arrival, HostId sender, bool may_prove) {
    return !names_sender(arrival.opened) || sender_proven(arrival, sender, may_prove);
  }
  bool sender_proven(const Arrival& arrival, HostId sender, bool may_prove);
  bool ask_sender(const Arrival& arrival, Link& link);
  void on_proof(const Arrival& arrival, Host& host, const Link& link);
  void note_first(Host& host, const PeerSequence::Place& place);
  void refuse(const Arrival& arrival, Drop reason, HostId host, std::optional<LinkId> link = {});
  void refuse_unopened(Instant now, const Address& from, Drop reason, ConstBytes bytes);
  bool from_peer(const Arrival& arrival, const Host& host, Link& link, bool is_ping);
  void move(const Arrival& arrival, Link& link);
  void notice_boot(const Arrival& arrival, Host& host) {
    if (names_sender(arrival.opened) && host.newest.other_boot(arrival.opened))
      on_other_boot(host);
  }
  void on_other_boot(Host& host);
  void moved_on(const Arrival& arrival, Host& host, const PeerSequence::Place& place);
  void on_progress(const Arrival& arrival, Host& host, const Link& link, const PingPacket& packet);
  void on_restart(Host& host);
  bool admits(const Link& link, const Address& from) const;
  void give_up_partials(Host& host);
  void share_buffers();
  void expire_outside(Host& host);

  // fabric_tx.cc
  enum class ControlSend : std::uint8_t { kReady, kNothing, kNoRoom, kNotSealed };
  bool collect_targets(const Destinations& destinations, bool local, std::uint32_t& slice);
  void collect_links(Host& host, std::uint32_t& slice);
  bool queue_message(const DataHeader& header, ConstBytes message, std::uint32_t slice,
                     const TransmitArena::Piece& piece);
  ConstBytes compress(ConstBytes message, std::uint8_t& id);
  bool seal_data(MutableBytes row, std::size_t count, std::size_t clear, std::size_t last);
  void queue_answer(Link& link, const PongAnswer& pong);
  void queue_answer(Link& link, const MtuAnswer& answer);
  ControlSend poll_own(Instant now, Transmit& out);
  ControlSend poll_answers(Instant now, Transmit& out);
  void release_held();
  bool poll_probe(Instant now, Transmit& out);
  bool poll_data(Instant now, Transmit& out);
  bool may_leave(Host& host, const Link& link, std::uint64_t message);
  void hand_out(Link& link, InFlight::Kind kind, const RunRef& run, bool rerouted, Transmit& out);
  ControlSend hand_out_ping(Instant now, Link& link, PingKind kind, Transmit& out);
  ControlSend hand_out_pong(Link& link, const PongAnswer& pong, Transmit& out);
  ControlSend hand_out_mtu_answer(Link& link, const MtuAnswer& answer, Transmit& out);
  template <typename Encode>
  ControlSend hand_out_sealed(Link& link, std::size_t slot, InFlight::Kind kind, std::size_t clear,
                              Transmit& out, Encode&& encode_into);
  Link* alternative(const LinkRef& ref, const RunRef& run) const;

  // fabric_runs.cc
  void check_run(Instant now, Link& link, Transmit& out);
  bool poll_run_probe(Instant now, Transmit& out);
  ControlSend hand_out_run_probe(Instant now, Link& link, Transmit& out);
  ControlSend hand_out_probes(Link& link, InFlight::Kind kind, std::uint32_t size,
                              std::size_t count, Transmit& out);
  void act_on_runs(Link& link, RunCheck::News news);

  // fabric_time.cc
  bool held_up(Instant now) const;
  void link_up(Instant now, Link& link);
  void link_down(Instant now, Link& link, Event::Reason reason);
  void suspect(Instant now, Link& link, Event::Reason reason);
  void prefer_others(const Link& link, Event::Reason reason);
  void act_on_mtu(Instant now, Link& link, const MtuSearch::Step& step);
  void start_mtu(Instant now, Link& link);
  void search_mtu(Instant now, Link& link);
  void refresh_envelope(Instant now);
  void refresh_host(Host& host);
  void count_slice(Link& link);
  void refresh_data_mtu(bool reset);
  void queue_ping(Link& link);
  void queue_probe(Link& link);
  void reschedule(Link& link) { deadlines_.set(link, link.next_deadline()); }
  void emit(const Event& event);
  Instant read_stopwatch() const {
    return config_.stopwatch != nullptr ? config_.stopwatch->read() : Instant{};
  }

  Link* find_link(const LinkRef& ref) const;
  Result<Link*> configured(HostId host, LinkId link) const;
  Result<Link*> with_access_list(HostId host, LinkId link) const;

  Config config_;
  NoRandomness no_randomness_;
  Keyring keyring_;
  SealShape shape_;    // the envelope of the key in use, exactly,
  Envelope envelope_;  // and as the arithmetic of MTUs sees it
  DeadlineHeap deadlines_;
  MessagePool messages_;  // outlives the hosts, whose partial messages go back to it
  HostTable hosts_;
  TransmitArena arena_;
  ControlQueue control_;
  bool run_probe_under_way_ = false;  // one at a time: they are large
  bool backlogged_ = false;
  Instant held_up_until_{};    // what came while this process did not run is being caught up with
  Instant held_due_ = kNever;  // when the PONGs that are held leave at the latest
  RunQueue runs_;
  InFlightTable in_flight_;
  BoundedQueue<Event> events_;
  std::vector<LinkRef> targets_;  // scratch of send()
  std::uint64_t sends_ = 0;
  MessageSeq last_seq_{};
  std::uint64_t messages_sent_ = 0;  // that were given a sequence
  Duration mtu_interval_ = std::chrono::seconds(60);
  std::uint32_t manual_mtu_ = 0;
  SliceCensus slices_;
  std::uint32_t data_mtu_ = 0;
  std::size_t link_count_ = 0;
  std::uint32_t generation_ = 0;
  bool has_loopback_ = false;
  bool access_lists_ = false;
  DropCounters drops_;
  Offences offences_;
  HandleStats stats_;
  std::uint64_t arrived_ = 0;
  std::int64_t missing_ = 0;
  std::unique_ptr<Compressor> compressor_;
  CompressId compress_id_ = CompressId::kNone;
  std::size_t compress_threshold_ = 0;
  CompressGauge compress_gauge_;
  std::vector<std::byte> compressed_;  // scratch of send()
};

}  // namespace ringknet
