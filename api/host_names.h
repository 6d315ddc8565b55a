// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The names of hosts. They exist for people and for the API alone: neither the wire nor the core
// knows them. A host is called by its id in decimal digits until it is given a name, and that
// default takes part in all comparisons.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/base/ids.h"

namespace ringknet {

class HostNames {
 public:
  void add(HostId host);
  void remove(HostId host);

  // 0, or an errno: EINVAL for an unknown host, EEXIST if another host or this one has the name.
  int set(HostId host, std::string_view name);

  // Null for an unknown host.
  const std::string* name(HostId host) const;
  std::optional<HostId> find(std::string_view name) const;

 private:
  std::unordered_map<HostId, std::string> names_;
};

}  // namespace ringknet
