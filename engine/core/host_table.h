// SPDX-License-Identifier: LGPL-2.1-or-later
//
// All hosts by id: a two-level array, because every packet looks its sender up and ids use 16 bits,
// and the order in which they were added.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "engine/core/host.h"

namespace ringknet {

class HostTable {
 public:
  Host* find(HostId id) const {
    const auto& page = pages_[raw(id) >> 8];
    return page ? (*page)[raw(id) & 0xff].get() : nullptr;
  }
  Host& add(HostId id, MessagePool& pool) {
    auto& page = pages_[raw(id) >> 8];
    if (!page)
      page = std::make_unique<Page>();
    auto host = std::make_unique<Host>(id, pool);
    order_.insert(order_.begin(), id);
    return *((*page)[raw(id) & 0xff] = std::move(host));
  }
  void remove(HostId id) {
    (*pages_[raw(id) >> 8])[raw(id) & 0xff].reset();
    std::erase(order_, id);
  }
  // Most recently added first.
  std::span<const HostId> order() const { return order_; }

  template <typename Function>
  void for_each(Function&& function) const {
    for (const HostId id : order_)
      function(*find(id));
  }
  template <typename Function>
  void for_each_link(Function&& function) const {
    for_each([&](Host& host) {
      for (const auto& link : host.links) {
        if (link)
          function(host, *link);
      }
    });
  }

 private:
  using Page = std::array<std::unique_ptr<Host>, 256>;
  std::array<std::unique_ptr<Page>, 256> pages_;
  std::vector<HostId> order_;
};

}  // namespace ringknet
