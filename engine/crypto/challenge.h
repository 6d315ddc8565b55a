// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The PINGs of one link that wait for their PONG, when PINGs carry challenges: the 16 bytes that a
// classic PING fills with its clock are random here, and when a PING left is remembered on our
// side. A PONG that brings a token back was made after we made the token, by somebody who received
// it: that is what confirms an epoch. Each token is good for one answer, and confirms only in the
// era of the keyring in which it was issued.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/base/time.h"
#include "engine/crypto/random_source.h"

namespace ringknet {

using ChallengeToken = std::array<std::byte, 16>;

class Challenges {
 public:
  // The oldest is given up for the next: more PINGs than this are not under way on one link.
  static constexpr std::size_t kOutstandingMax = 32;

  struct Answer {
    Instant sent;
    std::uint64_t era;  // for Keyring::confirm
  };

  // `era` is Keyring::era of the host. Nothing when no randomness is to be had.
  std::optional<ChallengeToken> issue(Instant now, std::uint64_t era, RandomSource& random) {
    Entry& entry = entries_[next_];
    entry.waiting = false;
    if (!random.fill(entry.token))
      return std::nullopt;
    entry.answer = {now, era};
    entry.waiting = true;
    next_ = (next_ + 1) % kOutstandingMax;
    return entry.token;
  }

  std::optional<Answer> answer(const ChallengeToken& token) {
    const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
      return entry.waiting && entry.token == token;
    });
    if (found == entries_.end())
      return std::nullopt;
    found->waiting = false;
    return found->answer;
  }

  void clear() {
    for (Entry& entry : entries_)
      entry.waiting = false;
  }

 private:
  struct Entry {
    ChallengeToken token{};
    Answer answer{};
    bool waiting = false;
  };

  std::array<Entry, kOutstandingMax> entries_{};
  std::size_t next_ = 0;
};

}  // namespace ringknet
