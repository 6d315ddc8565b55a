// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How long keys live inside the state machines: a key whose epoch made room, whose sender was
// removed, or whose slot was emptied is gone, and not only unused. A cipher that keeps a list of
// the keys that are derived stands in for the real ones, whose wiping is memory_test.cc's.
#include <array>
#include <cstring>
#include <map>
#include <new>
#include <set>

#include "engine/crypto/native_sealer.h"
#include "engine/crypto/replay_window.h"
#include "engine/crypto/secret.h"
#include "tests/crypto/support.h"
#include "tests/unit/as_fresh.h"

namespace ringknet {
namespace {

using KeyName = std::pair<std::uint16_t, std::uint64_t>;  // sender and epoch

// The keys that exist, by the object that holds each.
class KeyBook {
 public:
  std::set<std::uint64_t> epochs_of(std::uint16_t sender) const {
    std::set<std::uint64_t> epochs;
    for (const auto& [holder, name] : keys_) {
      if (name.first == sender)
        CHECK(epochs.insert(name.second).second);  // one copy of each
    }
    return epochs;
  }
  std::size_t size() const { return keys_.size(); }
  void set(const void* holder, const KeyName& name) { keys_[holder] = name; }
  void remove(const void* holder) { keys_.erase(holder); }

 private:
  std::map<const void*, KeyName> keys_;
};

class ListedKey final : public AeadKey {
 public:
  explicit ListedKey(KeyBook& book) : book_(book) {}
  ~ListedKey() override { book_.remove(this); }
  bool derive(HostId sender, Epoch epoch) override {
    name_ = {raw(sender), static_cast<std::uint64_t>(epoch)};
    book_.set(this, name_);
    return true;
  }
  void forget() override {
    name_ = {};
    book_.remove(this);
  }
  bool seal(std::uint64_t counter, ConstBytes, MutableBytes,
            std::span<std::byte, kAeadTagSize> tag) override {
    write(counter, tag);
    return true;
  }
  bool open(std::uint64_t counter, ConstBytes, ConstBytes text,
            std::span<const std::byte, kAeadTagSize> tag, MutableBytes out) override {
    std::array<std::byte, kAeadTagSize> expected{};
    write(counter, expected);
    if (!same(expected, tag))
      return false;
    std::memmove(out.data(), text.data(), text.size());
    return true;
  }

 private:
  void write(std::uint64_t counter, std::span<std::byte, kAeadTagSize> tag) const {
    const std::uint64_t words[] = {name_.second, counter ^ std::uint64_t{name_.first} << 48};
    std::memcpy(tag.data(), words, sizeof words);
  }

  KeyBook& book_;
  KeyName name_{};
};

class ListedAead final : public Aead {
 public:
  explicit ListedAead(KeyBook& book) : book_(book) {}
  std::string_view name() const override { return "listed"; }
  std::unique_ptr<AeadKey> make_key() const override { return std::make_unique<ListedKey>(book_); }

 private:
  KeyBook& book_;
};

const Buffer kPacket = counting(40);

// A handle whose keys are in a book, which outlives them.
struct Book {
  KeyBook book;
};
struct Listed : Book, Node {
  Listed(std::uint16_t id, std::uint64_t boot = 0) : Node(id, boot) {}
  void fill(std::size_t slot, std::uint64_t counter_max = NativeSealer::kCounterMax) {
    REQUIRE(keyring.install(
        slot, std::make_unique<NativeSealer>(std::make_unique<ListedAead>(book), keyring.self(),
                                             keyring.senders(), keyring.epochs(), counter_max)));
  }
  void fill_and_use(std::size_t slot, std::uint64_t counter_max = NativeSealer::kCounterMax) {
    fill(slot, counter_max);
    REQUIRE(keyring.use(slot));
  }
  void confirm(const Buffer& packet) {
    const OpenResult pong = open(packet);
    REQUIRE(std::holds_alternative<Opened>(pong));
    const Opened& opened = std::get<Opened>(pong);
    REQUIRE(keyring.confirm(opened, keyring.era(opened.sender)));
  }
};

std::unique_ptr<Listed> boot(std::uint16_t id, std::uint64_t number) {
  auto sender = std::make_unique<Listed>(id, number);
  sender->fill_and_use(1);
  return sender;
}

std::uint64_t epoch_of(const Buffer& packet) {
  std::uint64_t epoch = 0;
  for (std::size_t i = 2; i < 10; ++i)
    epoch = epoch << 8 | std::to_integer<std::uint64_t>(packet[i]);
  return epoch;
}

TEST_CASE("crypto key life: an epoch that makes room takes its key with it") {
  Listed receiver(1);
  receiver.keyring.add_sender(HostId{2});
  receiver.fill_and_use(1);
  CHECK(receiver.book.size() == 0);
  const Buffer first = boot(2, 1)->seal(kPacket);
  receiver.confirm(first);
  CHECK(receiver.book.epochs_of(2) == std::set{epoch_of(first)});
  for (std::uint64_t number = 2; number < 8; ++number) {
    const Buffer next = boot(2, number)->seal(kPacket);
    REQUIRE(is_open(receiver.open(next), kPacket));
    CHECK(receiver.book.epochs_of(2) == std::set{epoch_of(first), epoch_of(next)});
    CHECK(receiver.book.size() == 2);
  }
}

TEST_CASE(
    "crypto key life: an epoch that is succeeded stays for late packets, the one before goes") {
  Listed receiver(1);
  receiver.keyring.add_sender(HostId{2});
  receiver.fill_and_use(1);
  Listed sender(2, 1);
  sender.fill_and_use(1, 2);  // an epoch every two packets
  std::vector<std::uint64_t> epochs;
  for (int packet = 0; packet < 12; ++packet) {
    const Buffer sealed = sender.seal(kPacket);
    if (packet == 0) {
      receiver.confirm(sealed);
    } else {
      REQUIRE(is_open(receiver.open(sealed), kPacket, Proof::kFresh));
    }
    if (epochs.empty() || epochs.back() != epoch_of(sealed))
      epochs.push_back(epoch_of(sealed));
    std::set<std::uint64_t> expected{epochs.back()};
    if (epochs.size() > 1)
      expected.insert(epochs[epochs.size() - 2]);
    CHECK(receiver.book.epochs_of(2) == expected);
    CHECK(sender.book.epochs_of(2) == std::set{epochs.back()});  // its own, the present one only
  }
  CHECK(epochs.size() == 6);
}

TEST_CASE("crypto key life: a sender that is removed takes its keys with it, in every slot") {
  Listed receiver(1);
  for (const std::uint16_t id : {2, 3})
    receiver.keyring.add_sender(HostId{id});
  receiver.fill_and_use(1);
  receiver.fill(2);
  // The same key is in both slots: the one in use opens. So each is used for one round.
  for (const std::size_t slot : {1u, 2u}) {
    REQUIRE(receiver.keyring.use(slot));
    for (const std::uint16_t id : {2, 3}) {
      for (const std::uint64_t number : {10 * slot, 10 * slot + 1})
        REQUIRE(is_open(receiver.open(boot(id, number)->seal(kPacket)), kPacket));
    }
  }
  CHECK(receiver.book.epochs_of(2).size() >= 2);
  const std::size_t of_three = receiver.book.epochs_of(3).size();
  receiver.keyring.remove_sender(HostId{2});
  CHECK(receiver.book.epochs_of(2).empty());
  CHECK(receiver.book.epochs_of(3).size() == of_three);
  const Buffer late = boot(2, 10)->seal(kPacket);
  CHECK(drop_of(receiver.open(late)) == Drop::kSealSender);
  CHECK(receiver.book.epochs_of(2).empty());
}

TEST_CASE("crypto key life: a sender that is added later is known to every slot") {
  Listed receiver(1);
  receiver.fill_and_use(1);
  receiver.fill(2);
  for (const std::uint16_t id : {2, 3})
    receiver.keyring.add_sender(HostId{id});
  for (const std::size_t slot : {1u, 2u}) {
    REQUIRE(receiver.keyring.use(slot));
    for (const std::uint16_t id : {2, 3})
      CHECK(is_open(receiver.open(boot(id, slot)->seal(kPacket)), kPacket, Proof::kUnverified));
  }
}

TEST_CASE("crypto key life: an erased or replaced slot leaves no key") {
  Listed receiver(1);
  receiver.keyring.add_sender(HostId{2});
  for (const std::size_t slot : {1u, 2u}) {
    receiver.fill_and_use(slot);
    REQUIRE(is_open(receiver.open(boot(2, slot)->seal(kPacket)), kPacket));
    receiver.seal(kPacket);
  }
  CHECK(receiver.book.size() == 4);
  receiver.fill(2);
  CHECK(receiver.book.size() == 2);
  REQUIRE(receiver.keyring.erase(1));
  CHECK(receiver.book.size() == 0);
  CHECK_FALSE(receiver.keyring.filled(1));
}

TEST_CASE("crypto key life: the second slot shows itself to others as the first one does") {
  for (const std::size_t slot : {1u, 2u}) {
    CAPTURE(slot);
    Listed node(1);
    node.fill(slot);
    CHECK(node.keyring.challenges());
    CHECK(node.keyring.warming() == slot);
    REQUIRE(node.keyring.use(slot));
    CHECK(node.keyring.warming() == 0);
    node.fill(3 - slot);
    CHECK(node.keyring.warming() == 0);
  }
}

// --- senders

TEST_CASE("crypto senders: the newest epoch is never replaced by an older one of its boot") {
  SenderTable table;
  const std::size_t row = table.add(HostId{2});
  SenderTable::Row& sender = table[row];
  CHECK_FALSE(sender.trusts(Epoch{0}));
  CHECK_FALSE(sender.succeeds(Epoch{1}));
  sender.accept(Epoch{100});
  CHECK(sender.trusts(Epoch{100}));
  CHECK_FALSE(sender.succeeds(Epoch{100}));
  CHECK(sender.succeeds(Epoch{101}));
  sender.accept(Epoch{105});
  sender.accept(Epoch{103});
  CHECK(sender.newest == Epoch{105});
  CHECK_FALSE(sender.succeeds(Epoch{104}));
  CHECK(sender.succeeds(Epoch{106}));
  CHECK(sender.turns == 3);
  // Another boot has nothing to do with it, whichever number it drew.
  for (const std::uint64_t other : {std::uint64_t{1} << 60, std::uint64_t{5} << 20}) {
    sender.accept(Epoch{other});
    CHECK(sender.newest == Epoch{other});
  }
}

TEST_CASE("crypto senders: rows are used again and begin empty") {
  SenderTable table;
  const std::size_t first = table.add(HostId{2});
  const std::size_t second = table.add(HostId{3});
  CHECK(table.size() == 2);
  table[first].accept(Epoch{7});
  table.remove(first);
  CHECK(table.find(HostId{2}) == SenderTable::kNone);
  CHECK(table.find(HostId{3}) == second);
  CHECK(table.add(HostId{9}) == first);
  CHECK(table.size() == 2);
  CHECK_FALSE(table[first].verified);
  CHECK(table[first].turns == 0);
  CHECK(table.find(HostId{2}) == SenderTable::kNone);
}

TEST_CASE("crypto epochs: successors and boots, at their ends and over the wrap") {
  for (const std::uint64_t base : {std::uint64_t{1000}, ~std::uint64_t{0} - 5, std::uint64_t{0}}) {
    CAPTURE(base);
    const auto at = [base](std::uint64_t ahead) { return Epoch{base + ahead}; };
    CHECK_FALSE(is_successor(at(0), at(0)));
    CHECK(is_successor(at(1), at(0)));
    CHECK_FALSE(is_successor(at(0), at(1)));
    CHECK(is_successor(at(kEpochsPerBoot - 1), at(0)));
    CHECK_FALSE(is_successor(at(kEpochsPerBoot), at(0)));
    for (const std::uint64_t ahead : {std::uint64_t{0}, std::uint64_t{1}, kEpochsPerBoot - 1}) {
      CHECK(same_boot(at(ahead), at(0)));
      CHECK(same_boot(at(0), at(ahead)));
    }
    CHECK_FALSE(same_boot(at(kEpochsPerBoot), at(0)));
    CHECK_FALSE(same_boot(at(0), at(kEpochsPerBoot)));
  }
}

TEST_CASE("crypto epochs: a source counts from one random number and says which was last") {
  SeededRandom random(5);
  EpochSource source(random);
  Epoch first{};
  Epoch second{};
  random.working = false;
  CHECK_FALSE(source.next(first));
  random.working = true;
  REQUIRE(source.next(first));
  CHECK(source.latest(first));
  random.working = false;
  REQUIRE(source.next(second));
  CHECK(random.drawn == 8);
  CHECK(epochs_ahead(second, first) == 1);
  CHECK_FALSE(source.latest(first));
  CHECK(source.latest(second));
}

// --- secrets and windows that are used again

TEST_CASE("crypto secrets: every byte is wiped at the end") {
  alignas(SecretBytes<37>) std::array<std::byte, sizeof(SecretBytes<37>)> place{};
  auto* secret = new (place.data()) SecretBytes<37>;
  std::memset(secret->data(), 0x5a, 37);
  __asm__ __volatile__("" : : "r"(place.data()) : "memory");
  CHECK(place.back() == std::byte{0x5a});
  secret->~SecretBytes<37>();
  __asm__ __volatile__("" : : "r"(place.data()) : "memory");
  CHECK(same(place, Buffer(37)));
}

struct ReplayPlayer {
  explicit ReplayPlayer(Instant start) : now(start) {}
  void reset() {
    window.reset();
    at = 1;
  }
  std::string play(Random& random) {
    const std::uint64_t back = random.below(300);
    const std::uint64_t counter = 1 + (at > back ? at - back : at);
    const auto verdict = window.check(counter);
    if (verdict == ReplayWindow<256>::Verdict::kNew)
      window.mark(counter);
    if (random.chance(0.02))
      window.raise_floor(std::min(counter, window.head()));
    at += random.chance(0.01) ? random.below(1000) : random.below(3);
    return test::seen_as(static_cast<int>(verdict), window.head());
  }
  ReplayWindow<256> window;
  std::uint64_t at = 1;
  Instant now;
};

TEST_CASE("as fresh: a replay window that was reset") {
  test::check_as_fresh<ReplayPlayer>();
}

}  // namespace
}  // namespace ringknet
