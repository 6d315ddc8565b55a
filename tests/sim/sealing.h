// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Encryption in the simulation: the product's sealers, around real ciphers or quick ones, with
// randomness that comes from the seed; and a look through them. What a node seals is noted before
// it is hidden, so that network and oracles know what is in an envelope without opening it. Nothing
// here changes what a sealer does.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <tuple>
#include <unordered_map>

#include "engine/base/random.h"
#include "engine/crypto/keyring.h"
#include "engine/wire/packet.h"
#include "tests/sim/suite.h"

namespace ringknet::sim {

class SeededSource final : public RandomSource {
 public:
  explicit SeededSource(std::uint64_t seed) : random_(seed) {}
  bool fill(MutableBytes out) override;

 private:
  Random random_;
};

// The highest packet counter that each subkey was used with, over all nodes and all their lives: a
// counter that comes twice is the worst that can happen to an AEAD.
class NonceWatch {
 public:
  void used(Key key, ConstBytes sealed);

 private:
  std::map<std::tuple<Suite, std::uint8_t, std::uint64_t, std::uint64_t>, std::uint64_t> last_;
};

// What one node sealed, by where it lies. Memory that is used again is noted again, so there are no
// more entries than places in the node's transmit slabs.
class SealLog {
 public:
  struct Entry {
    std::array<std::byte, kPingSize> head{};  // the first bytes of the packet
    std::uint32_t clear = 0;                  // its size
    std::uint32_t size = 0;                   // sealed
    std::uint64_t mark = 0;                   // the last bytes, sealed: whether it is still there

    ConstBytes packet() const {
      return ConstBytes(head).first(std::min<std::size_t>(clear, kPingSize));
    }
  };

  void note(ConstBytes sealed, const Entry& entry) { entries_[sealed.data()] = entry; }
  // Nothing where this packet was never sealed.
  const Entry* find(ConstBytes packet) const;

 private:
  std::unordered_map<const std::byte*, Entry> entries_;
};

// A sealer for this keyring, seen through by `log`.
std::unique_ptr<Sealer> make_watched_sealer(Keyring& keyring, Key key, bool real_ciphers,
                                            SealLog& log, NonceWatch& nonces);

}  // namespace ringknet::sim
