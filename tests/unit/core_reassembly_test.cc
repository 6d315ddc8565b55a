// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reassembly: every order, every illegal fragment, the limits, and equality with the naive model.
#include "engine/core/reassembly.h"

#include <doctest/doctest.h>

#include <numeric>

#include "tests/model/reassembly_model.h"
#include "tests/unit/bytes_kit.h"

namespace ringknet::test {
namespace {

using namespace std::chrono_literals;

constexpr MessagePosition kCertain = 1u << 20;

struct Fragment {
  DataHeader header;
  Bytes payload;

  DataPacket packet() const { return {header, payload}; }
};

Fragment fragment(unsigned number, unsigned count, unsigned index, Bytes payload,
                  unsigned channel = 0) {
  return {DataHeader{.source = HostId{2},
                     .seq = seq(number),
                     .fragment_count = static_cast<std::uint8_t>(count),
                     .fragment_index = static_cast<std::uint8_t>(index),
                     .channel = Channel{static_cast<std::uint8_t>(channel)}},
          std::move(payload)};
}

std::vector<Fragment> split(unsigned number, const Bytes& message, std::size_t slice,
                            unsigned channel = 0) {
  const auto count = static_cast<unsigned>((message.size() + slice - 1) / slice);
  std::vector<Fragment> fragments;
  for (unsigned i = 0; i < count; ++i) {
    const std::size_t from = i * slice;
    const std::size_t to = std::min(from + slice, message.size());
    fragments.push_back(fragment(number, count, i + 1,
                                 Bytes(message.begin() + static_cast<std::ptrdiff_t>(from),
                                       message.begin() + static_cast<std::ptrdiff_t>(to)),
                                 channel));
  }
  return fragments;
}

struct Fixture {
  MessagePool pool{64};
  Reassembly reassembly{pool};
  Instant now{1000s};

  Reassembly::Outcome add(const Fragment& piece, MessagePosition round = 0) {
    return reassembly.add(now, piece.packet(), round + piece.header.seq.value, kCertain);
  }
  Drop refused(const Fragment& piece) {
    const auto outcome = add(piece);
    const Drop* reason = std::get_if<Drop>(&outcome);
    return reason != nullptr ? *reason : Drop::kCount;
  }
  bool pending(const Fragment& piece) {
    return std::holds_alternative<Reassembly::Pending>(add(piece));
  }
  // The message that this fragment completes; empty when it does not.
  Bytes completed(const Fragment& piece) {
    const auto outcome = add(piece);
    const auto* complete = std::get_if<Reassembly::Complete>(&outcome);
    if (complete == nullptr)
      return {};
    const ConstBytes bytes = pool.bytes(complete->buffer).first(complete->size);
    Bytes message(bytes.begin(), bytes.end());
    pool.give_back(complete->buffer);
    return message;
  }
};

}  // namespace

TEST_CASE("reassembly: three fragments in every order") {
  const Bytes message = pattern(45);
  const auto fragments = split(1, message, 18);
  std::vector<std::size_t> order(3);
  std::iota(order.begin(), order.end(), 0);
  do {
    Fixture fixture;
    CAPTURE(order[0]);
    CAPTURE(order[1]);
    CHECK(fixture.pending(fragments[order[0]]));
    CHECK(fixture.pending(fragments[order[1]]));
    CHECK(same(fixture.completed(fragments[order[2]]), message));
    CHECK(fixture.reassembly.empty());
    CHECK(fixture.pool.in_use() == 0);
  } while (std::ranges::next_permutation(order).found);
}

TEST_CASE("reassembly: a last fragment as long as the slices") {
  Fixture fixture;
  const Bytes message = pattern(60);
  const auto fragments = split(1, message, 20);
  CHECK(fixture.pending(fragments[2]));
  CHECK(fixture.pending(fragments[0]));
  CHECK(same(fixture.completed(fragments[1]), message));
}

TEST_CASE("reassembly: 254 fragments backwards") {
  Fixture fixture;
  const Bytes message = pattern(254 * 3 - 1);
  const auto fragments = split(1, message, 3);
  REQUIRE(fragments.size() == 254);
  for (std::size_t i = 254; i-- > 1;)
    REQUIRE(fixture.pending(fragments[i]));
  CHECK(same(fixture.completed(fragments[0]), message));
}

TEST_CASE("reassembly: the largest message with the fewest and the most fragments") {
  const Bytes message = pattern(kMessageSizeMax);
  for (const std::size_t slice : {std::size_t{259}, std::size_t{65535}, std::size_t{32768}}) {
    CAPTURE(slice);
    for (const bool backwards : {false, true}) {
      Fixture fixture;
      auto fragments = split(1, message, slice);
      if (backwards)
        std::ranges::reverse(fragments);
      for (std::size_t i = 0; i + 1 < fragments.size(); ++i)
        REQUIRE(fixture.pending(fragments[i]));
      CHECK(same(fixture.completed(fragments.back()), message));
    }
  }
}

TEST_CASE("reassembly: messages interleave") {
  Fixture fixture;
  const Bytes first = pattern(50, 1);
  const Bytes second = pattern(70, 2);
  const auto a = split(1, first, 20);
  const auto b = split(2, second, 30);
  CHECK(fixture.pending(a[0]));
  CHECK(fixture.pending(b[0]));
  CHECK(fixture.pending(b[2]));
  CHECK(fixture.pending(a[1]));
  CHECK(same(fixture.completed(b[1]), second));
  CHECK(same(fixture.completed(a[2]), first));
}

TEST_CASE("reassembly: a repeated fragment is refused and changes nothing") {
  Fixture fixture;
  const Bytes message = pattern(45);
  const auto fragments = split(1, message, 18);
  fixture.add(fragments[0]);
  Fragment forged = fragments[0];
  forged.payload = pattern(18, 99);
  CHECK(fixture.refused(forged) == Drop::kFragmentRepeated);
  CHECK(fixture.refused(fragments[0]) == Drop::kFragmentRepeated);
  fixture.add(fragments[1]);
  CHECK(same(fixture.completed(fragments[2]), message));
}

TEST_CASE("reassembly: count and channel and compression stay the same within a message") {
  const Bytes message = pattern(45);
  const auto fragments = split(1, message, 18);
  Fixture fixture;
  fixture.add(fragments[0]);
  Fragment changed = fragments[1];
  changed.header.fragment_count = 4;
  CHECK(fixture.refused(changed) == Drop::kFragmentChanged);
  changed = fragments[1];
  changed.header.channel = Channel{5};
  CHECK(fixture.refused(changed) == Drop::kFragmentChanged);
  changed = fragments[1];
  changed.header.compress = 2;
  CHECK(fixture.refused(changed) == Drop::kFragmentChanged);
  fixture.add(fragments[1]);
  CHECK(same(fixture.completed(fragments[2]), message));
}

TEST_CASE("reassembly: the slice size stays the same within a message") {
  const Bytes message = pattern(70);
  const auto fragments = split(1, message, 20);
  Fixture fixture;
  fixture.add(fragments[0]);
  for (const std::size_t size : {1u, 19u, 21u, 1400u})
    CHECK(fixture.refused(fragment(1, 4, 2, pattern(size))) == Drop::kSliceSize);
  fixture.add(fragments[1]);
  fixture.add(fragments[2]);
  CHECK(same(fixture.completed(fragments[3]), message));
}

TEST_CASE("reassembly: the last fragment is no longer than a slice") {
  Fixture fixture;
  fixture.add(fragment(1, 2, 1, pattern(20)));
  CHECK(fixture.refused(fragment(1, 2, 2, pattern(21))) == Drop::kSliceSize);
  fixture.add(fragment(2, 2, 2, pattern(20)));
  CHECK(fixture.refused(fragment(2, 2, 1, pattern(19))) == Drop::kSliceSize);
}

TEST_CASE("reassembly: no slice ends beyond the largest message") {
  Fixture fixture;
  // 254 slices of at least 259 bytes are more than 65536.
  CHECK(fixture.refused(fragment(1, 254, 1, pattern(260))) == Drop::kFragmentOffset);
  CHECK(fixture.refused(fragment(1, 254, 254, pattern(259))) == Drop::kFragmentOffset);
  CHECK(fixture.refused(fragment(1, 2, 2, pattern(32769))) == Drop::kFragmentOffset);
  CHECK(fixture.reassembly.empty());
  CHECK(fixture.pool.in_use() == 0);
  // 2 slices of 32768 are exactly 65536; the last one may be no byte longer.
  fixture.add(fragment(2, 3, 1, pattern(32767)));
  CHECK(fixture.refused(fragment(2, 3, 3, pattern(3))) == Drop::kFragmentOffset);
  CHECK(fixture.pending(fragment(2, 3, 3, pattern(2))));
  // The same with the last one first.
  fixture.add(fragment(3, 3, 3, pattern(3)));
  CHECK(fixture.refused(fragment(3, 3, 1, pattern(32767))) == Drop::kFragmentOffset);
  CHECK(fixture.pending(fragment(3, 3, 1, pattern(32766))));
}

TEST_CASE("reassembly: a refused first fragment takes no slot and no buffer") {
  Fixture fixture;
  CHECK(fixture.refused(fragment(1, 254, 200, pattern(1000))) == Drop::kFragmentOffset);
  CHECK(fixture.reassembly.empty());
  CHECK(fixture.pool.in_use() == 0);
}

TEST_CASE("reassembly: 32 partial messages at once and the longest waiting makes room") {
  Fixture fixture;
  for (unsigned number = 1; number <= 32; ++number) {
    fixture.now += 1ms;
    CHECK(fixture.pending(fragment(number, 3, 1, pattern(10, number))));
  }
  fixture.now += 1ms;
  fixture.add(fragment(1, 3, 2, pattern(10, 101)));  // now number 2 waits longest
  fixture.now += 1ms;
  const auto outcome = fixture.add(fragment(33, 3, 1, pattern(10, 33)));
  REQUIRE(std::holds_alternative<Reassembly::Pending>(outcome));
  CHECK(std::get<Reassembly::Pending>(outcome).evicted == 2);
  CHECK(fixture.pool.in_use() == 32);
  Bytes expected = pattern(10, 1);
  for (const std::byte byte : pattern(10, 101))
    expected.push_back(byte);
  expected.push_back(std::byte{7});
  CHECK(same(fixture.completed(fragment(1, 3, 3, {std::byte{7}})), expected));
}

TEST_CASE("reassembly: without a buffer the fragment is refused") {
  Fixture fixture;
  MessagePool small(2);
  Reassembly reassembly(small);
  CHECK(std::holds_alternative<Reassembly::Pending>(
      reassembly.add(fixture.now, fragment(1, 2, 1, pattern(5)).packet(), 1, kCertain)));
  CHECK(std::holds_alternative<Reassembly::Pending>(
      reassembly.add(fixture.now, fragment(2, 2, 1, pattern(5)).packet(), 2, kCertain)));
  const Fragment third = fragment(3, 2, 1, pattern(5));
  const auto outcome = reassembly.add(fixture.now, third.packet(), 3, kCertain);
  REQUIRE(std::holds_alternative<Drop>(outcome));
  CHECK(std::get<Drop>(outcome) == Drop::kNoBuffers);
  // One completes and gives its buffer back: now there is room.
  const Fragment rest = fragment(1, 2, 2, pattern(5));
  const auto complete = reassembly.add(fixture.now, rest.packet(), 1, kCertain);
  REQUIRE(std::holds_alternative<Reassembly::Complete>(complete));
  small.give_back(std::get<Reassembly::Complete>(complete).buffer);
  CHECK(std::holds_alternative<Reassembly::Pending>(
      reassembly.add(fixture.now, third.packet(), 3, kCertain)));
}

TEST_CASE("reassembly: what was not touched for long expires") {
  Fixture fixture;
  fixture.add(fragment(1, 3, 1, pattern(10)));
  fixture.now += 5s;
  fixture.add(fragment(2, 3, 1, pattern(10)));
  std::vector<unsigned> given_up;
  const auto note = [&](MessagePosition position) {
    given_up.push_back(static_cast<unsigned>(position));
  };
  fixture.reassembly.expire(fixture.now - 5s, note);
  CHECK(given_up.empty());
  fixture.reassembly.expire(fixture.now - 4s, note);
  CHECK(given_up == std::vector<unsigned>{1});
  CHECK(fixture.pool.in_use() == 1);
  fixture.reassembly.expire(fixture.now + 1s, note);
  CHECK(fixture.reassembly.empty());
  CHECK(fixture.pool.in_use() == 0);
}

TEST_CASE("reassembly: what its sender left behind is given up, and not a message earlier") {
  Fixture fixture;
  CHECK(fixture.reassembly.keep(1, 5) == 0);  // nothing there
  for (const unsigned number : {300u, 400u, 500u, 200u})
    fixture.add(fragment(number, 3, 1, pattern(10)));
  CHECK(fixture.reassembly.keep(200, 1000) == 0);
  CHECK(fixture.reassembly.keep(201, 1000) == 1);
  CHECK(fixture.pool.in_use() == 3);
  CHECK(fixture.reassembly.keep(401, 1000) == 2);
  CHECK(fixture.reassembly.keep(500, 500) == 0);
  CHECK(fixture.reassembly.keep(400, 499) == 1);  // what was in doubt, and is not true
  CHECK(fixture.reassembly.empty());
  CHECK(fixture.pool.in_use() == 0);
}

TEST_CASE("reassembly: one number at two positions is two messages") {
  Fixture fixture;
  const Bytes first = pattern(45, 1);
  const Bytes second = pattern(45, 2);
  const auto a = split(7, first, 18);
  const auto b = split(7, second, 18);
  fixture.add(a[0]);
  fixture.add(b[1], 65536);
  fixture.add(b[0], 65536);
  fixture.add(a[1]);
  CHECK(same(fixture.completed(a[2]), first));
  CHECK(std::holds_alternative<Reassembly::Complete>(fixture.add(b[2], 65536)));
}

// 32 slots: a made-up number must not push out a message that is really on its way.
TEST_CASE("reassembly: what is in doubt gives way and takes no place") {
  Fixture fixture;
  const auto add = [&](unsigned number) {
    fixture.now += 1ms;
    return fixture.reassembly.add(fixture.now, fragment(number, 3, 1, pattern(10)).packet(), number,
                                  1000);
  };
  for (unsigned number = 1; number <= 31; ++number)
    add(number);
  add(2000);
  const auto full = add(32);
  REQUIRE(std::holds_alternative<Reassembly::Pending>(full));
  CHECK(std::get<Reassembly::Pending>(full).evicted == 2000);
  const auto refused = add(2001);
  REQUIRE(std::holds_alternative<Drop>(refused));
  CHECK(std::get<Drop>(refused) == Drop::kSequenceStale);
  CHECK(fixture.pool.in_use() == 32);
}

TEST_CASE("reassembly: clear gives everything up") {
  Fixture fixture;
  fixture.add(fragment(1, 2, 1, pattern(10)));
  fixture.add(fragment(2, 2, 2, pattern(10)));
  CHECK(fixture.reassembly.clear() == 2);
  CHECK(fixture.reassembly.empty());
  CHECK(fixture.pool.in_use() == 0);
  CHECK(fixture.reassembly.clear() == 0);
}

TEST_CASE("reassembly: its end gives the buffers back") {
  MessagePool pool(4);
  {
    Reassembly reassembly(pool);
    const Fragment piece = fragment(1, 2, 1, pattern(10));
    reassembly.add(Instant{1s}, piece.packet(), 1, kCertain);
    CHECK(pool.in_use() == 1);
  }
  CHECK(pool.in_use() == 0);
}

namespace {

// Fragments of several messages, shuffled, repeated, damaged; the model says what must happen.
void differ(std::uint64_t seed, std::size_t buffers) {
  CAPTURE(seed);
  Random random(seed);
  MessagePool pool(buffers);
  Reassembly reassembly(pool);
  model::ReassemblyModel model(Reassembly::kSlots, buffers);
  Instant now{1000s};
  std::vector<Fragment> waiting;
  unsigned number = 1;
  for (int step = 0; step < 1500; ++step) {
    CAPTURE(step);
    if (waiting.size() < 60) {
      const std::size_t slice =
          random.chance(0.1) ? random.between(20000, 65535) : random.between(1, 300);
      const std::size_t most = std::min<std::size_t>(kMessageSizeMax, slice * 254);
      const std::size_t size = std::min(most, slice * random.between(2, 6) - random.below(slice));
      if (size > slice) {
        for (const Fragment& piece : split(number, pattern(size, number), slice, number % 4))
          waiting.push_back(piece);
      }
      ++number;
    }
    if (waiting.empty())
      continue;
    const std::size_t chosen = random.below(waiting.size());
    Fragment piece = waiting[chosen];
    bool damaged = true;
    switch (random.below(14)) {
      case 0:
        piece.payload = pattern(random.between(1, 400), 1000 + seed);
        break;
      case 1:
        piece.header.fragment_count = static_cast<std::uint8_t>(random.between(2, 254));
        piece.header.fragment_index =
            static_cast<std::uint8_t>(random.between(1, piece.header.fragment_count));
        break;
      case 2:
        piece.header.channel = Channel(static_cast<std::uint8_t>(random.below(32)));
        break;
      case 3:
        piece.header.compress = static_cast<std::uint8_t>(random.below(8));
        break;
      case 4:
        piece.payload = pattern(random.between(1, 65536), seed);
        break;
      case 5:
      case 6:
        break;  // as it is, and once more later
      default:
        damaged = false;
        break;
    }
    now += 1us;
    const auto outcome = reassembly.add(now, piece.packet(), piece.header.seq.value, kCertain);
    const model::ReassemblyAnswer expected = model.add(piece.packet());
    if (expected.drop) {
      REQUIRE(std::holds_alternative<Drop>(outcome));
      REQUIRE(name(std::get<Drop>(outcome)) == name(*expected.drop));
    } else if (expected.complete) {
      REQUIRE(std::holds_alternative<Reassembly::Complete>(outcome));
      const auto& complete = std::get<Reassembly::Complete>(outcome);
      REQUIRE(same(pool.bytes(complete.buffer).first(complete.size), *expected.complete));
      pool.give_back(complete.buffer);
    } else {
      REQUIRE(std::holds_alternative<Reassembly::Pending>(outcome));
      REQUIRE(std::get<Reassembly::Pending>(outcome).evicted == expected.evicted.value);
    }
    REQUIRE(pool.in_use() == model.size());
    if (!damaged)
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(chosen));
    if (random.chance(0.002)) {
      REQUIRE(reassembly.clear() == model.size());
      model.clear();
    }
  }
}

}  // namespace

TEST_CASE("reassembly: equals the naive model on random fragments") {
  for (std::uint64_t seed = 1; seed <= 12; ++seed)
    differ(seed, 1024);
}

TEST_CASE("reassembly: equals the naive model when buffers are scarce") {
  for (std::uint64_t seed = 51; seed <= 58; ++seed)
    differ(seed, 5);
}

}  // namespace ringknet::test
