// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A word that is xored over the front of the text, and a checksum.
#include "tests/sim/quick_ciphers.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "tests/sim/digest.h"

namespace ringknet::sim {
namespace {

constexpr std::uint64_t kOdd = 0x9e3779b97f4a7c15u;

std::uint64_t load(const std::byte* from, std::size_t size = 8) {
  std::uint64_t word = 0;
  std::memcpy(&word, from, size);
  return word;
}

// One to one in `value`, so that two states that differ stay different.
constexpr std::uint64_t mix(std::uint64_t state, std::uint64_t value) {
  state = (state ^ value) * kOdd;
  return state ^ state >> 29;
}

// Of the text, the front alone: a packet's header is there. `out` may be the same bytes.
void hide(std::uint64_t word, ConstBytes text, std::byte* out) {
  constexpr std::size_t kFront = 64;
  if (out != text.data())
    std::memcpy(out, text.data(), text.size());
  for (std::size_t offset = 0; offset < std::min(kFront, text.size()); offset += 8) {
    const std::size_t size = std::min<std::size_t>(8, text.size() - offset);
    const std::uint64_t hidden = load(text.data() + offset, size) ^ word;
    std::memcpy(out + offset, &hidden, size);
  }
}

// As long as it has to be, all of it made of the checksum.
void spread(std::uint64_t sum, MutableBytes out) {
  for (std::size_t offset = 0; offset < out.size(); offset += 8) {
    std::memcpy(out.data() + offset, &sum, std::min<std::size_t>(8, out.size() - offset));
    sum = mix(sum, offset);
  }
}

class QuickCipher final : public Cipher {
 public:
  explicit QuickCipher(std::uint64_t key) : key_(key) {}
  std::size_t block() const override { return 16; }
  bool encrypt(CipherIv iv, MutableBytes text) override {
    hide(mix(key_, load(iv.data())), text, text.data());
    return true;
  }
  bool decrypt(CipherIv iv, MutableBytes text) override { return encrypt(iv, text); }

 private:
  std::uint64_t key_;
};

class QuickMac final : public Mac {
 public:
  QuickMac(std::uint64_t key, std::size_t size) : key_(key), size_(size) {}
  std::size_t size() const override { return size_; }
  bool compute(ConstBytes bytes, std::byte* out) const override {
    spread(checksum(key_, bytes), MutableBytes(out, size_));
    return true;
  }

 private:
  std::uint64_t key_;
  std::size_t size_;
};

class QuickAeadKey final : public AeadKey {
 public:
  explicit QuickAeadKey(std::uint64_t root) : root_(root) {}
  bool derive(HostId sender, Epoch epoch) override {
    key_ = mix(mix(root_, raw(sender)), raw(epoch));
    return true;
  }
  void forget() override { key_ = 0; }
  bool seal(std::uint64_t counter, ConstBytes header, MutableBytes text,
            std::span<std::byte, kAeadTagSize> tag) override {
    hide(mix(key_, counter), text, text.data());
    spread(tag_of(counter, header, text), tag);
    return true;
  }
  bool open(std::uint64_t counter, ConstBytes header, ConstBytes text,
            std::span<const std::byte, kAeadTagSize> tag, MutableBytes out) override {
    std::array<std::byte, kAeadTagSize> expected{};
    spread(tag_of(counter, header, text), expected);
    if (!std::ranges::equal(expected, tag))
      return false;
    hide(mix(key_, counter), text, out.data());
    return true;
  }

 private:
  std::uint64_t tag_of(std::uint64_t counter, ConstBytes header, ConstBytes text) const {
    return checksum(mix(checksum(key_, header), counter), text);
  }

  std::uint64_t root_;
  std::uint64_t key_ = 0;
};

class QuickAead final : public Aead {
 public:
  explicit QuickAead(std::uint64_t key) : key_(key) {}
  std::string_view name() const override { return "quick"; }
  std::unique_ptr<AeadKey> make_key() const override {
    return std::make_unique<QuickAeadKey>(key_);
  }

 private:
  std::uint64_t key_;
};

}  // namespace

std::unique_ptr<Cipher> make_quick_cipher(std::uint64_t key) {
  return std::make_unique<QuickCipher>(key);
}

std::unique_ptr<Mac> make_quick_mac(std::uint64_t key, std::size_t size) {
  return std::make_unique<QuickMac>(key, size);
}

std::unique_ptr<Aead> make_quick_aead(std::uint64_t key) {
  return std::make_unique<QuickAead>(key);
}

}  // namespace ringknet::sim
