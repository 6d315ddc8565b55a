// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Path MTU calls: arguments, the manual setting, and the figure and its callback when a link is up.
#include "tests/api/support.h"

using knet_test::Event;
using knet_test::Node;
using knet_test::on_peer;
using knet_test::Pair;

namespace {

unsigned int data_mtu(knet_handle_t handle) {
  unsigned int mtu = 0;
  CHECK_OK(knet_handle_pmtud_get(handle, &mtu));
  return mtu;
}

bool wait_mtu(Node& node, unsigned int mtu) {
  return node.events().wait_for(
      [=](const Event& event) { return event.kind == Event::Kind::kMtu && event.mtu == mtu; });
}

// The loopback device has an MTU of 65536; IPv4 ends at 65535 bytes, 54 of which are not payload.
constexpr unsigned int kLoopbackDeviceMtu = 65481;

}  // namespace

TEST_CASE("the search interval") {
  Node node(1);
  unsigned int interval = 0;
  CHECK_OK(knet_handle_pmtud_getfreq(node, &interval));
  CHECK(interval == KNET_PMTUD_DEFAULT_INTERVAL);
  CHECK_FAILS(EINVAL, knet_handle_pmtud_getfreq(node, nullptr));
  CHECK_FAILS(EINVAL, knet_handle_pmtud_setfreq(node, 0));
  CHECK_FAILS(EINVAL, knet_handle_pmtud_setfreq(node, 86401));
  for (const unsigned int wanted : {1U, 86400U}) {
    CHECK_OK(knet_handle_pmtud_setfreq(node, wanted));
    CHECK_OK(knet_handle_pmtud_getfreq(node, &interval));
    CHECK(interval == wanted);
  }
}

TEST_CASE("the manual MTU is checked, and a handle without links has the smallest") {
  Node node(1);
  CHECK(data_mtu(node) == 482);
  CHECK_FAILS(EINVAL, knet_handle_pmtud_get(node, nullptr));
  CHECK_FAILS(EINVAL, knet_handle_pmtud_set(node, 65536));
  CHECK_FAILS(EINVAL, knet_handle_pmtud_set(node, UINT32_MAX));
  CHECK_OK(knet_handle_pmtud_set(node, 65535));
  CHECK_OK(knet_handle_pmtud_set(node, 0));
}

TEST_CASE("the search finds the MTU and tells it") {
  Pair pair;
  CHECK(wait_mtu(pair.one, kLoopbackDeviceMtu));
  CHECK(wait_mtu(pair.two, kLoopbackDeviceMtu));
  CHECK(pair.one.events().count([](const Event& event) { return event.mtu == 482; }) > 0);
  CHECK(knet_test::eventually([&] { return data_mtu(pair.one) == kLoopbackDeviceMtu; }));
  knet_link_status status{};
  CHECK_OK(knet_link_get_status(pair.one, 2, 0, &status, sizeof(status)));
  CHECK(status.mtu == kLoopbackDeviceMtu);
  CHECK(status.proto_overhead == 54);
  CHECK(status.stats.tx_pmtu_packets > 0);
}

TEST_CASE("a manual MTU takes the place of the search") {
  Pair pair;
  REQUIRE(wait_mtu(pair.one, kLoopbackDeviceMtu));
  CHECK_OK(knet_handle_pmtud_set(pair.one, 1500));
  CHECK(wait_mtu(pair.one, 1446));
  CHECK(knet_test::eventually([&] { return data_mtu(pair.one) == 1446; }));
  CHECK_OK(knet_handle_pmtud_set(pair.one, 1500 - 64));
  CHECK(wait_mtu(pair.one, 1446 - 64));
  pair.one.events().clear();
  CHECK_OK(knet_handle_pmtud_set(pair.one, 0));
  CHECK(wait_mtu(pair.one, kLoopbackDeviceMtu));
  CHECK(data_mtu(pair.one) == kLoopbackDeviceMtu);
}

TEST_CASE("an absurd manual MTU still carries the longest message") {
  if (on_peer()) {
    return;  // it underflows
  }
  Pair pair;
  CHECK_OK(knet_handle_pmtud_set(pair.one, 1));
  CHECK(data_mtu(pair.one) >= 259);
  CHECK(data_mtu(pair.one) <= 482);
  const std::string message(KNET_MAX_PACKET_SIZE, 'm');
  REQUIRE(knet_send(pair.one, message.data(), message.size(), 0) == KNET_MAX_PACKET_SIZE);
  CHECK(pair.two.receive() == message);
}

TEST_CASE("disabling a connected link resets the figure and says so") {
  Pair pair;
  REQUIRE(wait_mtu(pair.one, kLoopbackDeviceMtu));
  REQUIRE(knet_test::eventually([&] { return data_mtu(pair.one) == kLoopbackDeviceMtu; }));
  pair.one.events().clear();
  CHECK_OK(knet_link_set_enable(pair.one, 2, 0, 0));
  CHECK(wait_mtu(pair.one, 482));
  CHECK_OK(knet_link_set_enable(pair.one, 2, 0, 1));
  CHECK(wait_mtu(pair.one, kLoopbackDeviceMtu));
}
