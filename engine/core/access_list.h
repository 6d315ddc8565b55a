// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Who may speak for a dynamic link: an ordered list of addresses to accept or reject. The first
// entry that matches decides; what matches none is rejected. Only IP addresses are compared, never
// ports. Static links need none: their peer's address is the list.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/address.h"
#include "engine/base/result.h"

namespace ringknet {

struct AccessEntry {
  // Values are the API's.
  enum class Type : std::uint8_t {
    kAddress = 0,  // first
    kMask = 1,     // address & second == first
    kRange = 2,    // first <= address <= second, both included, in numeric order
  };
  enum class Action : std::uint8_t { kAccept = 0, kReject = 1 };

  Type type = Type::kAddress;
  Action action = Action::kAccept;
  Address first{};
  Address second{};  // unused by kAddress

  bool matches(const Address& address) const;
  // The same entry in every respect, ports included.
  bool same(const AccessEntry& other) const;
};

class AccessList {
 public:
  bool accepts(const Address& address) const;

  // At exactly `position` from the front; negative or beyond the end appends. kEntryExists if it is
  // there already.
  Result<> insert(int position, const AccessEntry& entry);
  // kEntryUnknown if it is not there.
  Result<> remove(const AccessEntry& entry);
  void clear() { entries_.clear(); }
  std::size_t size() const { return entries_.size(); }

 private:
  std::vector<AccessEntry> entries_;
};

}  // namespace ringknet
