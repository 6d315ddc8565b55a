// SPDX-License-Identifier: LGPL-2.1-or-later
//
// AES-CBC and AES-CTR by wolfSSL.
#include "engine/crypto/wolfssl/cipher.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "engine/crypto/secret.h"
#include "engine/crypto/wolfssl/aes.h"

namespace ringknet {

namespace {

class AesCbc final : public Cipher {
 public:
  bool set(ConstBytes key) {
    return encryption_.set(key, AES_ENCRYPTION) && decryption_.set(key, AES_DECRYPTION);
  }
  std::size_t block() const override { return AES_BLOCK_SIZE; }
  bool encrypt(CipherIv iv, MutableBytes text) override {
    return wc_AesSetIV(encryption_.get(), octets(iv.data())) == 0 &&
           wc_AesCbcEncrypt(encryption_.get(), octets(text.data()), octets(text.data()),
                            static_cast<word32>(text.size())) == 0;
  }
  bool decrypt(CipherIv iv, MutableBytes text) override {
    return wc_AesSetIV(decryption_.get(), octets(iv.data())) == 0 &&
           wc_AesCbcDecrypt(decryption_.get(), octets(text.data()), octets(text.data()),
                            static_cast<word32>(text.size())) == 0;
  }

 private:
  AesContext encryption_;
  AesContext decryption_;
};

// The key stream is made aside, as wolfSSL's fast path does not work in place, and in whole blocks,
// so that nothing is left over from one packet to the next.
class AesCtr final : public Cipher {
 public:
  ~AesCtr() override { wipe(stream_.data(), stream_.size()); }
  bool set(ConstBytes key) { return context_.set(key, AES_ENCRYPTION); }
  std::size_t block() const override { return 1; }
  bool encrypt(CipherIv iv, MutableBytes text) override {
    if (wc_AesSetIV(context_.get(), octets(iv.data())) != 0)
      return false;
    while (!text.empty()) {
      const std::size_t part = std::min(text.size(), kStream);
      const std::size_t blocks = (part + AES_BLOCK_SIZE - 1) / AES_BLOCK_SIZE * AES_BLOCK_SIZE;
      if (wc_AesCtrEncrypt(context_.get(), stream_.data(), kZeros.data(),
                           static_cast<word32>(blocks)) != 0)
        return false;
      add(text.first(part));
      text = text.subspan(part);
    }
    return true;
  }
  bool decrypt(CipherIv iv, MutableBytes text) override { return encrypt(iv, text); }

 private:
  static constexpr std::size_t kStream = 2048;
  static constexpr std::array<unsigned char, kStream> kZeros{};

  void add(MutableBytes text) {
    std::size_t i = 0;
    for (; i + 8 <= text.size(); i += 8) {
      std::uint64_t word = 0;
      std::uint64_t key = 0;
      std::memcpy(&word, text.data() + i, 8);
      std::memcpy(&key, stream_.data() + i, 8);
      word ^= key;
      std::memcpy(text.data() + i, &word, 8);
    }
    for (; i < text.size(); ++i)
      text[i] ^= std::byte{stream_[i]};
  }

  AesContext context_;
  alignas(16) std::array<unsigned char, kStream> stream_{};
};

template <typename Type>
std::unique_ptr<Cipher> make(ConstBytes private_key, std::size_t key_size) {
  auto cipher = std::make_unique<Type>();
  if (private_key.size() < key_size || !cipher->set(private_key.first(key_size)))
    return nullptr;
  return cipher;
}

}  // namespace

std::unique_ptr<Cipher> make_cipher(CipherType type, ConstBytes private_key) {
  switch (type) {
    case CipherType::kAes128Cbc:
      return make<AesCbc>(private_key, 16);
    case CipherType::kAes192Cbc:
      return make<AesCbc>(private_key, 24);
    case CipherType::kAes256Cbc:
      return make<AesCbc>(private_key, 32);
    case CipherType::kAes128Ctr:
      return make<AesCtr>(private_key, 16);
    case CipherType::kAes192Ctr:
      return make<AesCtr>(private_key, 24);
    case CipherType::kAes256Ctr:
      return make<AesCtr>(private_key, 32);
    case CipherType::kNone:
    case CipherType::kAes128Gcm:
    case CipherType::kAes256Gcm:
    case CipherType::kChaChaPoly:
      break;
  }
  return nullptr;
}

}  // namespace ringknet
