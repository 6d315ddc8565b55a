// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The ciphers of the classic envelope: AES in CBC and CTR mode, in place, with key schedules made
// once. Padding is the envelope's business.
#pragma once

#include <cstddef>
#include <memory>

#include "engine/base/bytes.h"
#include "engine/crypto/crypto_config.h"

namespace ringknet {

inline constexpr std::size_t kCipherIvSize = 16;
using CipherIv = std::span<const std::byte, kCipherIvSize>;

class Cipher {
 public:
  virtual ~Cipher() = default;
  // 1 for a stream cipher.
  virtual std::size_t block() const = 0;
  // `text` is whole blocks.
  [[nodiscard]] virtual bool encrypt(CipherIv iv, MutableBytes text) = 0;
  [[nodiscard]] virtual bool decrypt(CipherIv iv, MutableBytes text) = 0;
};

// The key is as many of the private key's first bytes as the cipher takes. Nothing for
// CipherType::kNone and the native ciphers.
std::unique_ptr<Cipher> make_cipher(CipherType type, ConstBytes private_key);

}  // namespace ringknet
