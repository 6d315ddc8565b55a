// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Identifiers as types of their own, so that a link id cannot be passed where a host id is meant,
// and the limits of each. All limits are those of the 1.x protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace ringknet {

enum class HostId : std::uint16_t {};
enum class LinkId : std::uint8_t {};
enum class Channel : std::uint8_t {};

// Names a datagram socket that the I/O layer owns. The core only compares and hands it back.
enum class SocketId : std::uint16_t {};

template <typename Id>
requires std::is_enum_v<Id>
constexpr auto raw(Id id) {
  return static_cast<std::underlying_type_t<Id>>(id);
}

inline constexpr std::size_t kHostCount = 65536;
inline constexpr std::size_t kLinksPerHost = 8;
inline constexpr std::size_t kChannelCount = 32;
inline constexpr std::size_t kMessageSizeMax = 65536;

}  // namespace ringknet
