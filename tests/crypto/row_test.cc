// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Rows of packets that are sealed together: whatever works on them side by side, each packet of a
// row is one that opens by itself, and nothing else.
#include <set>

#include "tests/crypto/support.h"
#ifdef RINGKNET_HAVE_MULTIBUFFER
#include "engine/crypto/multibuffer/gcm.h"
#endif

namespace ringknet {
namespace {

// A row of `count` packets of these sizes, with text of its own in each.
struct Row {
  Row(const SealShape& shape, std::size_t count, std::size_t clear, std::size_t last)
      : count(count),
        clear(clear),
        last(last),
        full(shape.size(clear)),
        bytes((count - 1) * shape.size(clear) + shape.size(last)) {
    for (std::size_t i = 0; i < count; ++i) {
      const Buffer text = text_of(i);
      std::copy(text.begin(), text.end(),
                packet(i).begin() + static_cast<std::ptrdiff_t>(shape.lead));
    }
  }
  Buffer text_of(std::size_t i) const {
    return counting(i + 1 < count ? clear : last, static_cast<unsigned>(i * 7));
  }
  MutableBytes packet(std::size_t i) {
    return i + 1 < count ? MutableBytes(bytes).subspan(i * full, full)
                         : MutableBytes(bytes).subspan(i * full);
  }

  std::size_t count, clear, last, full;
  Buffer bytes;
};

TEST_CASE("crypto rows: every packet of a row opens, for every suite and length of a row") {
  for (const NamedSuite& suite : all_suites()) {
    CAPTURE(label(suite));
    Node sender(2), receiver(1);
    sender.keyring.add_sender(HostId{1});
    receiver.keyring.add_sender(HostId{2});
    sender.key_and_use(1, suite, counting(256));
    receiver.key(1, suite, counting(256));
    for (const std::size_t count : {1, 2, 3, 7, 8, 9, 17, 64}) {
      for (const std::size_t last : {std::size_t{27}, std::size_t{500}, std::size_t{1397}}) {
        Row row(sender.keyring.shape(), count, 1397, last);
        REQUIRE(sender.keyring.seal_row(row.bytes, row.clear, row.last));
        for (std::size_t i = 0; i < count; ++i) {
          const MutableBytes packet = row.packet(i);
          CHECK(is_open(receiver.open(Buffer(packet.begin(), packet.end())), row.text_of(i)));
        }
      }
    }
  }
}

TEST_CASE("crypto rows: the packets of a row have salts of their own") {
  Node sender(2);
  sender.key_and_use(1, {"nss", "aes256", "sha256"}, counting(128));
  Row row(sender.keyring.shape(), 48, 1397, 1397);
  REQUIRE(sender.keyring.seal_row(row.bytes, row.clear, row.last));
  std::set<std::string> salts;
  for (std::size_t i = 0; i < row.count; ++i)
    salts.insert(to_hex(row.packet(i).first(16)));
  CHECK(salts.size() == row.count);
}

TEST_CASE("crypto rows: a row without randomness is refused, and the next one is as it must be") {
  Node sender(2), receiver(1);
  sender.key_and_use(1, {"nss", "aes256", "sha256"}, counting(128));
  receiver.key(1, {"nss", "aes256", "sha256"}, counting(128));
  Row row(sender.keyring.shape(), 5, 1000, 100);
  sender.random.working = false;
  CHECK_FALSE(sender.keyring.seal_row(row.bytes, row.clear, row.last));
  sender.random.working = true;
  Row next(sender.keyring.shape(), 5, 1000, 100);
  REQUIRE(sender.keyring.seal_row(next.bytes, next.clear, next.last));
  for (std::size_t i = 0; i < next.count; ++i) {
    const MutableBytes packet = next.packet(i);
    CHECK(is_open(receiver.open(Buffer(packet.begin(), packet.end())), next.text_of(i)));
  }
}

TEST_CASE("crypto rows: a row of another size than its packets have is refused") {
  for (const NamedSuite& suite : all_suites()) {
    CAPTURE(label(suite));
    Node sender(2);
    sender.key_and_use(1, suite, counting(128));
    Row row(sender.keyring.shape(), 4, 600, 100);
    for (const std::size_t size : {row.bytes.size() - 1, std::size_t{0}, row.full + 1})
      CHECK_FALSE(
          sender.keyring.seal_row(MutableBytes(row.bytes).first(size), row.clear, row.last));
  }
}

#ifdef RINGKNET_HAVE_MULTIBUFFER
template <std::size_t kKeySize>
void compare_gcm() {
  const Buffer key = counting(kKeySize, 3);
  const AeadNonce nonce{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  GcmCipher reference;
  multibuffer::GcmCipher<kKeySize> fast;
  REQUIRE(reference.set(key));
  REQUIRE(fast.set(key));
  for (std::size_t size = 0; size < 1500; size += size < 300 ? 1 : 37) {
    const Buffer header = counting(size % 33, 100);
    const Buffer text = counting(size, 9);
    Buffer expected = text, sealed = text, opened(size);
    Buffer expected_tag(kAeadTagSize), tag(kAeadTagSize);
    REQUIRE(reference.seal(nonce, header, expected, expected_tag.data()));
    REQUIRE(fast.seal(nonce, header, sealed, tag.data()));
    CHECK(same(sealed, expected));
    CHECK(same(tag, expected_tag));
    CHECK(fast.open(nonce, header, sealed, tag.data(), opened.data()));
    CHECK(same(opened, text));
    tag[size % kAeadTagSize] ^= std::byte{1};
    CHECK_FALSE(fast.open(nonce, header, sealed, tag.data(), opened.data()));
  }
}

TEST_CASE("crypto rows: AES-GCM of both libraries is the same") {
  if (multibuffer::gcm_manager() == nullptr) {
    MESSAGE("SKIPPED: the processor has no vector AES");
    return;
  }
  compare_gcm<16>();
  compare_gcm<32>();
}
#endif

}  // namespace
}  // namespace ringknet
