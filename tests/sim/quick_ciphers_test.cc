// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the simulation relies on in its quick ciphers: what was sealed comes back, does not read as
// it was, and is refused when anything about it is different.
#include "tests/sim/quick_ciphers.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <vector>

namespace ringknet::sim {
namespace {

using Text = std::vector<std::byte>;

Text text_of(std::size_t size) {
  Text text(size);
  for (std::size_t i = 0; i < size; ++i)
    text[i] = static_cast<std::byte>(i * 7);
  return text;
}

struct Sealed {
  std::array<std::byte, 16> header{};
  Text text;
  std::array<std::byte, kAeadTagSize> tag{};
};

std::unique_ptr<AeadKey> key_of(const Aead& aead, unsigned sender = 1, std::uint64_t epoch = 5) {
  auto key = aead.make_key();
  REQUIRE(key->derive(HostId(static_cast<std::uint16_t>(sender)), Epoch{epoch}));
  return key;
}

bool opens(AeadKey& key, std::uint64_t counter, const Sealed& sealed) {
  Text out(sealed.text.size());
  return key.open(counter, sealed.header, sealed.text, sealed.tag, out);
}

}  // namespace

TEST_CASE("quick ciphers: an AEAD gives back what it was given, and nothing else") {
  const auto aead = make_quick_aead(3);
  for (const std::size_t size : {1u, 7u, 8u, 63u, 64u, 65u, 200u, 1500u}) {
    CAPTURE(size);
    const Text clear = text_of(size);
    Sealed sealed{.text = clear};
    const auto key = key_of(*aead);
    REQUIRE(key->seal(9, sealed.header, sealed.text, sealed.tag));
    CHECK(sealed.text != clear);
    Text out(size);
    REQUIRE(key->open(9, sealed.header, sealed.text, sealed.tag, out));
    CHECK(out == clear);

    CHECK_FALSE(opens(*key, 10, sealed));
    CHECK_FALSE(opens(*key_of(*aead, 2), 9, sealed));
    CHECK_FALSE(opens(*key_of(*aead, 1, 6), 9, sealed));
    CHECK_FALSE(opens(*key_of(*make_quick_aead(4)), 9, sealed));
    for (std::size_t bit = 0; bit < 8 * size; ++bit) {
      Sealed damaged = sealed;
      damaged.text[bit / 8] ^= std::byte{1} << bit % 8;
      REQUIRE_FALSE(opens(*key, 9, damaged));
    }
    for (std::size_t bit = 0; bit < 128; ++bit) {
      Sealed other_header = sealed;
      other_header.header[bit / 8] ^= std::byte{1} << bit % 8;
      REQUIRE_FALSE(opens(*key, 9, other_header));
      Sealed other_tag = sealed;
      other_tag.tag[bit / 8] ^= std::byte{1} << bit % 8;
      REQUIRE_FALSE(opens(*key, 9, other_tag));
    }
    Sealed shorter = sealed;
    shorter.text.pop_back();
    CHECK_FALSE(opens(*key, 9, shorter));
  }
}

TEST_CASE("quick ciphers: a cipher gives back what it was given") {
  const auto cipher = make_quick_cipher(3);
  const Text clear = text_of(160);
  Text text = clear;
  const std::array<std::byte, kCipherIvSize> iv{std::byte{1}};
  REQUIRE(cipher->encrypt(iv, text));
  CHECK(text != clear);
  REQUIRE(cipher->decrypt(iv, text));
  CHECK(text == clear);
}

TEST_CASE("quick ciphers: a MAC depends on the key and on every bit") {
  const auto mac_of = [](std::uint64_t key, const Text& text) {
    const auto mac = make_quick_mac(key, 20);
    Text out(mac->size());
    REQUIRE(mac->compute(text, out.data()));
    return out;
  };
  const Text text = text_of(300);
  const Text mac = mac_of(3, text);
  CHECK(mac_of(3, text) == mac);
  CHECK(mac_of(4, text) != mac);
  CHECK(mac_of(3, text_of(299)) != mac);
  for (std::size_t bit = 0; bit < 8 * text.size(); ++bit) {
    Text damaged = text;
    damaged[bit / 8] ^= std::byte{1} << bit % 8;
    REQUIRE(mac_of(3, damaged) != mac);
  }
}

}  // namespace ringknet::sim
