// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Remembering the senders of refused packets.
#include "engine/core/offences.h"

namespace ringknet {

bool names_offender(Drop reason) {
  switch (reason) {
    case Drop::kVersion:
    case Drop::kSealMac:
    case Drop::kSealReflected:
    case Drop::kSealSender:
    case Drop::kSealImpostor:
    case Drop::kClearRefused:
    case Drop::kUnknownHost:
    case Drop::kUnknownLink:
    case Drop::kSourceAddress:
    case Drop::kAccessList:
    case Drop::kNoSourceLink:
      return true;
    default:
      return false;
  }
}

void Offences::note(Instant now, Drop reason, const Address& from, std::optional<HostId> host,
                    std::optional<LinkId> link) {
  // Another key shows as a wrong mac, or as a length that our envelope cannot have: one offence.
  if (reason == Drop::kSealShort || reason == Drop::kSealLong)
    reason = Drop::kSealMac;
  if (!names_offender(reason))
    return;
  Offence* oldest = nullptr;
  Offence* oldest_of_reason = nullptr;
  std::size_t of_reason = 0;
  for (Offence& place : places_) {
    const bool same = place.reason == reason;
    if (same && place.from.same_ip(from) && place.host == host && place.link == link) {
      place.from.port = from.port;
      place.last = now;
      ++place.count;
      return;
    }
    if (oldest == nullptr || place.last < oldest->last)
      oldest = &place;
    if (same && (oldest_of_reason == nullptr || place.last < oldest_of_reason->last))
      oldest_of_reason = &place;
    of_reason += same ? 1 : 0;
  }
  if (of_reason >= kMaxPerReason)
    oldest = oldest_of_reason;
  if (oldest->used() && now - oldest->last < kKept)
    return;
  *oldest = {.reason = reason,
             .from = from,
             .host = host,
             .link = link,
             .first = now,
             .last = now,
             .count = 1};
}

}  // namespace ringknet
