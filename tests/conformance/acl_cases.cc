// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about access lists: the order of checks, identical entries, and what a list decides.
// The sender of all decisions is 127.0.0.1.
#include <cstring>

#include "tests/conformance/world.h"

namespace conformance {
namespace {

constexpr check_type_t kAddress = CHECK_TYPE_ADDRESS;
constexpr check_type_t kMask = CHECK_TYPE_MASK;
constexpr check_type_t kRange = CHECK_TYPE_RANGE;
constexpr check_acceptreject_t kAccept = CHECK_ACCEPT;
constexpr check_acceptreject_t kReject = CHECK_REJECT;

// Node 2 waits for node 1 on a dynamic link with access lists on.
struct Door {
  Node visitor{1};
  Node keeper{2};

  Door() {
    visitor.open_channel();
    keeper.open_channel();
    NEED(knet_handle_setfwd(visitor, 1) == 0);
    NEED(knet_handle_setfwd(keeper, 1) == 0);
    NEED(knet_handle_enable_access_lists(keeper, 1) == 0);
    sockaddr_storage target = add_dynamic_link(keeper, 1);
    sockaddr_storage source = own_address();
    NEED(knet_host_add(visitor, 2) == 0);
    NEED(knet_link_set_config(visitor, 2, 0, KNET_TRANSPORT_UDP, &source, &target, 0) == 0);
    start_link(keeper, 1);
  }
  void knock() { start_link(visitor, 2); }
  void add(const char* one, const char* two, check_type_t type, check_acceptreject_t what) {
    insert(-1, one, two, type, what);
  }
  void insert(int index, const char* one, const char* two, check_type_t type,
              check_acceptreject_t what) {
    sockaddr_storage first = address(one, 0);
    sockaddr_storage second = two == nullptr ? sockaddr_storage{} : address(two, 0);
    NEED(knet_link_insert_acl(keeper, 1, 0, index, &first, two == nullptr ? nullptr : &second, type,
                              what) == 0);
  }
  bool opens() { return keeper.wait_reachable(1) && visitor.wait_reachable(2); }
  // Whether the visitor has knocked several times and has not been let in.
  bool stays_shut() {
    const auto pings = [this] { return visitor.link_status(2, 0).stats.tx_ping_packets; };
    const uint64_t before = pings();
    knet_host_status status{};
    return eventually([&] { return pings() > before + 6; }) &&
           knet_host_get_status(keeper, 1, &status) == 0 && status.reachable == 0;
  }
  bool shuts() { return keeper.wait_reachable(1, false); }
  // Whether a message still gets in.
  bool message_passes() { return visitor.send("still") && keeper.receive() == "still"; }
};

}  // namespace

CONFORMANCE_CASE(acl_argument_order) {
  Node node;
  add_dynamic_link(node, 2, 0);
  add_static_link(node, 2, 1);
  sockaddr_storage four = address("192.0.2.1", 0);
  sockaddr_storage six = address("2001:db8::1", 0);
  constexpr auto kNoType = static_cast<check_type_t>(3);
  constexpr auto kNoVerdict = static_cast<check_acceptreject_t>(2);
  CALL(fails(EINVAL), knet_link_add_acl(node, 2, 0, nullptr, nullptr, kAddress, kAccept));
  CALL(fails(EINVAL), knet_link_add_acl(node, 2, 0, &four, nullptr, kNoType, kAccept));
  CALL(fails(EINVAL), knet_link_add_acl(node, 2, 0, &four, nullptr, kAddress, kNoVerdict));
  CALL(fails(EINVAL), knet_link_add_acl(node, 2, 0, &four, nullptr, kMask, kAccept));
  CALL(fails(EINVAL), knet_link_add_acl(node, 2, 0, &four, nullptr, kRange, kAccept));
  CALL(fails(EINVAL), knet_link_add_acl(node, 2, 0, &four, &six, kRange, kAccept));
  CALL(fails(EINVAL), knet_link_add_acl(node, 2, 8, &four, nullptr, kAddress, kAccept));
  CALL(fails(EINVAL), knet_link_add_acl(node, 3, 0, &four, nullptr, kAddress, kAccept));
  CALL(fails(EINVAL), knet_link_add_acl(node, 2, 2, &four, nullptr, kAddress, kAccept));
  CALL(fails(EINVAL), knet_link_add_acl(node, 2, 1, &four, nullptr, kAddress, kAccept));  // static
  CALL(fails(EINVAL), knet_link_insert_acl(node, 2, 0, 0, nullptr, nullptr, kAddress, kAccept));
  CALL(fails(EINVAL), knet_link_insert_acl(node, 2, 0, 0, &four, nullptr, kRange, kAccept));
  CALL(fails(EINVAL), knet_link_insert_acl(node, 2, 1, 0, &four, nullptr, kAddress, kAccept));
  CALL(fails(EINVAL), knet_link_rm_acl(node, 2, 0, nullptr, nullptr, kAddress, kAccept));
  CALL(fails(EINVAL), knet_link_rm_acl(node, 2, 0, &four, nullptr, kMask, kAccept));
  CALL(fails(EINVAL), knet_link_rm_acl(node, 2, 0, &four, &six, kRange, kAccept));
  CALL(fails(EINVAL), knet_link_rm_acl(node, 2, 1, &four, nullptr, kAddress, kAccept));
  CALL(fails(ENOENT), knet_link_rm_acl(node, 2, 0, &four, nullptr, kAddress, kAccept));
  CALL(fails(EINVAL), knet_link_clear_acl(node, 2, 8));
  CALL(fails(EINVAL), knet_link_clear_acl(node, 3, 0));
  CALL(fails(EINVAL), knet_link_clear_acl(node, 2, 2));
  CALL(fails(EINVAL), knet_link_clear_acl(node, 2, 1));
  CALL(kOk, knet_link_clear_acl(node, 2, 0));
}

CONFORMANCE_CASE(acl_identical_entries) {
  Node node;
  add_dynamic_link(node, 2, 0);
  sockaddr_storage one = address("192.0.2.1", 0);
  sockaddr_storage two = address("192.0.2.2", 0);
  sockaddr_storage with_port = address("192.0.2.1", 5);
  sockaddr_storage six = address("2001:db8::1", 0);
  CALL(kOk, knet_link_add_acl(node, 2, 0, &one, nullptr, kAddress, kAccept));
  CALL(fails(EEXIST), knet_link_add_acl(node, 2, 0, &one, nullptr, kAddress, kAccept));
  CALL(fails(EEXIST), knet_link_add_acl(node, 2, 0, &one, &two, kAddress, kAccept));
  CALL(fails(EEXIST), knet_link_insert_acl(node, 2, 0, 0, &one, nullptr, kAddress, kAccept));
  CALL(kOk, knet_link_add_acl(node, 2, 0, &one, nullptr, kAddress, kReject));
  CALL(kOk, knet_link_add_acl(node, 2, 0, &with_port, nullptr, kAddress, kAccept));
  CALL(kOk, knet_link_add_acl(node, 2, 0, &one, &two, kMask, kAccept));
  CALL(fails(EEXIST), knet_link_add_acl(node, 2, 0, &one, &two, kMask, kAccept));
  CALL(kOk, knet_link_add_acl(node, 2, 0, &one, &one, kMask, kAccept));
  CALL(kOk, knet_link_add_acl(node, 2, 0, &one, &two, kRange, kAccept));
  CALL(kOk, knet_link_add_acl(node, 2, 0, &one, &six, kMask, kAccept));  // never matches
  CALL(kOk, knet_link_insert_acl(node, 2, 0, 1000, &two, nullptr, kAddress, kAccept));
  CALL(kOk, knet_link_insert_acl(node, 2, 0, 0, &six, nullptr, kAddress, kAccept));
  CALL(fails(ENOENT), knet_link_rm_acl(node, 2, 0, &two, nullptr, kAddress, kReject));
  CALL(kOk, knet_link_rm_acl(node, 2, 0, &one, nullptr, kAddress, kAccept));
  CALL(fails(ENOENT), knet_link_rm_acl(node, 2, 0, &one, nullptr, kAddress, kAccept));
  CALL(kOk, knet_link_rm_acl(node, 2, 0, &one, &two, kRange, kAccept));
  CALL(kOk, knet_link_clear_acl(node, 2, 0));
  CALL(fails(ENOENT), knet_link_rm_acl(node, 2, 0, &one, nullptr, kAddress, kReject));
  CALL(kOk, knet_link_add_acl(node, 2, 0, &one, nullptr, kAddress, kAccept));
}

CONFORMANCE_CASE(acl_goes_with_the_link) {
  Node node;
  add_dynamic_link(node, 2, 0);
  sockaddr_storage one = address("192.0.2.1", 0);
  CALL(kOk, knet_link_add_acl(node, 2, 0, &one, nullptr, kAddress, kAccept));
  CALL(kOk, knet_link_clear_config(node, 2, 0));
  add_dynamic_link(node, 2, 0);
  CALL(fails(ENOENT), knet_link_rm_acl(node, 2, 0, &one, nullptr, kAddress, kAccept));
}

CONFORMANCE_CASE(acl_empty_list_accepts_nobody) {
  Door door;
  door.knock();
  VALUE(true, door.stays_shut());
  door.add("127.0.0.1", nullptr, kAddress, kAccept);  // counts while the link is being tried
  VALUE(true, door.opens());
}

CONFORMANCE_CASE(acl_types_accept) {
  struct Entry {
    const char* one;
    const char* two;
    check_type_t type;
    bool fits;
  };
  const std::array<Entry, 8> entries{{
      {"127.0.0.1", nullptr, kAddress, true},
      {"127.0.0.2", nullptr, kAddress, false},
      {"127.0.0.0", "255.0.0.0", kMask, true},
      {"127.0.0.1", "255.0.0.0", kMask, false},  // not masked itself
      {"127.0.0.1", "127.0.0.9", kRange, true},
      {"126.255.255.255", "127.0.0.1", kRange, true},
      {"127.0.0.2", "127.0.0.9", kRange, false},
      {"::", "ffff::", kRange, false},  // the other family
  }};
  for (const Entry& entry : entries) {
    Door door;
    door.add(entry.one, entry.two, entry.type, kAccept);
    door.knock();
    VALUE(entry.fits, entry.fits ? door.opens() : !door.stays_shut());
  }
}

CONFORMANCE_CASE(acl_first_match_decides) {
  Door door;
  door.add("127.0.0.1", nullptr, kAddress, kReject);
  door.add("127.0.0.0", "255.0.0.0", kMask, kAccept);
  door.knock();
  VALUE(true, door.stays_shut());
  door.insert(0, "127.0.0.1", "127.0.0.1", kRange, kAccept);
  VALUE(true, door.opens());
  door.insert(0, "127.0.0.0", "127.0.0.255", kRange, kReject);
  VALUE(true, door.shuts());
}

CONFORMANCE_CASE(acl_insert_position) {
  Door door;
  door.add("192.0.2.1", nullptr, kAddress, kAccept);
  door.add("127.0.0.0", "255.0.0.0", kMask, kAccept);
  door.add("192.0.2.3", nullptr, kAddress, kAccept);
  door.add("192.0.2.4", nullptr, kAddress, kAccept);
  door.knock();
  VALUE(true, door.opens());
  // At position 1 it comes before the entry that let the visitor in.
  door.insert(1, "127.0.0.1", nullptr, kAddress, kReject);
  const char* reason = "knet_link_insert_acl inserts at exactly the position asked";
  VALUE(differs(reason, true, false), on_peer() ? !door.message_passes() : door.shuts());
}

CONFORMANCE_CASE(acl_default_and_switch) {
  Door door;
  NEED(knet_handle_enable_access_lists(door.keeper, 0) == 0);
  door.knock();
  VALUE(true, door.opens());
  CALL(kOk, knet_handle_enable_access_lists(door.keeper, 1));
  VALUE(true, door.shuts());
  door.keeper.host.clear();
  CALL(kOk, knet_handle_enable_access_lists(door.keeper, 0));
  VALUE(true, door.opens());
}

CONFORMANCE_CASE(acl_on_loopback_links) {
  Node node;
  NEED(knet_host_add(node, 1) == 0);
  sockaddr_storage source = own_address();
  NEED(knet_link_set_config(node, 1, 0, KNET_TRANSPORT_LOOPBACK, &source, nullptr, 0) == 0);
  CALL(kOk, knet_link_add_acl(node, 1, 0, &source, nullptr, kAddress, kAccept));
  CALL(kOk, knet_link_rm_acl(node, 1, 0, &source, nullptr, kAddress, kAccept));
  CALL(kOk, knet_link_clear_acl(node, 1, 0));
}

CONFORMANCE_CASE(static_links_and_access_lists) {
  Pair pair;
  CALL(kOk, knet_handle_enable_access_lists(pair.two, 1));
  VALUE(true, pair.one.send("through"));
  VALUE(std::string("through"), pair.two.receive());
}

}  // namespace conformance
