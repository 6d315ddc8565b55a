// SPDX-License-Identifier: LGPL-2.1-or-later
//
// AES-GCM of the multi-buffer library, with the signature of wolfssl/aead_cipher.h.
#pragma once

#include <memory>

#include "engine/crypto/multibuffer/manager.h"
#include "engine/crypto/wolfssl/aead_cipher.h"

namespace ringknet::multibuffer {

// What all keys share: it is only read. Null where the processor is no better with it.
const IMB_MGR* gcm_manager();

template <std::size_t kKeySize>
class GcmCipher {
  static_assert(kKeySize == 16 || kKeySize == 32);

 public:
  ~GcmCipher() { forget(); }

  [[nodiscard]] bool set(ConstBytes key) {
    if (key.size() != kKeySize)
      return false;
    (kKeySize == 16 ? manager_->gcm128_pre : manager_->gcm256_pre)(key.data(), key_.get());
    return true;
  }
  void forget() { wipe(key_.get(), sizeof *key_); }
  [[nodiscard]] bool seal(const AeadNonce& nonce, ConstBytes header, MutableBytes text,
                          std::byte* tag) {
    gcm_context_data context;
    (kKeySize == 16 ? manager_->gcm128_enc : manager_->gcm256_enc)(
        key_.get(), &context, octets(text.data()), octets(text.data()), text.size(), nonce.data(),
        octets(header.data()), header.size(), octets(tag), kAeadTagSize);
    return true;
  }
  [[nodiscard]] bool open(const AeadNonce& nonce, ConstBytes header, ConstBytes text,
                          const std::byte* tag, std::byte* out) {
    gcm_context_data context;
    std::array<std::byte, kAeadTagSize> expected;
    (kKeySize == 16 ? manager_->gcm128_dec : manager_->gcm256_dec)(
        key_.get(), &context, octets(out), octets(text.data()), text.size(), nonce.data(),
        octets(header.data()), header.size(), octets(expected.data()), kAeadTagSize);
    return equal_in_constant_time(expected, ConstBytes(tag, kAeadTagSize));
  }

 private:
  const IMB_MGR* manager_ = gcm_manager();
  std::unique_ptr<gcm_key_data> key_ = std::make_unique<gcm_key_data>();
};

}  // namespace ringknet::multibuffer
