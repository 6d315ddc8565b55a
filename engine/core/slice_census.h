// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How many links carry data in slices of which size, for the smallest of them: the one figure that
// users are shown for all links. Links by the thousand have a few different sizes between them, so
// a change costs a search among those and no walk over all links.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace ringknet {

class SliceCensus {
 public:
  // A link that was counted under one size belongs under another; 0 for links that carry no data.
  void move(std::uint32_t from, std::uint32_t to) {
    if (from == to)
      return;
    if (to != 0)
      add(to);
    if (from != 0)
      remove(from);
  }
  // Room for so many links; one more while a link moves.
  void reserve(std::size_t links) { entries_.reserve(links + 1); }
  // 0 when no link carries data.
  std::uint32_t least() const { return entries_.empty() ? 0 : entries_.front().slice; }

 private:
  struct Entry {
    std::uint32_t slice = 0;
    std::size_t links = 0;
  };

  std::vector<Entry>::iterator find(std::uint32_t slice) {
    return std::ranges::lower_bound(entries_, slice, {}, &Entry::slice);
  }
  void add(std::uint32_t slice) {
    const auto at = find(slice);
    if (at != entries_.end() && at->slice == slice) {
      ++at->links;
    } else {
      entries_.insert(at, {slice, 1});
    }
  }
  void remove(std::uint32_t slice) {
    const auto at = find(slice);
    if (--at->links == 0)
      entries_.erase(at);
  }

  std::vector<Entry> entries_;  // by size
};

}  // namespace ringknet
