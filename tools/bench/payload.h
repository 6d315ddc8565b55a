// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The messages that the benchmark sends: how they are filled, and how the receiver knows that one
// arrived unharmed and which ones did not arrive. It is built to cost next to nothing, since its
// CPU time is measured along with the library's: a header, one word in every 512 bytes that depends
// on message and place (so that a missing, doubled or misplaced fragment shows, the shortest
// fragment being 482 bytes long), and a fixed body that is compared in full for every 64th message.
//
//   0      4    6     8     12     16         24        32            512
//   +------+----+-----+-----+------+----------+---------+-------------+-------+-----
//   |magic |kind| 0   |row  |size  |sequence  |check    |body ...     |stamp  |body ...
//   +------+----+-----+-----+------+----------+---------+-------------+-------+-----
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ringknet::bench {

constexpr std::size_t kPayloadSizeMin = 32;

enum class PayloadKind : std::uint16_t {
  kData = 1,  // counted by the receiver
  kEnd = 2,   // no more data in this row; sequence is the number of data messages
  kPing = 3,  // to be sent back as it is
};

struct PayloadHeader {
  std::uint32_t magic;
  PayloadKind kind;
  std::uint16_t reserved;
  std::uint32_t row;
  std::uint32_t size;
  std::uint64_t sequence;
  std::uint64_t check;
};
static_assert(sizeof(PayloadHeader) == kPayloadSizeMin);

// Fills the fixed body; once per buffer, before the first write_payload.
void fill_body(std::span<std::byte> message);

// Writes header and stamps into a buffer that fill_body has prepared.
void write_payload(std::span<std::byte> message, PayloadKind kind, std::uint32_t row,
                   std::uint64_t sequence);

enum class Verdict { kIntact, kOtherRow, kDamaged };

// Judges a received message of the given row; the header is valid unless the verdict is kDamaged.
Verdict check_payload(std::span<const std::byte> message, std::uint32_t row, PayloadHeader& header);

// Which sequence numbers have been seen: one bit each.
class SequenceSet {
 public:
  // False if it was there already.
  bool insert(std::uint64_t sequence);

 private:
  std::vector<std::uint64_t> words_;
};

}  // namespace ringknet::bench
