// SPDX-License-Identifier: LGPL-2.1-or-later
//
// HMAC with a prepared key: the hash has absorbed the key's inner and outer block once, and every
// message starts from a copy of those two states. wolfSSL's own HMAC would absorb them again for
// each packet, two of about 26 blocks for a packet of 1400 bytes, more for small ones.
#pragma once

#include <wolfssl/options.h>
#include <wolfssl/wolfcrypt/md5.h>
#include <wolfssl/wolfcrypt/sha.h>
#include <wolfssl/wolfcrypt/sha256.h>
#include <wolfssl/wolfcrypt/sha512.h>

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <span>

#include "engine/base/bytes.h"
#include "engine/crypto/secret.h"

namespace ringknet {

inline const unsigned char* octets(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}
inline unsigned char* octets(std::byte* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}

// One hash function of wolfSSL as a type.
template <typename StateType, auto kInit, auto kUpdate, auto kFinal, auto kCopy, auto kFree,
          std::size_t kDigest, std::size_t kBlock>
struct HashFunction {
  using State = StateType;
  static constexpr std::size_t kDigestSize = kDigest;
  static constexpr std::size_t kBlockSize = kBlock;

  static bool init(State& state) { return kInit(&state) == 0; }
  static bool update(State& state, ConstBytes bytes) {
    return kUpdate(&state, octets(bytes.data()), static_cast<word32>(bytes.size())) == 0;
  }
  static bool finish(State& state, std::byte* digest) {
    return kFinal(&state, octets(digest)) == 0;
  }
  static bool copy(const State& from, State& to) {
    return kCopy(const_cast<State*>(&from), &to) == 0;
  }
  static void free(State& state) {
    kFree(&state);
    wipe(&state, sizeof state);
  }
};

using Md5Hash = HashFunction<wc_Md5, wc_InitMd5, wc_Md5Update, wc_Md5Final, wc_Md5Copy, wc_Md5Free,
                             WC_MD5_DIGEST_SIZE, WC_MD5_BLOCK_SIZE>;
using Sha1Hash = HashFunction<wc_Sha, wc_InitSha, wc_ShaUpdate, wc_ShaFinal, wc_ShaCopy, wc_ShaFree,
                              WC_SHA_DIGEST_SIZE, WC_SHA_BLOCK_SIZE>;
using Sha224Hash =
    HashFunction<wc_Sha224, wc_InitSha224, wc_Sha224Update, wc_Sha224Final, wc_Sha224Copy,
                 wc_Sha224Free, WC_SHA224_DIGEST_SIZE, WC_SHA224_BLOCK_SIZE>;
using Sha256Hash =
    HashFunction<wc_Sha256, wc_InitSha256, wc_Sha256Update, wc_Sha256Final, wc_Sha256Copy,
                 wc_Sha256Free, WC_SHA256_DIGEST_SIZE, WC_SHA256_BLOCK_SIZE>;
using Sha384Hash =
    HashFunction<wc_Sha384, wc_InitSha384, wc_Sha384Update, wc_Sha384Final, wc_Sha384Copy,
                 wc_Sha384Free, WC_SHA384_DIGEST_SIZE, WC_SHA384_BLOCK_SIZE>;
using Sha512Hash =
    HashFunction<wc_Sha512, wc_InitSha512, wc_Sha512Update, wc_Sha512Final, wc_Sha512Copy,
                 wc_Sha512Free, WC_SHA512_DIGEST_SIZE, WC_SHA512_BLOCK_SIZE>;

// A key as one block of its hash, which is what HMAC begins with. `block` is zero before.
template <typename Hash>
[[nodiscard]] bool hmac_key_block(ConstBytes key, SecretBytes<Hash::kBlockSize>& block) {
  if (key.size() <= Hash::kBlockSize) {
    std::copy(key.begin(), key.end(), block.data());
    return true;
  }
  typename Hash::State state{};
  const bool good =
      Hash::init(state) && Hash::update(state, key) && Hash::finish(state, block.data());
  Hash::free(state);
  return good;
}

template <typename Hash>
class HmacKey {
 public:
  static constexpr std::size_t kSize = Hash::kDigestSize;

  HmacKey() = default;
  ~HmacKey() { forget(); }
  HmacKey(const HmacKey&) = delete;
  HmacKey& operator=(const HmacKey&) = delete;

  [[nodiscard]] bool set(ConstBytes key) {
    forget();
    SecretBytes<Hash::kBlockSize> block;
    return hmac_key_block<Hash>(key, block) && absorb(inner_, block, std::byte{0x36}) &&
           absorb(outer_, block, std::byte{0x5c});
  }

  // The MAC of the parts one behind the other; `out` is kSize bytes.
  [[nodiscard]] bool mac(std::initializer_list<ConstBytes> parts, std::byte* out) const {
    typename Hash::State state;
    bool good = Hash::copy(inner_, state);
    for (ConstBytes part : parts)
      good = good && Hash::update(state, part);
    good = good && Hash::finish(state, out) && Hash::copy(outer_, state) &&
           Hash::update(state, ConstBytes(out, kSize)) && Hash::finish(state, out);
    return good;
  }

  void forget() {
    Hash::free(inner_);
    Hash::free(outer_);
  }

 private:
  static bool absorb(typename Hash::State& state, const SecretBytes<Hash::kBlockSize>& key,
                     std::byte pad) {
    SecretBytes<Hash::kBlockSize> block;
    for (std::size_t i = 0; i < Hash::kBlockSize; ++i)
      block.data()[i] = key.data()[i] ^ pad;
    return Hash::init(state) && Hash::update(state, block.span());
  }

  typename Hash::State inner_{};
  typename Hash::State outer_{};
};

// The two steps of HKDF (RFC 5869) with SHA-256. `out` is at most 64 bytes, which is all we derive.
[[nodiscard]] bool hkdf_extract(ConstBytes salt, ConstBytes secret,
                                std::span<std::byte, 32> pseudo_random_key);
[[nodiscard]] bool hkdf_expand(const HmacKey<Sha256Hash>& pseudo_random_key, ConstBytes info,
                               MutableBytes out);

}  // namespace ringknet
