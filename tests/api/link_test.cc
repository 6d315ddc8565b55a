// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Links: the long list of reasons to refuse a configuration, defaults, settings, and reading them
// back. Links that carry something are in traffic_test.cc.
#include <unistd.h>

#include <cstring>

#include "tests/api/support.h"

using knet_test::address;
using knet_test::Node;
using knet_test::on_peer;

namespace {

// A node with host 2, and a source and destination for links.
struct Fixture {
  Node node{1};
  sockaddr_storage source = address("127.0.0.1", knet_test::free_port());
  sockaddr_storage destination = address("127.0.0.2", 5000);

  Fixture() { REQUIRE_OK(knet_host_add(node, 2)); }

  int configure(uint8_t link, uint8_t transport = KNET_TRANSPORT_UDP, knet_node_id_t host = 2) {
    return knet_link_set_config(node, host, link, transport, &source, &destination, 0);
  }
};

knet_link_status status_of(knet_handle_t handle, knet_node_id_t host, uint8_t link) {
  knet_link_status status{};
  CHECK_OK(knet_link_get_status(handle, host, link, &status, sizeof(status)));
  return status;
}

std::vector<int> list(knet_handle_t handle, knet_node_id_t host) {
  std::array<uint8_t, KNET_MAX_LINK> ids;
  ids.fill(77);
  size_t count = 12345;
  CHECK_OK(knet_link_get_link_list(handle, host, ids.data(), &count));
  REQUIRE(count <= ids.size());
  for (size_t index = count; index < ids.size(); ++index) {
    CHECK(ids[index] == 77);
  }
  return {ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count)};
}

}  // namespace

TEST_CASE("set_config refuses bad arguments") {
  Fixture f;
  sockaddr_storage ipv6 = address("::1", 5000);
  CHECK_FAILS(EINVAL, f.configure(KNET_MAX_LINK));
  CHECK_FAILS(EINVAL,
              knet_link_set_config(f.node, 2, 0, KNET_TRANSPORT_UDP, nullptr, &f.destination, 0));
  CHECK_FAILS(EINVAL, knet_link_set_config(f.node, 2, 0, KNET_TRANSPORT_UDP, &f.source, &ipv6, 0));
  CHECK_FAILS(EINVAL, f.configure(0, KNET_MAX_TRANSPORTS));
  CHECK_FAILS(EINVAL, f.configure(0, KNET_TRANSPORT_UDP, 3));
  CHECK_FAILS(EINVAL, f.configure(0, 3));
  CHECK_FAILS(EINVAL, f.configure(0, 254));
  sockaddr_storage none{};
  CHECK_FAILS(EINVAL, knet_link_set_config(f.node, 2, 0, KNET_TRANSPORT_UDP, &none, &none, 0));
  CHECK(list(f.node, 2).empty());
}

TEST_CASE("set_config refuses addresses of other families") {
  Fixture f;
  sockaddr_storage local{};
  local.ss_family = AF_UNIX;
  CHECK_FAILS(EOPNOTSUPP,
              knet_link_set_config(f.node, 2, 0, KNET_TRANSPORT_UDP, &local, &local, 0));
}

TEST_CASE("a configured link is busy until it is cleared") {
  Fixture f;
  CHECK_OK(f.configure(0));
  CHECK_FAILS(EBUSY, f.configure(0));
  CHECK_OK(knet_link_set_enable(f.node, 2, 0, 1));
  CHECK_FAILS(EBUSY, f.configure(0));
  CHECK_FAILS(EBUSY, knet_link_clear_config(f.node, 2, 0));
  CHECK_OK(knet_link_set_enable(f.node, 2, 0, 0));
  CHECK_OK(knet_link_clear_config(f.node, 2, 0));
  CHECK_FAILS(EINVAL, knet_link_clear_config(f.node, 2, 0));
  CHECK_OK(f.configure(0));
}

TEST_CASE("dynamic and static links do not share a source") {
  Fixture f;
  REQUIRE_OK(knet_host_add(f.node, 3));
  CHECK_OK(knet_link_set_config(f.node, 2, 0, KNET_TRANSPORT_UDP, &f.source, nullptr, 0));
  CHECK_OK(knet_link_set_config(f.node, 3, 0, KNET_TRANSPORT_UDP, &f.source, nullptr, 0));
  CHECK_FAILS(EINVAL, f.configure(1));
  CHECK_OK(knet_link_clear_config(f.node, 2, 0));
  CHECK_OK(knet_link_clear_config(f.node, 3, 0));
  CHECK_OK(f.configure(1));
  CHECK_OK(f.configure(2));
  CHECK_FAILS(EINVAL,
              knet_link_set_config(f.node, 3, 0, KNET_TRANSPORT_UDP, &f.source, nullptr, 0));
}

TEST_CASE("the socket decides whether an address can be used") {
  Fixture f;
  const int taken = socket(AF_INET, SOCK_DGRAM, 0);
  REQUIRE(taken >= 0);
  REQUIRE_OK(bind(taken, reinterpret_cast<const sockaddr*>(&f.source), sizeof(sockaddr_in)));
  CHECK_FAILS(EADDRINUSE, f.configure(0));
  CHECK(list(f.node, 2).empty());
  close(taken);
  CHECK_OK(f.configure(0));

  sockaddr_storage elsewhere = address("192.0.2.77", 0);
  sockaddr_storage there = address("192.0.2.78", 5000);
  CHECK_OK(knet_link_set_config(f.node, 2, 1, KNET_TRANSPORT_UDP, &elsewhere, &there, 0));
}

TEST_CASE("SCTP is known and refused") {
  if (on_peer()) {
    return;  // it depends on the kernel
  }
  Fixture f;
  CHECK_FAILS(EPROTONOSUPPORT, f.configure(0, KNET_TRANSPORT_SCTP));
  CHECK(list(f.node, 2).empty());
}

TEST_CASE("a loopback link is for the local host, and alone there") {
  Fixture f;
  CHECK_FAILS(EINVAL, f.configure(0, KNET_TRANSPORT_LOOPBACK));     // host 2 is not the local one
  CHECK_FAILS(EINVAL, f.configure(0, KNET_TRANSPORT_LOOPBACK, 1));  // not added yet
  REQUIRE_OK(knet_host_add(f.node, 1));
  CHECK_OK(f.configure(0, KNET_TRANSPORT_UDP, 1));
  CHECK_FAILS(EINVAL, f.configure(1, KNET_TRANSPORT_LOOPBACK, 1));
  CHECK_OK(knet_link_clear_config(f.node, 1, 0));

  knet_host_status host{};
  CHECK_OK(knet_link_set_config(f.node, 1, 0, KNET_TRANSPORT_LOOPBACK, &f.source, nullptr, 0));
  CHECK_OK(knet_host_get_status(f.node, 1, &host));
  CHECK(host.reachable == 1);
  CHECK_FAILS(EINVAL, f.configure(0, KNET_TRANSPORT_LOOPBACK, 1));
  CHECK_FAILS(EINVAL, f.configure(1, KNET_TRANSPORT_UDP, 1));
  f.source = address("127.0.0.1", knet_test::free_port());
  CHECK_OK(f.configure(0));  // another host is not concerned

  const knet_link_status status = status_of(f.node, 1, 0);
  CHECK(status.connected == 1);
  CHECK(status.enabled == 0);
  CHECK(status.mtu == 65535);
  CHECK_OK(knet_link_set_priority(f.node, 1, 0, 3));
  CHECK_OK(knet_link_set_pong_count(f.node, 1, 0, 3));
  CHECK_OK(knet_link_set_ping_timers(f.node, 1, 0, 100, 200, 10));
  CHECK_OK(knet_link_set_enable(f.node, 1, 0, 1));
  CHECK_OK(knet_link_set_enable(f.node, 1, 0, 0));
  CHECK_OK(knet_link_clear_config(f.node, 1, 0));
  CHECK_OK(knet_host_get_status(f.node, 1, &host));
  if (!on_peer()) {  // it stays reachable if the link was ever enabled
    CHECK(host.reachable == 0);
  }
}

TEST_CASE("configurations are read back as they were set") {
  Fixture f;
  std::memset(reinterpret_cast<char*>(&f.source) + sizeof(sockaddr_in), 0x5A, 40);
  CHECK_OK(knet_link_set_config(f.node, 2, 7, KNET_TRANSPORT_UDP, &f.source, &f.destination,
                                UINT64_MAX));
  uint8_t transport = 77;
  uint8_t dynamic = 77;
  uint64_t flags = 0;
  sockaddr_storage source;
  sockaddr_storage destination;
  std::memset(&source, 0x33, sizeof(source));
  std::memset(&destination, 0x33, sizeof(destination));
  CHECK_OK(knet_link_get_config(f.node, 2, 7, &transport, &source, &destination, &dynamic, &flags));
  CHECK(transport == KNET_TRANSPORT_UDP);
  CHECK(dynamic == 0);
  CHECK(flags == UINT64_MAX);
  CHECK(std::memcmp(&destination, &f.destination, sizeof(destination)) == 0);
  std::memset(reinterpret_cast<char*>(&f.source) + sizeof(sockaddr_in), 0, 40);
  CHECK(std::memcmp(&source, &f.source, sizeof(source)) == 0);

  CHECK_FAILS(EINVAL,
              knet_link_get_config(f.node, 2, 7, nullptr, &source, &destination, &dynamic, &flags));
  CHECK_FAILS(EINVAL, knet_link_get_config(f.node, 2, 7, &transport, nullptr, &destination,
                                           &dynamic, &flags));
  CHECK_FAILS(EINVAL,
              knet_link_get_config(f.node, 2, 7, &transport, &source, nullptr, &dynamic, &flags));
  CHECK_FAILS(EINVAL, knet_link_get_config(f.node, 2, 7, &transport, &source, &destination, nullptr,
                                           &flags));
  CHECK_FAILS(EINVAL, knet_link_get_config(f.node, 2, 7, &transport, &source, &destination,
                                           &dynamic, nullptr));
  CHECK_FAILS(EINVAL, knet_link_get_config(f.node, 2, 6, &transport, &source, &destination,
                                           &dynamic, &flags));
  CHECK_FAILS(EINVAL, knet_link_get_config(f.node, 3, 7, &transport, &source, &destination,
                                           &dynamic, &flags));
  CHECK_FAILS(EINVAL, knet_link_get_config(f.node, 2, 8, &transport, &source, &destination,
                                           &dynamic, &flags));
}

TEST_CASE("a dynamic link has no destination to read") {
  Fixture f;
  CHECK_OK(knet_link_set_config(f.node, 2, 0, KNET_TRANSPORT_UDP, &f.source, nullptr, 0));
  uint8_t transport = 77;
  uint8_t dynamic = 77;
  uint64_t flags = 77;
  sockaddr_storage source{};
  CHECK_OK(knet_link_get_config(f.node, 2, 0, &transport, &source, nullptr, &dynamic, &flags));
  CHECK(dynamic == 1);
  CHECK(flags == 0);
  sockaddr_storage destination;
  std::memset(&destination, 0x33, sizeof(destination));
  CHECK_OK(knet_link_get_config(f.node, 2, 0, &transport, &source, &destination, &dynamic, &flags));
  CHECK(destination.ss_family == 0x3333);
}

TEST_CASE("a new link has its defaults") {
  Fixture f;
  sockaddr_storage source6 = address("::1", 0);
  sockaddr_storage destination6 = address("fd00::7", 5000);
  sockaddr_storage dynamic_source = address("127.0.0.1", 0);
  REQUIRE_OK(f.configure(0));
  REQUIRE_OK(knet_link_set_config(f.node, 2, 1, KNET_TRANSPORT_UDP, &source6, &destination6, 0));
  REQUIRE_OK(knet_link_set_config(f.node, 2, 2, KNET_TRANSPORT_UDP, &dynamic_source, nullptr, 0));

  const knet_link_status status = status_of(f.node, 2, 0);
  CHECK(status.size == sizeof(status));
  CHECK(std::string(status.src_ipaddr) == "127.0.0.1");
  CHECK(std::string(status.dst_ipaddr) == "127.0.0.2");
  CHECK(std::string(status.dst_port) == "5000");
  CHECK(status.enabled == 0);
  CHECK(status.connected == 0);
  CHECK(status.dynconnected == 0);
  CHECK(status.latency == 0);
  CHECK(status.pong_last.tv_sec == 0);
  CHECK(status.mtu == 522);
  CHECK(status.proto_overhead == 0);
  CHECK(status.stats.latency_min == UINT32_MAX);
  CHECK(status.stats.tx_total_packets == 0);
  CHECK(status_of(f.node, 2, 1).mtu == 1206);
  const knet_link_status dynamic = status_of(f.node, 2, 2);
  CHECK(dynamic.mtu == 482);
  CHECK(std::string(dynamic.src_port) == "0");
  CHECK(std::string(dynamic.dst_ipaddr).empty());
  CHECK(std::string(dynamic.dst_port).empty());

  time_t interval = 0;
  time_t timeout = 0;
  unsigned int precision = 0;
  uint8_t pong_count = 0;
  uint8_t priority = 77;
  unsigned int enabled = 77;
  CHECK_OK(knet_link_get_ping_timers(f.node, 2, 0, &interval, &timeout, &precision));
  CHECK(interval == 1000);
  CHECK(timeout == 2000);
  CHECK(precision == 2048);
  CHECK_OK(knet_link_get_pong_count(f.node, 2, 0, &pong_count));
  CHECK(pong_count == 5);
  CHECK_OK(knet_link_get_priority(f.node, 2, 0, &priority));
  CHECK(priority == 0);
  CHECK_OK(knet_link_get_enable(f.node, 2, 0, &enabled));
  CHECK(enabled == 0);
}

TEST_CASE("ping timers are checked in the documented order") {
  Fixture f;
  CHECK_FAILS(EINVAL, knet_link_set_ping_timers(f.node, 2, 0, 1000, 2000, 2048));  // not configured
  REQUIRE_OK(f.configure(0));
  CHECK_FAILS(EINVAL, knet_link_set_ping_timers(f.node, 2, 8, 1000, 2000, 2048));
  CHECK_FAILS(EINVAL, knet_link_set_ping_timers(f.node, 2, 0, 0, 0, 0));
  CHECK_FAILS(ENOSYS, knet_link_set_ping_timers(f.node, 2, 0, 1, 0, 0));
  CHECK_FAILS(ENOSYS, knet_link_set_ping_timers(f.node, 3, 0, 1, 0, 1));
  CHECK_FAILS(EINVAL, knet_link_set_ping_timers(f.node, 2, 0, 1, 1, 0));
  CHECK_FAILS(EINVAL, knet_link_set_ping_timers(f.node, 3, 0, 1000, 2000, 2048));
  if (!on_peer()) {  // it takes negative ones
    CHECK_FAILS(EINVAL, knet_link_set_ping_timers(f.node, 2, 0, -1, 2000, 2048));
    CHECK_FAILS(ENOSYS, knet_link_set_ping_timers(f.node, 2, 0, 1000, -1, 2048));
  }
  time_t interval = 0;
  time_t timeout = 0;
  unsigned int precision = 0;
  CHECK_OK(knet_link_set_ping_timers(f.node, 2, 0, 20, 60, UINT32_MAX));
  CHECK_OK(knet_link_get_ping_timers(f.node, 2, 0, &interval, &timeout, &precision));
  CHECK(interval == 20);
  CHECK(timeout == 60);
  CHECK(precision == UINT32_MAX);
  CHECK_FAILS(EINVAL, knet_link_get_ping_timers(f.node, 2, 0, nullptr, &timeout, &precision));
  CHECK_FAILS(EINVAL, knet_link_get_ping_timers(f.node, 2, 0, &interval, nullptr, &precision));
  CHECK_FAILS(EINVAL, knet_link_get_ping_timers(f.node, 2, 0, &interval, &timeout, nullptr));
  CHECK_FAILS(EINVAL, knet_link_get_ping_timers(f.node, 2, 1, &interval, &timeout, &precision));
}

TEST_CASE("huge ping timers are no danger") {
  if (on_peer()) {
    return;
  }
  Fixture f;
  REQUIRE_OK(f.configure(0));
  constexpr time_t kHuge = INT64_MAX;
  CHECK_OK(knet_link_set_ping_timers(f.node, 2, 0, kHuge, kHuge, 1));
  CHECK_OK(knet_link_set_enable(f.node, 2, 0, 1));
  CHECK_OK(knet_link_set_enable(f.node, 2, 0, 0));
  time_t interval = 0;
  time_t timeout = 0;
  unsigned int precision = 0;
  CHECK_OK(knet_link_get_ping_timers(f.node, 2, 0, &interval, &timeout, &precision));
  CHECK(interval > time_t{60} * 60 * 24 * 365 * 1000);
  CHECK(timeout == interval);
}

TEST_CASE("pong count, priority and the switch") {
  Fixture f;
  uint8_t byte = 0;
  unsigned int number = 0;
  CHECK_FAILS(EINVAL, knet_link_set_pong_count(f.node, 2, 0, 1));
  CHECK_FAILS(EINVAL, knet_link_get_pong_count(f.node, 2, 0, &byte));
  CHECK_FAILS(EINVAL, knet_link_set_priority(f.node, 2, 0, 1));
  CHECK_FAILS(EINVAL, knet_link_get_priority(f.node, 2, 0, &byte));
  CHECK_FAILS(EINVAL, knet_link_set_enable(f.node, 2, 0, 1));
  CHECK_FAILS(EINVAL, knet_link_get_enable(f.node, 2, 0, &number));
  REQUIRE_OK(f.configure(0));
  CHECK_FAILS(EINVAL, knet_link_set_pong_count(f.node, 2, 0, 0));
  CHECK_FAILS(EINVAL, knet_link_set_pong_count(f.node, 2, 8, 1));
  CHECK_FAILS(EINVAL, knet_link_set_pong_count(f.node, 3, 0, 1));
  CHECK_FAILS(EINVAL, knet_link_get_pong_count(f.node, 2, 0, nullptr));
  CHECK_FAILS(EINVAL, knet_link_set_priority(f.node, 2, 8, 1));
  CHECK_FAILS(EINVAL, knet_link_get_priority(f.node, 2, 0, nullptr));
  CHECK_FAILS(EINVAL, knet_link_set_enable(f.node, 2, 0, 2));
  CHECK_FAILS(EINVAL, knet_link_set_enable(f.node, 2, 8, 1));
  CHECK_FAILS(EINVAL, knet_link_get_enable(f.node, 2, 0, nullptr));
  for (const uint8_t value : {1, 255}) {
    CHECK_OK(knet_link_set_pong_count(f.node, 2, 0, value));
    CHECK_OK(knet_link_get_pong_count(f.node, 2, 0, &byte));
    CHECK(byte == value);
    CHECK_OK(knet_link_set_priority(f.node, 2, 0, value));
    CHECK_OK(knet_link_get_priority(f.node, 2, 0, &byte));
    CHECK(byte == value);
  }
  for (const unsigned int value : {1U, 1U, 0U, 0U}) {
    CHECK_OK(knet_link_set_enable(f.node, 2, 0, value));
    CHECK_OK(knet_link_get_enable(f.node, 2, 0, &number));
    CHECK(number == value);
  }
}

TEST_CASE("links are listed by ascending id") {
  Fixture f;
  CHECK(list(f.node, 2).empty());
  for (const uint8_t link : {7, 0, 3}) {
    REQUIRE_OK(f.configure(link));
  }
  CHECK(list(f.node, 2) == std::vector<int>{0, 3, 7});
  size_t count = 0;
  std::array<uint8_t, KNET_MAX_LINK> ids{};
  CHECK_FAILS(EINVAL, knet_link_get_link_list(f.node, 3, ids.data(), &count));
  CHECK_FAILS(EINVAL, knet_link_get_link_list(f.node, 2, nullptr, &count));
  CHECK_FAILS(EINVAL, knet_link_get_link_list(f.node, 2, ids.data(), nullptr));
}

TEST_CASE("clearing a link forgets its settings") {
  Fixture f;
  REQUIRE_OK(f.configure(0));
  REQUIRE_OK(knet_link_set_priority(f.node, 2, 0, 9));
  REQUIRE_OK(knet_link_clear_config(f.node, 2, 0));
  REQUIRE_OK(f.configure(0));
  uint8_t priority = 77;
  CHECK_OK(knet_link_get_priority(f.node, 2, 0, &priority));
  CHECK(priority == 0);
  if (!on_peer()) {  // it starts at 0 from the second time on
    CHECK(status_of(f.node, 2, 0).stats.latency_min == UINT32_MAX);
  }
}

TEST_CASE("get_status refuses what does not exist") {
  Fixture f;
  knet_link_status status{};
  CHECK_FAILS(EINVAL, knet_link_get_status(f.node, 2, 0, &status, sizeof(status)));
  REQUIRE_OK(f.configure(0));
  CHECK_FAILS(EINVAL, knet_link_get_status(f.node, 3, 0, &status, sizeof(status)));
  CHECK_FAILS(EINVAL, knet_link_get_status(f.node, 2, 8, &status, sizeof(status)));
  CHECK_FAILS(EINVAL, knet_link_get_status(f.node, 2, 0, nullptr, sizeof(status)));
}

TEST_CASE("get_status writes no more than there is room for") {
  if (on_peer()) {
    return;  // it does
  }
  Fixture f;
  REQUIRE_OK(f.configure(0));
  struct {
    knet_link_status status;
    std::array<unsigned char, 64> beyond;
  } memory;
  const auto* bytes = reinterpret_cast<const unsigned char*>(&memory);
  const size_t sizes[] = {0, 7, 8, 264, sizeof(knet_link_status), sizeof(memory)};
  for (const size_t size : sizes) {
    INFO(size);
    std::memset(&memory, 0xAA, sizeof(memory));
    CHECK_OK(knet_link_get_status(f.node, 2, 0, &memory.status, size));
    const size_t written = size < sizeof(size_t) ? 0 : std::min(size, sizeof(knet_link_status));
    for (size_t index = written; index < sizeof(memory); ++index) {
      REQUIRE(bytes[index] == 0xAA);
    }
    if (written != 0) {
      CHECK(memory.status.size == sizeof(knet_link_status));
    }
  }
}
