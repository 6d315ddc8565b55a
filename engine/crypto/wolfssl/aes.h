// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A wolfSSL AES context that is initialised, freed and wiped by itself.
#pragma once

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/aes.h>

#include "engine/base/bytes.h"
#include "engine/crypto/secret.h"
#include "engine/crypto/wolfssl/hmac.h"

namespace ringknet {

class AesContext {
 public:
  AesContext() { wc_AesInit(&aes_, nullptr, INVALID_DEVID); }
  ~AesContext() {
    wc_AesFree(&aes_);
    wipe(&aes_, sizeof aes_);
  }
  AesContext(const AesContext&) = delete;
  AesContext& operator=(const AesContext&) = delete;

  // AES_ENCRYPTION or AES_DECRYPTION.
  [[nodiscard]] bool set(ConstBytes key, int direction) {
    return wc_AesSetKey(&aes_, octets(key.data()), static_cast<word32>(key.size()), nullptr,
                        direction) == 0;
  }
  [[nodiscard]] bool set_gcm(ConstBytes key) {
    return wc_AesGcmSetKey(&aes_, octets(key.data()), static_cast<word32>(key.size())) == 0;
  }
  void forget() {
    wc_AesFree(&aes_);
    wipe(&aes_, sizeof aes_);
    wc_AesInit(&aes_, nullptr, INVALID_DEVID);
  }
  Aes* get() { return &aes_; }

 private:
  Aes aes_{};
};

}  // namespace ringknet
