// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sealing and opening of the classic envelope.
#include "engine/crypto/wolfssl/classic_sealer.h"

#include <algorithm>
#include <array>
#include <utility>

#ifdef RINGKNET_HAVE_MULTIBUFFER
#include "engine/crypto/multibuffer/cbc_row_sealer.h"
#endif
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

std::unique_ptr<RowSealer> make_rows([[maybe_unused]] const CryptoSuite& suite,
                                     [[maybe_unused]] ConstBytes private_key) {
#ifdef RINGKNET_HAVE_MULTIBUFFER
  return multibuffer::make_cbc_row_sealer(suite, private_key);
#else
  return nullptr;
#endif
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
  return std::make_unique<ClassicSealer>(shape, std::move(cipher), std::move(mac),
                                         make_rows(suite, private_key), std::move(name), random);
}

ClassicSealer::ClassicSealer(const SealShape& shape, std::unique_ptr<Cipher> cipher,
                             std::unique_ptr<Mac> mac, std::unique_ptr<RowSealer> rows,
                             std::string name, RandomSource& random)
    : Sealer(shape),
      cipher_(std::move(cipher)),
      mac_(std::move(mac)),
      rows_(std::move(rows)),
      name_(std::move(name)),
      random_(random) {}

bool ClassicSealer::seal(MutableBytes buffer, std::size_t clear) {
  if (buffer.size() != shape().size(clear))
    return false;
  const MutableBytes envelope = buffer.first(buffer.size() - shape().mac);
  if (cipher_ != nullptr) {
    if (!prepare(envelope, clear) ||
        !cipher_->encrypt(envelope.first<kCipherIvSize>(), envelope.subspan(kCipherIvSize)))
      return false;
  }
  return mac_->compute(envelope, buffer.data() + envelope.size());
}

bool ClassicSealer::seal_row(MutableBytes row, std::size_t clear, std::size_t last) {
  const std::size_t full = shape().size(clear);
  if (rows_ == nullptr || row.size() <= full)
    return Sealer::seal_row(row, clear, last);
  if ((row.size() - shape().size(last)) % full != 0)
    return false;
  bool prepared = true;
  while (prepared && !row.empty()) {
    const bool is_last = row.size() <= full;
    const MutableBytes packet = is_last ? row : row.first(full);
    const MutableBytes envelope = packet.first(packet.size() - shape().mac);
    row = row.subspan(packet.size());
    prepared = prepare(envelope, is_last ? last : clear);
    if (prepared)
      rows_->add(envelope, packet.data() + envelope.size());
  }
  return rows_->finish() && prepared;
}

// What encryption begins with: a salt, which is the IV, and the pad.
bool ClassicSealer::prepare(MutableBytes envelope, std::size_t clear) {
  if (!random_.fill(envelope.first(kCipherIvSize)))
    return false;
  const MutableBytes pad = envelope.subspan(kCipherIvSize + clear);
  std::fill(pad.begin(), pad.end(), static_cast<std::byte>(pad.size()));
  return true;
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
