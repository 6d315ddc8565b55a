// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The settings of a link, as data: what the API passes in and what status calls read back.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/address.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace ringknet {

// Values are the protocol's transport ids.
enum class Transport : std::uint8_t { kLoopback = 0, kUdp = 1, kSctp = 2 };

// Values are the API's policy ids.
enum class Policy : std::uint8_t {
  kPassive = 0,     // the usable link of highest priority, lowest id among equals
  kActive = 1,      // every usable link
  kRoundRobin = 2,  // one usable link per message, in turn
};

struct LinkConfig {
  Transport transport = Transport::kUdp;
  bool dynamic = false;  // the peer's address is learned from its packets
  SocketId socket{};     // unused by loopback
  Address local{};
  Address remote{};  // unknown while a dynamic link has not heard its peer
  // Bytes that the kernel grants the socket for received packets, its own book-keeping included.
  std::size_t receive_buffer = std::size_t{8} * 1024 * 1024;
  std::uint64_t flags = 0;  // kept for the API, not interpreted here
};

struct PingTimers {
  Duration interval = std::chrono::milliseconds(1000);
  Duration timeout = std::chrono::milliseconds(2000);
  std::uint32_t precision = 2048;  // latency samples in the running mean
};

inline constexpr std::uint8_t kPongCountDefault = 5;

}  // namespace ringknet
