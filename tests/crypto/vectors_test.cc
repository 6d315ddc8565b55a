// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Known answers of every algorithm, from the documents that define them: what wolfSSL computes, and
// what our wrappers make of it, on this very processor.
#include <cstring>

#include "engine/crypto/wolfssl/aead_cipher.h"
#include "engine/crypto/wolfssl/cipher.h"
#include "engine/crypto/wolfssl/hmac.h"
#include "engine/crypto/wolfssl/mac.h"
#include "tests/crypto/support.h"

namespace ringknet {
namespace {

std::string mac_of(HashType hash, ConstBytes key, ConstBytes message) {
  const std::unique_ptr<Mac> mac = make_mac(hash, key);
  REQUIRE(mac);
  Buffer out(mac->size());
  REQUIRE(mac->compute(message, out.data()));
  // The key's state is not used up by a message.
  Buffer again(mac->size());
  REQUIRE(mac->compute(message, again.data()));
  CHECK(out == again);
  return to_hex(out);
}

Buffer repeated(std::size_t size, unsigned value) {
  return Buffer(size, static_cast<std::byte>(value));
}

constexpr std::string_view kWhat = "what do ya want for nothing?";
constexpr std::string_view kLargeKey = "Test Using Larger Than Block-Size Key - Hash Key First";
constexpr std::string_view kLargeBoth =
    "This is a test using a larger than block-size key and a larger than block-size data. The key "
    "needs to be hashed before being used by the HMAC algorithm.";

TEST_CASE("crypto vectors: HMAC of RFC 2202") {
  CHECK(mac_of(HashType::kMd5, repeated(16, 0x0b), bytes_of("Hi There")) ==
        "9294727a3638bb1c13f48ef8158bfc9d");
  CHECK(mac_of(HashType::kMd5, bytes_of("Jefe"), bytes_of(kWhat)) ==
        "750c783e6ab0b503eaa86e310a5db738");
  CHECK(mac_of(HashType::kMd5, repeated(80, 0xaa), bytes_of(kLargeKey)) ==
        "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
  CHECK(mac_of(HashType::kSha1, repeated(20, 0x0b), bytes_of("Hi There")) ==
        "b617318655057264e28bc0b6fb378c8ef146be00");
  CHECK(mac_of(HashType::kSha1, bytes_of("Jefe"), bytes_of(kWhat)) ==
        "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  CHECK(mac_of(HashType::kSha1, repeated(80, 0xaa), bytes_of(kLargeKey)) ==
        "aa4ae5e15272d00e95705637ce8a3b55ed402112");
}

TEST_CASE("crypto vectors: HMAC of RFC 4231, case 1") {
  const Buffer key = repeated(20, 0x0b);
  const ConstBytes message = bytes_of("Hi There");
  CHECK(mac_of(HashType::kSha224, key, message) ==
        "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22");
  CHECK(mac_of(HashType::kSha256, key, message) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(mac_of(HashType::kSha384, key, message) ==
        "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
        "faea9ea9076ede7f4af152e8b2fa9cb6");
  CHECK(mac_of(HashType::kSha512, key, message) ==
        "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
        "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854");
}

TEST_CASE("crypto vectors: HMAC of RFC 4231, short key, and key and data beyond a block") {
  const Buffer key = repeated(131, 0xaa);
  CHECK(mac_of(HashType::kSha224, bytes_of("Jefe"), bytes_of(kWhat)) ==
        "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44");
  CHECK(mac_of(HashType::kSha224, key, bytes_of(kLargeBoth)) ==
        "3a854166ac5d9f023f54d517d0b39dbd946770db9c2b95c9f6f565d1");
  CHECK(mac_of(HashType::kSha256, bytes_of("Jefe"), bytes_of(kWhat)) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  CHECK(mac_of(HashType::kSha256, key, bytes_of(kLargeBoth)) ==
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");
  CHECK(mac_of(HashType::kSha384, bytes_of("Jefe"), bytes_of(kWhat)) ==
        "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
        "8e2240ca5e69e2c78b3239ecfab21649");
  CHECK(mac_of(HashType::kSha384, key, bytes_of(kLargeBoth)) ==
        "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5"
        "a678cc31e799176d3860e6110c46523e");
  CHECK(mac_of(HashType::kSha512, bytes_of("Jefe"), bytes_of(kWhat)) ==
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
  CHECK(mac_of(HashType::kSha512, key, bytes_of(kLargeBoth)) ==
        "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
        "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58");
}

std::string hkdf(std::string_view secret, std::string_view salt, std::string_view info,
                 std::string_view expected_root) {
  SecretBytes<32> root;
  REQUIRE(hkdf_extract(from_hex(salt), from_hex(secret), root.span()));
  CHECK(to_hex(root.span()) == expected_root);
  HmacKey<Sha256Hash> key;
  REQUIRE(key.set(root.span()));
  Buffer out(42);
  REQUIRE(hkdf_expand(key, from_hex(info), out));
  return to_hex(out);
}

TEST_CASE("crypto vectors: HKDF of RFC 5869, cases 1 and 3") {
  CHECK(hkdf("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
             "f0f1f2f3f4f5f6f7f8f9",
             "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5") ==
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
  CHECK(hkdf("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
             "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04") ==
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
  HmacKey<Sha256Hash> key;
  Buffer too_long(65);
  REQUIRE(key.set(too_long));
  CHECK_FALSE(hkdf_expand(key, {}, too_long));
}

constexpr std::string_view kNistText =
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
constexpr std::string_view kNistKey128 = "2b7e151628aed2a6abf7158809cf4f3c";
constexpr std::string_view kNistKey192 = "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b";
constexpr std::string_view kNistKey256 =
    "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";

void check_cipher(CipherType type, std::string_view key, std::string_view iv_text,
                  std::string_view expected) {
  const std::unique_ptr<Cipher> cipher = make_cipher(type, from_hex(key));
  REQUIRE(cipher);
  const Buffer iv = from_hex(iv_text);
  const CipherIv view = ConstBytes(iv).first<kCipherIvSize>();
  for (int round = 0; round < 2; ++round) {  // nothing is left over from the first
    Buffer text = from_hex(kNistText);
    REQUIRE(cipher->encrypt(view, text));
    CHECK(to_hex(text) == expected);
    REQUIRE(cipher->decrypt(view, text));
    CHECK(to_hex(text) == kNistText);
  }
}

TEST_CASE("crypto vectors: AES-CBC of NIST SP 800-38A, F.2") {
  const std::string_view iv = "000102030405060708090a0b0c0d0e0f";
  check_cipher(CipherType::kAes128Cbc, kNistKey128, iv,
               "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
               "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7");
  check_cipher(CipherType::kAes192Cbc, kNistKey192, iv,
               "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
               "571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd");
  check_cipher(CipherType::kAes256Cbc, kNistKey256, iv,
               "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
               "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b");
}

TEST_CASE("crypto vectors: AES-CTR of NIST SP 800-38A, F.5") {
  const std::string_view iv = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
  check_cipher(CipherType::kAes128Ctr, kNistKey128, iv,
               "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
               "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee");
  check_cipher(CipherType::kAes192Ctr, kNistKey192, iv,
               "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94"
               "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050");
  check_cipher(CipherType::kAes256Ctr, kNistKey256, iv,
               "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
               "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6");
}

TEST_CASE("crypto vectors: a CTR stream is the same however it is cut, also across our batches") {
  const std::unique_ptr<Cipher> cipher = make_cipher(CipherType::kAes256Ctr, from_hex(kNistKey256));
  REQUIRE(cipher);
  // The counter's low words run over within the packet.
  const Buffer iv = from_hex("f0f1f2f3f4f5f6f7fffffffffffffff0");
  const CipherIv view = ConstBytes(iv).first<kCipherIvSize>();
  Buffer whole(10000);
  REQUIRE(cipher->encrypt(view, whole));
  for (std::size_t size : {1u, 15u, 16u, 17u, 31u, 2047u, 2048u, 2049u, 4096u, 5001u}) {
    Buffer part(size);
    REQUIRE(cipher->encrypt(view, part));
    CHECK(same(part, ConstBytes(whole).first(size)));
  }
}

template <typename Type>
void check_aead(std::string_view key, std::string_view nonce_text, std::string_view header_text,
                ConstBytes clear, std::string_view expected) {
  Type cipher;
  REQUIRE(cipher.set(from_hex(key)));
  AeadNonce nonce{};
  const Buffer nonce_bytes = from_hex(nonce_text);
  std::memcpy(nonce.data(), nonce_bytes.data(), nonce.size());
  const Buffer header = from_hex(header_text);
  Buffer text(clear.begin(), clear.end());
  Buffer tag(kAeadTagSize);
  REQUIRE(cipher.seal(nonce, header, text, tag.data()));
  CHECK(to_hex(text) + to_hex(tag) == expected);
  Buffer opened(text.size());
  REQUIRE(cipher.open(nonce, header, text, tag.data(), opened.data()));
  CHECK(same(opened, clear));
  tag[0] ^= std::byte{1};
  CHECK_FALSE(cipher.open(nonce, header, text, tag.data(), opened.data()));
  tag[0] ^= std::byte{1};
  REQUIRE(cipher.open(nonce, header, text, tag.data(), text.data()));  // in place
  CHECK(same(text, clear));
}

TEST_CASE("crypto vectors: AES-GCM, McGrew and Viega's test cases 4 and 16") {
  const Buffer clear = from_hex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  const std::string_view header = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
  check_aead<GcmCipher>("feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", header,
                        clear,
                        "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
                        "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
                        "5bc94fbc3221a5db94fae95ae7121a47");
  check_aead<GcmCipher>("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
                        "cafebabefacedbaddecaf888", header, clear,
                        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                        "76fc6ece0f4e1768cddf8853bb2d551b");
}

TEST_CASE("crypto vectors: ChaCha20-Poly1305 of RFC 8439, 2.8.2") {
  check_aead<ChaChaPolyCipher>(
      "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
      "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
      bytes_of("Ladies and Gentlemen of the class of '99: If I could offer you only one tip for "
               "the future, sunscreen would be it."),
      "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
      "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
      "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
      "3ff4def08e4b7a9de576d26586cec64b6116"
      "1ae10b594f09e26a7e902ecbd0600691");
}

TEST_CASE("crypto vectors: comparison in constant time compares") {
  const Buffer a = counting(32);
  for (std::size_t i = 0; i < a.size(); ++i) {
    Buffer b = a;
    CHECK(equal_in_constant_time(a, b));
    b[i] ^= std::byte{0x80};
    CHECK_FALSE(equal_in_constant_time(a, b));
  }
  CHECK_FALSE(equal_in_constant_time(a, ConstBytes(a).first(31)));
  CHECK(equal_in_constant_time({}, {}));
}

}  // namespace
}  // namespace ringknet
