// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The native envelope: its bytes, and every attack that it is made against. What the core has to do
// (let an unverified epoch do nothing but answer challenges, and confirm it when it has) is done
// here by hand.
#include "engine/crypto/native_sealer.h"

#include "engine/crypto/wolfssl/wolf_aead.h"
#include "tests/crypto/support.h"

namespace ringknet {
namespace {

const Buffer kHello = from_hex("010000020000123500000101000068656c6c6f");
constexpr NamedSuite kSuite{"wolfssl", "aes256gcm", "none"};

// A node that knows another one.
struct Peer : Node {
  Peer(std::uint16_t id, std::uint16_t other, std::uint64_t boot = 0) : Node(id, boot) {
    keyring.add_sender(HostId{other});
  }
};

std::unique_ptr<Peer> boot(std::uint16_t id, std::uint16_t other, std::uint64_t number,
                           const NamedSuite& suite = kSuite) {
  auto peer = std::make_unique<Peer>(id, other, number);
  peer->key_and_use(1, suite, counting(128));
  return peer;
}

// A sender whose epochs end after `packets`.
void limit_epochs(Peer& peer, std::size_t slot, std::uint64_t packets) {
  REQUIRE(peer.keyring.install(
      slot, std::make_unique<NativeSealer>(make_aead(CipherType::kAes256Gcm, counting(128)),
                                           peer.keyring.self(), peer.keyring.senders(),
                                           peer.keyring.epochs(), packets)));
}

bool confirm(Peer& receiver, const OpenResult& pong) {
  const Opened& opened = std::get<Opened>(pong);
  return receiver.keyring.confirm(opened, receiver.keyring.era(opened.sender));
}

// The sender answers the receiver's challenge.
void verify(Peer& sender, Peer& receiver) {
  const OpenResult pong = receiver.open(sender.seal(kHello));
  REQUIRE(std::holds_alternative<Opened>(pong));
  REQUIRE(confirm(receiver, pong));
}

bool fresh(Peer& receiver, const Buffer& packet) {
  return is_open(receiver.open(packet), kHello, Proof::kFresh);
}

bool unverified(Peer& receiver, const Buffer& packet) {
  return is_open(receiver.open(packet), kHello, Proof::kUnverified);
}

TEST_CASE("crypto native: the bytes on the wire, as computed by another implementation") {
  const char* expected[][2] = {{"00020123456789abcdef0000000000011b606b49bcac94468fb1df3148e2d3a997"
                                "e28fb42172a74400984add88c9"
                                "137d0e2715",
                                "00020123456789abcdef00000000000248586940f6fe250ed2cbe4fc68e435018b"
                                "e797c53e02f1f86c3a1b284979"
                                "9611e01a20"},
                               {"00020123456789abcdef00000000000104482d159ee5a4e2a6e62b867c34521aa9"
                                "12a9de440dbcaffd6f6ed34d6e"
                                "48a091f3fa",
                                "00020123456789abcdef000000000002397c4af9547161f7445ddc8ce7aa2604a3"
                                "1f9ba4e98a9def52acaabb91be"
                                "9c5048b43e"},
                               {"00020123456789abcdef0000000000019c74bed2eaa5b8337b659fee41027db0b5"
                                "9437c0f3f95cc5759dc5c4cc07"
                                "be02801463",
                                "00020123456789abcdef0000000000029212f32a7e11fa18733b4d08788b937871"
                                "d79095afb7c54e1bc23838399f"
                                "51d98cc877"}};
  std::size_t row = 0;
  for (const NamedSuite& suite : native_suites()) {
    CAPTURE(label(suite));
    FixedRandom epoch(from_hex("0123456789abcdef"));
    Keyring keyring(HostId{2}, epoch);
    REQUIRE(keyring.install(1, must_make(keyring, suite, counting(128))));
    REQUIRE(keyring.use(1));
    for (const char* bytes : expected[row++]) {
      Buffer buffer(keyring.shape().size(kHello.size()));
      std::copy(kHello.begin(), kHello.end(), buffer.begin() + 16);
      REQUIRE(keyring.seal(buffer, kHello.size()));
      CHECK(to_hex(buffer) == bytes);
    }
  }
}

TEST_CASE("crypto native: every suite brings every size back for 32 bytes") {
  for (const NamedSuite& suite : native_suites()) {
    CAPTURE(label(suite));
    auto sender = boot(2, 1, 1, suite);
    auto receiver = boot(1, 2, 1, suite);
    verify(*sender, *receiver);
    for (std::size_t size = 0; size <= 65400; size += size < 300 ? 1 : 1021) {
      const Buffer clear = counting(size, static_cast<unsigned>(size));
      const Buffer packet = sender->seal(clear);
      REQUIRE(packet.size() == size + 32);
      REQUIRE(is_open(receiver->open(packet), clear, Proof::kFresh));
    }
  }
}

TEST_CASE("crypto native: every flipped bit is noticed, and moves nothing") {
  for (const NamedSuite& suite : native_suites()) {
    CAPTURE(label(suite));
    auto sender = boot(2, 1, 1, suite);
    auto receiver = boot(1, 2, 1, suite);
    verify(*sender, *receiver);
    const Buffer packet = sender->seal(kHello);
    for (std::size_t bit = 0; bit < packet.size() * 8; ++bit) {
      CAPTURE(bit);
      Buffer damaged = packet;
      damaged[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
      const Drop reason = drop_of(receiver->open(damaged));
      if (bit < 16) {
        REQUIRE((reason == Drop::kSealSender || reason == Drop::kSealReflected));
      } else if (bit < 80 || bit >= 128) {
        REQUIRE(reason == Drop::kSealMac);
      } else {  // the counter: far ahead, used before or never used
        REQUIRE((reason == Drop::kSealMac || reason == Drop::kSealCounter ||
                 reason == Drop::kSealReplay || reason == Drop::kSealStale));
      }
    }
    REQUIRE(fresh(*receiver, packet));
  }
}

TEST_CASE("crypto native: every truncation is noticed") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  verify(*sender, *receiver);
  const Buffer whole = sender->seal(kHello);
  Buffer packet = whole;
  while (!packet.empty()) {
    packet.pop_back();
    REQUIRE(drop_of(receiver->open(packet)) ==
            (packet.size() < 32 ? Drop::kSealShort : Drop::kSealMac));
  }
  Buffer longer = whole;
  longer.push_back(std::byte{0});
  CHECK(drop_of(receiver->open(longer)) == Drop::kSealMac);
  CHECK(drop_of(receiver->open(Buffer(65536 + 33, std::byte{7}))) == Drop::kSealLong);
  CHECK(fresh(*receiver, whole));
}

TEST_CASE("crypto native: another key, another cipher, another sender's subkey open nothing") {
  auto sender = boot(2, 1, 1);
  Peer receiver(1, 2);
  receiver.keyring.add_sender(HostId{3});
  receiver.key_and_use(1, kSuite, counting(128, 1));
  CHECK(drop_of(receiver.open(sender->seal(kHello))) == Drop::kSealMac);
  receiver.key_and_use(1, {"wolfssl", "chachapoly1305", "none"}, counting(128));
  CHECK(drop_of(receiver.open(sender->seal(kHello))) == Drop::kSealMac);
  receiver.key_and_use(1, {"wolfssl", "aes128gcm", "none"}, counting(128));
  CHECK(drop_of(receiver.open(sender->seal(kHello))) == Drop::kSealMac);
  receiver.key_and_use(1, kSuite, counting(128));
  Buffer packet = sender->seal(kHello);
  CHECK(unverified(receiver, packet));
  packet[1] = std::byte{3};
  CHECK(drop_of(receiver.open(packet)) == Drop::kSealMac);
}

TEST_CASE("crypto native: our own packets, strangers' and impossible counters are refused") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  verify(*sender, *receiver);
  CHECK(drop_of(receiver->open(receiver->seal(kHello))) == Drop::kSealReflected);
  auto stranger = boot(9, 1, 1);
  CHECK(drop_of(receiver->open(stranger->seal(kHello))) == Drop::kSealSender);
  Buffer packet = sender->seal(kHello);
  std::fill(packet.begin() + 10, packet.begin() + 16, std::byte{0});
  CHECK(drop_of(receiver->open(packet)) == Drop::kSealCounter);
  packet[11] = std::byte{1};
  packet[15] = std::byte{1};  // 2^32 + 1
  CHECK(drop_of(receiver->open(packet)) == Drop::kSealCounter);
}

TEST_CASE("crypto native: a packet opens once, whichever link it comes over") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  verify(*sender, *receiver);
  std::vector<Buffer> packets;
  for (int i = 0; i < 200; ++i)
    packets.push_back(sender->seal(kHello));
  Random random(5);
  for (std::size_t i = packets.size(); i > 1; --i)
    std::swap(packets[i - 1], packets[random.below(i)]);
  for (const Buffer& packet : packets)
    REQUIRE(fresh(*receiver, packet));
  for (const Buffer& packet : packets) {
    REQUIRE(drop_of(receiver->open(packet)) == Drop::kSealReplay);
    REQUIRE(receiver->received == packet);  // it was not even decrypted
  }
}

TEST_CASE("crypto native: links of unequal delay lose nothing within the window") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  verify(*sender, *receiver);
  const Buffer late = sender->seal(kHello);
  const Buffer later = sender->seal(kHello);
  for (int i = 0; i < 65534; ++i)
    sender->seal(kHello);
  CHECK(fresh(*receiver, sender->seal(kHello)));
  CHECK(fresh(*receiver, later));
  CHECK(drop_of(receiver->open(late)) == Drop::kSealStale);
}

TEST_CASE("crypto native: an epoch is unverified until it answers, from the answer on it counts") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  std::vector<Buffer> before;
  for (int i = 0; i < 5; ++i)
    before.push_back(sender->seal(kHello));
  for (int i = 0; i < 3; ++i)
    CHECK(unverified(*receiver, before[static_cast<std::size_t>(i)]));
  CHECK(drop_of(receiver->open(before[0])) == Drop::kSealReplay);  // not even PINGs twice
  verify(*sender, *receiver);
  // Recorded before the answer, and never opened: late is late.
  CHECK(drop_of(receiver->open(before[3])) == Drop::kSealStale);
  CHECK(drop_of(receiver->open(before[4])) == Drop::kSealStale);
  CHECK(fresh(*receiver, sender->seal(kHello)));
}

TEST_CASE("crypto native: confirming twice does not move the window back") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  const Buffer pong = sender->seal(kHello);
  const OpenResult first = receiver->open(pong);
  REQUIRE(confirm(*receiver, first));
  const Buffer data = sender->seal(kHello);
  REQUIRE(fresh(*receiver, data));
  CHECK(confirm(*receiver, first));
  CHECK(drop_of(receiver->open(data)) == Drop::kSealReplay);
}

TEST_CASE("crypto native: what overtook the answer, and was opened before it, opens once") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  const Buffer pong = sender->seal(kHello);
  const Buffer later = sender->seal(kHello);
  REQUIRE(std::holds_alternative<Opened>(receiver->open(later)));
  REQUIRE(confirm(*receiver, receiver->open(pong)));
  CHECK(drop_of(receiver->open(later)) == Drop::kSealReplay);
}

TEST_CASE("crypto native: a recorded boot cannot be replayed to a running node") {
  auto receiver = boot(1, 2, 1);
  auto old_sender = boot(2, 1, 1);
  verify(*old_sender, *receiver);
  std::vector<Buffer> recorded;
  for (int i = 0; i < 50; ++i)
    recorded.push_back(old_sender->seal(kHello));
  for (const Buffer& packet : recorded)
    REQUIRE(fresh(*receiver, packet));

  auto sender = boot(2, 1, 2);  // it restarted
  verify(*sender, *receiver);
  const Buffer present = sender->seal(kHello);
  REQUIRE(fresh(*receiver, present));
  for (const Buffer& packet : recorded) {
    const OpenResult result = receiver->open(packet);
    if (const auto* opened = std::get_if<Opened>(&result))
      REQUIRE(opened->proof == Proof::kUnverified);
    else
      REQUIRE(drop_of(result) == Drop::kSealReplay);
  }
  CHECK(drop_of(receiver->open(present)) == Drop::kSealReplay);  // its window is unharmed
  CHECK(fresh(*receiver, sender->seal(kHello)));
}

TEST_CASE("crypto native: nothing recorded can be replayed to a node that just restarted") {
  auto sender = boot(2, 1, 1);
  std::vector<Buffer> recorded;
  {
    auto receiver = boot(1, 2, 1);
    verify(*sender, *receiver);
    for (int i = 0; i < 50; ++i) {
      recorded.push_back(sender->seal(kHello));
      REQUIRE(fresh(*receiver, recorded.back()));
    }
  }
  auto receiver = boot(1, 2, 2);
  for (std::size_t i = 0; i < 25; ++i)
    REQUIRE(unverified(*receiver, recorded[i]));
  verify(*sender, *receiver);  // the sender is still in the recorded epoch
  for (const Buffer& packet : recorded)
    REQUIRE(drop_of(receiver->open(packet)) == Drop::kSealStale);
  CHECK(fresh(*receiver, sender->seal(kHello)));
}

TEST_CASE("crypto native: unverified epochs do not evict a verified one, however many") {
  auto receiver = boot(1, 2, 1);
  auto sender = boot(2, 1, 1);
  verify(*sender, *receiver);
  std::vector<std::unique_ptr<Peer>> old;
  for (std::uint64_t number = 2; number < 8; ++number)
    old.push_back(boot(2, 1, number));
  for (int round = 0; round < 5; ++round) {
    for (auto& past : old)
      REQUIRE(unverified(*receiver, past->seal(kHello)));
    REQUIRE(fresh(*receiver, sender->seal(kHello)));
  }
  // The sender restarts under this fire: its answer alone verifies it.
  auto next = boot(2, 1, 99);
  const OpenResult pong = receiver->open(next->seal(kHello));
  CHECK(confirm(*receiver, pong));
  CHECK(fresh(*receiver, next->seal(kHello)));
  CHECK(unverified(*receiver, sender->seal(kHello)));
}

TEST_CASE(
    "crypto native: a candidate that lost its place cannot be confirmed without a new packet") {
  auto receiver = boot(1, 2, 1);
  auto one = boot(2, 1, 1);
  auto two = boot(2, 1, 2);
  const OpenResult pong = receiver->open(one->seal(kHello));
  REQUIRE(unverified(*receiver, two->seal(kHello)));
  CHECK_FALSE(confirm(*receiver, pong));
  CHECK(unverified(*receiver, one->seal(kHello)));
}

TEST_CASE("crypto native: counters that run out go on in the next epoch, and nothing is lost") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  limit_epochs(*sender, 1, 10);
  verify(*sender, *receiver);
  std::vector<Buffer> packets;
  for (int i = 0; i < 95; ++i)
    packets.push_back(sender->seal(kHello));
  CHECK_FALSE(
      same(ConstBytes(packets.front()).subspan(2, 8), ConstBytes(packets.back()).subspan(2, 8)));
  for (const Buffer& packet : packets)
    REQUIRE(fresh(*receiver, packet));
  for (const Buffer& packet : packets) {
    const OpenResult result = receiver->open(packet);
    REQUIRE_FALSE(is_open(result, kHello, Proof::kFresh));
  }
}

TEST_CASE("crypto native: late packets of the epoch before are still opened, once") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  limit_epochs(*sender, 1, 10);
  verify(*sender, *receiver);
  std::vector<Buffer> packets;
  for (int i = 0; i < 15; ++i)
    packets.push_back(sender->seal(kHello));  // counters 2..10 of one epoch, 1..6 of the next
  REQUIRE(fresh(*receiver, packets[12]));
  CHECK(fresh(*receiver, packets[3]));
  CHECK(fresh(*receiver, packets[14]));
  CHECK(fresh(*receiver, packets[8]));
  CHECK(drop_of(receiver->open(packets[3])) == Drop::kSealReplay);
  CHECK(drop_of(receiver->open(packets[12])) == Drop::kSealReplay);
}

TEST_CASE("crypto native: the next epoch is trusted by descent only after the present one was") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  limit_epochs(*sender, 1, 2);
  for (int i = 0; i < 7; ++i)
    REQUIRE(unverified(*receiver, sender->seal(kHello)));
  verify(*sender, *receiver);
  CHECK(fresh(*receiver, sender->seal(kHello)));
}

TEST_CASE("crypto native: an epoch that was passed is not entered again by descent") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  limit_epochs(*sender, 1, 3);
  verify(*sender, *receiver);
  std::vector<Buffer> recorded;
  for (int i = 0; i < 11; ++i)
    recorded.push_back(sender->seal(kHello));
  for (std::size_t i : {0u, 1u, 2u, 5u, 8u, 10u})
    REQUIRE(fresh(*receiver, recorded[i]));
  // The first epochs have lost their places; what is left of them is unverified at best.
  for (std::size_t i : {0u, 1u, 2u, 5u}) {
    const OpenResult result = receiver->open(recorded[i]);
    CHECK_FALSE(is_open(result, kHello, Proof::kFresh));
  }
}

TEST_CASE("crypto native: keys are changed without losing a packet") {
  for (bool to_other_suite : {false, true}) {
    auto a = boot(1, 2, 1);
    auto b = boot(2, 1, 1);
    verify(*a, *b);
    verify(*b, *a);
    const NamedSuite next =
        to_other_suite ? NamedSuite{"wolfssl", "chachapoly1305", "none"} : kSuite;
    const auto both = [&] {
      for (int i = 0; i < 20; ++i) {
        REQUIRE(fresh(*b, a->seal(kHello)));
        REQUIRE(fresh(*a, b->seal(kHello)));
      }
    };
    both();
    const Buffer late = a->seal(kHello);
    a->key(2, next, counting(256));
    both();
    b->key(2, next, counting(256));
    both();
    REQUIRE(b->keyring.use(2));
    both();
    REQUIRE(a->keyring.use(2));
    both();
    REQUIRE(fresh(*b, late));
    REQUIRE(a->keyring.erase(1));
    both();
    REQUIRE(b->keyring.erase(1));
    both();
    // And once more, back into the first slot.
    a->key(1, kSuite, counting(300));
    b->key(1, kSuite, counting(300));
    REQUIRE(a->keyring.use(1));
    both();
    REQUIRE(b->keyring.use(1));
    both();
  }
}

TEST_CASE("crypto native: a key that is used again does not vouch for what the other one sent") {
  auto sender = boot(2, 1, 1);
  sender->key(2, kSuite, counting(256));
  sender->seal(kHello);
  REQUIRE(sender->keyring.use(2));
  const Buffer recorded = sender->seal(kHello);  // and opened by the receiver's earlier boot, say
  REQUIRE(sender->keyring.use(1));

  auto receiver = boot(1, 2, 2);
  receiver->key(2, kSuite, counting(256));
  verify(*sender, *receiver);
  CHECK(unverified(*receiver, recorded));
  CHECK(fresh(*receiver, sender->seal(kHello)));
}

TEST_CASE("crypto native: a slot filled again with the same key does not let recorded packets in") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  verify(*sender, *receiver);
  const Buffer packet = sender->seal(kHello);
  REQUIRE(fresh(*receiver, packet));
  receiver->key(1, kSuite, counting(128));  // its windows are gone
  CHECK(unverified(*receiver, packet));
  verify(*sender, *receiver);
  CHECK(drop_of(receiver->open(packet)) == Drop::kSealStale);
  CHECK(fresh(*receiver, sender->seal(kHello)));
  // On the sender's side a new sealer is a new epoch: no counter runs twice.
  sender->key(1, kSuite, counting(128));
  const Buffer next = sender->seal(kHello);
  CHECK_FALSE(same(ConstBytes(next).subspan(2, 8), ConstBytes(packet).subspan(2, 8)));
  CHECK(fresh(*receiver, next));
}

TEST_CASE("crypto native: a new boot ends the old one's epochs in every slot") {
  auto receiver = boot(1, 2, 1);
  auto sender = boot(2, 1, 1);
  receiver->key(2, kSuite, counting(256));
  sender->key(2, kSuite, counting(256));
  verify(*sender, *receiver);
  const Buffer held_back = sender->seal(kHello);
  REQUIRE(sender->keyring.use(2));
  REQUIRE(fresh(*receiver, sender->seal(kHello)));

  auto restarted = std::make_unique<Peer>(2, 1, 2);
  restarted->key_and_use(2, kSuite, counting(256));
  verify(*restarted, *receiver);
  CHECK_FALSE(is_open(receiver->open(held_back), kHello, Proof::kFresh));
}

TEST_CASE("crypto native: a sender that is removed and added again has to answer again") {
  auto sender = boot(2, 1, 1);
  auto receiver = boot(1, 2, 1);
  verify(*sender, *receiver);
  const Buffer packet = sender->seal(kHello);
  REQUIRE(fresh(*receiver, packet));
  receiver->keyring.remove_sender(HostId{2});
  CHECK(drop_of(receiver->open(packet)) == Drop::kSealSender);
  receiver->keyring.add_sender(HostId{3});  // takes its row
  CHECK(drop_of(receiver->open(packet)) == Drop::kSealSender);
  receiver->keyring.add_sender(HostId{2});
  CHECK(unverified(*receiver, packet));
  verify(*sender, *receiver);
  CHECK(fresh(*receiver, sender->seal(kHello)));
}

TEST_CASE("crypto native: many senders, each with its own state") {
  auto receiver = std::make_unique<Node>(1);
  std::vector<std::unique_ptr<Peer>> senders;
  receiver->key_and_use(1, kSuite, counting(128));
  for (std::uint16_t id = 2; id < 40; ++id) {
    receiver->keyring.add_sender(HostId{id});
    senders.push_back(boot(id, 1, 1));
  }
  for (int round = 0; round < 3; ++round) {
    for (auto& sender : senders) {
      const Buffer packet = sender->seal(kHello);
      const OpenResult result = receiver->open(packet);
      REQUIRE(is_open(result, kHello, round == 0 ? Proof::kUnverified : Proof::kFresh));
      const Opened& opened = std::get<Opened>(result);
      CHECK(opened.sender == sender->keyring.self());
      CHECK(receiver->keyring.confirm(opened, receiver->keyring.era(opened.sender)));
    }
  }
}

TEST_CASE("crypto native: nothing is sealed without an epoch") {
  auto sender = boot(2, 1, 1);
  SeededRandom broken(1);
  Keyring keyring(HostId{1}, broken);
  REQUIRE(keyring.install(
      1, std::make_unique<NativeSealer>(make_aead(CipherType::kAes256Gcm, counting(128)), HostId{1},
                                        keyring.senders(), keyring.epochs())));
  REQUIRE(keyring.use(1));
  broken.working = false;
  Buffer buffer(keyring.shape().size(26));
  CHECK_FALSE(keyring.seal(buffer, 26));
  broken.working = true;
  CHECK(keyring.seal(buffer, 26));
}

TEST_CASE("crypto native: an answer that was held back confirms nothing once things have changed") {
  auto receiver = boot(1, 2, 1);
  auto sender = boot(2, 1, 1);
  const HostId id{2};

  // Over a confirmation of a later boot.
  std::uint64_t era = receiver->keyring.era(id);
  const Buffer pong_of_first = sender->seal(kHello);
  auto restarted = boot(2, 1, 2);
  verify(*restarted, *receiver);
  CHECK(receiver->keyring.era(id) != era);
  OpenResult late = receiver->open(pong_of_first);
  CHECK_FALSE(receiver->keyring.confirm(std::get<Opened>(late), era));
  CHECK(unverified(*receiver, sender->seal(kHello)));
  CHECK(fresh(*receiver, restarted->seal(kHello)));

  // Over a slot filled again, which forgets the windows.
  era = receiver->keyring.era(id);
  const Buffer pong = restarted->seal(kHello);
  const Buffer data = restarted->seal(kHello);
  REQUIRE(fresh(*receiver, data));
  receiver->key(1, kSuite, counting(128));
  late = receiver->open(pong);
  CHECK_FALSE(receiver->keyring.confirm(std::get<Opened>(late), era));
  CHECK(unverified(*receiver, data));

  // Over two changes of epoch, after which the first one's window is forgotten.
  restarted->key(1, kSuite, counting(128));
  limit_epochs(*restarted, 1, 2);
  verify(*restarted, *receiver);  // counter 1
  receiver->key(2, kSuite, counting(256));
  era = receiver->keyring.era(id);
  limit_epochs(*restarted, 1, 2);
  const Buffer held = restarted->seal(kHello);
  const Buffer opened_once = restarted->seal(kHello);
  REQUIRE(fresh(*receiver, opened_once));
  for (int i = 0; i < 4; ++i)
    REQUIRE(fresh(*receiver, restarted->seal(kHello)));
  late = receiver->open(held);
  CHECK_FALSE(receiver->keyring.confirm(std::get<Opened>(late), era));
  CHECK(unverified(*receiver, opened_once));

  // Over the host removed and added.
  verify(*restarted, *receiver);
  era = receiver->keyring.era(id);
  receiver->keyring.remove_sender(id);
  receiver->keyring.add_sender(id);
  CHECK(receiver->keyring.era(id) > era);
  late = receiver->open(restarted->seal(kHello));
  CHECK_FALSE(receiver->keyring.confirm(std::get<Opened>(late), era));
  CHECK(confirm(*receiver, late));
}

}  // namespace
}  // namespace ringknet
