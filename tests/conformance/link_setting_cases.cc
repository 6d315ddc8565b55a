// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about the settings of configured links: enabling, timers, pong count, priority, and
// the structure of knet_link_get_status.
#include <climits>
#include <cstring>

#include "tests/conformance/world.h"

namespace conformance {
namespace {

constexpr unsigned char kMark = 0xa5;

}  // namespace

CONFORMANCE_CASE(link_enable_arguments) {
  Node node;
  unsigned value = 99;
  CALL(fails(EINVAL), knet_link_set_enable(node, 2, 0, 1));
  add_static_link(node, 2, 0);
  CALL(fails(EINVAL), knet_link_set_enable(node, 2, 8, 1));
  CALL(fails(EINVAL), knet_link_set_enable(node, 2, 0, 2));
  CALL(fails(EINVAL), knet_link_set_enable(node, 3, 0, 1));
  CALL(fails(EINVAL), knet_link_set_enable(node, 2, 1, 1));
  CALL(fails(EINVAL), knet_link_get_enable(node, 2, 8, &value));
  CALL(fails(EINVAL), knet_link_get_enable(node, 2, 0, nullptr));
  CALL(fails(EINVAL), knet_link_get_enable(node, 3, 0, &value));
  CALL(fails(EINVAL), knet_link_get_enable(node, 2, 1, &value));
  VALUE(99, value);
  for (const unsigned enabled : {0U, 1U, 1U, 0U, 0U}) {
    CALL(kOk, knet_link_set_enable(node, 2, 0, enabled));
    CALL(kOk, knet_link_get_enable(node, 2, 0, &value));
    VALUE(enabled, value);
    VALUE(enabled, node.link_status(2, 0).enabled);
  }
}

CONFORMANCE_CASE(link_timer_order) {
  Node node;
  add_static_link(node, 2, 0);
  CALL(fails(EINVAL), knet_link_set_ping_timers(node, 2, 8, 1000, 2000, 1));
  CALL(fails(EINVAL), knet_link_set_ping_timers(node, 2, 0, 0, 2000, 1));
  CALL(fails(ENOSYS), knet_link_set_ping_timers(node, 2, 0, 1000, 0, 1));
  CALL(fails(EINVAL), knet_link_set_ping_timers(node, 2, 0, 1000, 2000, 0));
  CALL(fails(EINVAL), knet_link_set_ping_timers(node, 2, 0, 0, 0, 0));
  CALL(fails(ENOSYS), knet_link_set_ping_timers(node, 2, 0, 1000, 0, 0));
  CALL(fails(EINVAL), knet_link_set_ping_timers(node, 2, 8, 1000, 0, 1));
  CALL(fails(ENOSYS), knet_link_set_ping_timers(node, 3, 0, 1000, 0, 1));
  CALL(fails(EINVAL), knet_link_set_ping_timers(node, 3, 0, 1000, 2000, 1));
  CALL(fails(EINVAL), knet_link_set_ping_timers(node, 2, 1, 1000, 2000, 1));
}

CONFORMANCE_CASE(link_timer_values) {
  Node node;
  add_static_link(node, 2, 0);
  time_t interval = 99;
  time_t timeout = 99;
  unsigned precision = 99;
  CALL(fails(EINVAL), knet_link_get_ping_timers(node, 2, 8, &interval, &timeout, &precision));
  CALL(fails(EINVAL), knet_link_get_ping_timers(node, 2, 0, nullptr, &timeout, &precision));
  CALL(fails(EINVAL), knet_link_get_ping_timers(node, 2, 0, &interval, nullptr, &precision));
  CALL(fails(EINVAL), knet_link_get_ping_timers(node, 2, 0, &interval, &timeout, nullptr));
  CALL(fails(EINVAL), knet_link_get_ping_timers(node, 3, 0, &interval, &timeout, &precision));
  CALL(fails(EINVAL), knet_link_get_ping_timers(node, 2, 1, &interval, &timeout, &precision));
  VALUE(99, interval);
  for (const time_t value : {1, 199, 200, 3600000}) {
    CALL(kOk, knet_link_set_ping_timers(node, 2, 0, value, value + 1, UINT_MAX));
    CALL(kOk, knet_link_get_ping_timers(node, 2, 0, &interval, &timeout, &precision));
    VALUE(value, interval);
    VALUE(value + 1, timeout);
    VALUE(UINT_MAX, precision);
  }
  const char* reason = "negative ping timers are refused, as in later versions";
  CALL(differs(reason, fails(EINVAL), kOk), knet_link_set_ping_timers(node, 2, 0, -1, 2000, 1));
  CALL(differs(reason, fails(ENOSYS), kOk), knet_link_set_ping_timers(node, 2, 0, 1000, -1, 1));
}

CONFORMANCE_CASE(link_pong_count_arguments) {
  Node node;
  add_static_link(node, 2, 0);
  uint8_t value = 99;
  CALL(fails(EINVAL), knet_link_set_pong_count(node, 2, 8, 1));
  CALL(fails(EINVAL), knet_link_set_pong_count(node, 2, 0, 0));
  CALL(fails(EINVAL), knet_link_set_pong_count(node, 3, 0, 1));
  CALL(fails(EINVAL), knet_link_set_pong_count(node, 2, 1, 1));
  CALL(fails(EINVAL), knet_link_get_pong_count(node, 2, 8, &value));
  CALL(fails(EINVAL), knet_link_get_pong_count(node, 2, 0, nullptr));
  CALL(fails(EINVAL), knet_link_get_pong_count(node, 3, 0, &value));
  CALL(fails(EINVAL), knet_link_get_pong_count(node, 2, 1, &value));
  VALUE(99, value);
  for (const uint8_t count : {1, 255}) {
    CALL(kOk, knet_link_set_pong_count(node, 2, 0, count));
    CALL(kOk, knet_link_get_pong_count(node, 2, 0, &value));
    VALUE(count, value);
  }
}

CONFORMANCE_CASE(link_priority_arguments) {
  Node node;
  add_static_link(node, 2, 0);
  uint8_t value = 99;
  CALL(fails(EINVAL), knet_link_set_priority(node, 2, 8, 1));
  CALL(fails(EINVAL), knet_link_set_priority(node, 3, 0, 1));
  CALL(fails(EINVAL), knet_link_set_priority(node, 2, 1, 1));
  CALL(fails(EINVAL), knet_link_get_priority(node, 2, 8, &value));
  CALL(fails(EINVAL), knet_link_get_priority(node, 2, 0, nullptr));
  CALL(fails(EINVAL), knet_link_get_priority(node, 3, 0, &value));
  CALL(fails(EINVAL), knet_link_get_priority(node, 2, 1, &value));
  VALUE(99, value);
  for (const uint8_t priority : {1, 1, 255, 0}) {
    CALL(kOk, knet_link_set_priority(node, 2, 0, priority));
    CALL(kOk, knet_link_get_priority(node, 2, 0, &value));
    VALUE(priority, value);
  }
}

CONFORMANCE_CASE(link_status_arguments) {
  Node node;
  add_static_link(node, 2, 0);
  knet_link_status status{};
  constexpr size_t kSize = sizeof(knet_link_status);
  CALL(fails(EINVAL), knet_link_get_status(node, 2, 8, &status, kSize));
  CALL(fails(EINVAL), knet_link_get_status(node, 2, 0, nullptr, kSize));
  CALL(fails(EINVAL), knet_link_get_status(node, 3, 0, &status, kSize));
  CALL(fails(EINVAL), knet_link_get_status(node, 2, 1, &status, kSize));
  VALUE(0, status.size);
  CALL(kOk, knet_link_get_status(node, 2, 0, &status, kSize));
  VALUE(kSize, status.size);
}

CONFORMANCE_CASE(link_status_sizes) {
  Node node;
  add_static_link(node, 2, 0);
  // Room behind it, so that a library that writes too much can be seen doing it.
  struct Guarded {
    knet_link_status status;
    std::array<unsigned char, 4096> behind;
  } guarded{};
  std::memset(&guarded, kMark, sizeof(guarded));
  const auto* bytes = reinterpret_cast<const unsigned char*>(&guarded);
  constexpr size_t kShort = 300;
  CALL(kOk, knet_link_get_status(node, 2, 0, &guarded.status, kShort));
  VALUE(sizeof(knet_link_status), guarded.status.size);
  VALUE("127.0.0.1", static_cast<const char*>(guarded.status.src_ipaddr));
  const char* reason = "a short or long struct_size is clamped";
  const bool totals = guarded.status.stats.tx_total_packets != 0xa5a5a5a5a5a5a5a5;
  VALUE(differs(reason, false, true), totals);
  VALUE(kMark, bytes[kShort]);
  std::memset(&guarded, kMark, sizeof(guarded));
  CALL(kOk, knet_link_get_status(node, 2, 0, &guarded.status, sizeof(knet_link_status) + 512));
  VALUE(sizeof(knet_link_status), guarded.status.size);
  bool written = false;
  for (const unsigned char byte : guarded.behind) {
    written |= byte != kMark;
  }
  VALUE(differs(reason, false, true), written);
  std::memset(&guarded, kMark, sizeof(guarded));
  NOT_ON_PEER("a struct_size below 8 writes the size nevertheless") {
    CALL(kOk, knet_link_get_status(node, 2, 0, &guarded.status, 7));
    VALUE(0xa5a5a5a5a5a5a5a5, guarded.status.size);
  }
}

}  // namespace conformance
