// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Names of the drop reasons, for logs, traces and test output.
#include "engine/base/drop.h"

namespace ringknet {

std::string_view name(Drop reason) {
  static constexpr std::array<std::string_view, kDropCount> kNames = {
      "too short",
      "too long",
      "version",
      "type",
      "link id",
      "channel",
      "sequence zero",
      "compress id",
      "compression unsupported",
      "fragment count",
      "fragment index",
      "empty",
      "seal too short",
      "seal too long",
      "seal mac",
      "seal length",
      "seal padding",
      "seal reflected",
      "seal sender",
      "seal counter",
      "seal replay",
      "seal stale",
      "seal unverified",
      "seal impostor",
      "clear refused",
      "decompress",
      "unknown host",
      "unknown link",
      "source address",
      "access list",
      "no source link",
      "host unreachable",
      "duplicate",
      "sequence stale",
      "fragment repeated",
      "fragment changed",
      "slice size",
      "fragment offset",
      "no buffers",
      "evicted",
      "expired",
      "reset",
      "control queue full",
      "unmatched mtu reply",
      "pong stamp",
      "forwarding off",
      "filter",
      "channel closed",
      "reader slow",
      "reader error",
      "seal failed",
      "link gone",
  };
  static_assert(!kNames.back().empty(), "every reason has a name");
  return reason < Drop::kCount ? kNames[static_cast<std::size_t>(reason)] : "unknown";
}

}  // namespace ringknet
