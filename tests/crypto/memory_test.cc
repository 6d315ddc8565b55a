// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Two promises about memory: packets allocate nothing, and no block that is given back holds a key,
// a key schedule or a hash state that stands for one.
#include <cstring>

#include "engine/crypto/native_sealer.h"
#include "engine/crypto/wolfssl/aead_cipher.h"
#include "engine/crypto/wolfssl/aes.h"
#include "engine/crypto/wolfssl/hmac.h"
#include "engine/crypto/wolfssl/random_pool.h"
#include "tests/crypto/memory_watch.h"
#include "tests/crypto/support.h"

namespace ringknet {
namespace {

TEST_CASE("crypto memory: no packet allocates, in any suite") {
  for (const NamedSuite& suite : all_suites()) {
    CAPTURE(label(suite));
    Node sender(2), receiver(1);
    RandomPool pool(sender.random);
    receiver.keyring.add_sender(HostId{2});
    sender.key_and_use(1, suite, counting(128));
    receiver.key_and_use(1, {"nss", "aes128", "md5"}, counting(222));
    receiver.key(2, suite, counting(128));
    const SealShape shape = sender.keyring.shape();
    Buffer buffer(shape.size(1400));
    Buffer copy(buffer.size());
    std::size_t opened = 0;
    std::size_t allocations = 0;
    {
      MemoryWatch watch;
      for (int i = 0; i < 100; ++i) {
        if (!sender.keyring.seal(buffer, 1400))
          break;
        std::memcpy(copy.data(), buffer.data(), buffer.size());
        const OpenResult result = receiver.keyring.open(copy);
        if (std::holds_alternative<Opened>(result)) {
          ++opened;
          receiver.keyring.confirm(std::get<Opened>(result), receiver.keyring.era(HostId{2}));
        }
        static_cast<void>(receiver.keyring.open(copy));    // rubbish
        static_cast<void>(receiver.keyring.open(buffer));  // a replay, or the same again
      }
      allocations = watch.allocations();
    }
    CHECK(opened == 100);
    CHECK(allocations == 0);
  }
}

TEST_CASE("crypto memory: new epochs and candidates allocate nothing either") {
  Node receiver(1);
  receiver.keyring.add_sender(HostId{2});
  receiver.key_and_use(1, {"wolfssl", "aes256gcm", "none"}, counting(128));
  std::vector<Buffer> packets;
  for (std::uint64_t boot = 1; boot <= 10; ++boot) {
    Node sender(2, boot);
    sender.key_and_use(1, {"wolfssl", "aes256gcm", "none"}, counting(128));
    packets.push_back(sender.seal(counting(100)));
  }
  std::size_t opened = 0;
  std::size_t allocations = 0;
  {
    MemoryWatch watch;
    for (Buffer& packet : packets) {
      const OpenResult result = receiver.keyring.open(packet);
      if (std::holds_alternative<Opened>(result) &&
          receiver.keyring.confirm(std::get<Opened>(result), receiver.keyring.era(HostId{2})))
        ++opened;
    }
    allocations = watch.allocations();
  }
  CHECK(opened == 10);
  CHECK(allocations == 0);
}

TEST_CASE("crypto memory: the watch finds what is not wiped") {
  const Buffer secret = counting(32, 200);
  MemoryWatch watch;
  watch.look_for(secret);
  {
    auto careless = std::make_unique<std::array<std::byte, 64>>();
    std::memcpy(careless->data() + 7, secret.data(), secret.size());
    __asm__ __volatile__("" : : "r"(careless->data()) : "memory");
  }
  CHECK(watch.secrets_found() == 1);
  {
    auto careful = std::make_unique<SecretBytes<64>>();
    std::memcpy(careful->data() + 7, secret.data(), secret.size());
    __asm__ __volatile__("" : : "r"(careful->data()) : "memory");
  }
  CHECK(watch.secrets_found() == 1);
}

// A word sequence from the middle of what HMAC keeps of the key.
template <typename Hash>
Buffer inner_state(ConstBytes key, std::size_t state_offset) {
  std::array<std::byte, Hash::kBlockSize> block{};
  if (key.size() > Hash::kBlockSize) {
    typename Hash::State state{};
    REQUIRE(Hash::init(state));
    REQUIRE(Hash::update(state, key));
    REQUIRE(Hash::finish(state, block.data()));
  } else {
    std::memcpy(block.data(), key.data(), key.size());
  }
  for (std::byte& byte : block)
    byte ^= std::byte{0x36};
  typename Hash::State state{};
  REQUIRE(Hash::init(state));
  REQUIRE(Hash::update(state, block));
  const auto* begin = reinterpret_cast<const std::byte*>(&state) + state_offset;
  return Buffer(begin, begin + 16);
}

// The last round key of the schedule.
Buffer last_round_key(ConstBytes key, int direction) {
  AesContext context;
  REQUIRE(context.set(key, direction));
  const auto* begin =
      reinterpret_cast<const std::byte*>(context.get()->key) + context.get()->rounds * 16;
  return Buffer(begin, begin + 16);
}

TEST_CASE("crypto memory: classic keys, schedules and hash states are wiped") {
  const Buffer key = [] {
    Buffer bytes(200);
    SeededRandom random(77);
    REQUIRE(random.fill(bytes));
    return bytes;
  }();
  const Buffer secrets[] = {
      Buffer(key.begin(), key.begin() + 16),
      Buffer(key.begin() + 16, key.begin() + 32),
      last_round_key(ConstBytes(key).first(16), AES_ENCRYPTION),
      last_round_key(ConstBytes(key).first(32), AES_ENCRYPTION),
      last_round_key(ConstBytes(key).first(32), AES_DECRYPTION),
      inner_state<Sha256Hash>(key, offsetof(wc_Sha256, digest)),
      inner_state<Sha512Hash>(key, offsetof(wc_Sha512, digest)),
      inner_state<Sha1Hash>(key, offsetof(wc_Sha, digest)),
  };
  Node node(1);
  std::size_t found = 0;
  {
    MemoryWatch watch;
    for (const Buffer& secret : secrets)
      watch.look_for(secret);
    for (const NamedSuite& suite : classic_suites()) {
      REQUIRE(node.keyring.use(0));
      node.key_and_use(1, suite, key);
      node.open(node.seal(counting(1000)));
      node.key(1, suite, key);  // replaced
      REQUIRE(node.keyring.use(0));
      REQUIRE(node.keyring.erase(1));
    }
    found = watch.secrets_found();
  }
  CHECK(found == 0);
}

TEST_CASE("crypto memory: native root, subkeys and schedules are wiped") {
  const Buffer key = counting(128, 31);
  SecretBytes<32> root_bytes;
  const std::string_view salt = "ringknet native 1";
  REQUIRE(hkdf_extract(std::as_bytes(std::span(salt)), key, root_bytes.span()));
  HmacKey<Sha256Hash> root;
  REQUIRE(root.set(root_bytes.span()));

  std::size_t found = 0;
  for (const NamedSuite& suite : native_suites()) {
    CAPTURE(label(suite));
    const bool short_key = std::string_view(suite.cipher) == "aes128gcm";
    const bool aes = std::string_view(suite.cipher) != "chachapoly1305";
    // The subkey of node 2's epoch 0x0123456789abcdef.
    Buffer info = from_hex("0000020123456789abcdef");
    const ConstBytes name = bytes_of(suite.cipher);
    info.insert(info.begin(), name.begin(), name.end());
    Buffer subkey(short_key ? 16 : 32);
    REQUIRE(hkdf_expand(root, info, subkey));
    const Buffer schedule = aes ? last_round_key(subkey, AES_ENCRYPTION) : subkey;
    const Buffer state = inner_state<Sha256Hash>(root_bytes.span(), offsetof(wc_Sha256, digest));

    FixedRandom epoch(from_hex("0123456789abcdef"));
    auto sender = std::make_unique<Keyring>(HostId{2}, epoch);
    SeededRandom random(4);
    auto receiver = std::make_unique<Keyring>(HostId{1}, random);
    receiver->add_sender(HostId{2});
    REQUIRE(sender->install(1, must_make(*sender, suite, key)));
    REQUIRE(receiver->install(1, must_make(*receiver, suite, key)));
    REQUIRE(sender->use(1));
    Buffer packet(sender->shape().size(100));
    REQUIRE(sender->seal(packet, 100));
    REQUIRE(std::holds_alternative<Opened>(receiver->open(packet)));
    {
      MemoryWatch watch;
      watch.look_for(key);
      watch.look_for(root_bytes.span());
      watch.look_for(subkey);
      watch.look_for(schedule);
      watch.look_for(state);
      receiver->remove_sender(HostId{2});
      receiver.reset();
      sender.reset();
      found += watch.secrets_found();
    }
    CHECK(found == 0);
  }
}

}  // namespace
}  // namespace ringknet
