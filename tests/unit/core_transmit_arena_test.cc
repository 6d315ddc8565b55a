// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Transmit memory: packing, references, the reserve for control packets, and that no live piece is
// ever written over.
#include "engine/core/transmit_arena.h"

#include <doctest/doctest.h>

#include "tests/unit/bytes_kit.h"

namespace ringknet::test {
namespace {

using Use = TransmitArena::Use;
constexpr std::size_t kSlab = TransmitArena::kSlabSize;

}  // namespace

TEST_CASE("transmit arena: pieces lie one behind the other") {
  TransmitArena arena(4);
  const auto first = arena.allocate(Use::kData, 100);
  const auto second = arena.allocate(Use::kData, 50);
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->slab == second->slab);
  CHECK(second->offset == first->offset + 100);
  CHECK(arena.bytes(*first).size() == 100);
  CHECK(arena.bytes(*first).data() + 100 == arena.bytes(*second).data());
}

TEST_CASE("transmit arena: control and data use slabs of their own") {
  TransmitArena arena(4);
  CHECK(arena.allocate(Use::kData, 10)->slab != arena.allocate(Use::kControl, 10)->slab);
}

TEST_CASE("transmit arena: data leaves a reserve for control packets") {
  TransmitArena arena(5);
  std::vector<TransmitArena::Piece> pieces;
  while (const auto piece = arena.allocate(Use::kData, kSlab))
    pieces.push_back(*piece);
  CHECK(pieces.size() == 3);
  CHECK_FALSE(arena.has_room(1));
  CHECK(arena.allocate(Use::kControl, 26));
  CHECK(arena.allocate(Use::kControl, kSlab));
  CHECK_FALSE(arena.allocate(Use::kControl, kSlab));
}

TEST_CASE("transmit arena: room comes back when all references are gone") {
  TransmitArena arena(4);
  const auto first = arena.allocate(Use::kData, kSlab);
  const auto second = arena.allocate(Use::kData, kSlab);
  REQUIRE(second);
  CHECK_FALSE(arena.allocate(Use::kData, 1));
  CHECK_FALSE(arena.has_room(1));
  arena.hold(first->slab);
  arena.release(first->slab);
  CHECK_FALSE(arena.has_room(1));
  arena.release(first->slab);
  CHECK(arena.has_room(kSlab));
  CHECK(arena.allocate(Use::kData, kSlab)->slab == first->slab);
}

TEST_CASE("transmit arena: the open slab starts over when nothing refers to it") {
  TransmitArena arena(3);
  const auto first = arena.allocate(Use::kData, kSlab);
  CHECK_FALSE(arena.has_room(1));
  arena.release(first->slab);
  CHECK(arena.has_room(kSlab));
  const auto again = arena.allocate(Use::kData, 10);
  REQUIRE(again);
  CHECK(again->slab == first->slab);
  CHECK(again->offset == 0);
}

TEST_CASE("transmit arena: has_room keeps its word and live pieces keep their bytes") {
  constexpr std::uint64_t kSeed = 71;
  CAPTURE(kSeed);
  Random random(kSeed);
  TransmitArena arena(8);
  struct Live {
    TransmitArena::Piece piece;
    std::byte mark;
    int references;
  };
  std::vector<Live> live;
  for (int step = 0; step < 20000; ++step) {
    CAPTURE(step);
    if (random.chance(0.5)) {
      const Use use = random.chance(0.3) ? Use::kControl : Use::kData;
      const std::size_t size =
          random.chance(0.2) ? random.between(1, kSlab) : random.between(1, 2000);
      const bool promised = use == Use::kData && arena.has_room(size);
      const auto piece = arena.allocate(use, size);
      if (promised)
        REQUIRE(piece);
      if (!piece)
        continue;
      const auto mark = std::byte(random.below(256));
      const MutableBytes bytes = arena.bytes(*piece);
      bytes.front() = mark;
      bytes.back() = mark;
      live.push_back({*piece, mark, 1});
    } else if (!live.empty()) {
      const std::size_t chosen = random.below(live.size());
      Live& entry = live[chosen];
      REQUIRE(arena.bytes(entry.piece).front() == entry.mark);
      REQUIRE(arena.bytes(entry.piece).back() == entry.mark);
      if (random.chance(0.2)) {
        arena.hold(entry.piece.slab);
        ++entry.references;
        continue;
      }
      arena.release(entry.piece.slab);
      if (--entry.references == 0) {
        live[chosen] = live.back();
        live.pop_back();
      }
    }
  }
  for (const Live& entry : live) {
    for (int i = 0; i < entry.references; ++i)
      arena.release(entry.piece.slab);
  }
  CHECK(arena.free_slabs() >= 6);  // all but the two open ones
}

}  // namespace ringknet::test
