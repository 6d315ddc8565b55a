// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The few statistics the report needs: median and quantile. Nothing here knows what is being
// measured.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace ringknet::bench {

// The smallest value that at least the given share of all values does not exceed (nearest rank), so
// that it is a value that was really measured. The values must be sorted and there must be one.
template <typename Value>
Value quantile(const std::vector<Value>& sorted, double share) {
  const double rank = std::ceil(share * static_cast<double>(sorted.size()));
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  return sorted[std::min(index, sorted.size() - 1)];
}

// The middle value, or the mean of the two in the middle. There must be at least one value.
inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  if (values.size() % 2 == 1) {
    return values[middle];
  }
  return (values[middle - 1] + values[middle]) / 2;
}

}  // namespace ringknet::bench
