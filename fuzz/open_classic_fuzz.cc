// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Anything at all as a classic envelope: nothing that the key did not make may open, a refused
// packet stays as it was, and an opened one lies inside its buffer. Random bytes never get past the
// HMAC, so the input also says how to make authentic packets with arbitrary insides and how to
// damage them.
//
// Input: suite (1), what to do (1), where (2), bytes.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "engine/base/random.h"
#include "engine/crypto/wolfssl/classic_sealer.h"

namespace {

using namespace ringknet;
using Buffer = std::vector<std::byte>;

class Draws final : public RandomSource {
 public:
  bool fill(MutableBytes out) override {
    for (std::byte& byte : out)
      byte = static_cast<std::byte>(random_.next() & 0xff);
    return true;
  }

 private:
  Random random_{1};
};

constexpr CipherType kCiphers[] = {CipherType::kNone, CipherType::kAes128Cbc,
                                   CipherType::kAes256Cbc, CipherType::kAes256Ctr};
constexpr HashType kHashes[] = {HashType::kMd5,    HashType::kSha1,   HashType::kSha224,
                                HashType::kSha256, HashType::kSha384, HashType::kSha512};

struct Suite {
  std::unique_ptr<Sealer> sealer;
  std::unique_ptr<Cipher> cipher;
  std::unique_ptr<Mac> mac;
};

std::vector<Suite>& suites() {
  static Draws draws;
  static std::vector<Suite> all = [] {
    Buffer key(200);
    for (std::size_t i = 0; i < key.size(); ++i)
      key[i] = static_cast<std::byte>(i * 7);
    std::vector<Suite> made;
    for (CipherType cipher : kCiphers) {
      for (HashType hash : kHashes)
        made.push_back({ClassicSealer::make({cipher, hash}, key, draws), make_cipher(cipher, key),
                        make_mac(hash, key)});
    }
    return made;
  }();
  return all;
}

void expect(bool good) {
  if (!good)
    std::abort();
}

// Returns the packet if it opened.
const Opened* open(Suite& suite, Buffer& packet, OpenResult& result) {
  const Buffer before = packet;
  result = suite.sealer->open(packet);
  const auto* opened = std::get_if<Opened>(&result);
  if (opened == nullptr) {
    const Drop reason = std::get<Drop>(result);
    expect(reason == Drop::kSealShort || reason == Drop::kSealLong || reason == Drop::kSealMac ||
           reason == Drop::kSealLength || reason == Drop::kSealPadding);
    expect(packet == before || reason == Drop::kSealPadding);
    return nullptr;
  }
  expect(opened->proof == Proof::kKey);
  if (!opened->clear.empty()) {
    expect(opened->clear.data() >= packet.data());
    expect(opened->clear.data() + opened->clear.size() <= packet.data() + packet.size());
  }
  return opened;
}

// The bytes as they are, then sealed, damaged, and authentic with wrong insides.
void raw_bytes(Suite& suite, ConstBytes bytes) {
  Buffer packet(bytes.begin(), bytes.end());
  OpenResult result;
  expect(open(suite, packet, result) == nullptr);
}

Buffer sealed(Suite& suite, ConstBytes clear) {
  const SealShape& shape = suite.sealer->shape();
  Buffer packet(shape.size(clear.size()));
  std::copy(clear.begin(), clear.end(), packet.begin() + static_cast<std::ptrdiff_t>(shape.lead));
  expect(suite.sealer->seal(packet, clear.size()));
  return packet;
}

void round_trip(Suite& suite, ConstBytes clear) {
  Buffer packet = sealed(suite, clear);
  OpenResult result;
  const Opened* opened = open(suite, packet, result);
  if (opened == nullptr) {
    // A packet of no bytes in a stream or without a cipher is shorter than any envelope.
    expect(clear.empty());
    return;
  }
  expect(std::equal(clear.begin(), clear.end(), opened->clear.begin(), opened->clear.end()));
}

void damaged(Suite& suite, ConstBytes clear, std::size_t where, bool cut) {
  Buffer packet = sealed(suite, clear);
  if (cut)
    packet.resize(where % packet.size());
  else
    packet[where % packet.size()] ^= static_cast<std::byte>(1u << (where % 8));
  OpenResult result;
  expect(open(suite, packet, result) == nullptr);
}

void authentic(Suite& suite, ConstBytes inside, bool encrypted) {
  const SealShape& shape = suite.sealer->shape();
  Buffer packet(shape.lead + inside.size() + shape.mac);
  std::copy(inside.begin(), inside.end(), packet.begin() + static_cast<std::ptrdiff_t>(shape.lead));
  const MutableBytes envelope = MutableBytes(packet).first(packet.size() - shape.mac);
  if (suite.cipher != nullptr && encrypted) {
    const MutableBytes text = envelope.subspan(shape.lead);
    expect(suite.cipher->encrypt(envelope.first<kCipherIvSize>(),
                                 text.first(text.size() / shape.block * shape.block)));
  }
  expect(suite.mac->compute(envelope, packet.data() + envelope.size()));
  OpenResult result;
  open(suite, packet, result);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4)
    return 0;
  Suite& suite = suites()[data[0] % suites().size()];
  const std::size_t where = static_cast<std::size_t>(data[2]) << 8 | data[3];
  const ConstBytes bytes = std::as_bytes(std::span(data, size)).subspan(4);
  switch (data[1] % 6) {
    case 0:
      raw_bytes(suite, bytes);
      break;
    case 1:
      round_trip(suite, bytes);
      break;
    case 2:
    case 3:
      damaged(suite, bytes, where, data[1] % 6 == 3);
      break;
    case 4:
    case 5:
      authentic(suite, bytes, data[1] % 6 == 4);
      break;
  }
  return 0;
}
