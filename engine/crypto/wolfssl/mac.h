// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The message authentication of the classic envelope: HMAC with the hash that the configuration
// names, chosen at run time.
#pragma once

#include <cstddef>
#include <memory>

#include "engine/base/bytes.h"
#include "engine/crypto/crypto_config.h"

namespace ringknet {

inline constexpr std::size_t kMacSizeMax = 64;

class Mac {
 public:
  virtual ~Mac() = default;
  virtual std::size_t size() const = 0;
  // `out` has room for size() bytes.
  [[nodiscard]] virtual bool compute(ConstBytes bytes, std::byte* out) const = 0;
};

// Nothing for HashType::kNone, or when the library has no such hash.
std::unique_ptr<Mac> make_mac(HashType hash, ConstBytes key);

}  // namespace ringknet
