// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about hosts: adding, removing, names, lists, policies, status.
#include <cstring>

#include "tests/conformance/world.h"

namespace conformance {
namespace {

constexpr unsigned char kMark = 0xa5;

std::string host_list(Node& node) {
  std::vector<knet_node_id_t> hosts(KNET_MAX_HOST, 7);
  size_t count = 0;
  NEED(knet_host_get_host_list(node, hosts.data(), &count) == 0);
  std::string text;
  for (size_t index = 0; index < count; ++index) {
    text += std::to_string(hosts[index]) + " ";
  }
  return text;
}

}  // namespace

CONFORMANCE_CASE(host_add_and_remove) {
  Node node;
  CALL(kOk, knet_host_add(node, 5));
  CALL(fails(EEXIST), knet_host_add(node, 5));
  CALL(kOk, knet_host_add(node, 0));
  CALL(kOk, knet_host_add(node, UINT16_MAX));
  CALL(kOk, knet_host_add(node, 1));  // the local one
  VALUE(std::string("1 65535 0 5 "), host_list(node));
  CALL(fails(EINVAL), knet_host_remove(node, 6));
  CALL(kOk, knet_host_remove(node, 0));
  CALL(fails(EINVAL), knet_host_remove(node, 0));
  VALUE(std::string("1 65535 5 "), host_list(node));
  CALL(kOk, knet_host_add(node, 0));
  VALUE(std::string("0 1 65535 5 "), host_list(node));
}

CONFORMANCE_CASE(host_remove_with_links) {
  Node node;
  add_static_link(node, 2, 3);
  CALL(fails(EBUSY), knet_host_remove(node, 2));
  NEED(knet_link_set_enable(node, 2, 3, 1) == 0);
  CALL(fails(EBUSY), knet_host_remove(node, 2));
  NEED(knet_link_set_enable(node, 2, 3, 0) == 0);
  CALL(fails(EBUSY), knet_host_remove(node, 2));
  NEED(knet_link_clear_config(node, 2, 3) == 0);
  CALL(kOk, knet_host_remove(node, 2));
}

CONFORMANCE_CASE(host_list_arguments) {
  Node node;
  std::vector<knet_node_id_t> hosts(KNET_MAX_HOST, 7);
  size_t count = 99;
  CALL(fails(EINVAL), knet_host_get_host_list(node, nullptr, &count));
  CALL(fails(EINVAL), knet_host_get_host_list(node, hosts.data(), nullptr));
  VALUE(99, count);
  NEED(knet_host_add(node, 5) == 0);
  CALL(kOk, knet_host_get_host_list(node, hosts.data(), &count));
  VALUE(1, count);
  VALUE(differs("knet_host_get_host_list writes the ids in use only", true, false),
        hosts[60000] == 7);
}

CONFORMANCE_CASE(host_names) {
  Node node;
  std::array<char, KNET_MAX_HOST_LEN> name{};
  name.fill(static_cast<char>(kMark));
  NEED(knet_host_add(node, 5) == 0);
  NEED(knet_host_add(node, 6) == 0);
  CALL(fails(EINVAL), knet_host_get_name_by_host_id(node, 5, nullptr));
  CALL(fails(EINVAL), knet_host_get_name_by_host_id(node, 7, name.data()));
  VALUE(kMark, static_cast<unsigned char>(name[0]));
  CALL(kOk, knet_host_get_name_by_host_id(node, 5, name.data()));
  VALUE("5", static_cast<const char*>(name.data()));

  const std::string longest(KNET_MAX_HOST_LEN - 1, 'n');
  const std::string too_long(KNET_MAX_HOST_LEN, 'n');
  CALL(fails(EINVAL), knet_host_set_name(node, 7, "other"));
  CALL(fails(EINVAL), knet_host_set_name(node, 5, nullptr));
  CALL(fails(EINVAL), knet_host_set_name(node, 7, nullptr));
  CALL(fails(EINVAL), knet_host_set_name(node, 5, too_long.c_str()));
  CALL(fails(EEXIST), knet_host_set_name(node, 5, "6"));  // the default name of another host
  CALL(fails(EEXIST), knet_host_set_name(node, 5, "5"));  // its own
  CALL(kOk, knet_host_set_name(node, 5, "Five"));
  CALL(fails(EEXIST), knet_host_set_name(node, 6, "Five"));
  CALL(kOk, knet_host_set_name(node, 6, "five"));
  CALL(kOk, knet_host_set_name(node, 5, longest.c_str()));
  CALL(kOk, knet_host_get_name_by_host_id(node, 5, name.data()));
  VALUE(longest, std::string(name.data()));
  CALL(kOk, knet_host_set_name(node, 5, ""));
  CALL(fails(EEXIST), knet_host_set_name(node, 6, ""));
}

CONFORMANCE_CASE(host_ids_by_name) {
  Node node;
  NEED(knet_host_add(node, 5) == 0);
  knet_node_id_t id = 77;
  CALL(fails(EINVAL), knet_host_get_id_by_host_name(node, nullptr, &id));
  CALL(fails(EINVAL), knet_host_get_id_by_host_name(node, "5", nullptr));
  CALL(fails(ENOENT), knet_host_get_id_by_host_name(node, "6", &id));
  CALL(fails(ENOENT), knet_host_get_id_by_host_name(node, "", &id));
  VALUE(77, id);
  CALL(kOk, knet_host_get_id_by_host_name(node, "5", &id));
  VALUE(5, id);
  NEED(knet_host_set_name(node, 5, "Five") == 0);
  CALL(fails(ENOENT), knet_host_get_id_by_host_name(node, "5", &id));
  CALL(fails(ENOENT), knet_host_get_id_by_host_name(node, "five", &id));
  CALL(kOk, knet_host_get_id_by_host_name(node, "Five", &id));
}

CONFORMANCE_CASE(host_policies) {
  Node node;
  NEED(knet_host_add(node, 5) == 0);
  uint8_t policy = 77;
  CALL(fails(EINVAL), knet_host_get_policy(node, 5, nullptr));
  CALL(fails(EINVAL), knet_host_get_policy(node, 6, &policy));
  VALUE(77, policy);
  CALL(kOk, knet_host_get_policy(node, 5, &policy));
  VALUE(KNET_LINK_POLICY_PASSIVE, policy);
  CALL(fails(EINVAL), knet_host_set_policy(node, 5, KNET_LINK_POLICY_RR + 1));
  CALL(fails(EINVAL), knet_host_set_policy(node, 6, KNET_LINK_POLICY_RR));
  for (const uint8_t value :
       {KNET_LINK_POLICY_RR, KNET_LINK_POLICY_ACTIVE, KNET_LINK_POLICY_PASSIVE}) {
    CALL(kOk, knet_host_set_policy(node, 5, value));
    CALL(kOk, knet_host_get_policy(node, 5, &policy));
    VALUE(value, policy);
  }
}

CONFORMANCE_CASE(host_status) {
  Node node;
  NEED(knet_host_add(node, 5) == 0);
  knet_host_status status{7, 7, 7};
  CALL(fails(EINVAL), knet_host_get_status(node, 5, nullptr));
  CALL(fails(EINVAL), knet_host_get_status(node, 6, &status));
  VALUE(7, status.reachable);
  CALL(kOk, knet_host_get_status(node, 5, &status));
  VALUE(0, status.reachable);
  VALUE(0, status.remote);
  VALUE(0, status.external);
}

}  // namespace conformance
