// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Authenticated encryption and its key derivation.
#include "engine/crypto/wolfssl/wolf_aead.h"

#include <algorithm>
#include <array>
#include <cstring>

#ifdef RINGKNET_HAVE_MULTIBUFFER
#include "engine/crypto/multibuffer/gcm.h"
#endif
#include "engine/crypto/secret.h"
#include "engine/crypto/wolfssl/aead_cipher.h"
#include "engine/crypto/wolfssl/hmac.h"

namespace ringknet {

namespace {

constexpr std::string_view kLabel = "ringknet native 1";

template <typename Type>
class KeyOf final : public AeadKey {
 public:
  KeyOf(const HmacKey<Sha256Hash>& root, std::string_view name, std::size_t key_size)
      : root_(root), name_(name), key_size_(key_size) {}

  bool derive(HostId sender, Epoch epoch) override {
    std::array<std::byte, 32> info{};
    std::size_t size = name_.size();
    std::memcpy(info.data(), name_.data(), size);
    info[size++] = std::byte{0};
    for (int shift = 8; shift >= 0; shift -= 8)
      info[size++] = static_cast<std::byte>(raw(sender) >> shift & 0xff);
    for (int shift = 56; shift >= 0; shift -= 8)
      info[size++] = static_cast<std::byte>(raw(epoch) >> shift & 0xff);

    SecretBytes<32 + kAeadNonceSize> material;
    const MutableBytes used = MutableBytes(material.span()).first(key_size_ + kAeadNonceSize);
    if (!hkdf_expand(root_, ConstBytes(info).first(size), used) ||
        !cipher_.set(used.first(key_size_)))
      return false;
    std::memcpy(nonce_.data(), used.data() + key_size_, kAeadNonceSize);
    return true;
  }

  void forget() override {
    cipher_.forget();
    wipe(nonce_.data(), kAeadNonceSize);
  }

  bool seal(std::uint64_t counter, ConstBytes header, MutableBytes text,
            std::span<std::byte, kAeadTagSize> tag) override {
    return cipher_.seal(nonce_of(counter), header, text, tag.data());
  }
  bool open(std::uint64_t counter, ConstBytes header, ConstBytes text,
            std::span<const std::byte, kAeadTagSize> tag, MutableBytes out) override {
    return cipher_.open(nonce_of(counter), header, text, tag.data(), out.data());
  }

 private:
  // The counter, last byte last, over the end of the key's own nonce. In the two words that ciphers
  // read it by.
  AeadNonce nonce_of(std::uint64_t counter) const {
    std::uint64_t head = 0;
    std::uint32_t tail = 0;
    std::memcpy(&head, nonce_.data(), sizeof head);
    std::memcpy(&tail, nonce_.data() + sizeof head, sizeof tail);
    head ^= network_order(counter >> 32);
    tail ^= network_order(static_cast<std::uint32_t>(counter));
    AeadNonce nonce;
    std::memcpy(nonce.data(), &head, sizeof head);
    std::memcpy(nonce.data() + sizeof head, &tail, sizeof tail);
    return nonce;
  }

  const HmacKey<Sha256Hash>& root_;
  std::string_view name_;
  std::size_t key_size_;
  Type cipher_;
  SecretBytes<kAeadNonceSize> nonce_;
};

template <typename Type>
class AeadOf final : public Aead {
 public:
  AeadOf(std::string_view name, std::size_t key_size) : name_(name), key_size_(key_size) {}

  bool set(ConstBytes private_key) {
    SecretBytes<32> root;
    return hkdf_extract(std::as_bytes(std::span(kLabel)), private_key, root.span()) &&
           root_.set(root.span());
  }
  std::string_view name() const override { return name_; }
  std::unique_ptr<AeadKey> make_key() const override {
    return std::make_unique<KeyOf<Type>>(root_, name_, key_size_);
  }

 private:
  std::string_view name_;
  std::size_t key_size_;
  HmacKey<Sha256Hash> root_;
};

template <typename Type>
std::unique_ptr<Aead> make(std::string_view name, std::size_t key_size, ConstBytes private_key) {
  auto aead = std::make_unique<AeadOf<Type>>(name, key_size);
  if (!aead->set(private_key))
    return nullptr;
  return aead;
}

template <std::size_t kKeySize>
std::unique_ptr<Aead> make_gcm(std::string_view name, ConstBytes private_key) {
#ifdef RINGKNET_HAVE_MULTIBUFFER
  if (multibuffer::gcm_manager() != nullptr)
    return make<multibuffer::GcmCipher<kKeySize>>(name, kKeySize, private_key);
#endif
  return make<GcmCipher>(name, kKeySize, private_key);
}

}  // namespace

std::unique_ptr<Aead> make_aead(CipherType type, ConstBytes private_key) {
  switch (type) {
    case CipherType::kAes128Gcm:
      return make_gcm<16>("aes128gcm", private_key);
    case CipherType::kAes256Gcm:
      return make_gcm<32>("aes256gcm", private_key);
    case CipherType::kChaChaPoly:
      return make<ChaChaPolyCipher>("chachapoly1305", 32, private_key);
    default:
      return nullptr;
  }
}

}  // namespace ringknet
