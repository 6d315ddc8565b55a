// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sealing and opening of the classic envelope.
#include "engine/crypto/wolfssl/classic_sealer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/crypto/secret.h"

namespace ringknet {

namespace {

// What classic nodes accept in front of the MAC.
constexpr std::size_t kEnvelopeSizeMax = 65536;

std::string_view name_of(CipherType cipher) {
  switch (cipher) {
    case CipherType::kAes128Cbc:
      return "aes-128-cbc";
    case CipherType::kAes192Cbc:
      return "aes-192-cbc";
    case CipherType::kAes256Cbc:
      return "aes-256-cbc";
    case CipherType::kAes128Ctr:
      return "aes-128-ctr";
    case CipherType::kAes192Ctr:
      return "aes-192-ctr";
    case CipherType::kAes256Ctr:
      return "aes-256-ctr";
    default:
      return "none";
  }
}

std::string_view name_of(HashType hash) {
  static constexpr std::string_view kNames[] = {"none",   "md5",    "sha1",  "sha224",
                                                "sha256", "sha384", "sha512"};
  return kNames[static_cast<std::size_t>(hash)];
}

}  // namespace

std::unique_ptr<Sealer> ClassicSealer::make(const CryptoSuite& suite, ConstBytes private_key,
                                            RandomSource& random) {
  std::unique_ptr<Mac> mac = make_mac(suite.hash, private_key);
  std::unique_ptr<Cipher> cipher = make_cipher(suite.cipher, private_key);
  if (mac == nullptr || (cipher == nullptr && suite.cipher != CipherType::kNone))
    return nullptr;
  const SealShape shape{.block = cipher != nullptr ? cipher->block() : 0,
                        .lead = cipher != nullptr ? kCipherIvSize : 0,
                        .mac = mac->size()};
  std::string name(name_of(suite.cipher));
  name.append("/").append(name_of(suite.hash));
  return std::make_unique<ClassicSealer>(shape, std::move(cipher), std::move(mac), std::move(name),
                                         random);
}

ClassicSealer::ClassicSealer(const SealShape& shape, std::unique_ptr<Cipher> cipher,
                             std::unique_ptr<Mac> mac, std::string name, RandomSource& random)
    : Sealer(shape),
      cipher_(std::move(cipher)),
      mac_(std::move(mac)),
      name_(std::move(name)),
      random_(random) {}

bool ClassicSealer::seal(MutableBytes buffer, std::size_t clear) {
  if (buffer.size() != shape().size(clear))
    return false;
  const MutableBytes envelope = buffer.first(buffer.size() - shape().mac);
  if (cipher_ != nullptr) {
    const auto iv = envelope.first<kCipherIvSize>();
    if (!random_.fill(iv))
      return false;
    const MutableBytes text = envelope.subspan(kCipherIvSize);
    const MutableBytes pad = text.subspan(clear);
    std::fill(pad.begin(), pad.end(), static_cast<std::byte>(pad.size()));
    if (!cipher_->encrypt(iv, text))
      return false;
  }
  return mac_->compute(envelope, buffer.data() + envelope.size());
}

OpenResult ClassicSealer::open(MutableBytes buffer) {
  if (buffer.size() <= shape().mac + shape().lead)
    return Drop::kSealShort;
  const MutableBytes envelope = buffer.first(buffer.size() - shape().mac);
  if (envelope.size() > kEnvelopeSizeMax)
    return Drop::kSealLong;
  std::array<std::byte, kMacSizeMax> expected;
  if (!mac_->compute(envelope, expected.data()) ||
      !equal_in_constant_time(ConstBytes(expected).first(shape().mac), buffer.last(shape().mac))) {
    return Drop::kSealMac;
  }
  if (cipher_ != nullptr)
    return decrypt(envelope);
  return Opened{.clear = envelope, .proof = Proof::kKey};
}

// Authentic from here on, so nothing about the padding tells a stranger anything.
OpenResult ClassicSealer::decrypt(MutableBytes envelope) {
  const auto iv = envelope.first<kCipherIvSize>();
  MutableBytes text = envelope.subspan(kCipherIvSize);
  const std::size_t block = cipher_->block();
  if (text.size() % block != 0)
    return Drop::kSealLength;
  if (!cipher_->decrypt(iv, text))
    return Drop::kSealLength;
  if (block > 1) {
    const std::size_t pad = std::to_integer<std::size_t>(text.back());
    if (pad == 0 || pad > block)
      return Drop::kSealPadding;
    const ConstBytes filled = text.last(pad);
    if (!std::all_of(filled.begin(), filled.end(),
                     [&](std::byte byte) { return byte == text.back(); }))
      return Drop::kSealPadding;
    text = text.first(text.size() - pad);
  }
  return Opened{.clear = text, .proof = Proof::kKey};
}

}  // namespace ringknet
