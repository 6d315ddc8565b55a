// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: keys. Names and keys come in as the caller left them, so nothing here trusts a text to
// end or a length to be true before it was checked.
#include <cerrno>
#include <cstring>
#include <memory>
#include <string_view>
#include <variant>

#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/registry.h"
#include "engine/crypto/crypto_config.h"
#include "engine/crypto/wolfssl/make_sealer.h"

using ringknet::CipherName;
using ringknet::CipherType;
using ringknet::ConstBytes;
using ringknet::CryptoError;
using ringknet::Engine;
using ringknet::finish;
using ringknet::Handle;
using ringknet::HashName;
using ringknet::HashType;
using ringknet::Keyring;
using ringknet::registry;
using ringknet::to_errno;

namespace {

// What a configuration call ends with: 0, -1 for a mistake in the call, -2 for one in the model's
// parameters.
struct Outcome {
  int result = 0;
  int error = 0;
};

constexpr Outcome refused(int error) {
  return {-1, error};
}

Outcome refused(CryptoError error) {
  switch (error) {
    case CryptoError::kKeySize:
      return {-1, EINVAL};
    case CryptoError::kUnknownCipher:
    case CryptoError::kUnknownHash:
      return {-2, ENXIO};
    case CryptoError::kCipherWithoutHash:
    case CryptoError::kHashWithAead:
      return {-2, EINVAL};
    case CryptoError::kNoRandomness:
      return {-2, EAGAIN};
    case CryptoError::kUnknownModel:
    case CryptoError::kUnusable:
      return {-2, 0};
  }
  return {-2, 0};
}

int conclude(const Outcome& outcome) {
  errno = outcome.error;
  return outcome.result;
}

template <std::size_t kSize>
std::string_view text(const char (&field)[kSize]) {
  return {field, strnlen(field, kSize)};
}

bool erases(const knet_handle_crypto_cfg& cfg) {
  return ringknet::erases_slot(text(cfg.crypto_model), text(cfg.crypto_cipher_type),
                               text(cfg.crypto_hash_type));
}

Outcome install(Handle& handle, Engine& engine, const knet_handle_crypto_cfg& cfg,
                std::uint8_t slot) {
  // The length is what the caller says; the array is no longer than this.
  if (cfg.private_key_len < KNET_MIN_KEY_LEN || cfg.private_key_len > KNET_MAX_KEY_LEN) {
    return refused(EINVAL);
  }
  const ConstBytes key{reinterpret_cast<const std::byte*>(cfg.private_key), cfg.private_key_len};
  auto made = ringknet::make_sealer(engine.fabric().keyring(), text(cfg.crypto_model),
                                    text(cfg.crypto_cipher_type), text(cfg.crypto_hash_type), key);
  if (const auto* error = std::get_if<CryptoError>(&made)) {
    handle.log().write(KNET_SUB_CRYPTO, KNET_LOG_ERR, "crypto configuration {} refused: {}",
                       unsigned{slot}, name(*error));
    return refused(*error);
  }
  auto& sealer = std::get<0>(made);
  handle.log().write(KNET_SUB_CRYPTO, KNET_LOG_DEBUG, "crypto configuration {}: {}", unsigned{slot},
                     sealer->name());
  if (const auto library = ringknet::crypto_library(); !library.accelerated) {
    handle.log().write(KNET_SUB_CRYPTO, KNET_LOG_WARN,
                       "wolfSSL {} was built without the processor's crypto instructions: "
                       "encryption is slow",
                       library.version);
  }
  const auto installed = engine.fabric().crypto_install(engine.now(), slot, std::move(sealer));
  return {installed ? 0 : -1, to_errno(installed)};
}

// Runs `function(Engine&)`, which gives an Outcome, on the engine thread.
template <typename Function>
int configure(Handle& handle, Function&& function) {
  const Engine::Entry entry(handle.engine());
  if (!entry) {
    return conclude(refused(EDEADLK));
  }
  return conclude(handle.engine().run([&](Engine& engine) noexcept -> Outcome {
    try {
      return function(engine);
    } catch (const std::bad_alloc&) {
      return {-2, ENOMEM};
    }
  }));
}

}  // namespace

int knet_handle_crypto_set_config(knet_handle_t knet_h,
                                  struct knet_handle_crypto_cfg* knet_handle_crypto_cfg,
                                  uint8_t config_num) {
  const auto handle = registry().pin(knet_h);
  if (!handle || knet_handle_crypto_cfg == nullptr || config_num < 1 ||
      config_num > ringknet::kKeySlots) {
    return finish(EINVAL);
  }
  return configure(*handle, [&](Engine& engine) -> Outcome {
    Keyring& keyring = engine.fabric().keyring();
    if (keyring.in_use() == config_num) {
      return refused(EBUSY);
    }
    if (erases(*knet_handle_crypto_cfg)) {
      const auto erased = keyring.erase(config_num);
      return {erased ? 0 : -1, to_errno(erased)};
    }
    return install(*handle, engine, *knet_handle_crypto_cfg, config_num);
  });
}

int knet_handle_crypto_use_config(knet_handle_t knet_h, uint8_t config_num) {
  const auto handle = registry().pin(knet_h);
  if (!handle || config_num > ringknet::kKeySlots) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) -> int {
    return to_errno(engine.fabric().crypto_use(engine.now(), config_num));
  });
}

int knet_handle_crypto_rx_clear_traffic(knet_handle_t knet_h, uint8_t value) {
  const auto handle = registry().pin(knet_h);
  if (!handle || value > KNET_CRYPTO_RX_DISALLOW_CLEAR_TRAFFIC) {
    return finish(EINVAL);
  }
  return handle->command([&](Engine& engine) {
    engine.fabric().keyring().allow_clear(value == KNET_CRYPTO_RX_ALLOW_CLEAR_TRAFFIC);
    return 0;
  });
}

int knet_handle_crypto(knet_handle_t knet_h,
                       struct knet_handle_crypto_cfg* knet_handle_crypto_cfg) {
  const auto handle = registry().pin(knet_h);
  if (!handle || knet_handle_crypto_cfg == nullptr) {
    return finish(EINVAL);
  }
  constexpr std::uint8_t kSlot = 1;
  return configure(*handle, [&](Engine& engine) -> Outcome {
    Keyring& keyring = engine.fabric().keyring();
    if (erases(*knet_handle_crypto_cfg)) {
      keyring.allow_clear(true);
      const auto cleared = engine.fabric().crypto_use(engine.now(), 0);
      const auto erased = keyring.erase(kSlot);
      return {cleared && erased ? 0 : -1, to_errno(erased)};
    }
    if (const Outcome installed = install(*handle, engine, *knet_handle_crypto_cfg, kSlot);
        installed.result != 0) {
      return installed;
    }
    keyring.allow_clear(false);
    const auto used = engine.fabric().crypto_use(engine.now(), kSlot);
    return {used ? 0 : -1, to_errno(used)};
  });
}

namespace {

// The classic library's two models, one implementation behind both, and our own name for it.
constexpr const char* kModels[] = {"nss", "openssl", "wolfssl"};

struct CipherFacts {
  const char* mode;
  int key_bits;
};

CipherFacts facts(CipherType type) {
  switch (type) {
    case CipherType::kNone:
      break;
    case CipherType::kAes128Cbc:
      return {"cbc", 128};
    case CipherType::kAes192Cbc:
      return {"cbc", 192};
    case CipherType::kAes256Cbc:
      return {"cbc", 256};
    case CipherType::kAes128Ctr:
      return {"ctr", 128};
    case CipherType::kAes192Ctr:
      return {"ctr", 192};
    case CipherType::kAes256Ctr:
      return {"ctr", 256};
    case CipherType::kAes128Gcm:
      return {"gcm", 128};
    case CipherType::kAes256Gcm:
      return {"gcm", 256};
    case CipherType::kChaChaPoly:
      return {"poly1305", 256};
  }
  return {"none", 0};
}

int hash_bits(HashType type) {
  switch (type) {
    case HashType::kNone:
      break;
    case HashType::kMd5:
      return 128;
    case HashType::kSha1:
      return 160;
    case HashType::kSha224:
      return 224;
    case HashType::kSha256:
      return 256;
    case HashType::kSha384:
      return 384;
    case HashType::kSha512:
      return 512;
  }
  return 0;
}

bool listed(const char* /*model*/) {
  return true;
}

// What every model takes.
template <typename Name>
bool listed(const Name& name) {
  return name.models == ringknet::kEveryModel;
}

// Fills what the caller made room for, or only says how many there are.
template <typename Info, typename Table, typename Fill>
int list(const Table& table, Info* infos, size_t* entries, Fill&& fill) {
  if (entries == nullptr) {
    return finish(EINVAL);
  }
  std::size_t count = 0;
  for (const auto& row : table) {
    if (!listed(row))
      continue;
    if (infos != nullptr) {
      fill(infos[count], row);
    }
    ++count;
  }
  *entries = count;
  return finish(0);
}

}  // namespace

int knet_get_crypto_list(struct knet_crypto_info* crypto_list, size_t* crypto_list_entries) {
  return list(kModels, crypto_list, crypto_list_entries,
              [](knet_crypto_info& info, const char* name) { info.name = name; });
}

int knet_get_crypto_cipher_list(struct knet_crypto_cipher_info* cipher_list,
                                size_t* cipher_list_entries) {
  return list(ringknet::cipher_names(), cipher_list, cipher_list_entries,
              [](knet_crypto_cipher_info& info, const CipherName& cipher) {
                info = {};
                info.name = cipher.name;
                info.mode = facts(cipher.type).mode;
                info.key_bits = facts(cipher.type).key_bits;
              });
}

int knet_get_crypto_hash_list(struct knet_crypto_hash_info* hash_list, size_t* hash_list_entries) {
  return list(ringknet::hash_names(), hash_list, hash_list_entries,
              [](knet_crypto_hash_info& info, const HashName& hash) {
                info = {};
                info.name = hash.name;
                info.hash_bits = hash_bits(hash.type);
              });
}
