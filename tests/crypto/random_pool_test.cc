// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The pool of randomness: a stream that depends on its seed alone, is the same however it is taken
// in pieces, never repeats itself and stops only without any seed.
#include "engine/crypto/wolfssl/random_pool.h"

#include <set>

#include "tests/crypto/support.h"

namespace ringknet {
namespace {

TEST_CASE("crypto random pool: the stream is the same however it is cut") {
  SeededRandom seed_a(1), seed_b(1);
  RandomPool whole(seed_a), pieces(seed_b);
  Buffer expected(20000);
  REQUIRE(whole.fill(expected));
  Buffer got;
  Random random(2);
  while (got.size() < expected.size()) {
    Buffer piece(std::min<std::size_t>(random.between(1, 5000), expected.size() - got.size()));
    REQUIRE(pieces.fill(piece));
    got.insert(got.end(), piece.begin(), piece.end());
  }
  CHECK(got == expected);
}

TEST_CASE("crypto random pool: another seed, another stream") {
  SeededRandom seed_a(1), seed_b(2);
  RandomPool a(seed_a), b(seed_b);
  Buffer from_a(64), from_b(64);
  REQUIRE(a.fill(from_a));
  REQUIRE(b.fill(from_b));
  CHECK(from_a != from_b);
}

TEST_CASE("crypto random pool: no salt comes twice, and its bits are even") {
  SeededRandom seed(3);
  RandomPool pool(seed);
  std::set<Buffer> seen;
  std::size_t ones = 0;
  constexpr std::size_t kSalts = 100000;
  for (std::size_t i = 0; i < kSalts; ++i) {
    Buffer salt(16);
    REQUIRE(pool.fill(salt));
    for (std::byte byte : salt)
      ones += static_cast<std::size_t>(__builtin_popcount(std::to_integer<unsigned>(byte)));
    REQUIRE(seen.insert(salt).second);
  }
  // 12.8 million fair coins: five standard deviations are 9,000.
  CHECK(ones > kSalts * 64 - 9000);
  CHECK(ones < kSalts * 64 + 9000);
}

TEST_CASE("crypto random pool: takes new seed now and then, and lives without once it had some") {
  SeededRandom seed(4);
  RandomPool pool(seed);
  Buffer batch(4096);
  REQUIRE(pool.fill(batch));
  const std::size_t at_first = seed.drawn;
  CHECK(at_first == 32);
  for (int i = 0; i < 1100; ++i)
    REQUIRE(pool.fill(batch));
  CHECK(seed.drawn == 2 * at_first);
  seed.working = false;
  for (int i = 0; i < 2200; ++i)
    REQUIRE(pool.fill(batch));
}

TEST_CASE("crypto random pool: gives nothing without any seed") {
  SeededRandom seed(5);
  seed.working = false;
  RandomPool pool(seed);
  Buffer out(16);
  CHECK_FALSE(pool.fill(out));
  seed.working = true;
  CHECK(pool.fill(out));
}

TEST_CASE("crypto random pool: the system has randomness") {
  SystemRandom system;
  Buffer a(32), b(32);
  REQUIRE(system.fill(a));
  REQUIRE(system.fill(b));
  CHECK(a != b);
}

}  // namespace
}  // namespace ringknet
