// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Stand-ins for the ciphers and hashes inside the envelopes: as large as the real ones, keyed like
// them, and many times faster. Envelopes, keys, epochs and windows around them are the product's,
// so that a seed is the same run with either. They keep nothing secret: whatever changes a packet,
// and another key, is noticed, and what is sealed does not read like a packet; nobody here tries
// harder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/crypto/aead.h"
#include "engine/crypto/wolfssl/cipher.h"
#include "engine/crypto/wolfssl/mac.h"

namespace ringknet::sim {

std::unique_ptr<Cipher> make_quick_cipher(std::uint64_t key);
std::unique_ptr<Mac> make_quick_mac(std::uint64_t key, std::size_t size);
std::unique_ptr<Aead> make_quick_aead(std::uint64_t key);

}  // namespace ringknet::sim
