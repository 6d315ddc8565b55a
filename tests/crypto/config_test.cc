// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Names of models, ciphers and hashes, and what is refused with which reason. The openssl and nss
// rows were tried on the classic library.
#include "engine/crypto/crypto_config.h"

#include "tests/crypto/support.h"

namespace ringknet {
namespace {

using Parsed = std::variant<CryptoSuite, CryptoError>;

Parsed parse(std::string_view model, std::string_view cipher, std::string_view hash) {
  return parse_crypto_config(model, cipher, hash, 128);
}

bool gives(const Parsed& parsed, CipherType cipher, HashType hash) {
  const auto* suite = std::get_if<CryptoSuite>(&parsed);
  return suite != nullptr && suite->cipher == cipher && suite->hash == hash;
}
bool gives(const Parsed& parsed, CryptoError error) {
  const auto* found = std::get_if<CryptoError>(&parsed);
  return found != nullptr && *found == error;
}

TEST_CASE("crypto config: openssl's names, in any case") {
  using C = CipherType;
  using H = HashType;
  CHECK(gives(parse("openssl", "aes128", "sha256"), C::kAes128Cbc, H::kSha256));
  CHECK(gives(parse("openssl", "aes-192-cbc", "sha1"), C::kAes192Cbc, H::kSha1));
  CHECK(gives(parse("openssl", "AES256", "SHA256"), C::kAes256Cbc, H::kSha256));
  CHECK(gives(parse("openssl", "aes-128-ctr", "md5"), C::kAes128Ctr, H::kMd5));
  CHECK(gives(parse("openssl", "aes-192-ctr", "sha384"), C::kAes192Ctr, H::kSha384));
  CHECK(gives(parse("openssl", "AES-256-CTR", "sha512"), C::kAes256Ctr, H::kSha512));
  CHECK(gives(parse("openssl", "aes256", "sha-1"), C::kAes256Cbc, H::kSha1));
  CHECK(gives(parse("openssl", "aes256", "sha224"), C::kAes256Cbc, H::kSha224));
  CHECK(gives(parse("openssl", "aes256", "sha2-256"), C::kAes256Cbc, H::kSha256));
  CHECK(gives(parse("openssl", "aes256", "RSA-SHA256"), C::kAes256Cbc, H::kSha256));
  CHECK(gives(parse("openssl", "aes256", "ssl3-md5"), C::kAes256Cbc, H::kMd5));
  CHECK(gives(parse("openssl", "none", "sha256"), C::kNone, H::kSha256));
}

TEST_CASE("crypto config: nss's names, exactly") {
  using C = CipherType;
  using H = HashType;
  CHECK(gives(parse("nss", "aes128", "sha256"), C::kAes128Cbc, H::kSha256));
  CHECK(gives(parse("nss", "aes192", "md5"), C::kAes192Cbc, H::kMd5));
  CHECK(gives(parse("nss", "aes256", "sha512"), C::kAes256Cbc, H::kSha512));
  CHECK(gives(parse("nss", "none", "sha1"), C::kNone, H::kSha1));
  CHECK(gives(parse("nss", "aes-256-cbc", "sha256"), C::kAes256Cbc, H::kSha256));
  CHECK(gives(parse("nss", "AES256", "sha256"), CryptoError::kUnknownCipher));
  CHECK(gives(parse("nss", "AES-256-CTR", "sha256"), CryptoError::kUnknownCipher));
  CHECK(gives(parse("nss", "aes256", "SHA256"), CryptoError::kUnknownHash));
  CHECK(gives(parse("nss", "aes256", "sha224"), CryptoError::kUnknownHash));
  CHECK(gives(parse("nss", "aes-256-gcm", "none"), CryptoError::kUnknownCipher));
  CHECK(gives(parse("nss", "aes256gcm", "none"), CryptoError::kUnknownCipher));
}

TEST_CASE("crypto config: our own model takes openssl's names and the native ciphers") {
  using C = CipherType;
  using H = HashType;
  CHECK(gives(parse("wolfssl", "aes256", "sha256"), C::kAes256Cbc, H::kSha256));
  CHECK(gives(parse("wolfssl", "aes-256-ctr", "sha256"), C::kAes256Ctr, H::kSha256));
  CHECK(gives(parse("wolfssl", "aes128gcm", "none"), C::kAes128Gcm, H::kNone));
  CHECK(gives(parse("wolfssl", "aes256gcm", "none"), C::kAes256Gcm, H::kNone));
  CHECK(gives(parse("wolfssl", "chachapoly1305", "none"), C::kChaChaPoly, H::kNone));
  CHECK(gives(parse("wolfssl", "aes256gcm", "sha256"), CryptoError::kHashWithAead));
  CHECK(gives(parse("openssl", "aes256gcm", "none"), CryptoError::kUnknownCipher));
}

TEST_CASE("crypto config: AES in CTR mode has two names in every model") {
  const std::pair<const char*, CipherType> kNames[] = {
      {"aes-128-ctr", CipherType::kAes128Ctr}, {"aes128-ctr", CipherType::kAes128Ctr},
      {"aes-192-ctr", CipherType::kAes192Ctr}, {"aes192-ctr", CipherType::kAes192Ctr},
      {"aes-256-ctr", CipherType::kAes256Ctr}, {"aes256-ctr", CipherType::kAes256Ctr},
  };
  for (const char* model : {"nss", "openssl", "wolfssl"}) {
    for (const auto& named : kNames) {
      const char* name = named.first;
      const CipherType type = named.second;
      CAPTURE(model);
      CAPTURE(name);
      CHECK(gives(parse(model, name, "sha256"), type, HashType::kSha256));
      CHECK(gives(parse(model, name, "none"), CryptoError::kCipherWithoutHash));
    }
  }
  CHECK(gives(parse("openssl", "AES128-CTR", "sha256"), CipherType::kAes128Ctr, HashType::kSha256));
}

TEST_CASE("crypto config: every name is taken by the models that it says, and by no other") {
  const std::pair<const char*, CryptoModels> kModels[] = {
      {"nss", kNss}, {"openssl", kOpenssl}, {"wolfssl", kWolfssl}};
  for (const auto& known : kModels) {
    const char* model = known.first;
    const CryptoModels bit = known.second;
    CAPTURE(model);
    for (const CipherName& cipher : cipher_names()) {
      CAPTURE(cipher.name);
      const bool native = CryptoSuite{cipher.type, HashType::kNone}.native();
      const Parsed parsed = parse(model, cipher.name, native ? "none" : "sha1");
      CHECK(std::holds_alternative<CryptoSuite>(parsed) == ((cipher.models & bit) != 0));
    }
    for (const HashName& hash : hash_names()) {
      CAPTURE(hash.name);
      const Parsed parsed = parse(model, "aes128", hash.name);
      CHECK(std::holds_alternative<CryptoSuite>(parsed) == ((hash.models & bit) != 0));
    }
  }
}

TEST_CASE("crypto config: what is refused, and why") {
  CHECK(gives(parse_crypto_config("openssl", "aes256", "sha256", 127), CryptoError::kKeySize));
  CHECK(gives(parse_crypto_config("openssl", "aes256", "sha256", 4097), CryptoError::kKeySize));
  CHECK(gives(parse_crypto_config("", "", "", 0), CryptoError::kKeySize));
  CHECK(std::holds_alternative<CryptoSuite>(
      parse_crypto_config("openssl", "aes256", "sha256", 4096)));
  CHECK(std::holds_alternative<CryptoSuite>(
      parse_crypto_config("openssl", "aes256", "sha256", 2003)));
  for (const char* model : {"", "gcrypt", "OpenSSL", "NSS", "openssl "})
    CHECK(gives(parse(model, "aes256", "sha256"), CryptoError::kUnknownModel));
  for (const char* cipher :
       {"", "bogus", "aes-256", "nonesuch", "chacha20", "aes-256-ecb", "aes25"})
    CHECK(gives(parse("openssl", cipher, "sha256"), CryptoError::kUnknownCipher));
  for (const char* hash : {"", "bogus", "nonesuch", "sha3-256", "sha", "sha512-256"})
    CHECK(gives(parse("openssl", "aes256", hash), CryptoError::kUnknownHash));
  CHECK(gives(parse("openssl", "bogus", "none"), CryptoError::kUnknownCipher));
  CHECK(gives(parse("openssl", "aes256", "none"), CryptoError::kCipherWithoutHash));
  CHECK(gives(parse("nss", "aes256", "none"), CryptoError::kCipherWithoutHash));
  CHECK(gives(parse("openssl", "aes-256-gcm", "sha256"), CryptoError::kUnusable));
  CHECK(gives(parse("openssl", "aes-256-gcm", "none"), CryptoError::kCipherWithoutHash));
}

TEST_CASE("crypto config: none empties a slot, by its first four characters") {
  CHECK(erases_slot("none", "aes256", "sha256"));
  CHECK(erases_slot("nonesuch", "aes256", "sha256"));
  CHECK(erases_slot("openssl", "none", "none"));
  CHECK(erases_slot("bogus", "nonesuch", "nonetoo"));
  CHECK_FALSE(erases_slot("openssl", "none", "sha256"));
  CHECK_FALSE(erases_slot("openssl", "aes256", "none"));
  CHECK_FALSE(erases_slot("", "", ""));
}

TEST_CASE("crypto config: every legal suite makes a sealer, and says what it is") {
  SeededRandom random(1);
  Keyring keyring(HostId{1}, random);
  const Buffer key = counting(128);
  for (const NamedSuite& suite : all_suites()) {
    CAPTURE(label(suite));
    const std::unique_ptr<Sealer> sealer = must_make(keyring, suite, key);
    CHECK_FALSE(sealer->name().empty());
  }
  CHECK(must_make(keyring, {"nss", "aes256", "sha256"}, key)->name() == "aes-256-cbc/sha256");
  CHECK(must_make(keyring, {"nss", "none", "md5"}, key)->name() == "none/md5");
  CHECK(must_make(keyring, {"wolfssl", "aes256gcm", "none"}, key)->name() == "aes256gcm");
}

TEST_CASE("crypto config: without randomness no sealer is made") {
  SeededRandom random(1);
  random.working = false;
  Keyring keyring(HostId{1}, random);
  const MadeSealer made = make_sealer(keyring, "openssl", "aes256", "sha256", counting(128));
  REQUIRE(std::holds_alternative<CryptoError>(made));
  CHECK(std::get<CryptoError>(made) == CryptoError::kNoRandomness);
}

TEST_CASE("crypto config: the library says what it is") {
  const CryptoLibrary library = crypto_library();
  CHECK_FALSE(library.version.empty());
}

}  // namespace
}  // namespace ringknet
