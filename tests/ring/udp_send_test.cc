// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Runs of datagrams on real sockets: segmented by the kernel, without that, too large, refused,
// blocked by routes and firewalls, and through a device that is slow or full.
#include <doctest/doctest.h>
#include <netinet/in.h>

#include <cstdio>

#include "tests/ring/network.h"
#include "tests/ring/udp_bench.h"

namespace ringknet::test {
namespace {

using Kind = Transmit::Kind;
using Status = TransmitResult::Status;

// What was received, put together again.
std::vector<std::byte> joined(const UdpBench& bench) {
  std::vector<std::byte> all;
  for (const auto& datagram : bench.received) {
    all.insert(all.end(), datagram.bytes.begin(), datagram.bytes.end());
  }
  return all;
}

TEST_CASE("udp: a run arrives as its datagrams, in order, for both families") {
  const auto port = static_cast<std::uint16_t>(20000 + getpid() % 20000);
  for (const bool v6 : {false, true}) {
    CAPTURE(v6);
    UdpBench bench;
    UdpSocket& from = bench.open(v6 ? loopback_address_v6(port) : loopback_address(1));
    UdpSocket& to = bench.open(v6 ? loopback_address_v6(port + 1) : loopback_address(2));
    const auto run = pattern(64 * 1000 - 300, 1);
    bench.send(from, to.local(), run, 1000);
    REQUIRE(bench.turn_until([&] { return bench.received.size() == 64; }));
    for (std::size_t i = 0; i < 63; ++i)
      REQUIRE(bench.received[i].bytes.size() == 1000);
    CHECK(bench.received[63].bytes.size() == 700);
    CHECK(joined(bench) == run);
    CHECK(bench.received[0].from == from.local());
    CHECK(bench.received[0].socket == to.id);
    CHECK(bench.results[1].status == Status::kSent);
    CHECK(bench.offload_failures.empty());
  }
}

TEST_CASE("udp: where the kernel cannot split a run, it is sent in parts, and so are later ones") {
  UdpBench bench;
  UdpSocket& from = bench.open(loopback_address(1));
  UdpSocket& to = bench.open(loopback_address(2));
  // Segmentation needs checksums.
  const int on = 1;
  REQUIRE(setsockopt(from.descriptor(), SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)) == 0);
  const auto first = pattern(10 * 1200, 1);
  bench.send(from, to.local(), first, 1200);
  REQUIRE(bench.turn_until([&] { return bench.received.size() == 10; }));
  CHECK(joined(bench) == first);
  REQUIRE(bench.offload_failures.size() == 1);
  CHECK((bench.offload_failures[0] == EIO || bench.offload_failures[0] == EINVAL));
  CHECK(bench.results[1].status == Status::kSent);
  CHECK_FALSE(from.send.segmentation.on(UdpBench::now()));

  bench.received.clear();
  const auto second = pattern(5 * 800 - 1, 2);
  bench.send(from, to.local(), second, 800);
  REQUIRE(bench.turn_until([&] { return bench.received.size() == 5; }));
  CHECK(joined(bench) == second);
  CHECK(bench.offload_failures.size() == 1);
  CHECK(bench.failures.empty());

  // One packet, a run, one packet, handed over at once: none overtakes another.
  bench.received.clear();
  auto all = pattern(700, 3);
  const auto run = pattern(5 * 800, 4);
  const auto last = pattern(600, 5);
  bench.send(from, to.local(), all, 700);
  bench.send(from, to.local(), run, 800);
  bench.send(from, to.local(), last, 600);
  REQUIRE(bench.turn_until([&] { return bench.received.size() == 7; }));
  all.insert(all.end(), run.begin(), run.end());
  all.insert(all.end(), last.begin(), last.end());
  CHECK(joined(bench) == all);
}

TEST_CASE("udp: a firewall that takes a run for one long packet gets it in parts") {
  in_own_network([] {
    if (!run_command("nft add table inet t && nft add chain inet t out '{ type filter hook output "
                     "priority 0 ; }' && nft add rule inet t out meta length '>' 1500 drop")) {
      std::printf("SKIPPED: no nft\n");
      return;
    }
    UdpBench bench;
    UdpSocket& from = bench.open(loopback_address(1));
    UdpSocket& to = bench.open(loopback_address(2));
    for (std::uint32_t round = 1; round <= 5; ++round) {
      bench.received.clear();
      const auto run = pattern(40 * 1400 - 1, round);
      bench.send(from, to.local(), run, 1400);
      REQUIRE(bench.turn_until([&] { return bench.received.size() == 40; }));
      CHECK(joined(bench) == run);
    }
    CHECK(bench.count(Status::kSent) == 5);
    CHECK(bench.failures.empty());
    CHECK(bench.offload_failures == std::vector{EPERM});
    CHECK_FALSE(from.send.segmentation.on(UdpBench::now()));
    CHECK_FALSE(from.send.segmentation.on(UdpBench::now() + std::chrono::seconds(55)));
    CHECK(from.send.segmentation.on(UdpBench::now() + std::chrono::seconds(65)));
  });
}

TEST_CASE("udp: what is larger than the device takes goes in fragments, probes do not go at all") {
  in_own_network([] {
    REQUIRE(run_command("ip link set lo mtu 1500"));
    for (const bool v6 : {false, true}) {
      CAPTURE(v6);
      UdpBench bench;
      UdpSocket& from = bench.open(v6 ? loopback_address_v6(5405) : loopback_address(1));
      UdpSocket& to = bench.open(v6 ? loopback_address_v6(5406) : loopback_address(2));
      const auto send = [&](std::size_t size, std::size_t segment, Kind kind) {
        bench.received.clear();
        const auto number = bench.send(from, to.local(), pattern(size, 3), segment, kind);
        REQUIRE(bench.turn_until([&] { return bench.all_done(); }));
        return bench.results[number];
      };
      TransmitResult result = send(8000, 8000, Kind::kData);
      CHECK(result.status == Status::kTooBig);
      CHECK(result.mtu == 1500);
      REQUIRE(bench.turn_until([&] { return bench.received.size() == 1; }));
      CHECK(joined(bench) == pattern(8000, 3));

      result = send(60000, 4000, Kind::kData);
      CHECK(result.status == Status::kTooBig);
      CHECK(result.mtu == 1500);
      REQUIRE(bench.turn_until([&] { return bench.received.size() == 15; }));
      CHECK(joined(bench) == pattern(60000, 3));
      CHECK(from.send.segmentation.on(UdpBench::now()));

      for (const Kind kind : {Kind::kProbe, Kind::kControl}) {
        result = send(1473, 1473, kind);
        CHECK(result.status == Status::kTooBig);
        CHECK(result.mtu == 1500);
      }
      // The socket is as strict as before, and what fits goes: the probes before it did not.
      const std::size_t fits = v6 ? 1452 : 1472;
      result = send(fits, fits, Kind::kProbe);
      CHECK(result.status == Status::kSent);
      REQUIRE(bench.turn_until([&] { return !bench.received.empty(); }));
      CHECK(bench.received.size() == 1);
      CHECK(bench.received[0].bytes.size() == fits);
      CHECK(bench.path_errors.empty());
      CHECK(bench.failures.empty());
    }
  });
}

TEST_CASE("udp: a closed peer is reported and does not disturb sends to others") {
  // A network of its own, for the kernel answers only so many datagrams per second and network.
  in_own_network([] {
    UdpBench bench;
    UdpSocket& from = bench.open(loopback_address(1));
    UdpSocket& to = bench.open(loopback_address(2));
    const Address nobody = loopback_address(3);
    std::size_t rounds = 0;
    REQUIRE(bench.turn_until([&] {
      for (int i = 0; i < 10; ++i, ++rounds) {
        bench.send(from, nobody, pattern(50, 1), 50);
        bench.send(from, to.local(), pattern(100, 2), 100);
        bench.send(from, to.local(), pattern(2000, 2), 100);
      }
      return bench.turn_until([&] { return bench.all_done(); }) && bench.path_errors.size() > 20;
    }));
    REQUIRE(bench.turn_until([&] { return bench.received.size() == 21 * rounds; }));
    CHECK(bench.count(Status::kSent) == 3 * rounds);
    CHECK(bench.failures.empty());
    for (const PathError& error : bench.path_errors) {
      CHECK(error.to == nobody);
      CHECK(error.status == Status::kRefused);
      CHECK(error.socket == from.id);
    }
  });
}

TEST_CASE("udp: routes and firewalls that forbid a path end its sends at once, others go on") {
  in_own_network([] {
    REQUIRE(
        run_command("ip route add unreachable 10.1.0.0/16 && ip route add prohibit 10.2.0.0/16 "
                    "&& ip route add blackhole 10.3.0.0/16"));
    UdpBench bench;
    UdpSocket& from = bench.open(loopback_address(1));
    UdpSocket& to = bench.open(loopback_address(2));
    const auto result_for = [&](std::array<std::uint8_t, 4> ip) {
      Address address = loopback_address(1);
      std::copy(ip.begin(), ip.end(), address.ip.begin());
      const auto number = bench.send(from, address, pattern(3000, 1), 1000);
      bench.send(from, to.local(), pattern(100, 1), 100);
      REQUIRE(bench.turn_until([&] { return bench.all_done(); }));
      return bench.results[number].status;
    };
    CHECK(result_for({10, 1, 0, 1}) == Status::kUnreachable);
    CHECK(result_for({10, 2, 0, 1}) == Status::kDenied);
    CHECK(result_for({10, 3, 0, 1}) == Status::kFailed);
    CHECK(result_for({192, 0, 2, 1}) == Status::kUnreachable);  // no route at all
    std::size_t good = 4;
    if (run_command("nft add table inet t && nft add chain inet t out '{ type filter hook output "
                    "priority 0 ; }' && nft add rule inet t out udp dport 9 drop")) {
      Address blocked = to.local();
      blocked.port = 9;
      const auto number = bench.send(from, blocked, pattern(100, 1), 100);
      bench.send(from, to.local(), pattern(100, 1), 100);
      REQUIRE(bench.turn_until([&] { return bench.all_done(); }));
      CHECK(bench.results[number].status == Status::kDenied);
      ++good;
    } else {
      MESSAGE("nft does not work here: the firewall's part is left out");
    }
    REQUIRE(bench.turn_until([&] { return bench.received.size() == good; }));
    CHECK(bench.count(Status::kSent) == good);
    CHECK(bench.failures.size() == bench.results.size() - good);
  });
}

TEST_CASE("udp: a device without buffers is asked again, a bounded number of times") {
  in_own_network([] {
    if (!run_command("tc qdisc add dev lo root tbf rate 2mbit burst 4kb limit 6000")) {
      std::printf("SKIPPED: no tc, or no tbf\n");
      return;
    }
    REQUIRE(run_command("ip link set lo mtu 1500"));
    UdpBench bench;
    UdpSocket& from = bench.open(loopback_address(1));
    UdpSocket& to = bench.open(loopback_address(2));
    for (int i = 0; i < 40; ++i)
      bench.send(from, to.local(), pattern(1200, 1), 1200);
    REQUIRE(bench.turn_until([&] { return bench.all_done(); }));
    // 48000 bytes at 250000 per second: most find no room for longer than they may ask.
    CHECK(bench.count(Status::kSent) + bench.count(Status::kNoBuffers) == 40);
    CHECK(bench.count(Status::kNoBuffers) > 0);
    CHECK(bench.count(Status::kSent) > 0);
    std::size_t retried = 0;
    for (const auto& [number, result] : bench.results) {
      if (result.status == Status::kSent && result.retries > 0) {
        ++retried;
      }
      CHECK(result.retries <= 11);
    }
    CHECK(retried > 0);
    REQUIRE(bench.turn_until([&] { return bench.received.size() == bench.count(Status::kSent); }));
  });
}

TEST_CASE(
    "udp: what a full socket refuses waits in order, control first, and a stuck one is given up") {
  in_own_network([] {
    if (!run_command("tc qdisc add dev lo root tbf rate 20mbit burst 20kb limit 20000000")) {
      std::printf("SKIPPED: no tc, or no tbf\n");
      return;
    }
    UdpBench bench;
    UdpSocket& from = bench.open(loopback_address(1));
    UdpSocket& to = bench.open(loopback_address(2));
    const int small = 40000;
    REQUIRE(setsockopt(from.descriptor(), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0);
    const auto text = [](std::uint32_t number) { return pattern(5000, number); };
    for (std::uint32_t i = 1; i <= 60; ++i)
      bench.send(from, to.local(), text(i), 1000);
    REQUIRE(bench.turn_until([&] { return from.send.data.size > 10; }));
    const auto control = bench.send(from, to.local(), pattern(26, 99), 26, Kind::kControl);
    REQUIRE(bench.turn_until([&] { return bench.all_done(); }));
    CHECK(bench.count(Status::kSent) == 61);
    // What waited went in the order in which it was queued; the control packet overtook.
    std::vector<std::uint64_t> waited;
    std::size_t control_place = 0;
    for (std::size_t i = 0; i < bench.order.size(); ++i) {
      if (bench.order[i] == control) {
        control_place = i;
      } else if (bench.results[bench.order[i]].retries > 0) {
        waited.push_back(bench.order[i]);
      }
    }
    CHECK(waited.size() > 10);
    CHECK(std::is_sorted(waited.begin(), waited.end()));
    CHECK(control_place < 50);
    REQUIRE(bench.turn_until([&] { return bench.received.size() == 301; }));

    // Now the device takes next to nothing. What waits is given up, and the socket can be closed.
    REQUIRE(run_command("tc qdisc change dev lo root tbf rate 1kbit burst 20kb limit 20000000"));
    bench.results.clear();
    bench.order.clear();
    for (std::uint32_t i = 1; i <= 60; ++i)
      bench.send(from, to.local(), text(i), 1000);
    const auto ended = [&] { return bench.order.size() == 60; };
    REQUIRE(bench.turn_until(ended));
    CHECK(bench.count(Status::kNoBuffers) > 0);
    CHECK(bench.count(Status::kSent) + bench.count(Status::kNoBuffers) == 60);
    for (std::uint32_t i = 1; i <= 60; ++i)
      bench.send(from, to.local(), text(i), 1000);
    bench.turn();
    REQUIRE(from.send.data.size > 0);
    bench.close(from);
    REQUIRE(bench.turn_until([&] { return bench.order.size() == 120; }));
    CHECK(bench.count(Status::kFailed) > 0);
    UdpSocket& again = bench.open(loopback_address(1));
    CHECK(again.send.data.size == 0);
  });
}

}  // namespace
}  // namespace ringknet::test
