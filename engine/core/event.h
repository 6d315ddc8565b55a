// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the core tells its owner: plain data, in the order in which it happened. User callbacks and
// log records are made of these, outside the core and after its state is consistent.
#pragma once

#include <cstdint>

#include "engine/base/address.h"
#include "engine/base/ids.h"

namespace ringknet {

struct Event {
  enum class Kind : std::uint8_t {
    kHostReachable,    // host
    kHostUnreachable,  // host
    kDataMtu,          // mtu: the handle-wide figure, on every reset and every change
    kLinkUp,           // host, link
    kLinkDown,         // host, link, reason
    kLinkMtu,          // host, link, mtu
    kLinkLearned,      // host, link, address: a dynamic link's peer appeared or moved
    kLinkSuspect,    // host, link, reason: the network reported trouble, other links are preferred
    kPeerRestarted,  // host
  };
  enum class Reason : std::uint8_t {
    kNone,
    kSilence,
    kRefused,
    kUnreachable,
    kDisabled,
    kBlackHole
  };

  Kind kind;
  Reason reason = Reason::kNone;
  HostId host{};
  LinkId link{};
  std::uint32_t mtu = 0;
  Address address{};
};

}  // namespace ringknet
