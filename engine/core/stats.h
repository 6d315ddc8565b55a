// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What is counted, per link and per handle. Byte counts are datagram payloads, without IP and UDP
// headers; received bytes are counted after decryption, sent ones as they go out.
#pragma once

#include <algorithm>
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

// Reading the clock twice takes a fifth of the time that it takes to seal or open a packet, so of
// these only one in so many is measured: the first, and so on.
inline constexpr std::uint64_t kTimedEvery = 16;

// Durations of one kind of work; nothing is known of them without a Stopwatch.
struct WorkTime {
  Duration min = Duration::max();
  Duration max{};
  Duration total{};
  std::uint64_t count = 0;

  // `pieces` of work took that long together.
  void add(Duration elapsed, std::uint64_t pieces = 1) {
    const Duration each = elapsed / static_cast<std::int64_t>(pieces);
    min = std::min(min, each);
    max = std::max(max, each);
    total += elapsed;
    count += pieces;
  }
  Duration mean() const {
    return count == 0 ? Duration{} : total / static_cast<std::int64_t>(count);
  }
};

// What happened to messages and packets of the whole handle.
struct HandleStats {
  std::uint64_t tx_uncompressed = 0;     // sent as they are while a compressor is set
  std::uint64_t tx_compressed = 0;       // messages the compressor ran on, whether it helped or not
  std::uint64_t tx_compressed_from = 0;  // bytes before
  std::uint64_t tx_compressed_to = 0;    // bytes after
  std::uint64_t tx_compress_skipped =
      0;  // of tx_uncompressed: not tried, as trying was in vain lately
  WorkTime tx_compress;
  std::uint64_t rx_compressed = 0;
  std::uint64_t rx_compressed_to = 0;    // bytes after decompression
  std::uint64_t rx_compressed_from = 0;  // bytes before
  WorkTime rx_compress;
  std::uint64_t tx_sealed = 0;         // every kind of packet
  std::uint64_t tx_seal_overhead = 0;  // of data packets
  WorkTime tx_seal;                    // of some of these
  std::uint64_t rx_opened = 0;         // data packets
  WorkTime rx_open;                    // of some of them
};

}  // namespace ringknet
