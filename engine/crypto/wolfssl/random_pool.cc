// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The pool of randomness and its seed.
#include "engine/crypto/wolfssl/random_pool.h"

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/chacha.h>
#include <wolfssl/wolfcrypt/random.h>

#include <algorithm>
#include <cstring>

#include "engine/crypto/wolfssl/hmac.h"

namespace ringknet {

bool SystemRandom::fill(MutableBytes out) {
  OS_Seed seed{};
  return wc_GenerateSeed(&seed, octets(out.data()), static_cast<word32>(out.size())) == 0;
}

bool RandomPool::fill(MutableBytes out) {
  while (!out.empty()) {
    if (used_ == kBatchSize && !refill())
      return false;
    const std::size_t part = std::min(out.size(), kBatchSize - used_);
    std::memcpy(out.data(), batch_.data() + used_, part);
    wipe(batch_.data() + used_, part);
    used_ += part;
    out = out.subspan(part);
  }
  return true;
}

// A system that stops giving seed does not stop a pool that was seeded once: it is as good as ever.
bool RandomPool::reseed() {
  SecretBytes<kKeySize> fresh;
  if (!seed_.fill(fresh.span()))
    return seeded_;
  for (std::size_t i = 0; i < kKeySize; ++i)
    batch_.data()[i] ^= fresh.data()[i];
  batches_ = 0;
  seeded_ = true;
  return true;
}

bool RandomPool::refill() {
  if (batches_ >= kBatchesPerSeed && !reseed())
    return false;
  static constexpr unsigned char kNonce[CHACHA_IV_BYTES] = {};
  ChaCha chacha;
  std::memset(&chacha, 0, sizeof chacha);
  const bool good = wc_Chacha_SetKey(&chacha, octets(batch_.data()), kKeySize) == 0 &&
                    wc_Chacha_SetIV(&chacha, kNonce, 0) == 0;
  // The key is encrypted along with the zeros behind it: it is the first bytes of the next batch's
  // key stream, mixed with the present key.
  const bool made = good && wc_Chacha_Process(&chacha, octets(batch_.data()), octets(batch_.data()),
                                              kBatchSize) == 0;
  wipe(&chacha, sizeof chacha);
  if (!made)
    return false;
  ++batches_;
  used_ = kKeySize;
  return true;
}

}  // namespace ringknet
