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
    kLinkLearned,      // host, link, address, previous: a dynamic link's peer appeared or moved
    // host, link, reason, rerouted: the network reported trouble, other links are preferred
    kLinkSuspect,
    kPeerRestarted,   // host
    kLinkRunsVanish,  // host, link: runs of packets do not arrive in one piece, and are split
    kLinkRunsPass,    // host, link: they do again
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
  bool rerouted = false;  // the host's data takes other links from now on
  std::uint32_t mtu = 0;
  Address address{};
  Address previous{};  // unknown if there was none
};

}  // namespace ringknet
