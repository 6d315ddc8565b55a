// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sealers from configurations, and their trial.
#include "engine/crypto/wolfssl/make_sealer.h"

#include <wolfssl/options.h>
#include <wolfssl/version.h>
#include <wolfssl/wolfcrypt/settings.h>
#if defined(WOLFSSL_AESNI) || defined(WOLFSSL_ARMASM)
#include <wolfssl/wolfcrypt/cpuid.h>
#endif

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "engine/crypto/native_sealer.h"
#include "engine/crypto/wolfssl/classic_sealer.h"
#include "engine/crypto/wolfssl/mac.h"
#include "engine/crypto/wolfssl/wolf_aead.h"

namespace ringknet {

namespace {

constexpr std::size_t kTrialSize = 26;
constexpr std::size_t kTrialRow = 9;  // one more than are worked on at once

std::array<std::byte, kTrialSize> trial_packet() {
  std::array<std::byte, kTrialSize> packet;
  for (std::size_t i = 0; i < kTrialSize; ++i)
    packet[i] = static_cast<std::byte>(i);
  return packet;
}

// A row, since packets of rows may be sealed in another way than single ones; and those are a row
// of one.
bool comes_back(Sealer& from, Sealer& to, std::size_t count) {
  const auto packet = trial_packet();
  const SealShape& shape = from.shape();
  const std::size_t size = shape.size(kTrialSize);
  std::vector<std::byte> row(count * size);
  for (std::size_t i = 0; i < count; ++i)
    std::copy(packet.begin(), packet.end(),
              row.begin() + static_cast<std::ptrdiff_t>(i * size + shape.lead));
  if (!from.seal_row(row, kTrialSize, kTrialSize))
    return false;
  for (std::size_t i = 0; i < count; ++i) {
    const OpenResult result = to.open(MutableBytes(row).subspan(i * size, size));
    const auto* opened = std::get_if<Opened>(&result);
    if (opened == nullptr ||
        !std::equal(packet.begin(), packet.end(), opened->clear.begin(), opened->clear.end()))
      return false;
  }
  return true;
}

bool comes_back(Sealer& from, Sealer& to) {
  return comes_back(from, to, 1) && comes_back(from, to, kTrialRow);
}

MadeSealer make_classic(Keyring& keyring, const CryptoSuite& suite, ConstBytes private_key) {
  std::unique_ptr<Sealer> sealer = ClassicSealer::make(suite, private_key, keyring.random());
  if (sealer == nullptr || !comes_back(*sealer, *sealer))
    return CryptoError::kUnusable;
  return sealer;
}

// A native sealer refuses its own packets, so two made-up nodes try the cipher on each other.
bool native_works(CipherType cipher, ConstBytes private_key, RandomSource& random) {
  constexpr HostId kSender{1};
  constexpr HostId kReceiver{2};
  SenderTable senders;
  senders.add(kSender);
  EpochSource epochs(random);
  std::unique_ptr<Aead> aeads[] = {make_aead(cipher, private_key), make_aead(cipher, private_key)};
  if (aeads[0] == nullptr || aeads[1] == nullptr)
    return false;
  NativeSealer from(std::move(aeads[0]), kSender, senders, epochs);
  NativeSealer to(std::move(aeads[1]), kReceiver, senders, epochs);
  return comes_back(from, to);
}

bool warm_up(RandomSource& random) {
  constexpr std::array<std::byte, kPrivateKeySizeMin> kKey{};
  for (HashType hash : {HashType::kMd5, HashType::kSha1, HashType::kSha224, HashType::kSha256,
                        HashType::kSha384, HashType::kSha512})
    make_mac(hash, kKey);
  return native_works(CipherType::kAes256Gcm, kKey, random) &&
         native_works(CipherType::kChaChaPoly, kKey, random);
}

MadeSealer make_native(Keyring& keyring, const CryptoSuite& suite, ConstBytes private_key) {
  std::unique_ptr<Aead> aead = make_aead(suite.cipher, private_key);
  if (aead == nullptr || !native_works(suite.cipher, private_key, keyring.random()))
    return CryptoError::kUnusable;
  return std::make_unique<NativeSealer>(std::move(aead), keyring.self(), keyring.senders(),
                                        keyring.epochs());
}

}  // namespace

MadeSealer make_sealer(Keyring& keyring, const CryptoSuite& suite, ConstBytes private_key) {
  if (private_key.size() < kPrivateKeySizeMin || private_key.size() > kPrivateKeySizeMax)
    return CryptoError::kKeySize;
  std::array<std::byte, 1> drawn{};
  if (!keyring.random().fill(drawn))
    return CryptoError::kNoRandomness;
  // wolfSSL notes which instructions there are when an algorithm is first used. Handles live in
  // threads of their own: the first use happens once, here, before any other.
  static const bool warm = warm_up(keyring.random());
  static_cast<void>(warm);
  return suite.native() ? make_native(keyring, suite, private_key)
                        : make_classic(keyring, suite, private_key);
}

MadeSealer make_sealer(Keyring& keyring, std::string_view model, std::string_view cipher,
                       std::string_view hash, ConstBytes private_key) {
  const auto parsed = parse_crypto_config(model, cipher, hash, private_key.size());
  if (const auto* error = std::get_if<CryptoError>(&parsed))
    return *error;
  return make_sealer(keyring, std::get<CryptoSuite>(parsed), private_key);
}

CryptoLibrary crypto_library() {
  bool accelerated = false;
#if defined(WOLFSSL_AESNI) && defined(USE_INTEL_SPEEDUP)
  const word32 flags = cpuid_get_flags();
  accelerated = IS_INTEL_AESNI(flags) && IS_INTEL_AVX1(flags);
#elif defined(WOLFSSL_ARMASM)
  accelerated = true;
#endif
  return {LIBWOLFSSL_VERSION_STRING, accelerated};
}

}  // namespace ringknet
