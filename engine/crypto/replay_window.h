// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which packet counters of one epoch were opened already: a sliding window in the manner of RFC
// 6479, but exactly kWidth wide. It is asked before a packet is decrypted and told only after the
// packet proved authentic, so that forged counters cannot move it.
//
//        head - kWidth + 1 ......... head | head + 1 .......
//   old: refused | one bit each: seen or new | new
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace ringknet {

template <std::size_t kWidth = 65536>
class ReplayWindow {
  static_assert(kWidth >= 64 && (kWidth & (kWidth - 1)) == 0, "a power of two of whole words");

 public:
  enum class Verdict : std::uint8_t { kNew, kSeen, kOld };

  Verdict check(std::uint64_t counter) const {
    if (counter > head_)
      return Verdict::kNew;
    if (counter <= floor_ || head_ - counter >= kWidth)
      return Verdict::kOld;
    return (words_[index(counter)] & mask(counter)) != 0 ? Verdict::kSeen : Verdict::kNew;
  }

  // Only for counters that are new.
  void mark(std::uint64_t counter) {
    if (counter > head_)
      advance(counter);
    words_[index(counter)] |= mask(counter);
  }

  // Forgets everything.
  void reset() {
    words_.fill(0);
    head_ = 0;
    floor_ = 0;
  }

  // Counters up to `floor`, which has come, are old from now on.
  void raise_floor(std::uint64_t floor) { floor_ = std::max(floor_, floor); }

  std::uint64_t head() const { return head_; }

 private:
  static constexpr std::size_t kWords = kWidth / 64;
  static std::size_t index(std::uint64_t counter) { return (counter / 64) % kWords; }
  static std::uint64_t mask(std::uint64_t counter) { return std::uint64_t{1} << (counter % 64); }

  // Clears the bits between the old head and the new one, which stood for counters one width ago.
  void advance(std::uint64_t counter) {
    if (counter - head_ >= kWidth) {
      words_.fill(0);
      head_ = counter;
      return;
    }
    for (std::uint64_t next = head_ + 1; next <= counter;) {
      const std::uint64_t last = std::min(next | 63, counter);
      const std::uint64_t upto = last % 64 == 63 ? ~std::uint64_t{0} : mask(last + 1) - 1;
      words_[index(next)] &= ~(upto & ~(mask(next) - 1));
      next = last + 1;
    }
    head_ = counter;
  }

  std::array<std::uint64_t, kWords> words_{};
  std::uint64_t head_ = 0;
  std::uint64_t floor_ = 0;
};

}  // namespace ringknet
