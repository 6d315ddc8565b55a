// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about loopback links: what they exclude, their state, and how they deliver.
#include "tests/conformance/world.h"

namespace conformance {
namespace {

constexpr uint8_t kLoopback = KNET_TRANSPORT_LOOPBACK;
constexpr uint8_t kUdp = KNET_TRANSPORT_UDP;

// The local host with a loopback link, forwarding on, channel 0 open.
struct Self {
  Node node{1};
  sockaddr_storage source = own_address();

  explicit Self(uint8_t link = 0) {
    node.open_channel();
    NEED(knet_handle_setfwd(node, 1) == 0);
    NEED(knet_host_add(node, 1) == 0);
    NEED(knet_link_set_config(node, 1, link, kLoopback, &source, &source, 0) == 0);
  }
  unsigned reachable() {
    knet_host_status status{};
    NEED(knet_host_get_status(node, 1, &status) == 0);
    return status.reachable;
  }
};

}  // namespace

CONFORMANCE_CASE(loopback_exclusivity) {
  Node node;
  NEED(knet_host_add(node, 1) == 0);
  NEED(knet_host_add(node, 2) == 0);
  sockaddr_storage source = own_address();
  sockaddr_storage other = own_address();
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, kLoopback, &source, &source, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 3, 0, kLoopback, &source, &source, 0));
  CALL(kOk, knet_link_set_config(node, 1, 1, kUdp, &source, &other, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 1, 0, kLoopback, &source, &source, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 1, 1, kLoopback, &source, &source, 0));
  CALL(kOk, knet_link_clear_config(node, 1, 1));
  CALL(kOk, knet_link_set_config(node, 1, 0, kLoopback, &source, nullptr, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 1, 0, kLoopback, &source, &source, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 1, 1, kLoopback, &source, &source, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 1, 1, kUdp, &source, &other, 0));
  CALL(kOk, knet_link_set_config(node, 2, 0, kUdp, &other, &source, 0));
}

CONFORMANCE_CASE(loopback_state) {
  Self self;
  const knet_link_status status = self.node.link_status(1, 0);
  VALUE(1, status.connected);
  VALUE(0, status.enabled);
  VALUE(65535, status.mtu);
  VALUE(1, self.reachable());
  unsigned value = 99;
  CALL(kOk, knet_link_get_enable(self.node, 1, 0, &value));
  VALUE(0, value);
  CALL(kOk, knet_link_set_ping_timers(self.node, 1, 0, 100, 200, 10));
  CALL(kOk, knet_link_set_pong_count(self.node, 1, 0, 2));
  CALL(kOk, knet_link_set_priority(self.node, 1, 0, 9));
  CALL(kOk, knet_link_set_enable(self.node, 1, 0, 1));
  VALUE(1, self.node.link_status(1, 0).enabled);
  VALUE(1, self.reachable());
  CALL(kOk, knet_link_set_enable(self.node, 1, 0, 0));
  VALUE(1, self.node.link_status(1, 0).connected);
  NEED(knet_handle_setfwd(self.node, 0) == 0);  // a round trip: a callback would have come by now
  VALUE(0, self.node.host.list().size());
  uint8_t transport = 99;
  uint8_t dynamic = 99;
  uint64_t flags = 99;
  sockaddr_storage from{};
  sockaddr_storage to{};
  CALL(kOk, knet_link_get_config(self.node, 1, 0, &transport, &from, &to, &dynamic, &flags));
  VALUE(kLoopback, transport);
  VALUE(0, dynamic);
}

CONFORMANCE_CASE(loopback_cleared) {
  Self self;
  CALL(kOk, knet_link_clear_config(self.node, 1, 0));
  VALUE(0, self.reachable());
  NEED(knet_link_set_config(self.node, 1, 0, kLoopback, &self.source, &self.source, 0) == 0);
  NEED(knet_link_set_enable(self.node, 1, 0, 1) == 0);
  NEED(knet_handle_setfwd(self.node, 0) == 0);  // time for whatever follows from it
  NEED(knet_link_set_enable(self.node, 1, 0, 0) == 0);
  NEED(knet_handle_setfwd(self.node, 0) == 0);
  CALL(kOk, knet_link_clear_config(self.node, 1, 0));
  VALUE(differs("the local host is unreachable once its loopback link is cleared", 0, 1),
        self.reachable());
}

CONFORMANCE_CASE(loopback_delivers) {
  Self self;
  VALUE(true, self.node.send("disabled"));  // it works while the link is disabled, too
  VALUE(std::string("disabled"), self.node.receive());
  NEED(knet_link_set_enable(self.node, 1, 0, 1) == 0);
  VALUE(true, self.node.send("enabled"));
  VALUE(std::string("enabled"), self.node.receive());
  VALUE(true, eventually([&] { return self.node.link_status(1, 0).stats.tx_data_packets == 2; }));
  const knet_link_stats stats = self.node.link_status(1, 0).stats;
  VALUE(15, stats.tx_data_bytes);
  VALUE(0, stats.rx_data_packets);
  const std::string longest(KNET_MAX_PACKET_SIZE, 'l');
  VALUE(true, self.node.send(longest));
  VALUE(true, self.node.receive() == longest);
}

CONFORMANCE_CASE(loopback_counts_on_its_own_link) {
  Self self(3);
  VALUE(true, self.node.send("message"));
  VALUE(std::string("message"), self.node.receive());
  NEED(knet_handle_setfwd(self.node, 0) == 0);
  VALUE(differs("a loopback link counts on the link that it is", 1, 0),
        self.node.link_status(1, 3).stats.tx_data_packets);
}

CONFORMANCE_CASE(loopback_and_the_filter) {
  Self self;
  std::atomic<int> calls{0};
  self.node.open_channel(4);
  self.node.set_filter([&](const std::string&, int direction, unsigned, int8_t* channel,
                           knet_node_id_t* hosts, size_t* count) {
    calls += direction == KNET_NOTIFY_TX ? 1 : 100;  // it is not called for what arrives
    *channel = 4;
    hosts[0] = 1;
    *count = 1;
    return 0;
  });
  VALUE(true, self.node.send("moved"));
  VALUE(std::string("moved"), self.node.receive(4));
  VALUE(1, calls.load());
  const char* reason = "knet_send_sync over loopback succeeds when it delivers";
  CALL(differs(reason, kOk, fails(EHOSTDOWN)), knet_send_sync(self.node, "sync", 4, 0));
  VALUE(std::string("sync"), self.node.receive(4));
  self.node.set_filter(
      [](const std::string&, int, unsigned, int8_t*, knet_node_id_t*, size_t*) { return 1; });
  CALL(fails(E2BIG), knet_send_sync(self.node, "broad", 5, 0));
}

}  // namespace conformance
