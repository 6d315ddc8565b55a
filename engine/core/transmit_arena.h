// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Memory for sealed packets between encoding and the end of their sends. Packets are laid one
// behind the other in slabs; a slab is free again when nothing refers to it. Control packets have
// slabs of their own and a reserve, so that data in flight never keeps a PING from leaving.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "engine/base/bytes.h"

namespace ringknet {

class TransmitArena {
 public:
  // Holds the largest message with the headers and seals of its fragments.
  static constexpr std::size_t kSlabSize = std::size_t{128} * 1024;

  enum class Use : std::uint8_t { kControl, kData };

  struct Piece {
    std::uint16_t slab = 0;
    std::uint32_t offset = 0;
    std::uint32_t size = 0;
  };

  explicit TransmitArena(std::size_t slabs);

  // Comes with one reference to its slab. Nothing when all slabs are referred to.
  std::optional<Piece> allocate(Use use, std::size_t size);
  MutableBytes bytes(const Piece& piece) {
    return {slabs_[piece.slab].memory.get() + piece.offset, piece.size};
  }
  void hold(std::uint16_t slab) { ++slabs_[slab].references; }
  void release(std::uint16_t slab);

  // Whether a data allocation of up to `size` would succeed.
  bool has_room(std::size_t size) const;
  std::size_t free_slabs() const { return free_.size(); }

 private:
  static constexpr std::size_t kControlReserve = 2;
  static constexpr std::uint16_t kNoSlab = 0xffff;

  struct Slab {
    std::unique_ptr<std::byte[]> memory;  // allocated on first use
    std::uint32_t references = 0;
  };
  struct Cursor {
    std::uint16_t slab = kNoSlab;
    std::size_t used = 0;
  };

  Cursor& cursor(Use use) { return cursors_[static_cast<std::size_t>(use)]; }
  bool open_slab(Use use);
  bool is_open(std::uint16_t slab) const {
    return cursors_[0].slab == slab || cursors_[1].slab == slab;
  }

  std::vector<Slab> slabs_;
  std::vector<std::uint16_t> free_;  // last in, first out: the slab used last is the warmest
  Cursor cursors_[2];
};

}  // namespace ringknet
