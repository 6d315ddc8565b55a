// SPDX-License-Identifier: LGPL-2.1-or-later
//
// From the names a user configures (model, cipher, hash) to a suite, or the reason why not. It
// knows names and limits only; whether the suite works is tried when the sealer is made.
//
// Models nss and openssl are the classic library's: the same envelope under two sets of names.
// Model wolfssl is ours and takes openssl's names and the native suites.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

namespace ringknet {

inline constexpr std::size_t kPrivateKeySizeMin = 128;
inline constexpr std::size_t kPrivateKeySizeMax = 4096;

enum class CipherType : std::uint8_t {
  kNone,
  kAes128Cbc,
  kAes192Cbc,
  kAes256Cbc,
  kAes128Ctr,
  kAes192Ctr,
  kAes256Ctr,
  // native, without a hash
  kAes128Gcm,
  kAes256Gcm,
  kChaChaPoly,
};

enum class HashType : std::uint8_t { kNone, kMd5, kSha1, kSha224, kSha256, kSha384, kSha512 };

struct CryptoSuite {
  CipherType cipher = CipherType::kNone;
  HashType hash = HashType::kNone;

  bool native() const { return cipher >= CipherType::kAes128Gcm; }
  bool operator==(const CryptoSuite&) const = default;
};

// A set of models.
using CryptoModels = unsigned;
inline constexpr CryptoModels kNss = 1;
inline constexpr CryptoModels kOpenssl = 2;
inline constexpr CryptoModels kWolfssl = 4;
inline constexpr CryptoModels kEveryModel = kNss | kOpenssl | kWolfssl;

// Every name under which something is known, and the models that take it; "none" is taken by all.
struct CipherName {
  const char* name;
  CipherType type;
  CryptoModels models;
};
struct HashName {
  const char* name;
  HashType type;
  CryptoModels models;
};
std::span<const CipherName> cipher_names();
std::span<const HashName> hash_names();

// Why a configuration is refused. What the API answers is in brackets.
enum class CryptoError : std::uint8_t {
  kKeySize,            // not 128..4096 bytes (-1, EINVAL)
  kUnknownModel,       // (-2, errno 0)
  kUnknownCipher,      // (-2, ENXIO)
  kUnknownHash,        // (-2, ENXIO)
  kCipherWithoutHash,  // (-2, EINVAL)
  kHashWithAead,       // a native cipher authenticates by itself: hash has to be none (-2, EINVAL)
  kUnusable,           // the classic envelope cannot carry the cipher, or the trial packet did not
                       // come back (-2, errno 0)
  kNoRandomness,       // (-2, EAGAIN)
};

std::string_view name(CryptoError error);

// Whether this configuration empties its slot: model none, or neither cipher nor hash. As in the
// classic library only the first four characters count, and nothing else is looked at.
bool erases_slot(std::string_view model, std::string_view cipher, std::string_view hash);

// Checks in the classic library's order: key size, model, cipher, hash, their combination.
std::variant<CryptoSuite, CryptoError> parse_crypto_config(std::string_view model,
                                                           std::string_view cipher,
                                                           std::string_view hash,
                                                           std::size_t private_key_size);

}  // namespace ringknet
