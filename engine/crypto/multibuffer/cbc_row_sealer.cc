// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Jobs of the multi-buffer library: cipher, then hash.
#include "engine/crypto/multibuffer/cbc_row_sealer.h"

#include <array>

#include "engine/crypto/multibuffer/manager.h"
#include "engine/crypto/secret.h"
#include "engine/crypto/wolfssl/cipher.h"
#include "engine/crypto/wolfssl/hmac.h"

namespace ringknet::multibuffer {
namespace {

// Round keys of AES-256, and the longest state of a hash.
constexpr std::size_t kScheduleSize = std::size_t{16} * 15;
constexpr std::size_t kStateSize = 64;

struct Keys {
  alignas(16) SecretBytes<kScheduleSize> encryption;
  alignas(16) SecretBytes<kScheduleSize> decryption;  // the library makes both
  alignas(16) SecretBytes<kStateSize> inner;
  alignas(16) SecretBytes<kStateSize> outer;
};

struct Hash {
  IMB_HASH_ALG id;
  std::size_t mac;
};

class CbcRowSealer final : public RowSealer {
 public:
  explicit CbcRowSealer(Manager manager) : manager_(std::move(manager)) {}

  bool set_cipher(CipherType type, ConstBytes key) {
    switch (type) {
      case CipherType::kAes128Cbc:
        return expand(manager_->keyexp_128, key, 16);
      case CipherType::kAes192Cbc:
        return expand(manager_->keyexp_192, key, 24);
      case CipherType::kAes256Cbc:
        return expand(manager_->keyexp_256, key, 32);
      default:
        return false;
    }
  }

  bool set_hash(HashType type, ConstBytes key) {
    switch (type) {
      case HashType::kMd5:
        return absorb<Md5Hash>(IMB_AUTH_MD5, manager_->md5_one_block, key);
      case HashType::kSha1:
        return absorb<Sha1Hash>(IMB_AUTH_HMAC_SHA_1, manager_->sha1_one_block, key);
      case HashType::kSha224:
        return absorb<Sha224Hash>(IMB_AUTH_HMAC_SHA_224, manager_->sha224_one_block, key);
      case HashType::kSha256:
        return absorb<Sha256Hash>(IMB_AUTH_HMAC_SHA_256, manager_->sha256_one_block, key);
      case HashType::kSha384:
        return absorb<Sha384Hash>(IMB_AUTH_HMAC_SHA_384, manager_->sha384_one_block, key);
      case HashType::kSha512:
        return absorb<Sha512Hash>(IMB_AUTH_HMAC_SHA_512, manager_->sha512_one_block, key);
      case HashType::kNone:
        break;
    }
    return false;
  }

  void add(MutableBytes envelope, std::byte* mac) override {
    IMB_JOB* job = IMB_GET_NEXT_JOB(manager_.get());
    job->cipher_direction = IMB_DIR_ENCRYPT;
    job->chain_order = IMB_ORDER_CIPHER_HASH;
    job->cipher_mode = IMB_CIPHER_CBC;
    job->hash_alg = hash_.id;
    job->enc_keys = keys_.encryption.data();
    job->dec_keys = keys_.decryption.data();
    job->key_len_in_bytes = key_size_;
    job->iv = octets(envelope.data());
    job->iv_len_in_bytes = kCipherIvSize;
    job->src = octets(envelope.data());
    job->dst = octets(envelope.data()) + kCipherIvSize;
    job->cipher_start_src_offset_in_bytes = kCipherIvSize;
    job->msg_len_to_cipher_in_bytes = envelope.size() - kCipherIvSize;
    job->hash_start_src_offset_in_bytes = 0;
    job->msg_len_to_hash_in_bytes = envelope.size();
    job->auth_tag_output = octets(mac);
    job->auth_tag_output_len_in_bytes = hash_.mac;
    job->u.HMAC._hashed_auth_key_xor_ipad = octets(keys_.inner.data());
    job->u.HMAC._hashed_auth_key_xor_opad = octets(keys_.outer.data());
    ++added_;
    for (job = IMB_SUBMIT_JOB(manager_.get()); job != nullptr;
         job = IMB_GET_COMPLETED_JOB(manager_.get()))
      count(*job);
  }

  bool finish() override {
    while (IMB_JOB* job = IMB_FLUSH_JOB(manager_.get()))
      count(*job);
    const bool good = done_ == added_;
    done_ = added_ = 0;
    return good;
  }

 private:
  bool expand(keyexp_t function, ConstBytes key, std::size_t size) {
    if (key.size() < size)
      return false;
    function(key.data(), keys_.encryption.data(), keys_.decryption.data());
    key_size_ = size;
    return true;
  }

  template <typename HashOf>
  bool absorb(IMB_HASH_ALG id, hash_one_block_t one_block, ConstBytes key) {
    hash_ = {id, HashOf::kDigestSize};
    SecretBytes<HashOf::kBlockSize> block;
    if (!hmac_key_block<HashOf>(key, block))
      return false;
    for (auto [state, pad] :
         {std::pair(&keys_.inner, std::byte{0x36}), {&keys_.outer, std::byte{0x5c}}}) {
      SecretBytes<HashOf::kBlockSize> padded;
      for (std::size_t i = 0; i < HashOf::kBlockSize; ++i)
        padded.data()[i] = block.data()[i] ^ pad;
      one_block(padded.data(), state->data());
    }
    return true;
  }

  void count(const IMB_JOB& job) { done_ += job.status == IMB_STATUS_COMPLETED ? 1 : 0; }

  Manager manager_;
  Keys keys_;
  Hash hash_{};
  std::size_t key_size_ = 0;
  std::size_t added_ = 0;
  std::size_t done_ = 0;
};

}  // namespace

std::unique_ptr<RowSealer> make_cbc_row_sealer(const CryptoSuite& suite, ConstBytes private_key) {
  Manager manager = row_manager();
  if (manager == nullptr)
    return nullptr;
  auto sealer = std::make_unique<CbcRowSealer>(std::move(manager));
  if (!sealer->set_cipher(suite.cipher, private_key) || !sealer->set_hash(suite.hash, private_key))
    return nullptr;
  return sealer;
}

}  // namespace ringknet::multibuffer
