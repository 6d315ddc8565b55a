// SPDX-License-Identifier: LGPL-2.1-or-later
//
// AES-GCM and ChaCha20-Poly1305 of wolfSSL with one signature. They take any key and nonce: how
// these come about is wolf_aead.h's business.
#pragma once

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>

#include <array>
#include <cstddef>
#include <cstring>

#include "engine/crypto/aead.h"
#include "engine/crypto/secret.h"
#include "engine/crypto/wolfssl/aes.h"

namespace ringknet {

inline constexpr std::size_t kAeadNonceSize = 12;
using AeadNonce = std::array<unsigned char, kAeadNonceSize>;

class GcmCipher {
 public:
  [[nodiscard]] bool set(ConstBytes key) { return aes_.set_gcm(key); }
  void forget() { aes_.forget(); }
  [[nodiscard]] bool seal(const AeadNonce& nonce, ConstBytes header, MutableBytes text,
                          std::byte* tag) {
    return wc_AesGcmEncrypt(aes_.get(), octets(text.data()), octets(text.data()),
                            static_cast<word32>(text.size()), nonce.data(), kAeadNonceSize,
                            octets(tag), kAeadTagSize, octets(header.data()),
                            static_cast<word32>(header.size())) == 0;
  }
  [[nodiscard]] bool open(const AeadNonce& nonce, ConstBytes header, ConstBytes text,
                          const std::byte* tag, std::byte* out) {
    return wc_AesGcmDecrypt(aes_.get(), octets(out), octets(text.data()),
                            static_cast<word32>(text.size()), nonce.data(), kAeadNonceSize,
                            octets(tag), kAeadTagSize, octets(header.data()),
                            static_cast<word32>(header.size())) == 0;
  }

 private:
  AesContext aes_;
};

// ChaCha20 has no key schedule, so there is nothing to prepare.
class ChaChaPolyCipher {
 public:
  [[nodiscard]] bool set(ConstBytes key) {
    std::memcpy(key_.data(), key.data(), CHACHA20_POLY1305_AEAD_KEYSIZE);
    return true;
  }
  void forget() { wipe(key_.data(), CHACHA20_POLY1305_AEAD_KEYSIZE); }
  [[nodiscard]] bool seal(const AeadNonce& nonce, ConstBytes header, MutableBytes text,
                          std::byte* tag) {
    return wc_ChaCha20Poly1305_Encrypt(octets(key_.data()), nonce.data(), octets(header.data()),
                                       static_cast<word32>(header.size()), octets(text.data()),
                                       static_cast<word32>(text.size()), octets(text.data()),
                                       octets(tag)) == 0;
  }
  [[nodiscard]] bool open(const AeadNonce& nonce, ConstBytes header, ConstBytes text,
                          const std::byte* tag, std::byte* out) {
    return wc_ChaCha20Poly1305_Decrypt(octets(key_.data()), nonce.data(), octets(header.data()),
                                       static_cast<word32>(header.size()), octets(text.data()),
                                       static_cast<word32>(text.size()), octets(tag),
                                       octets(out)) == 0;
  }

 private:
  SecretBytes<CHACHA20_POLY1305_AEAD_KEYSIZE> key_;
};

}  // namespace ringknet
