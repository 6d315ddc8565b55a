// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A row, one packet after the other.
#include "engine/crypto/sealer.h"

namespace ringknet {

bool Sealer::seal_row(MutableBytes row, std::size_t clear, std::size_t last) {
  const std::size_t full = shape_.size(clear);
  for (; row.size() > full; row = row.subspan(full)) {
    if (!seal(row.first(full), clear))
      return false;
  }
  return seal(row, last);
}

}  // namespace ringknet
