// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the crypto tests share: hex, sources of repeatable "randomness", suites, and nodes that seal
// for each other. No tests here.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/random.h"
#include "engine/crypto/keyring.h"
#include "engine/crypto/wolfssl/make_sealer.h"

namespace ringknet {

using Buffer = std::vector<std::byte>;

inline Buffer from_hex(std::string_view text) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  Buffer bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(digit(text[i]) << 4 | digit(text[i + 1])));
  return bytes;
}

inline std::string to_hex(ConstBytes bytes) {
  std::string text;
  for (std::byte byte : bytes) {
    text += "0123456789abcdef"[std::to_integer<unsigned>(byte) >> 4];
    text += "0123456789abcdef"[std::to_integer<unsigned>(byte) & 15];
  }
  return text;
}

inline ConstBytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

// start, start + 1, ...
inline Buffer counting(std::size_t size, unsigned start = 0) {
  Buffer bytes(size);
  for (std::size_t i = 0; i < size; ++i)
    bytes[i] = static_cast<std::byte>((start + i) & 0xff);
  return bytes;
}

inline bool same(ConstBytes a, ConstBytes b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : random_(seed) {}
  bool fill(MutableBytes out) override {
    if (!working)
      return false;
    for (std::byte& byte : out)
      byte = static_cast<std::byte>(random_.next() & 0xff);
    drawn += out.size();
    return true;
  }
  bool working = true;
  std::size_t drawn = 0;

 private:
  Random random_;
};

// Gives the same bytes again and again.
class FixedRandom final : public RandomSource {
 public:
  explicit FixedRandom(Buffer bytes) : bytes_(std::move(bytes)) {}
  bool fill(MutableBytes out) override {
    for (std::size_t i = 0; i < out.size(); ++i)
      out[i] = bytes_[i % bytes_.size()];
    return true;
  }

 private:
  Buffer bytes_;
};

struct NamedSuite {
  const char* model;
  const char* cipher;
  const char* hash;
};

inline std::string label(const NamedSuite& suite) {
  return std::string(suite.model) + " " + suite.cipher + " " + suite.hash;
}

inline std::vector<NamedSuite> classic_suites() {
  std::vector<NamedSuite> suites;
  for (const char* hash : {"md5", "sha1", "sha224", "sha256", "sha384", "sha512"}) {
    for (const char* cipher :
         {"none", "aes128", "aes192", "aes256", "aes-128-ctr", "aes-192-ctr", "aes-256-ctr"})
      suites.push_back({"openssl", cipher, hash});
  }
  return suites;
}

inline std::vector<NamedSuite> native_suites() {
  return {{"wolfssl", "aes128gcm", "none"},
          {"wolfssl", "aes256gcm", "none"},
          {"wolfssl", "chachapoly1305", "none"}};
}

inline std::vector<NamedSuite> all_suites() {
  std::vector<NamedSuite> suites = classic_suites();
  for (const NamedSuite& suite : native_suites())
    suites.push_back(suite);
  return suites;
}

inline std::unique_ptr<Sealer> must_make(Keyring& keyring, const NamedSuite& suite,
                                         ConstBytes key) {
  MadeSealer made = make_sealer(keyring, suite.model, suite.cipher, suite.hash, key);
  REQUIRE_MESSAGE(std::holds_alternative<std::unique_ptr<Sealer>>(made), label(suite));
  return std::move(std::get<std::unique_ptr<Sealer>>(made));
}

// One handle: a keyring with its randomness.
struct Node {
  explicit Node(std::uint16_t id, std::uint64_t seed = 0)
      : random(seed * 65536 + id + 1), keyring(HostId{id}, random) {
    keyring.allow_clear(false);
  }

  void key(std::size_t slot, const NamedSuite& suite, ConstBytes private_key) {
    REQUIRE(keyring.install(slot, must_make(keyring, suite, private_key)));
  }
  void key_and_use(std::size_t slot, const NamedSuite& suite, ConstBytes private_key) {
    key(slot, suite, private_key);
    REQUIRE(keyring.use(slot));
  }

  Buffer seal(ConstBytes packet) {
    const SealShape shape = keyring.shape();
    Buffer buffer(shape.size(packet.size()));
    std::copy(packet.begin(), packet.end(),
              buffer.begin() + static_cast<std::ptrdiff_t>(shape.lead));
    REQUIRE(keyring.seal(buffer, packet.size()));
    return buffer;
  }
  // Takes a copy, so that one captured packet can be opened many times.
  OpenResult open(const Buffer& packet) {
    received = packet;
    return keyring.open(received);
  }

  SeededRandom random;
  Keyring keyring;
  Buffer received;  // what the last OpenResult points into
};

inline Drop drop_of(const OpenResult& result) {
  const Drop* reason = std::get_if<Drop>(&result);
  return reason != nullptr ? *reason : Drop::kCount;
}

inline bool is_open(const OpenResult& result, ConstBytes clear) {
  const auto* opened = std::get_if<Opened>(&result);
  return opened != nullptr && same(opened->clear, clear);
}

inline bool is_open(const OpenResult& result, ConstBytes clear, Proof proof) {
  return is_open(result, clear) && std::get<Opened>(result).proof == proof;
}

}  // namespace ringknet

namespace doctest {
template <>
struct StringMaker<ringknet::Drop> {
  static String convert(ringknet::Drop reason) {
    const std::string_view text = name(reason);
    return String(text.data(), static_cast<unsigned>(text.size()));
  }
};
}  // namespace doctest
