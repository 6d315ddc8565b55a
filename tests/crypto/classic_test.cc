// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The classic envelope: byte for byte what classic nodes send, and every way in which a packet can
// be wrong with its own reason.
#include "engine/crypto/wolfssl/classic_sealer.h"

#include <cstring>

#include "tests/crypto/support.h"

namespace ringknet {
namespace {

// DATA of node 2, sequence 0x1235, payload "hello".
constexpr std::string_view kHello = "010000020000123500000101000068656c6c6f";

std::unique_ptr<Sealer> make(const CryptoSuite& suite, ConstBytes key, RandomSource& random) {
  std::unique_ptr<Sealer> sealer = ClassicSealer::make(suite, key, random);
  REQUIRE(sealer);
  return sealer;
}

Buffer seal(Sealer& sealer, ConstBytes packet) {
  Buffer buffer(sealer.shape().size(packet.size()));
  std::copy(packet.begin(), packet.end(),
            buffer.begin() + static_cast<std::ptrdiff_t>(sealer.shape().lead));
  REQUIRE(sealer.seal(buffer, packet.size()));
  return buffer;
}

TEST_CASE("crypto classic: the worked example with AES-256-CBC and SHA-256") {
  FixedRandom salt(from_hex("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"));
  const auto sealer = make({CipherType::kAes256Cbc, HashType::kSha256}, counting(128), salt);
  Buffer packet = seal(*sealer, from_hex(kHello));
  CHECK(to_hex(packet) ==
        "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
        "1450adcc0ccaab635da643bf583b0d5f"
        "c4e5c51653a7e7a8f7a9d7fc72c33e4b"
        "b3b07b70255aa3cc856c5d70919d8716"
        "679addcaf3e5d8ed016d0bb176be0593");
  const OpenResult result = sealer->open(packet);
  CHECK(is_open(result, from_hex(kHello), Proof::kKey));
}

TEST_CASE("crypto classic: the worked example with SHA-256 only") {
  FixedRandom salt(from_hex("00"));
  const auto sealer = make({CipherType::kNone, HashType::kSha256}, counting(128), salt);
  Buffer packet = seal(*sealer, from_hex(kHello));
  CHECK(to_hex(packet) ==
        "01000002000012350000010100006865"
        "6c6c6f6dd8e90ccd61a15ea31d783899"
        "8709b10f9fb96b42d33eec6f2ab7c871"
        "4b498a");
  CHECK(is_open(sealer->open(packet), from_hex(kHello), Proof::kKey));
}

TEST_CASE("crypto classic: every suite brings every size back, and takes what it says") {
  Node node(1);
  Random random(7);
  for (const NamedSuite& suite : classic_suites()) {
    CAPTURE(label(suite));
    node.key_and_use(1, suite, counting(1000, 3));
    REQUIRE(node.keyring.use(0));
    REQUIRE(node.keyring.use(1));
    const SealShape shape = node.keyring.shape();
    for (std::size_t size = 1; size <= 2000; size += size < 70 ? 1 : random.between(1, 97)) {
      const Buffer clear = counting(size, static_cast<unsigned>(size));
      const Buffer packet = node.seal(clear);
      REQUIRE(packet.size() == shape.size(size));
      REQUIRE(is_open(node.open(packet), clear, Proof::kKey));
    }
    const Buffer large = counting(65400);
    REQUIRE(is_open(node.open(node.seal(large)), large));
  }
}

TEST_CASE("crypto classic: salts differ from packet to packet") {
  Node node(1);
  node.key_and_use(1, {"nss", "aes256", "sha256"}, counting(128));
  CHECK(node.seal(from_hex(kHello)) != node.seal(from_hex(kHello)));
}

TEST_CASE("crypto classic: the models are one wire format") {
  Node nss(1), openssl(2), own(3);
  nss.key_and_use(1, {"nss", "aes256", "sha256"}, counting(128));
  openssl.key_and_use(1, {"openssl", "AES-256-CBC", "RSA-SHA256"}, counting(128));
  own.key_and_use(1, {"wolfssl", "aes256", "sha256"}, counting(128));
  const Buffer hello = from_hex(kHello);
  CHECK(is_open(openssl.open(nss.seal(hello)), hello));
  CHECK(is_open(own.open(openssl.seal(hello)), hello));
  CHECK(is_open(nss.open(own.seal(hello)), hello));
}

TEST_CASE("crypto classic: every flipped bit is noticed") {
  Node node(1);
  const Buffer hello = from_hex(kHello);
  for (const NamedSuite& suite : classic_suites()) {
    CAPTURE(label(suite));
    node.key_and_use(1, suite, counting(128));
    const Buffer packet = node.seal(hello);
    for (std::size_t bit = 0; bit < packet.size() * 8; ++bit) {
      Buffer damaged = packet;
      damaged[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
      REQUIRE(drop_of(node.open(damaged)) == Drop::kSealMac);
      REQUIRE(node.received == damaged);  // left as it was for the next key
    }
  }
}

TEST_CASE("crypto classic: every truncation is noticed, and so is every extension") {
  Node node(1);
  for (const NamedSuite& suite : classic_suites()) {
    CAPTURE(label(suite));
    node.key_and_use(1, suite, counting(128));
    const SealShape shape = node.keyring.shape();
    Buffer packet = node.seal(from_hex(kHello));
    Buffer longer = packet;
    longer.push_back(std::byte{0});
    REQUIRE(drop_of(node.open(longer)) == Drop::kSealMac);
    while (!packet.empty()) {
      packet.pop_back();
      const Drop expected =
          packet.size() <= shape.lead + shape.mac ? Drop::kSealShort : Drop::kSealMac;
      REQUIRE(drop_of(node.open(packet)) == expected);
    }
  }
}

TEST_CASE("crypto classic: another key opens nothing") {
  Node sender(1), receiver(2);
  const Buffer hello = from_hex(kHello);
  for (const NamedSuite& suite : classic_suites()) {
    CAPTURE(label(suite));
    Buffer other = counting(128);
    other[127] ^= std::byte{1};
    sender.key_and_use(1, suite, counting(128));
    receiver.key_and_use(1, suite, other);
    CHECK(drop_of(receiver.open(sender.seal(hello))) == Drop::kSealMac);
    receiver.key_and_use(1, suite, counting(129));
    CHECK(drop_of(receiver.open(sender.seal(hello))) == Drop::kSealMac);
  }
}

TEST_CASE("crypto classic: more than a packet can have is refused before it is read") {
  Node node(1);
  node.key_and_use(1, {"nss", "aes256", "sha256"}, counting(128));
  CHECK(drop_of(node.open(Buffer(65536 + 32))) == Drop::kSealMac);
  CHECK(drop_of(node.open(Buffer(65536 + 33))) == Drop::kSealLong);
}

// Authentic and wrong: what only somebody with the key can make.
struct Forger {
  Buffer forge(ConstBytes text) {
    Buffer packet(16 + text.size() + 32);
    std::memcpy(packet.data() + 16, text.data(), text.size());
    const std::size_t whole = text.size() / 16 * 16;
    REQUIRE(
        cipher->encrypt(ConstBytes(packet).first<16>(), MutableBytes(packet).subspan(16, whole)));
    REQUIRE(
        mac->compute(ConstBytes(packet).first(16 + text.size()), packet.data() + 16 + text.size()));
    return packet;
  }
  std::unique_ptr<Cipher> cipher = make_cipher(CipherType::kAes256Cbc, counting(128));
  std::unique_ptr<Mac> mac = make_mac(HashType::kSha256, counting(128));
};

TEST_CASE("crypto classic: authentic packets with wrong insides have reasons of their own") {
  Node node(1);
  node.key_and_use(1, {"nss", "aes256", "sha256"}, counting(128));
  node.key(2, {"nss", "aes128", "sha256"}, counting(200));
  node.keyring.allow_clear(true);  // and they are not taken for clear packets
  Forger forger;
  CHECK(drop_of(node.open(forger.forge(counting(33)))) == Drop::kSealLength);
  CHECK(drop_of(node.open(forger.forge(counting(15)))) == Drop::kSealLength);

  Buffer text = counting(32);
  for (unsigned pad : {0u, 17u, 32u, 255u}) {
    text.back() = static_cast<std::byte>(pad);
    CHECK(drop_of(node.open(forger.forge(text))) == Drop::kSealPadding);
  }
  text.assign(32, std::byte{5});
  text[27] = std::byte{4};
  CHECK(drop_of(node.open(forger.forge(text))) == Drop::kSealPadding);
  text[27] = std::byte{5};
  text[26] = std::byte{4};
  CHECK(is_open(node.open(forger.forge(text)), ConstBytes(text).first(27)));
  text.assign(16, std::byte{16});
  CHECK(is_open(node.open(forger.forge(text)), {}));  // empty: the parser's business
}

TEST_CASE("crypto classic: a replay opens again, as the format has nothing against it") {
  Node node(1);
  node.key_and_use(1, {"nss", "aes256", "sha256"}, counting(128));
  const Buffer packet = node.seal(from_hex(kHello));
  CHECK(is_open(node.open(packet), from_hex(kHello), Proof::kKey));
  CHECK(is_open(node.open(packet), from_hex(kHello), Proof::kKey));
  CHECK_FALSE(node.keyring.challenges());
}

TEST_CASE("crypto classic: nothing is sealed without randomness") {
  Node node(1);
  node.key_and_use(1, {"nss", "aes256", "sha256"}, counting(128));
  node.random.working = false;
  Buffer buffer(node.keyring.shape().size(26));
  CHECK_FALSE(node.keyring.seal(buffer, 26));
}

}  // namespace
}  // namespace ringknet
