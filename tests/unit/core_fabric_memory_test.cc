// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A change that is refused for want of memory leaves everything as it was: each call that
// configures the fabric is tried with its first, second, third ... allocation failing, until it
// succeeds.
#include <doctest/doctest.h>

#include <new>

#include "tests/unit/allocations.h"
#include "tests/unit/fabric_kit.h"

namespace ringknet::test {
namespace {

constexpr Instant kNow{1000s};

// doctest's assertions allocate, and swallow what is thrown inside: neither is wanted here.
template <typename Change>
bool with_allocations(std::size_t count, Change&& change) {
  const AllocationsLeft left(count);
  return change();
}

// Calls `change()` with one allocation more each time; `unchanged()` has to hold after each
// refusal. How often it was refused.
template <typename Change, typename Unchanged>
std::size_t refuse(Change&& change, Unchanged&& unchanged) {
  for (std::size_t count = 0;; ++count) {
    try {
      const bool done = with_allocations(count, change);
      CHECK(done);
      return count;
    } catch (const std::bad_alloc&) {
      CAPTURE(count);
      CHECK(unchanged());
    }
  }
}

LinkConfig udp(unsigned host, unsigned link) {
  return {.socket = SocketId(link), .local = address_of(1, link), .remote = address_of(host, link)};
}

class MarkedCompressor final : public Compressor {
 public:
  explicit MarkedCompressor(bool& alive) : alive_(alive) { alive_ = true; }
  ~MarkedCompressor() override { alive_ = false; }
  std::size_t compress(ConstBytes, MutableBytes) override { return 0; }

 private:
  bool& alive_;
};

}  // namespace

TEST_CASE("fabric memory: a host that there is no memory for is not there") {
  Fabric fabric(Fabric::Config{.self = host_id(1)});
  REQUIRE(fabric.host_add(host_id(2)).ok());
  const std::size_t refused =
      refuse([&] { return fabric.host_add(host_id(700)).ok(); },
             [&] { return !fabric.host_exists(host_id(700)) && fabric.hosts().size() == 1; });
  CHECK(refused > 0);
  CHECK(fabric.hosts().size() == 2);
}

TEST_CASE(
    "fabric memory: a link that there is no memory for is not there, and enabling needs none") {
  Fabric fabric(Fabric::Config{.self = host_id(1)});
  REQUIRE(fabric.host_add(host_id(2)).ok());
  std::array<LinkId, kLinksPerHost> links{};
  for (unsigned link = 0; link < kLinksPerHost; ++link) {
    const std::size_t refused = refuse(
        [&] { return fabric.link_configure(kNow, host_id(2), link_id(link), udp(2, link)).ok(); },
        [&] { return *fabric.link_list(host_id(2), links) == link; });
    CHECK(refused > 0);
    const bool enabled = with_allocations(
        0, [&] { return fabric.link_set_enabled(kNow, host_id(2), link_id(link), true).ok(); });
    CHECK(enabled);
  }
  CHECK(*fabric.link_list(host_id(2), links) == kLinksPerHost);
}

TEST_CASE("fabric memory: a loopback link that there is no memory for makes nobody reachable") {
  Fabric fabric(Fabric::Config{.self = host_id(1)});
  REQUIRE(fabric.host_add(host_id(1)).ok());
  const LinkConfig loopback{.transport = Transport::kLoopback, .local = address_of(1, 0)};
  refuse([&] { return fabric.link_configure(kNow, host_id(1), link_id(0), loopback).ok(); },
         [&] { return !*fabric.host_reachable(host_id(1)); });
  CHECK(*fabric.host_reachable(host_id(1)));
}

TEST_CASE("fabric memory: an entry that there is no memory for is in no access list") {
  Fabric fabric(Fabric::Config{.self = host_id(1)});
  REQUIRE(fabric.host_add(host_id(2)).ok());
  LinkConfig config = udp(2, 0);
  config.dynamic = true;
  config.remote = {};
  REQUIRE(fabric.link_configure(kNow, host_id(2), link_id(0), config).ok());
  const AccessEntry entry{.first = address_of(2, 0)};
  const std::size_t refused = refuse(
      [&] { return fabric.access_insert(host_id(2), link_id(0), 0, entry).ok(); },
      [&] {
        return fabric.access_remove(host_id(2), link_id(0), entry).error() == Error::kEntryUnknown;
      });
  CHECK(refused > 0);
}

TEST_CASE("fabric memory: a compressor that there is no memory for leaves the old one") {
  Fabric fabric(Fabric::Config{.self = host_id(1)});
  bool alive = false;
  bool other_alive = false;
  auto compressor = std::make_unique<MarkedCompressor>(alive);
  const std::size_t refused = refuse(
      [&] {
        // As the API calls it: what was not taken over is the caller's to release.
        std::unique_ptr<Compressor> offered = std::move(compressor);
        compressor = nullptr;
        fabric.set_compressor(std::move(offered), CompressId::kLz4, 100);
        return true;
      },
      [&] {
        const bool installed = alive;  // nobody else has it
        compressor = std::make_unique<MarkedCompressor>(alive);
        return !installed;
      });
  CHECK(refused > 0);
  CHECK(alive);
  fabric.set_compressor(std::make_unique<MarkedCompressor>(other_alive), CompressId::kLz4hc, 100);
  CHECK_FALSE(alive);
  CHECK(other_alive);
}

}  // namespace ringknet::test
