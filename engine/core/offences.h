// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Who sends us packets that we have to refuse because of how a node is configured: a wrong address,
// an unknown host, another key. The drop counters say how many there were; this says from where,
// and what the packets claimed to be, so that people know which node to look at.
//
// A fixed number of offenders is kept, whatever comes, and not more than half of them for one
// reason. A new one takes the place of the one that was not heard for the longest time, and for 5 s
// at least; without such a place it is only counted as a drop. So a flood of made-up senders cannot
// push out the others before they were told of. Only refused packets cost anything here.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "engine/base/address.h"
#include "engine/base/drop.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace ringknet {

struct Offence {
  Drop reason = Drop::kCount;  // kCount: an unused place
  Address from{};              // the port is that of the last packet
  // What the packet said it was; anybody can say so.
  std::optional<HostId> host;
  std::optional<LinkId> link;
  Instant first{};
  Instant last{};
  std::uint64_t count = 0;
  Instant told = kNever;  // the owner's mark: when a person was told

  bool used() const { return reason != Drop::kCount; }
};

// Whether packets of this kind come from somebody's configuration. The rest is damage, noise or the
// normal life of a network.
bool names_offender(Drop reason);

class Offences {
 public:
  static constexpr std::size_t kMax = 16;
  static constexpr std::size_t kMaxPerReason = kMax / 2;
  static constexpr Duration kKept = std::chrono::seconds(5);

  void note(Instant now, Drop reason, const Address& from, std::optional<HostId> host = {},
            std::optional<LinkId> link = {});
  // All places, used or not; the owner empties those it is done with.
  std::span<Offence> places() { return places_; }

 private:
  std::array<Offence, kMax> places_{};
};

}  // namespace ringknet
