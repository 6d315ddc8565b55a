// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One HMAC per hash behind the run-time interface.
#include "engine/crypto/wolfssl/mac.h"

#include "engine/crypto/wolfssl/hmac.h"

namespace ringknet {

namespace {

template <typename Hash>
class HmacOf final : public Mac {
 public:
  static std::unique_ptr<Mac> make(ConstBytes key) {
    auto mac = std::make_unique<HmacOf>();
    if (!mac->key_.set(key))
      return nullptr;
    return mac;
  }
  std::size_t size() const override { return Hash::kDigestSize; }
  bool compute(ConstBytes bytes, std::byte* out) const override { return key_.mac({bytes}, out); }

 private:
  HmacKey<Hash> key_;
};

}  // namespace

std::unique_ptr<Mac> make_mac(HashType hash, ConstBytes key) {
  switch (hash) {
    case HashType::kMd5:
      return HmacOf<Md5Hash>::make(key);
    case HashType::kSha1:
      return HmacOf<Sha1Hash>::make(key);
    case HashType::kSha224:
      return HmacOf<Sha224Hash>::make(key);
    case HashType::kSha256:
      return HmacOf<Sha256Hash>::make(key);
    case HashType::kSha384:
      return HmacOf<Sha384Hash>::make(key);
    case HashType::kSha512:
      return HmacOf<Sha512Hash>::make(key);
    case HashType::kNone:
      break;
  }
  return nullptr;
}

}  // namespace ringknet
