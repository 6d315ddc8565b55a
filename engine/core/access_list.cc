// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Matching and editing of access lists.
#include "engine/core/access_list.h"

#include <algorithm>

namespace ringknet {

bool AccessEntry::matches(const Address& address) const {
  if (address.family != first.family) {
    return false;
  }
  switch (type) {
    case Type::kAddress:
      return address.ip == first.ip;
    case Type::kMask:
      for (std::size_t i = 0; i < address.ip.size(); ++i) {
        if ((address.ip[i] & second.ip[i]) != first.ip[i]) {
          return false;
        }
      }
      return true;
    case Type::kRange:
      return first.ip <= address.ip && address.ip <= second.ip;  // network order is numeric order
  }
  return false;
}

bool AccessEntry::same(const AccessEntry& other) const {
  return type == other.type && action == other.action && first == other.first &&
         (type == Type::kAddress || second == other.second);
}

bool AccessList::accepts(const Address& address) const {
  const auto match = std::ranges::find_if(
      entries_, [&](const AccessEntry& entry) { return entry.matches(address); });
  return match != entries_.end() && match->action == AccessEntry::Action::kAccept;
}

Result<> AccessList::insert(int position, const AccessEntry& entry) {
  if (std::ranges::any_of(entries_, [&](const AccessEntry& other) { return entry.same(other); })) {
    return Error::kEntryExists;
  }
  const std::size_t at = position < 0
                             ? entries_.size()
                             : std::min(static_cast<std::size_t>(position), entries_.size());
  entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(at), entry);
  return {};
}

Result<> AccessList::remove(const AccessEntry& entry) {
  const auto match =
      std::ranges::find_if(entries_, [&](const AccessEntry& other) { return entry.same(other); });
  if (match == entries_.end()) {
    return Error::kEntryUnknown;
  }
  entries_.erase(match);
  return {};
}

}  // namespace ringknet
