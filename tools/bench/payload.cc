// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Filling and checking of messages; see the picture in the header. The body is the same for all
// messages: random 32-byte pieces alternating with pieces of one repeated byte, so that a
// compressor has about half to win.
#include "tools/bench/payload.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace ringknet::bench {
namespace {

constexpr std::uint32_t kMagic = 0x6b62656e;
constexpr std::size_t kStampDistance = 512;
constexpr std::size_t kStampSize = sizeof(std::uint64_t);
constexpr std::size_t kBodySizeMax = 65536;
constexpr std::uint64_t kFullCheckEvery = 64;
// A row is far shorter than this; a damaged number must not make the set grow to gigabytes.
constexpr std::uint64_t kSequenceMax = std::uint64_t{1} << 32;

// The finaliser of splitmix64: every input bit reaches every output bit.
constexpr std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

const std::array<std::byte, kBodySizeMax>& body() {
  static const auto bytes = [] {
    std::array<std::byte, kBodySizeMax> filled;
    for (std::size_t at = 0; at < filled.size(); at += sizeof(std::uint64_t)) {
      const bool random = (at / 32) % 2 == 0;
      const std::uint64_t word = random ? mixed(at) : 0x2020202020202020;
      std::memcpy(&filled[at], &word, sizeof word);
    }
    return filled;
  }();
  return bytes;
}

std::uint64_t header_check(const PayloadHeader& header) {
  const std::uint64_t kind_and_row =
      (static_cast<std::uint64_t>(header.kind) << 32) | std::uint64_t{header.row};
  return mixed(header.sequence ^ mixed(kind_and_row ^ mixed(header.size)));
}

std::uint64_t stamp(const PayloadHeader& header, std::size_t offset) {
  return header.check + offset * 0x9e3779b97f4a7c15;
}

bool stamps_match(std::span<const std::byte> message, const PayloadHeader& header) {
  for (std::size_t at = kStampDistance; at + kStampSize <= message.size(); at += kStampDistance) {
    std::uint64_t found = 0;
    std::memcpy(&found, &message[at], kStampSize);
    if (found != stamp(header, at)) {
      return false;
    }
  }
  return true;
}

bool body_matches(std::span<const std::byte> message) {
  std::size_t from = kPayloadSizeMin;
  while (from < message.size()) {
    const std::size_t next_stamp = (from / kStampDistance + 1) * kStampDistance;
    // A stamp that would not fit is not written; there the body goes on to the end.
    const bool stamped = next_stamp + kStampSize <= message.size();
    const std::size_t to = stamped ? next_stamp : message.size();
    if (std::memcmp(&message[from], &body()[from], to - from) != 0) {
      return false;
    }
    from = stamped ? to + kStampSize : to;
  }
  return true;
}

}  // namespace

void fill_body(std::span<std::byte> message) {
  std::copy_n(body().begin(), message.size(), message.begin());
}

void write_payload(std::span<std::byte> message, PayloadKind kind, std::uint32_t row,
                   std::uint64_t sequence) {
  PayloadHeader header{kMagic,   kind, 0, row, static_cast<std::uint32_t>(message.size()),
                       sequence, 0};
  header.check = header_check(header);
  std::memcpy(message.data(), &header, sizeof header);
  for (std::size_t at = kStampDistance; at + kStampSize <= message.size(); at += kStampDistance) {
    const std::uint64_t word = stamp(header, at);
    std::memcpy(&message[at], &word, kStampSize);
  }
}

Verdict check_payload(std::span<const std::byte> message, std::uint32_t row,
                      PayloadHeader& header) {
  if (message.size() < sizeof header) {
    return Verdict::kDamaged;
  }
  std::memcpy(&header, message.data(), sizeof header);
  if (header.magic != kMagic || header.sequence > kSequenceMax ||
      header.check != header_check(header)) {
    return Verdict::kDamaged;
  }
  // A late message of another row may be longer than this row's buffers, and so be cut; it is not
  // looked at further.
  if (header.row != row) {
    return Verdict::kOtherRow;
  }
  if (header.size != message.size() || !stamps_match(message, header)) {
    return Verdict::kDamaged;
  }
  const bool in_full = header.sequence % kFullCheckEvery == 0;
  return in_full && !body_matches(message) ? Verdict::kDamaged : Verdict::kIntact;
}

bool SequenceSet::insert(std::uint64_t sequence) {
  const std::size_t word = sequence / 64;
  const std::uint64_t bit = std::uint64_t{1} << (sequence % 64);
  if (word >= words_.size()) {
    words_.resize(std::max(word + 1, words_.size() + words_.size() / 2));
  }
  const bool fresh = (words_[word] & bit) == 0;
  words_[word] |= bit;
  return fresh;
}

}  // namespace ringknet::bench
