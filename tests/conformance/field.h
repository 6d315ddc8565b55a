// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Names in the fixed fields of the public structs.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

// The field is zero after the text. A text of the field's size leaves it without an end of text,
// which is a thing to try; a longer one is cut.
template <std::size_t kSize>
void fill_field(char (&field)[kSize], std::string_view text) {
  const auto kept = text.substr(0, kSize);
  std::fill(std::copy(kept.begin(), kept.end(), field), field + kSize, '\0');
}
