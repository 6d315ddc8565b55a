// SPDX-License-Identifier: LGPL-2.1-or-later
//
// HKDF over the prepared HMAC. wolfSSL has one of its own, but only where it was configured in, and
// it would absorb the key anew for each of the blocks.
#include <algorithm>
#include <cstring>

#include "engine/crypto/wolfssl/hmac.h"

namespace ringknet {

bool hkdf_extract(ConstBytes salt, ConstBytes secret, std::span<std::byte, 32> pseudo_random_key) {
  HmacKey<Sha256Hash> key;
  return key.set(salt) && key.mac({secret}, pseudo_random_key.data());
}

bool hkdf_expand(const HmacKey<Sha256Hash>& pseudo_random_key, ConstBytes info, MutableBytes out) {
  constexpr std::size_t kBlock = 32;
  if (out.size() > 2 * kBlock)
    return false;
  SecretBytes<kBlock> block;
  bool good = true;
  ConstBytes previous;
  for (std::size_t done = 0; good && done < out.size(); done += kBlock) {
    const std::byte number{static_cast<unsigned char>(done / kBlock + 1)};
    good = pseudo_random_key.mac({previous, info, ConstBytes(&number, 1)}, block.data());
    previous = block.span();
    std::memcpy(out.data() + done, block.data(), std::min(kBlock, out.size() - done));
  }
  return good;
}

}  // namespace ringknet
