// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The names of models, ciphers and hashes. For openssl these are the names under which its lookups
// know the algorithms we have, upper or lower case, as far as they fit into the 15 characters of
// the configuration. The short names of AES in CTR mode are ours, and nss has that mode here only.
#include "engine/crypto/crypto_config.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

namespace ringknet {

namespace {

// Rows of the ciphers in every model come first, in the order in which they are listed.
constexpr CipherName kCiphers[] = {
    {"aes-128-cbc", CipherType::kAes128Cbc, kEveryModel},
    {"aes128", CipherType::kAes128Cbc, kEveryModel},
    {"aes-192-cbc", CipherType::kAes192Cbc, kEveryModel},
    {"aes192", CipherType::kAes192Cbc, kEveryModel},
    {"aes-256-cbc", CipherType::kAes256Cbc, kEveryModel},
    {"aes256", CipherType::kAes256Cbc, kEveryModel},
    {"aes-128-ctr", CipherType::kAes128Ctr, kEveryModel},
    {"aes128-ctr", CipherType::kAes128Ctr, kEveryModel},
    {"aes-192-ctr", CipherType::kAes192Ctr, kEveryModel},
    {"aes192-ctr", CipherType::kAes192Ctr, kEveryModel},
    {"aes-256-ctr", CipherType::kAes256Ctr, kEveryModel},
    {"aes256-ctr", CipherType::kAes256Ctr, kEveryModel},
    // of newer classic libraries
    {"aes-128", CipherType::kAes128Cbc, kNss},
    {"aes-192", CipherType::kAes192Cbc, kNss},
    {"aes-256", CipherType::kAes256Cbc, kNss},
    // native
    {"aes128gcm", CipherType::kAes128Gcm, kWolfssl},
    {"aes256gcm", CipherType::kAes256Gcm, kWolfssl},
    {"chachapoly1305", CipherType::kChaChaPoly, kWolfssl},
};

// Known to openssl's lookup, but the classic envelope has no place for their tags.
constexpr std::string_view kOpensslAeads[] = {
    "aes-128-gcm",   "aes-192-gcm",   "aes-256-gcm", "id-aes128-gcm", "id-aes192-gcm",
    "id-aes256-gcm", "aes-128-ccm",   "aes-192-ccm", "aes-256-ccm",   "id-aes128-ccm",
    "id-aes192-ccm", "id-aes256-ccm", "aes-128-ocb", "aes-192-ocb",   "aes-256-ocb",
};

// The same order.
constexpr HashName kHashes[] = {
    {"md5", HashType::kMd5, kEveryModel},
    {"sha1", HashType::kSha1, kEveryModel},
    {"sha256", HashType::kSha256, kEveryModel},
    {"sha384", HashType::kSha384, kEveryModel},
    {"sha512", HashType::kSha512, kEveryModel},
    {"ssl3-md5", HashType::kMd5, kOpenssl | kWolfssl},
    {"rsa-md5", HashType::kMd5, kOpenssl | kWolfssl},
    {"sha-1", HashType::kSha1, kOpenssl | kWolfssl},
    {"ssl3-sha1", HashType::kSha1, kOpenssl | kWolfssl},
    {"rsa-sha1", HashType::kSha1, kOpenssl | kWolfssl},
    {"rsa-sha1-2", HashType::kSha1, kOpenssl | kWolfssl},
    {"sha224", HashType::kSha224, kOpenssl | kWolfssl},
    {"sha-224", HashType::kSha224, kOpenssl | kWolfssl},
    {"sha2-224", HashType::kSha224, kOpenssl | kWolfssl},
    {"rsa-sha224", HashType::kSha224, kOpenssl | kWolfssl},
    {"sha-256", HashType::kSha256, kOpenssl | kWolfssl},
    {"sha2-256", HashType::kSha256, kOpenssl | kWolfssl},
    {"rsa-sha256", HashType::kSha256, kOpenssl | kWolfssl},
    {"sha-384", HashType::kSha384, kOpenssl | kWolfssl},
    {"sha2-384", HashType::kSha384, kOpenssl | kWolfssl},
    {"rsa-sha384", HashType::kSha384, kOpenssl | kWolfssl},
    {"sha-512", HashType::kSha512, kOpenssl | kWolfssl},
    {"sha2-512", HashType::kSha512, kOpenssl | kWolfssl},
    {"rsa-sha512", HashType::kSha512, kOpenssl | kWolfssl},
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

template <typename Name>
std::optional<decltype(Name::type)> find(std::span<const Name> names, std::string_view name,
                                         CryptoModels model) {
  if (name == "none")
    return decltype(Name::type)::kNone;
  for (const Name& entry : names) {
    if ((entry.models & model) != 0 && equal(entry.name, name, model == kNss))
      return entry.type;
  }
  return std::nullopt;
}

bool is_unusable(std::string_view cipher) {
  return std::any_of(std::begin(kOpensslAeads), std::end(kOpensslAeads),
                     [&](std::string_view aead) { return equal_ignoring_case(aead, cipher); });
}

}  // namespace

std::span<const CipherName> cipher_names() {
  return kCiphers;
}

std::span<const HashName> hash_names() {
  return kHashes;
}

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
  const CryptoModels in = model == "nss"       ? kNss
                          : model == "openssl" ? kOpenssl
                          : model == "wolfssl" ? kWolfssl
                                               : CryptoModels{};
  if (in == 0)
    return CryptoError::kUnknownModel;
  const std::optional<CipherType> cipher_type = find<CipherName>(kCiphers, cipher, in);
  const bool unusable = !cipher_type && in != kNss && is_unusable(cipher);
  if (!cipher_type && !unusable)
    return CryptoError::kUnknownCipher;
  const std::optional<HashType> hash_type = find<HashName>(kHashes, hash, in);
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
