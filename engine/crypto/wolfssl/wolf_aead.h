// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The ciphers of the native envelope, AES-GCM and ChaCha20-Poly1305 by wolfSSL, and how their keys
// come from the private key:
//
//   root            = HKDF-Extract(salt = "ringknet native 1", secret = private key)
//   key || nonce    = HKDF-Expand(root, info = cipher name | 00 | sender (2) | epoch (8), size)
//   nonce of packet = nonce xor (00 00 00 00 | counter (8))
//
// with SHA-256 and big-endian numbers. The private key is not kept.
#pragma once

#include <memory>

#include "engine/crypto/aead.h"
#include "engine/crypto/crypto_config.h"

namespace ringknet {

// Nothing when the library lacks the cipher, or fails.
std::unique_ptr<Aead> make_aead(CipherType type, ConstBytes private_key);

}  // namespace ringknet
