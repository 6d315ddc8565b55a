// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about configuring links: the order of checks, addresses, which links exclude one
// another, defaults, reading the configuration back, clearing.
#include <fcntl.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "tests/conformance/world.h"

namespace conformance {
namespace {

constexpr unsigned char kMark = 0xa5;
constexpr uint8_t kUdp = KNET_TRANSPORT_UDP;

sockaddr_storage of_family(sa_family_t family) {
  sockaddr_storage storage{};
  storage.ss_family = family;
  return storage;
}

std::string links_of(Node& node, knet_node_id_t host) {
  std::array<uint8_t, KNET_MAX_LINK> links{};
  size_t count = 99;
  NEED(knet_link_get_link_list(node, host, links.data(), &count) == 0);
  std::string text;
  for (size_t index = 0; index < count; ++index) {
    text += std::to_string(links[index]) + " ";
  }
  return text;
}

}  // namespace

CONFORMANCE_CASE(link_set_config_order) {
  Node node;
  NEED(knet_host_add(node, 2) == 0);
  sockaddr_storage four = own_address();
  sockaddr_storage target = own_address();
  sockaddr_storage six = address("::1", 50000);
  sockaddr_storage none = of_family(AF_UNSPEC);
  CALL(fails(EINVAL), knet_link_set_config(node, 2, KNET_MAX_LINK, kUdp, &four, &target, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, UINT8_MAX, kUdp, &four, &target, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, kUdp, nullptr, &target, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, kUdp, &four, &six, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, KNET_MAX_TRANSPORTS, &four, &target, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 3, 0, kUdp, &four, &target, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, KNET_TRANSPORT_LOOPBACK, &four, &target, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, kUdp, &none, &none, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, kUdp, &none, nullptr, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, 3, &four, &target, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, KNET_MAX_TRANSPORTS - 1, &four, &target, 0));
  VALUE(std::string(""), links_of(node, 2));
  CALL(kOk, knet_link_set_config(node, 2, 0, kUdp, &four, &target, 0));
  // A configured link is noticed before bad addresses and transports, but after bad arguments.
  CALL(fails(EBUSY), knet_link_set_config(node, 2, 0, kUdp, &four, &target, 0));
  CALL(fails(EBUSY), knet_link_set_config(node, 2, 0, kUdp, &none, &none, 0));
  CALL(fails(EBUSY), knet_link_set_config(node, 2, 0, 3, &four, &target, 0));
  CALL(fails(EBUSY), knet_link_set_config(node, 2, 0, KNET_TRANSPORT_SCTP, &four, &target, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, kUdp, &four, &six, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, KNET_MAX_TRANSPORTS, &four, &target, 0));
  NEED(knet_link_set_enable(node, 2, 0, 1) == 0);
  CALL(fails(EBUSY), knet_link_set_config(node, 2, 0, kUdp, &four, &target, 0));
  VALUE(std::string("0 "), links_of(node, 2));
}

CONFORMANCE_CASE(link_set_config_errors_of_the_system) {
  Node node;
  NEED(knet_host_add(node, 2) == 0);
  sockaddr_storage target = own_address();
  const Descriptor taken(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_storage source = own_address();
  NEED(bind(taken, reinterpret_cast<const sockaddr*>(&source), sizeof(sockaddr_in)) == 0);
  CALL(fails(EADDRINUSE), knet_link_set_config(node, 2, 0, kUdp, &source, &target, 0));
  VALUE(std::string(""), links_of(node, 2));
  sockaddr_storage local = of_family(AF_UNIX);
  CALL(fails(EOPNOTSUPP), knet_link_set_config(node, 2, 0, kUdp, &local, &local, 0));
  CALL(fails(EOPNOTSUPP), knet_link_set_config(node, 2, 0, kUdp, &local, nullptr, 0));
  VALUE(std::string(""), links_of(node, 2));
}

CONFORMANCE_CASE(link_set_config_sctp) {
  constexpr int kSctp = 132;
  const Descriptor probe(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, kSctp));
  if (probe >= 0 && on_peer()) {
    skip("this kernel has SCTP, where the classic library configures such links");
  }
  Node node;
  NEED(knet_host_add(node, 2) == 0);
  sockaddr_storage source = own_address();
  sockaddr_storage target = own_address();
  CALL(fails(EPROTONOSUPPORT),
       knet_link_set_config(node, 2, 0, KNET_TRANSPORT_SCTP, &source, &target, 0));
  VALUE(std::string(""), links_of(node, 2));
}

CONFORMANCE_CASE(link_set_config_low_port) {
  if (geteuid() != 0) {
    skip("only root can give its privileges up");
  }
  constexpr uid_t kNobody = 65534;
  constexpr uint16_t kLowPort = 1000;
  NEED(setresuid(kNobody, kNobody, kNobody) == 0);
  Node node;
  NEED(knet_host_add(node, 2) == 0);
  sockaddr_storage source = address("127.0.0.1", kLowPort);
  sockaddr_storage target = own_address();
  CALL(fails(EACCES), knet_link_set_config(node, 2, 0, kUdp, &source, &target, 0));
}

CONFORMANCE_CASE(links_that_share_a_source) {
  Node node;
  NEED(knet_host_add(node, 2) == 0);
  NEED(knet_host_add(node, 3) == 0);
  sockaddr_storage source = own_address();
  sockaddr_storage target = own_address();
  sockaddr_storage other = own_address();
  CALL(kOk, knet_link_set_config(node, 2, 0, kUdp, &source, &target, 0));
  CALL(kOk, knet_link_set_config(node, 3, 0, kUdp, &source, &other, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 1, kUdp, &source, nullptr, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 3, 1, kUdp, &source, nullptr, 0));
  sockaddr_storage dynamic = own_address();
  CALL(kOk, knet_link_set_config(node, 2, 2, kUdp, &dynamic, nullptr, 0));
  CALL(kOk, knet_link_set_config(node, 3, 2, kUdp, &dynamic, nullptr, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 3, kUdp, &dynamic, &target, 0));
  VALUE(std::string("0 2 "), links_of(node, 2));
  // The socket lives as long as one of them, and the other kind may follow then.
  CALL(kOk, knet_link_clear_config(node, 2, 2));
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 3, kUdp, &dynamic, &target, 0));
  CALL(kOk, knet_link_clear_config(node, 3, 2));
  CALL(kOk, knet_link_set_config(node, 2, 3, kUdp, &dynamic, &target, 0));
}

CONFORMANCE_CASE(sources_that_look_different) {
  Node node;
  NEED(knet_host_add(node, 2) == 0);
  NEED(knet_host_add(node, 3) == 0);
  sockaddr_storage source = own_address();
  sockaddr_storage target = own_address();
  sockaddr_storage dirty = source;
  reinterpret_cast<unsigned char*>(&dirty)[60] = kMark;  // beyond an IPv4 address
  CALL(kOk, knet_link_set_config(node, 2, 0, kUdp, &source, &target, 0));
  CALL(kOk, knet_link_set_config(node, 3, 0, kUdp, &dirty, &target, 0));
  CALL(fails(EINVAL), knet_link_set_config(node, 3, 1, kUdp, &dirty, nullptr, 0));
  // A socket is shared within a handle only.
  Node other(4);
  NEED(knet_host_add(other, 2) == 0);
  CALL(fails(EADDRINUSE), knet_link_set_config(other, 2, 0, kUdp, &source, &target, 0));
  CALL(kOk, knet_link_clear_config(node, 2, 0));
  CALL(fails(EADDRINUSE), knet_link_set_config(other, 2, 0, kUdp, &source, &target, 0));
  CALL(kOk, knet_link_clear_config(node, 3, 0));
  CALL(kOk, knet_link_set_config(other, 2, 0, kUdp, &source, &target, 0));
}

CONFORMANCE_CASE(late_failures_leave_an_empty_slot) {
  Node node;
  NEED(knet_host_add(node, 2) == 0);
  sockaddr_storage source = own_address();
  sockaddr_storage target = own_address();
  CALL(fails(EINVAL), knet_link_set_config(node, 2, 0, 3, &source, &target, 0));
  VALUE(std::string(""), links_of(node, 2));
  CALL(kOk, knet_host_remove(node, 2));
  NEED(knet_host_add(node, 2) == 0);
  CALL(kOk, knet_link_set_config(node, 2, 0, kUdp, &source, &target, 0));
}

CONFORMANCE_CASE(link_addresses) {
  Node node;
  NEED(knet_host_add(node, 2) == 0);
  sockaddr_storage target = address("192.0.2.1", 50000);
  sockaddr_storage foreign = address("192.0.2.2", free_port());  // of no interface here
  CALL(kOk, knet_link_set_config(node, 2, 0, kUdp, &foreign, &target, 0));
  sockaddr_storage any_port = address("127.0.0.1", 0);
  CALL(kOk, knet_link_set_config(node, 2, 1, kUdp, &any_port, &target, 0));
  VALUE("0", static_cast<const char*>(node.link_status(2, 1).src_port));
  sockaddr_storage wildcard = address("0.0.0.0", free_port("0.0.0.0"));
  CALL(kOk, knet_link_set_config(node, 2, 2, kUdp, &wildcard, &target, 0));
  sockaddr_storage six = address("::1", free_port("::1"));
  CALL(kOk, knet_link_set_config(node, 2, 3, kUdp, &six, &six, 0));
}

CONFORMANCE_CASE(link_defaults) {
  Node node;
  NEED(knet_host_add(node, 2) == 0);
  sockaddr_storage source = own_address();
  sockaddr_storage target = own_address();
  sockaddr_storage six = address("::1", free_port("::1"));
  sockaddr_storage dynamic = own_address();
  NEED(knet_link_set_config(node, 2, 0, kUdp, &source, &target, 0) == 0);
  NEED(knet_link_set_config(node, 2, 1, kUdp, &six, &six, 0) == 0);
  NEED(knet_link_set_config(node, 2, 2, kUdp, &dynamic, nullptr, 0) == 0);
  time_t interval = 0;
  time_t timeout = 0;
  unsigned value = 99;
  CALL(kOk, knet_link_get_ping_timers(node, 2, 0, &interval, &timeout, &value));
  VALUE(1000, interval);
  VALUE(2000, timeout);
  VALUE(2048, value);
  uint8_t byte = 99;
  CALL(kOk, knet_link_get_pong_count(node, 2, 0, &byte));
  VALUE(5, byte);
  CALL(kOk, knet_link_get_priority(node, 2, 0, &byte));
  VALUE(0, byte);
  CALL(kOk, knet_link_get_enable(node, 2, 0, &value));
  VALUE(0, value);
  const knet_link_status four = node.link_status(2, 0);
  VALUE(1064, four.size);
  VALUE("127.0.0.1", static_cast<const char*>(four.src_ipaddr));
  VALUE("127.0.0.1", static_cast<const char*>(four.dst_ipaddr));
  VALUE(0, four.enabled);
  VALUE(0, four.connected);
  VALUE(0, four.dynconnected);
  VALUE(0, four.latency);
  VALUE(0, four.pong_last.tv_sec);
  VALUE(522, four.mtu);
  VALUE(0, four.proto_overhead);
  VALUE(0, four.stats.tx_total_packets);
  VALUE(UINT32_MAX, four.stats.latency_min);
  VALUE(1206, node.link_status(2, 1).mtu);
  const knet_link_status learned = node.link_status(2, 2);
  VALUE(482, learned.mtu);
  VALUE("", static_cast<const char*>(learned.dst_ipaddr));
  VALUE("", static_cast<const char*>(learned.dst_port));
}

CONFORMANCE_CASE(link_get_config_arguments) {
  Node node;
  NEED(knet_host_add(node, 2) == 0);
  sockaddr_storage source = own_address();
  sockaddr_storage target = own_address();
  uint8_t transport = 99;
  uint8_t dynamic = 99;
  uint64_t flags = 99;
  CALL(fails(EINVAL),
       knet_link_get_config(node, 2, 0, &transport, &source, &target, &dynamic, &flags));
  sockaddr_storage dirty = source;
  reinterpret_cast<unsigned char*>(&dirty)[60] = kMark;  // beyond an IPv4 address
  NEED(knet_link_set_config(node, 2, 0, kUdp, &dirty, &target, UINT64_MAX) == 0);
  NEED(add_dynamic_link(node, 2, 1).ss_family == AF_INET);
  sockaddr_storage from{};
  sockaddr_storage to{};
  std::memset(&to, kMark, sizeof(to));
  CALL(fails(EINVAL), knet_link_get_config(node, 2, 8, &transport, &from, &to, &dynamic, &flags));
  CALL(fails(EINVAL), knet_link_get_config(node, 2, 0, nullptr, &from, &to, &dynamic, &flags));
  CALL(fails(EINVAL), knet_link_get_config(node, 2, 0, &transport, nullptr, &to, &dynamic, &flags));
  CALL(fails(EINVAL), knet_link_get_config(node, 2, 0, &transport, &from, &to, nullptr, &flags));
  CALL(fails(EINVAL), knet_link_get_config(node, 2, 0, &transport, &from, &to, &dynamic, nullptr));
  CALL(fails(EINVAL), knet_link_get_config(node, 3, 0, &transport, &from, &to, &dynamic, &flags));
  CALL(fails(EINVAL), knet_link_get_config(node, 2, 2, &transport, &from, &to, &dynamic, &flags));
  CALL(fails(EINVAL),
       knet_link_get_config(node, 2, 0, &transport, &from, nullptr, &dynamic, &flags));
  VALUE(0, from.ss_family);
  VALUE(99, dynamic);
  CALL(kOk, knet_link_get_config(node, 2, 0, &transport, &from, &to, &dynamic, &flags));
  VALUE(kUdp, transport);
  VALUE(0, dynamic);
  VALUE(UINT64_MAX, flags);
  VALUE(0, std::memcmp(&from, &source, sizeof(from)));
  VALUE(0, std::memcmp(&to, &target, sizeof(to)));
  std::memset(&to, kMark, sizeof(to));
  CALL(kOk, knet_link_get_config(node, 2, 1, &transport, &from, nullptr, &dynamic, &flags));
  CALL(kOk, knet_link_get_config(node, 2, 1, &transport, &from, &to, &dynamic, &flags));
  VALUE(1, dynamic);
  VALUE(0, flags);
  VALUE(kMark, reinterpret_cast<unsigned char*>(&to)[0]);
}

CONFORMANCE_CASE(link_clear_config_rules) {
  Node node;
  CALL(fails(EINVAL), knet_link_clear_config(node, 2, 0));
  add_static_link(node, 2, 0);
  CALL(fails(EINVAL), knet_link_clear_config(node, 2, 8));
  CALL(fails(EINVAL), knet_link_clear_config(node, 3, 0));
  CALL(fails(EINVAL), knet_link_clear_config(node, 2, 1));
  NEED(knet_link_set_priority(node, 2, 0, 9) == 0);
  NEED(knet_link_set_enable(node, 2, 0, 1) == 0);
  CALL(fails(EBUSY), knet_link_clear_config(node, 2, 0));
  NEED(knet_link_set_enable(node, 2, 0, 0) == 0);
  CALL(kOk, knet_link_clear_config(node, 2, 0));
  CALL(fails(EINVAL), knet_link_clear_config(node, 2, 0));
  add_static_link(node, 2, 0);
  uint8_t priority = 99;
  CALL(kOk, knet_link_get_priority(node, 2, 0, &priority));
  VALUE(0, priority);
  VALUE(differs("minima start at the largest value, again after clearing", UINT32_MAX, 0U),
        node.link_status(2, 0).stats.latency_min);
}

CONFORMANCE_CASE(link_list_arguments) {
  Node node;
  std::array<uint8_t, KNET_MAX_LINK> links{};
  links.fill(kMark);
  size_t count = 99;
  CALL(fails(EINVAL), knet_link_get_link_list(node, 2, links.data(), &count));
  NEED(knet_host_add(node, 2) == 0);
  CALL(fails(EINVAL), knet_link_get_link_list(node, 2, nullptr, &count));
  CALL(fails(EINVAL), knet_link_get_link_list(node, 2, links.data(), nullptr));
  VALUE(99, count);
  CALL(kOk, knet_link_get_link_list(node, 2, links.data(), &count));
  VALUE(0, count);
  add_static_link(node, 2, 7);
  add_static_link(node, 2, 3);
  CALL(kOk, knet_link_get_link_list(node, 2, links.data(), &count));
  VALUE(2, count);
  VALUE(3, links[0]);
  VALUE(7, links[1]);
  VALUE(kMark, links[2]);
}

}  // namespace conformance
