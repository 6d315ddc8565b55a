// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Field by field, because the order of the C structure is given and ours is not that order.
#include "api/link_status.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <ctime>

#include "api/address.h"

namespace ringknet {
namespace {

std::uint32_t microseconds(Duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 0, UINT32_MAX));
}

timespec to_timespec(Instant instant) {
  if (instant == kNever) {
    return {};
  }
  const auto since_start = instant.time_since_epoch();
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(since_start);
  return {.tv_sec = whole.count(), .tv_nsec = (since_start - whole).count()};
}

Duration read_clock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

// Events are kept in monotonic time and told in calendar time, as of the calendar that is valid
// now.
void copy_times(const EventTimes& events, Duration calendar_offset,
                time_t (&times)[MAX_LINK_EVENTS], std::int8_t& next) {
  static_assert(kLinkEventsMax == MAX_LINK_EVENTS);
  for (std::size_t index = 0; index < events.at.size(); ++index) {
    if (events.at[index] != Instant{}) {
      const Duration calendar = events.at[index].time_since_epoch() + calendar_offset;
      times[index] = std::chrono::duration_cast<std::chrono::seconds>(calendar).count();
    }
  }
  next = static_cast<std::int8_t>(events.next);
}

knet_link_stats to_c(const LinkStats& stats) {
  knet_link_stats out{};
  out.tx_data_packets = stats.tx_data.packets;
  out.rx_data_packets = stats.rx_data.packets;
  out.tx_data_bytes = stats.tx_data.bytes;
  out.rx_data_bytes = stats.rx_data.bytes;
  out.rx_ping_packets = stats.rx_ping.packets;
  out.tx_ping_packets = stats.tx_ping.packets;
  out.rx_ping_bytes = stats.rx_ping.bytes;
  out.tx_ping_bytes = stats.tx_ping.bytes;
  out.rx_pong_packets = stats.rx_pong.packets;
  out.tx_pong_packets = stats.tx_pong.packets;
  out.rx_pong_bytes = stats.rx_pong.bytes;
  out.tx_pong_bytes = stats.tx_pong.bytes;
  out.rx_pmtu_packets = stats.rx_mtu.packets;
  out.tx_pmtu_packets = stats.tx_mtu.packets;
  out.rx_pmtu_bytes = stats.rx_mtu.bytes;
  out.tx_pmtu_bytes = stats.tx_mtu.bytes;

  for (const PacketCount& sent : {stats.tx_data, stats.tx_ping, stats.tx_pong, stats.tx_mtu}) {
    out.tx_total_packets += sent.packets;
    out.tx_total_bytes += sent.bytes;
  }
  for (const PacketCount& received : {stats.rx_data, stats.rx_ping, stats.rx_pong, stats.rx_mtu}) {
    out.rx_total_packets += received.packets;
    out.rx_total_bytes += received.bytes;
  }
  for (const SendTrouble& trouble :
       {stats.data_trouble, stats.ping_trouble, stats.pong_trouble, stats.mtu_trouble}) {
    out.tx_total_errors += trouble.errors;
    out.tx_total_retries += trouble.retries;
  }

  out.tx_pmtu_errors = stats.mtu_trouble.errors;
  out.tx_pmtu_retries = stats.mtu_trouble.retries;
  out.tx_ping_errors = stats.ping_trouble.errors;
  out.tx_ping_retries = stats.ping_trouble.retries;
  out.tx_pong_errors = stats.pong_trouble.errors;
  out.tx_pong_retries = stats.pong_trouble.retries;
  out.tx_data_errors = stats.data_trouble.errors;
  out.tx_data_retries = stats.data_trouble.retries;

  out.latency_min = microseconds(stats.latency_min);
  out.latency_max = microseconds(stats.latency_max);
  out.latency_ave = microseconds(stats.latency_mean);
  out.latency_samples = stats.latency_samples;

  out.down_count = stats.downs.count;
  out.up_count = stats.ups.count;
  const Duration calendar_offset = read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC);
  copy_times(stats.ups, calendar_offset, out.last_up_times, out.last_up_time_index);
  copy_times(stats.downs, calendar_offset, out.last_down_times, out.last_down_time_index);
  return out;
}

template <std::size_t host_size, std::size_t port_size>
void copy_text(const Address& address, char (&host)[host_size], char (&port)[port_size]) {
  const AddressText text = to_text(address);
  std::memcpy(host, text.host.data(), host_size);
  std::memcpy(port, text.port.data(), port_size);
}

}  // namespace

knet_link_status to_c(const LinkStatus& status) {
  knet_link_status out{};
  out.size = sizeof(out);
  copy_text(status.config.local, out.src_ipaddr, out.src_port);
  copy_text(status.config.remote, out.dst_ipaddr, out.dst_port);
  out.enabled = status.enabled ? 1 : 0;
  out.connected = status.connected ? 1 : 0;
  out.dynconnected = status.learned ? 1 : 0;
  out.latency = microseconds(status.latency);
  out.pong_last = to_timespec(status.last_pong);
  out.mtu = status.mtu;
  out.proto_overhead = status.overhead;
  out.stats = to_c(status.stats);
  return out;
}

}  // namespace ringknet
