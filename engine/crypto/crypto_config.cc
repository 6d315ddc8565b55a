// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The names of models, ciphers and hashes. For openssl these are the names under which its lookups
// know the algorithms we have, upper or lower case, as far as they fit into the 15 characters of
// the configuration.
#include "engine/crypto/crypto_config.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

namespace ringknet {

namespace {

template <typename Type>
struct Named {
  std::string_view name;
  Type type;
};

constexpr Named<CipherType> kNssCiphers[] = {
    {"none", CipherType::kNone},
    {"aes128", CipherType::kAes128Cbc},
    {"aes192", CipherType::kAes192Cbc},
    {"aes256", CipherType::kAes256Cbc},
    // newer classic libraries
    {"aes-128", CipherType::kAes128Cbc},
    {"aes-192", CipherType::kAes192Cbc},
    {"aes-256", CipherType::kAes256Cbc},
    {"aes-128-cbc", CipherType::kAes128Cbc},
    {"aes-192-cbc", CipherType::kAes192Cbc},
    {"aes-256-cbc", CipherType::kAes256Cbc},
};

constexpr Named<CipherType> kOpensslCiphers[] = {
    {"none", CipherType::kNone},
    {"aes128", CipherType::kAes128Cbc},
    {"aes192", CipherType::kAes192Cbc},
    {"aes256", CipherType::kAes256Cbc},
    {"aes-128-cbc", CipherType::kAes128Cbc},
    {"aes-192-cbc", CipherType::kAes192Cbc},
    {"aes-256-cbc", CipherType::kAes256Cbc},
    {"aes-128-ctr", CipherType::kAes128Ctr},
    {"aes-192-ctr", CipherType::kAes192Ctr},
    {"aes-256-ctr", CipherType::kAes256Ctr},
};

// Known to openssl's lookup, but the classic envelope has no place for their tags.
constexpr std::string_view kOpensslAeads[] = {
    "aes-128-gcm",   "aes-192-gcm",   "aes-256-gcm", "id-aes128-gcm", "id-aes192-gcm",
    "id-aes256-gcm", "aes-128-ccm",   "aes-192-ccm", "aes-256-ccm",   "id-aes128-ccm",
    "id-aes192-ccm", "id-aes256-ccm", "aes-128-ocb", "aes-192-ocb",   "aes-256-ocb",
};

constexpr Named<CipherType> kNativeCiphers[] = {
    {"aes128gcm", CipherType::kAes128Gcm},
    {"aes256gcm", CipherType::kAes256Gcm},
    {"chachapoly1305", CipherType::kChaChaPoly},
};

constexpr Named<HashType> kNssHashes[] = {
    {"none", HashType::kNone},     {"md5", HashType::kMd5},       {"sha1", HashType::kSha1},
    {"sha256", HashType::kSha256}, {"sha384", HashType::kSha384}, {"sha512", HashType::kSha512},
};

constexpr Named<HashType> kOpensslHashes[] = {
    {"none", HashType::kNone},         {"md5", HashType::kMd5},
    {"ssl3-md5", HashType::kMd5},      {"rsa-md5", HashType::kMd5},
    {"sha1", HashType::kSha1},         {"sha-1", HashType::kSha1},
    {"ssl3-sha1", HashType::kSha1},    {"rsa-sha1", HashType::kSha1},
    {"rsa-sha1-2", HashType::kSha1},   {"sha224", HashType::kSha224},
    {"sha-224", HashType::kSha224},    {"sha2-224", HashType::kSha224},
    {"rsa-sha224", HashType::kSha224}, {"sha256", HashType::kSha256},
    {"sha-256", HashType::kSha256},    {"sha2-256", HashType::kSha256},
    {"rsa-sha256", HashType::kSha256}, {"sha384", HashType::kSha384},
    {"sha-384", HashType::kSha384},    {"sha2-384", HashType::kSha384},
    {"rsa-sha384", HashType::kSha384}, {"sha512", HashType::kSha512},
    {"sha-512", HashType::kSha512},    {"sha2-512", HashType::kSha512},
    {"rsa-sha512", HashType::kSha512},
};

constexpr char lower(char letter) {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

bool equal(std::string_view a, std::string_view b, bool exact) {
  return exact ? a == b : equal_ignoring_case(a, b);
}

template <typename Type>
std::optional<Type> find(std::span<const Named<Type>> names, std::string_view name, bool exact) {
  for (const Named<Type>& entry : names) {
    if (equal(entry.name, name, exact || entry.name == "none"))
      return entry.type;
  }
  return std::nullopt;
}

bool is_unusable(std::string_view cipher) {
  return std::any_of(std::begin(kOpensslAeads), std::end(kOpensslAeads),
                     [&](std::string_view aead) { return equal_ignoring_case(aead, cipher); });
}

}  // namespace

std::string_view name(CryptoError error) {
  switch (error) {
    case CryptoError::kKeySize:
      return "the private key must have 128 to 4096 bytes";
    case CryptoError::kUnknownModel:
      return "unknown model";
    case CryptoError::kUnknownCipher:
      return "unknown cipher";
    case CryptoError::kUnknownHash:
      return "unknown hash";
    case CryptoError::kCipherWithoutHash:
      return "the cipher needs a hash";
    case CryptoError::kHashWithAead:
      return "the cipher authenticates by itself, hash must be none";
    case CryptoError::kUnusable:
      return "a trial packet did not come back";
    case CryptoError::kNoRandomness:
      return "the system gives no random bytes";
  }
  return "unknown";
}

bool erases_slot(std::string_view model, std::string_view cipher, std::string_view hash) {
  return model.starts_with("none") || (cipher.starts_with("none") && hash.starts_with("none"));
}

std::variant<CryptoSuite, CryptoError> parse_crypto_config(std::string_view model,
                                                           std::string_view cipher,
                                                           std::string_view hash,
                                                           std::size_t private_key_size) {
  if (private_key_size < kPrivateKeySizeMin || private_key_size > kPrivateKeySizeMax)
    return CryptoError::kKeySize;
  const bool nss = model == "nss";
  const bool own = model == "wolfssl";
  if (!nss && !own && model != "openssl")
    return CryptoError::kUnknownModel;

  using Ciphers = std::span<const Named<CipherType>>;
  using Hashes = std::span<const Named<HashType>>;
  std::optional<CipherType> cipher_type =
      find<CipherType>(nss ? Ciphers(kNssCiphers) : Ciphers(kOpensslCiphers), cipher, nss);
  if (!cipher_type && own)
    cipher_type = find<CipherType>(kNativeCiphers, cipher, false);
  const bool unusable = !cipher_type && !nss && is_unusable(cipher);
  if (!cipher_type && !unusable)
    return CryptoError::kUnknownCipher;
  const std::optional<HashType> hash_type =
      find<HashType>(nss ? Hashes(kNssHashes) : Hashes(kOpensslHashes), hash, nss);
  if (!hash_type)
    return CryptoError::kUnknownHash;

  if (unusable)
    return *hash_type == HashType::kNone ? CryptoError::kCipherWithoutHash : CryptoError::kUnusable;
  const CryptoSuite suite{*cipher_type, *hash_type};
  if (suite.native() && suite.hash != HashType::kNone)
    return CryptoError::kHashWithAead;
  if (suite.cipher != CipherType::kNone && !suite.native() && suite.hash == HashType::kNone)
    return CryptoError::kCipherWithoutHash;
  return suite;
}

}  // namespace ringknet
