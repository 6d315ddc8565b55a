// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Two links of which one's packets arrive on the other's interface: said once, and nothing is said
// where all is as it should be.
#include <doctest/doctest.h>
#include <net/if.h>
#include <sys/syscall.h>

#include <algorithm>
#include <thread>

#include "tests/ring/network.h"
#include "tests/ring/node.h"

namespace ringknet::test {
namespace {

Address address(std::uint8_t network, std::uint8_t host) {
  Address made;
  made.family = Address::Family::kIpv4;
  made.ip = {10, 77, network, host};
  made.port = static_cast<std::uint16_t>(5405 + network);
  return made;
}

std::uint64_t pings(Node& node, const Node& peer, unsigned link) {
  return node.engine().run([&](Engine& engine) {
    const auto status = engine.fabric().link_status(peer.id(), static_cast<LinkId>(link));
    return status ? status->stats.rx_ping.packets : 0;
  });
}

bool wait_pings(Node& node, const Node& peer, unsigned link, std::uint64_t count) {
  const std::uint64_t goal = pings(node, peer, link) + count;
  const auto end = std::chrono::steady_clock::now() + kLimit;
  while (pings(node, peer, link) < goal && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return pings(node, peer, link) >= goal;
}

// Shell commands of a network, up to the first that fails.
bool run_all(std::initializer_list<std::string> commands) {
  return std::ranges::all_of(commands,
                             [](const std::string& text) { return run_command(text.c_str()); });
}

const std::string kNoFilter = "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done";

// Two machines with two cables between them; `route` is one more command of the second one.
void with_two_machines(const std::string& route, const std::function<void(Node&, Node&)>& body) {
  in_own_network([&] {
    const std::string outer = std::to_string(syscall(SYS_gettid));
    if (!run_all({"ip link add cable0 type veth peer name far0",
                  "ip link add cable1 type veth peer name far1", kNoFilter})) {
      MESSAGE("SKIPPED: no veth devices");
      return;
    }
    REQUIRE(run_all({"ip addr add 10.77.0.1/24 dev cable0", "ip addr add 10.77.1.1/24 dev cable1",
                     "ip link set cable0 up", "ip link set cable1 up"}));
    Node one(1);
    in_own_network([&] {
      const std::string move = "nsenter --net=/proc/" + outer + "/ns/net ip link set ";
      const std::string here = " netns " + std::to_string(syscall(SYS_gettid));
      REQUIRE(run_all({move + "far0" + here, move + "far1" + here, kNoFilter,
                       "ip addr add 10.77.0.2/24 dev far0", "ip addr add 10.77.1.2/24 dev far1",
                       "ip link set far0 up", "ip link set far1 up", route}));
      Node two(2);
      for (unsigned link = 0; link < 2; ++link) {
        const auto network = static_cast<std::uint8_t>(link);
        one.connect(two, link, address(network, 1), address(network, 2));
        two.connect(one, link, address(network, 2), address(network, 1));
      }
      const auto both_up = [](const Recorder& node) {
        return node.count(Event::Kind::kLinkUp) >= 2;
      };
      REQUIRE(one.client().wait(both_up));
      REQUIRE(two.client().wait(both_up));
      body(one, two);
    });
  });
}

std::size_t warnings(const Node& node) {
  return node.client_.count(Trouble::Kind::kOtherInterface);
}

TEST_CASE("arrival: packets that come in by another link's interface are noticed once per link") {
  // Both networks by one cable, as behind a switch that both are on.
  with_two_machines(
      "ip route add 10.77.1.1/32 via 10.77.0.1 dev far0 src 10.77.1.2", [](Node& one, Node& two) {
        REQUIRE(one.client().wait([&](const Recorder&) { return warnings(one) > 0; }));
        REQUIRE(wait_pings(one, two, 1, 20));
        REQUIRE(wait_pings(two, one, 1, 20));
        CHECK(warnings(one) == 1);
        CHECK(warnings(two) == 0);
        for (const Trouble& trouble : one.client().troubles()) {
          if (trouble.kind != Trouble::Kind::kOtherInterface)
            continue;
          CHECK(trouble.to == address(1, 2));
          CHECK(trouble.interface != trouble.arrival);
          CHECK(trouble.interface != 0);
        }
      });
}

TEST_CASE("arrival: nothing is said of packets that come in where they belong") {
  with_two_machines("true", [](Node& one, Node& two) {
    for (unsigned link = 0; link < 2; ++link) {
      REQUIRE(wait_pings(one, two, link, 20));
      REQUIRE(wait_pings(two, one, link, 20));
    }
    CHECK(warnings(one) == 0);
    CHECK(warnings(two) == 0);
  });
}

TEST_CASE("arrival: nor within one machine") {
  Node one(1);
  Node two(2);
  REQUIRE(join(one, two));
  REQUIRE(wait_pings(one, two, 0, 20));
  CHECK(warnings(one) == 0);
  CHECK(warnings(two) == 0);
}

}  // namespace
}  // namespace ringknet::test
