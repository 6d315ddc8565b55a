// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The virtual network: where addresses are, what becomes of a datagram, and the datagrams that are
// under way. It knows nothing of links going up or down; it only carries, loses, copies and delays.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/base/address.h"
#include "engine/wire/packet.h"
#include "engine/wire/size.h"
#include "tests/sim/scenario.h"

namespace ringknet::sim {

inline constexpr std::uint32_t kNoMessage = 0xffffffff;

HostId host_of(std::size_t node);
std::size_t node_of(HostId host);

// One datagram between two nodes, with what the oracles know of it that is not in its bytes.
struct Datagram {
  // Honest: as a node sent it. Repeated: the very bytes of one that came before, once more.
  // Bogus: damaged or made up; nobody may take it for real.
  enum class Kind : std::uint8_t { kHonest, kRepeated, kBogus };

  std::vector<std::byte> bytes;
  Address source{};
  std::uint8_t from = 0;
  std::uint8_t to = 0;
  std::uint8_t link = 0;
  std::uint32_t incarnation = 0;       // of the sender
  std::uint32_t message = kNoMessage;  // in the ledger; data only
  PacketType type = PacketType::kData;
  Kind kind = Kind::kHonest;
  bool sealed = false;
  bool whole = false;  // data: the whole message
};

// One direction of one link between two nodes.
struct Path {
  PathPlan plan;
  bool cut = false;
  Instant cut_since{};
  Instant runs_changed{};  // when the longest run that it carries last changed
  Instant changed{};     // when what it carries last changed: its MTU, or that it carries anything
  Instant trouble{};     // when it last lost something or held it back, for whatever reason
  Instant busy_until{};  // rate: when what waits has left
  bool clogged = false;
  Instant released{};               // when it last let go of what it held back
  std::vector<std::uint32_t> held;  // datagrams, in the order in which they would have come
  std::uint8_t mapping = 0;         // how often the sender's address changed

  // The last few probes, or answers to probes, that were lost.
  static constexpr std::size_t kProbesMax = 5;
  std::array<Instant, kProbesMax> lost_probes{};
  std::size_t next_lost_probe = 0;

  void lose_probe(Instant now) { lost_probes[next_lost_probe++ % kProbesMax] = now; }
};

class Network {
 public:
  explicit Network(const Scenario& scenario);

  Path& path(std::size_t from, std::size_t to, std::size_t link) { return paths_[from][to][link]; }
  Address address(std::size_t node, std::size_t link) const;
  // As the receiver sees the sender: behind a NAT, addresses change.
  Address source(std::size_t from, std::size_t to, std::size_t link);

  struct Place {
    std::size_t node = 0;
    std::size_t link = 0;
    bool current = true;  // false: an address that the node is not behind any more
  };
  // Where a datagram of this sender goes.
  std::optional<Place> locate(std::size_t sender, const Address& to);

  // IP packet around a datagram of `size` bytes on this link.
  std::uint32_t packet_size(std::size_t link, std::size_t size) const;
  // The largest slice that this direction carries in such envelopes.
  std::uint32_t exact_slice(std::size_t from, std::size_t to, std::size_t link,
                            const Envelope& envelope);

  // When the copies of a datagram arrive; none: it is lost. `in_pieces`: the kernel fragmented it,
  // so that no piece is large.
  struct Fate {
    std::array<Instant, 2> arrivals{};
    std::size_t copies = 0;
    bool damaged = false;  // the first copy
  };
  Fate send(Instant now, std::size_t from, const Place& to, std::size_t size, bool in_pieces);
  // No losses, copies, damage or cuts from now on; delays, rates and size limits stay. What is held
  // back has been let go of.
  void heal(Instant now);

  std::uint32_t take_datagram();
  Datagram& datagram(std::uint32_t index) { return datagrams_[index]; }
  void give_back(std::uint32_t index) { free_.push_back(index); }

 private:
  // When the last byte has left; nothing when the queue is full.
  std::optional<Instant> queue(Instant now, Path& way, std::size_t packet);

  const Scenario& scenario_;
  Random random_;
  bool healed_ = false;
  Path paths_[kNodesMax][kNodesMax][kLinksMax];
  std::vector<Datagram> datagrams_;
  std::vector<std::uint32_t> free_;
};

}  // namespace ringknet::sim
