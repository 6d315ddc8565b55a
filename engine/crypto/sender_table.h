// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The senders that native envelopes are accepted from, and what all sealers of a handle share about
// each: the newest epoch that is known to belong to the sender's present boot. Bounded by the hosts
// the owner adds; packets never add a row.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/ids.h"
#include "engine/crypto/epoch.h"

namespace ringknet {

class SenderTable {
 public:
  static constexpr std::size_t kNone = ~std::size_t{0};

  struct Row {
    HostId host{};
    bool used = false;
    bool verified = false;    // a challenge was answered since the sender was added
    Epoch newest{};           // with verified: no sealer ever accepted a later one of this boot
    std::uint64_t turns = 0;  // how often an epoch was accepted

    bool trusts(Epoch epoch) const { return verified && same_boot(epoch, newest); }
    bool succeeds(Epoch epoch) const { return verified && is_successor(epoch, newest); }
    void accept(Epoch epoch) {
      if (!verified || !is_successor(newest, epoch))
        newest = epoch;
      verified = true;
      ++turns;
    }
  };

  // The row of a sender that is not there yet.
  std::size_t add(HostId host) {
    if (rows_of_.empty())
      rows_of_.assign(kHostCount, kNoRow);
    std::size_t row = 0;
    while (row < rows_.size() && rows_[row].used)
      ++row;
    if (row == rows_.size())
      rows_.emplace_back();
    rows_[row] = Row{.host = host, .used = true};
    rows_of_[raw(host)] = static_cast<std::uint16_t>(row);
    return row;
  }

  void remove(std::size_t row) {
    rows_of_[raw(rows_[row].host)] = kNoRow;
    rows_[row] = Row{};
  }

  std::size_t find(HostId host) const {
    const std::uint16_t row = rows_of_.empty() ? kNoRow : rows_of_[raw(host)];
    return row == kNoRow ? kNone : row;
  }

  Row& operator[](std::size_t row) { return rows_[row]; }
  const Row& operator[](std::size_t row) const { return rows_[row]; }
  std::size_t size() const { return rows_.size(); }

 private:
  // 65,535 senders at most: the node itself is none.
  static constexpr std::uint16_t kNoRow = 0xffff;

  std::vector<Row> rows_;
  std::vector<std::uint16_t> rows_of_;  // by host id
};

}  // namespace ringknet
