// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Slots, use, rekey, clear traffic and the figures, with both envelopes.
#include "engine/crypto/keyring.h"

#include "tests/crypto/support.h"

namespace ringknet {
namespace {

const Buffer kPacket = counting(26);
constexpr NamedSuite kClassic{"nss", "aes256", "sha256"};
constexpr NamedSuite kNative{"wolfssl", "aes256gcm", "none"};

TEST_CASE("crypto keyring: slots are checked") {
  Node node(1);
  Keyring& keyring = node.keyring;
  CHECK(keyring.use(1).error() == Error::kInvalid);
  CHECK(keyring.use(3).error() == Error::kInvalid);
  CHECK(keyring.use(0).ok());
  CHECK(keyring.install(0, must_make(keyring, kClassic, counting(128))).error() == Error::kInvalid);
  CHECK(keyring.install(3, must_make(keyring, kClassic, counting(128))).error() == Error::kInvalid);
  CHECK(keyring.install(1, nullptr).error() == Error::kInvalid);
  CHECK(keyring.erase(0).error() == Error::kInvalid);
  CHECK(keyring.erase(1).ok());
  node.key(1, kClassic, counting(128));
  CHECK(keyring.filled(1));
  CHECK_FALSE(keyring.filled(2));
  CHECK_FALSE(keyring.filled(0));
  CHECK_FALSE(keyring.filled(3));
  CHECK(keyring.use(1).ok());
  CHECK(keyring.in_use() == 1);
  CHECK(keyring.erase(1).error() == Error::kBusy);
  CHECK(keyring.use(2).error() == Error::kInvalid);
  CHECK(keyring.in_use() == 1);
  CHECK(keyring.use(0).ok());
  CHECK(keyring.erase(1).ok());
  CHECK_FALSE(keyring.filled(1));
}

TEST_CASE("crypto keyring: without keys all is clear, if that is allowed") {
  Node node(1);
  CHECK(node.keyring.shape().size(26) == 26);
  CHECK(node.seal(kPacket) == kPacket);
  CHECK(drop_of(node.open(kPacket)) == Drop::kClearRefused);
  node.keyring.allow_clear(true);
  const OpenResult result = node.open(kPacket);
  CHECK(is_open(result, kPacket, Proof::kNone));
  CHECK(std::get<Opened>(result).slot == 0);
  CHECK_FALSE(node.keyring.challenges());
}

TEST_CASE("crypto keyring: a new keyring lets clear traffic in") {
  SeededRandom random(1);
  CHECK(Keyring(HostId{1}, random).clear_allowed());
}

TEST_CASE("crypto keyring: a filled slot opens without being used, and clear follows the policy") {
  for (const NamedSuite& suite : {kClassic, kNative}) {
    Node sender(2), receiver(1);
    receiver.keyring.add_sender(HostId{2});
    sender.key_and_use(2, suite, counting(128));
    receiver.key(2, suite, counting(128));
    const OpenResult result = receiver.open(sender.seal(kPacket));
    CHECK(is_open(result, kPacket));
    CHECK(std::get<Opened>(result).slot == 2);
    CHECK(receiver.seal(kPacket) == kPacket);
    CHECK(std::holds_alternative<Drop>(receiver.open(kPacket)));
    receiver.keyring.allow_clear(true);
    CHECK(is_open(receiver.open(kPacket), kPacket, Proof::kNone));
    CHECK(is_open(receiver.open(sender.seal(kPacket)), kPacket));
  }
}

TEST_CASE("crypto keyring: changing between the envelopes loses nothing, in both directions") {
  for (const auto& [from, to] : {std::pair{kClassic, kNative}, std::pair{kNative, kClassic}}) {
    Node a(1), b(2);
    a.keyring.add_sender(HostId{2});
    b.keyring.add_sender(HostId{1});
    a.key_and_use(1, from, counting(128));
    b.key_and_use(1, from, counting(128));
    const auto opens = [](Node& node, const Buffer& packet) {
      const OpenResult result = node.open(packet);
      REQUIRE(is_open(result, kPacket));
      const Opened& opened = std::get<Opened>(result);
      node.keyring.confirm(opened, node.keyring.era(opened.sender));
    };
    const auto both = [&] {
      opens(b, a.seal(kPacket));
      opens(a, b.seal(kPacket));
    };
    both();
    a.key(2, to, counting(128));
    both();
    b.key(2, to, counting(128));
    both();
    REQUIRE(a.keyring.use(2));
    both();
    REQUIRE(b.keyring.use(2));
    both();
    REQUIRE(a.keyring.erase(1));
    REQUIRE(b.keyring.erase(1));
    both();
    CHECK(a.keyring.challenges() == (std::string_view(to.model) == "wolfssl"));
  }
}

TEST_CASE("crypto keyring: no try with one key spoils the packet for the other") {
  std::vector<NamedSuite> suites = {{"openssl", "none", "md5"},
                                    {"nss", "aes256", "sha256"},
                                    {"openssl", "aes-128-ctr", "sha1"},
                                    {"wolfssl", "aes128gcm", "none"},
                                    {"wolfssl", "chachapoly1305", "none"}};
  for (const NamedSuite& right : suites) {
    for (const NamedSuite& wrong : suites) {
      for (std::size_t slot : {1u, 2u}) {
        CAPTURE(label(right));
        CAPTURE(label(wrong));
        Node sender(2), receiver(1);
        receiver.keyring.add_sender(HostId{2});
        sender.key_and_use(1, right, counting(128));
        receiver.key(slot, right, counting(128));
        receiver.key_and_use(3 - slot, wrong, counting(128, 9));
        for (int i = 0; i < 3; ++i) {
          const OpenResult result = receiver.open(sender.seal(kPacket));
          REQUIRE(is_open(result, kPacket));
          CHECK(std::get<Opened>(result).slot == slot);
        }
        // And what no key opens is as it came, when clear traffic is let in.
        receiver.keyring.allow_clear(true);
        sender.key_and_use(1, right, counting(128, 77));
        const Buffer foreign = sender.seal(kPacket);
        REQUIRE(is_open(receiver.open(foreign), foreign, Proof::kNone));
      }
    }
  }
}

TEST_CASE("crypto keyring: a replay is never taken for a clear packet") {
  Node sender(2), receiver(1);
  receiver.keyring.add_sender(HostId{2});
  sender.key_and_use(1, kNative, counting(128));
  receiver.key_and_use(1, kNative, counting(128));
  receiver.key(2, kClassic, counting(128));
  receiver.keyring.allow_clear(true);
  const Buffer packet = sender.seal(kPacket);
  const OpenResult first = receiver.open(packet);
  REQUIRE(is_open(first, kPacket));
  CHECK(drop_of(receiver.open(packet)) == Drop::kSealReplay);
  Buffer damaged = packet;
  damaged[15] ^= std::byte{2};
  CHECK(drop_of(receiver.open(damaged)) == Drop::kSealMac);
}

TEST_CASE("crypto keyring: clear packets and classic ones confirm nothing") {
  Node sender(2), receiver(1);
  sender.key_and_use(1, kClassic, counting(128));
  receiver.key(1, kClassic, counting(128));
  receiver.keyring.allow_clear(true);
  const std::uint64_t era = receiver.keyring.era(HostId{2});
  CHECK_FALSE(receiver.keyring.confirm(std::get<Opened>(receiver.open(kPacket)), era));
  CHECK_FALSE(receiver.keyring.confirm(std::get<Opened>(receiver.open(sender.seal(kPacket))), era));
}

TEST_CASE("crypto keyring: the node itself is no sender, and adding twice is adding once") {
  Node node(1);
  node.keyring.add_sender(HostId{1});
  CHECK(node.keyring.senders().find(HostId{1}) == SenderTable::kNone);
  node.keyring.add_sender(HostId{2});
  const std::size_t row = node.keyring.senders().find(HostId{2});
  node.keyring.add_sender(HostId{2});
  CHECK(node.keyring.senders().find(HostId{2}) == row);
  node.keyring.remove_sender(HostId{7});
  node.keyring.remove_sender(HostId{2});
  node.keyring.remove_sender(HostId{2});
  CHECK(node.keyring.senders().find(HostId{2}) == SenderTable::kNone);
}

}  // namespace
}  // namespace ringknet
