// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A plain map; looking for a name is a walk through it, which only configuration does.
#include "api/host_names.h"

#include <algorithm>
#include <cerrno>

namespace ringknet {

void HostNames::add(HostId host) {
  names_.emplace(host, std::to_string(raw(host)));
}

void HostNames::remove(HostId host) {
  names_.erase(host);
}

int HostNames::set(HostId host, std::string_view name) {
  const auto found = names_.find(host);
  if (found == names_.end()) {
    return EINVAL;
  }
  if (find(name)) {
    return EEXIST;
  }
  found->second = name;
  return 0;
}

const std::string* HostNames::name(HostId host) const {
  const auto found = names_.find(host);
  return found == names_.end() ? nullptr : &found->second;
}

std::optional<HostId> HostNames::find(std::string_view name) const {
  const auto found =
      std::ranges::find_if(names_, [name](const auto& entry) { return entry.second == name; });
  return found == names_.end() ? std::nullopt : std::optional(found->first);
}

}  // namespace ringknet
