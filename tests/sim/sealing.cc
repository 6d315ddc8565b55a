// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Watched sealers.
#include "tests/sim/sealing.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/crypto/native_sealer.h"
#include "engine/crypto/wolfssl/classic_sealer.h"
#include "engine/crypto/wolfssl/make_sealer.h"
#include "tests/sim/failure.h"
#include "tests/sim/quick_ciphers.h"

namespace ringknet::sim {
namespace {

constexpr std::size_t kAesBlock = 16;
constexpr std::size_t kSha1Size = 20;
constexpr std::size_t kSha256Size = 32;

std::uint64_t load(const std::byte* from, std::size_t size) {
  std::uint64_t value = 0;
  std::memcpy(&value, from, size);
  return value;
}

std::uint64_t load_big_endian(const std::byte* from, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i)
    value = value << 8 | std::to_integer<std::uint64_t>(from[i]);
  return value;
}

std::uint64_t mark_of(ConstBytes sealed) {
  return load(sealed.data() + sealed.size() - 8, 8);
}

class WatchedSealer final : public Sealer {
 public:
  WatchedSealer(std::unique_ptr<Sealer> inner, Key key, SealLog& log, NonceWatch& nonces)
      : Sealer(inner->shape()), inner_(std::move(inner)), key_(key), log_(log), nonces_(nonces) {}

  std::string_view name() const override { return inner_->name(); }
  bool seal(MutableBytes buffer, std::size_t clear) override {
    const SealLog::Entry entry = look(buffer, clear);
    if (!inner_->seal(buffer, clear))
      return false;
    note(buffer, entry);
    return true;
  }
  bool seal_row(MutableBytes row, std::size_t clear, std::size_t last) override {
    looked_at_.clear();
    for (MutableBytes rest = row; !rest.empty(); rest = rest.subspan(looked_at_.back().size))
      looked_at_.push_back(rest.size() > shape().size(last) ? look(rest, clear) : look(rest, last));
    if (!inner_->seal_row(row, clear, last))
      return false;
    for (const SealLog::Entry& entry : looked_at_) {
      note(row.first(entry.size), entry);
      row = row.subspan(entry.size);
    }
    return true;
  }
  bool seals_rows() const override { return inner_->seals_rows(); }
  OpenResult open(MutableBytes buffer) override { return inner_->open(buffer); }
  bool claims(ConstBytes packet) const override { return inner_->claims(packet); }
  bool challenges() const override { return inner_->challenges(); }
  void sender_added(std::size_t row) override { inner_->sender_added(row); }
  void sender_removed(std::size_t row) override { inner_->sender_removed(row); }
  bool confirm(const Opened& opened) override { return inner_->confirm(opened); }

 private:
  // What is in the packet at the front, before it is hidden.
  SealLog::Entry look(ConstBytes buffer, std::size_t clear) const {
    SealLog::Entry entry;
    entry.clear = static_cast<std::uint32_t>(clear);
    entry.size = static_cast<std::uint32_t>(shape().size(clear));
    std::memcpy(entry.head.data(), buffer.data() + shape().lead, entry.packet().size());
    return entry;
  }
  void note(ConstBytes sealed, SealLog::Entry entry) {
    entry.mark = mark_of(sealed);
    log_.note(sealed, entry);
    if (is_native(key_.suite))
      nonces_.used(key_, sealed);
  }

  std::unique_ptr<Sealer> inner_;
  std::vector<SealLog::Entry> looked_at_;
  Key key_;
  SealLog& log_;
  NonceWatch& nonces_;
};

struct SuiteNames {
  const char* model;
  const char* cipher;
  const char* hash;
};

SuiteNames names_of(Suite suite) {
  switch (suite) {
    case Suite::kClear:
      break;
    case Suite::kClassic:
      return {"openssl", "aes256", "sha256"};
    case Suite::kOtherClassic:
      return {"nss", "aes128", "sha1"};
    case Suite::kNative:
      return {"wolfssl", "aes128gcm", "none"};
    case Suite::kOtherNative:
      return {"wolfssl", "chachapoly1305", "none"};
  }
  return {"none", "none", "none"};
}

MadeSealer make(Keyring& keyring, Key key) {
  std::vector<std::byte> secret(200);
  for (std::size_t i = 0; i < secret.size(); ++i)
    secret[i] = static_cast<std::byte>((i + 7u * key.number) & 0xff);
  const SuiteNames names = names_of(key.suite);
  return make_sealer(keyring, names.model, names.cipher, names.hash, secret);
}

// The same envelopes in the same sizes.
std::unique_ptr<Sealer> make_quick(Keyring& keyring, Key key) {
  const std::uint64_t secret =
      std::uint64_t{key.number} << 8 | static_cast<std::uint64_t>(key.suite);
  if (is_native(key.suite)) {
    return std::make_unique<NativeSealer>(make_quick_aead(secret), keyring.self(),
                                          keyring.senders(), keyring.epochs());
  }
  const std::size_t mac = key.suite == Suite::kClassic ? kSha256Size : kSha1Size;
  const SealShape shape{.block = kAesBlock, .lead = kCipherIvSize, .mac = mac};
  return std::make_unique<ClassicSealer>(shape, make_quick_cipher(secret),
                                         make_quick_mac(secret, mac), nullptr, "quick",
                                         keyring.random());
}

std::unique_ptr<Sealer> make_real(Keyring& keyring, Key key) {
  MadeSealer made = make(keyring, key);
  auto* sealer = std::get_if<std::unique_ptr<Sealer>>(&made);
  if (sealer == nullptr)
    fail("a suite of the simulation was refused: " +
         std::string(name(std::get<CryptoError>(made))));
  return std::move(*sealer);
}

// The first sealer of a process draws more randomness than the others: not from a node's.
bool warm_up() {
  SeededSource random(1);
  Keyring keyring(HostId{1}, random);
  return std::holds_alternative<std::unique_ptr<Sealer>>(make(keyring, Key{Suite::kNative, 0}));
}

}  // namespace

bool SeededSource::fill(MutableBytes out) {
  for (std::size_t offset = 0; offset < out.size(); offset += 8) {
    const std::uint64_t word = random_.next();
    std::memcpy(out.data() + offset, &word, std::min<std::size_t>(8, out.size() - offset));
  }
  return true;
}

void NonceWatch::used(Key key, ConstBytes sealed) {
  const std::uint64_t sender = load_big_endian(sealed.data(), 2);
  const std::uint64_t epoch = load_big_endian(sealed.data() + 2, 8);
  const std::uint64_t counter = load_big_endian(sealed.data() + 10, 6);
  std::uint64_t& last = last_[{key.suite, key.number, sender, epoch}];
  if (counter <= last)
    fail(label("host", sender) + " sealed two packets with the same nonce");
  last = counter;
}

const SealLog::Entry* SealLog::find(ConstBytes packet) const {
  const auto found = entries_.find(packet.data());
  if (found == entries_.end() || found->second.size != packet.size() ||
      found->second.mark != mark_of(packet)) {
    return nullptr;
  }
  return &found->second;
}

std::unique_ptr<Sealer> make_watched_sealer(Keyring& keyring, Key key, bool real_ciphers,
                                            SealLog& log, NonceWatch& nonces) {
  static const bool warm = warm_up();
  static_cast<void>(warm);
  std::unique_ptr<Sealer> sealer =
      real_ciphers ? make_real(keyring, key) : make_quick(keyring, key);
  return std::make_unique<WatchedSealer>(std::move(sealer), key, log, nonces);
}

}  // namespace ringknet::sim
