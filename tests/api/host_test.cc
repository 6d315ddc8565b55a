// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Hosts: adding, naming, listing, policies, and what a host without links looks like.
#include <cstring>

#include "tests/api/support.h"

using knet_test::Node;

namespace {

std::string name_of(knet_handle_t handle, knet_node_id_t host) {
  std::array<char, KNET_MAX_HOST_LEN> name{};
  CHECK_OK(knet_host_get_name_by_host_id(handle, host, name.data()));
  return name.data();
}

std::vector<knet_node_id_t> list(knet_handle_t handle) {
  std::vector<knet_node_id_t> ids(KNET_MAX_HOST);
  size_t count = 12345;
  CHECK_OK(knet_host_get_host_list(handle, ids.data(), &count));
  REQUIRE(count <= ids.size());
  ids.resize(count);
  return ids;
}

}  // namespace

TEST_CASE("hosts are added once and removed once") {
  Node node(1);
  for (const knet_node_id_t host : {2, 0, 65535, 1}) {
    INFO(host);
    CHECK_FAILS(EINVAL, knet_host_remove(node, host));
    CHECK_OK(knet_host_add(node, host));
    CHECK_FAILS(EEXIST, knet_host_add(node, host));
    CHECK_OK(knet_host_remove(node, host));
    CHECK_FAILS(EINVAL, knet_host_remove(node, host));
  }
}

TEST_CASE("the list names the host added last first") {
  Node node(1);
  CHECK(list(node).empty());
  for (const knet_node_id_t host : {5, 0, 65535, 1}) {
    CHECK_OK(knet_host_add(node, host));
  }
  CHECK(list(node) == std::vector<knet_node_id_t>{1, 65535, 0, 5});
  CHECK_OK(knet_host_remove(node, 65535));
  CHECK(list(node) == std::vector<knet_node_id_t>{1, 0, 5});

  size_t count = 77;
  std::vector<knet_node_id_t> ids(KNET_MAX_HOST, 4242);
  CHECK_FAILS(EINVAL, knet_host_get_host_list(node, nullptr, &count));
  CHECK_FAILS(EINVAL, knet_host_get_host_list(node, ids.data(), nullptr));
  CHECK(count == 77);
  if (!knet_test::on_peer()) {  // it writes all 65536
    CHECK_OK(knet_host_get_host_list(node, ids.data(), &count));
    CHECK(ids[2] == 5);
    CHECK(ids[3] == 4242);
  }
}

TEST_CASE("a host is a link's home and cannot leave before it") {
  Node node(1);
  sockaddr_storage source = knet_test::address("127.0.0.1", 0);
  CHECK_OK(knet_host_add(node, 2));
  CHECK_OK(knet_link_set_config(node, 2, 3, KNET_TRANSPORT_UDP, &source, nullptr, 0));
  CHECK_FAILS(EBUSY, knet_host_remove(node, 2));
  CHECK_OK(knet_link_clear_config(node, 2, 3));
  CHECK_OK(knet_host_remove(node, 2));
}

TEST_CASE("names") {
  Node node(1);
  const std::string longest(KNET_MAX_HOST_LEN - 1, 'n');
  const std::string too_long(KNET_MAX_HOST_LEN, 'n');
  CHECK_FAILS(EINVAL, knet_host_set_name(node, 2, "two"));
  CHECK_OK(knet_host_add(node, 2));
  CHECK_OK(knet_host_add(node, 65535));
  CHECK(name_of(node, 2) == "2");
  CHECK(name_of(node, 65535) == "65535");

  CHECK_FAILS(EINVAL, knet_host_set_name(node, 2, nullptr));
  CHECK_FAILS(EINVAL, knet_host_set_name(node, 2, too_long.c_str()));
  CHECK_FAILS(EEXIST, knet_host_set_name(node, 2, "2"));
  CHECK_FAILS(EEXIST, knet_host_set_name(node, 2, "65535"));
  CHECK(name_of(node, 2) == "2");

  CHECK_OK(knet_host_set_name(node, 2, longest.c_str()));
  CHECK(name_of(node, 2) == longest);
  CHECK_OK(knet_host_set_name(node, 2, ""));
  CHECK_FAILS(EEXIST, knet_host_set_name(node, 65535, ""));
  CHECK_OK(knet_host_set_name(node, 2, "Two"));
  CHECK_OK(knet_host_set_name(node, 65535, "two"));
  CHECK_OK(knet_host_set_name(node, 2, "2"));
}

TEST_CASE("hosts are found by name") {
  Node node(1);
  CHECK_OK(knet_host_add(node, 2));
  CHECK_OK(knet_host_set_name(node, 2, "two"));
  knet_node_id_t id = 4242;
  CHECK_FAILS(EINVAL, knet_host_get_id_by_host_name(node, nullptr, &id));
  CHECK_FAILS(EINVAL, knet_host_get_id_by_host_name(node, "two", nullptr));
  CHECK_FAILS(ENOENT, knet_host_get_id_by_host_name(node, "2", &id));
  CHECK_FAILS(ENOENT, knet_host_get_id_by_host_name(node, "TWO", &id));
  CHECK(id == 4242);
  CHECK_OK(knet_host_get_id_by_host_name(node, "two", &id));
  CHECK(id == 2);
  CHECK_OK(knet_host_remove(node, 2));
  CHECK_FAILS(ENOENT, knet_host_get_id_by_host_name(node, "two", &id));

  std::array<char, KNET_MAX_HOST_LEN> name{"untouched"};
  CHECK_FAILS(EINVAL, knet_host_get_name_by_host_id(node, 2, nullptr));
  CHECK_FAILS(EINVAL, knet_host_get_name_by_host_id(node, 2, name.data()));
  CHECK(std::strcmp(name.data(), "untouched") == 0);
}

TEST_CASE("policies") {
  Node node(1);
  uint8_t policy = 77;
  CHECK_FAILS(EINVAL, knet_host_get_policy(node, 2, &policy));
  CHECK_FAILS(EINVAL, knet_host_set_policy(node, 2, KNET_LINK_POLICY_ACTIVE));
  CHECK(policy == 77);
  CHECK_OK(knet_host_add(node, 2));
  CHECK_FAILS(EINVAL, knet_host_get_policy(node, 2, nullptr));
  CHECK_OK(knet_host_get_policy(node, 2, &policy));
  CHECK(policy == KNET_LINK_POLICY_PASSIVE);
  CHECK_FAILS(EINVAL, knet_host_set_policy(node, 2, KNET_LINK_POLICY_RR + 1));
  for (const uint8_t wanted :
       {KNET_LINK_POLICY_ACTIVE, KNET_LINK_POLICY_RR, KNET_LINK_POLICY_PASSIVE}) {
    CHECK_OK(knet_host_set_policy(node, 2, wanted));
    CHECK_OK(knet_host_get_policy(node, 2, &policy));
    CHECK(policy == wanted);
  }
}

TEST_CASE("a host without links is not reachable") {
  Node node(1);
  knet_host_status status{7, 7, 7};
  CHECK_FAILS(EINVAL, knet_host_get_status(node, 2, &status));
  CHECK(status.reachable == 7);
  CHECK_OK(knet_host_add(node, 2));
  CHECK_FAILS(EINVAL, knet_host_get_status(node, 2, nullptr));
  CHECK_OK(knet_host_get_status(node, 2, &status));
  CHECK(status.reachable == 0);
  CHECK(status.remote == 0);
  CHECK(status.external == 0);
}
