// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What is counted, per link and per handle. Byte counts are datagram payloads, without IP and UDP
// headers; received bytes are counted after decryption, sent ones as they go out.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/drop.h"
#include "engine/base/time.h"

namespace ringknet {

struct PacketCount {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;

  void add(std::uint64_t size, std::uint64_t count = 1) {
    packets += count;
    bytes += size;
  }
};

// Sends of one packet class that went wrong: failed for good, or had to be tried again.
struct SendTrouble {
  std::uint32_t errors = 0;
  std::uint32_t retries = 0;
};

inline constexpr std::size_t kLinkEventsMax = 16;

// The last instants at which something happened, oldest overwritten; `next` is the slot written
// next.
struct EventTimes {
  std::array<Instant, kLinkEventsMax> at{};  // Instant{} where there was none yet
  std::uint32_t count = 0;
  std::uint8_t next = 0;

  void add(Instant now) {
    at[next] = now;
    next = static_cast<std::uint8_t>((next + 1) % kLinkEventsMax);
    ++count;
  }
};

struct LinkStats {
  PacketCount tx_data, rx_data;
  PacketCount tx_ping, rx_ping;
  PacketCount tx_pong, rx_pong;
  PacketCount tx_mtu, rx_mtu;  // probes sent; probes and replies received
  SendTrouble data_trouble, ping_trouble, pong_trouble, mtu_trouble;
  Duration latency_min = Duration::max();
  Duration latency_max{};
  Duration latency_mean{};
  std::uint32_t latency_samples = 0;
  EventTimes ups, downs;
};

}  // namespace ringknet
