// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The authenticated cipher that the native envelope is made of, as far as the envelope has to know
// it. The state machine of epochs and windows (native_sealer.h) is written against this and stays
// free of any crypto library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/base/bytes.h"
#include "engine/base/ids.h"
#include "engine/crypto/epoch.h"

namespace ringknet {

inline constexpr std::size_t kAeadTagSize = 16;

// The subkey of one sender and one epoch. Made once, derived anew in place.
class AeadKey {
 public:
  virtual ~AeadKey() = default;

  [[nodiscard]] virtual bool derive(HostId sender, Epoch epoch) = 0;
  virtual void forget() = 0;

  // The nonce is made of `counter`, which the caller never uses twice.
  [[nodiscard]] virtual bool seal(std::uint64_t counter, ConstBytes header, MutableBytes text,
                                  std::span<std::byte, kAeadTagSize> tag) = 0;
  // `out` has the size of `text` and may be the same bytes; it holds rubbish after false.
  [[nodiscard]] virtual bool open(std::uint64_t counter, ConstBytes header, ConstBytes text,
                                  std::span<const std::byte, kAeadTagSize> tag,
                                  MutableBytes out) = 0;
};

// One private key with one cipher; makes keys that refer to it, so it must outlive them.
class Aead {
 public:
  virtual ~Aead() = default;
  virtual std::string_view name() const = 0;
  virtual std::unique_ptr<AeadKey> make_key() const = 0;
};

}  // namespace ringknet
