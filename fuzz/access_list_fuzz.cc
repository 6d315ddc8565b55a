// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Access lists against a naive model: entries as ranges and masks of plain numbers, looked through
// from the front. Few different addresses, so that entries match, repeat and overlap.
#include "engine/core/access_list.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "fuzz/input.h"
#include "fuzz/operations.h"

namespace ringknet::fuzz {
namespace {

__extension__ using Number = unsigned __int128;

Number number_of(const Address& address) {
  const std::size_t size = address.family == Address::Family::kIpv4 ? 4 : 16;
  Number number = 0;
  for (std::size_t i = 0; i < size; ++i)
    number = number << 8 | address.ip[i];
  return number;
}

struct ModelEntry {
  AccessEntry entry;

  bool matches(const Address& address) const {
    if (address.family != entry.first.family)
      return false;
    const Number asked = number_of(address);
    const Number first = number_of(entry.first);
    switch (entry.type) {
      case AccessEntry::Type::kAddress:
        return asked == first;
      case AccessEntry::Type::kMask:
        return (asked & number_of(entry.second)) == first;
      case AccessEntry::Type::kRange:
        return asked >= first && asked <= number_of(entry.second);
    }
    return false;
  }
  bool is(const AccessEntry& other) const {
    const bool second =
        entry.type == AccessEntry::Type::kAddress ||
        (entry.second.family == other.second.family && entry.second.port == other.second.port &&
         number_of(entry.second) == number_of(other.second));
    return entry.type == other.type && entry.action == other.action && second &&
           entry.first.family == other.first.family && entry.first.port == other.first.port &&
           number_of(entry.first) == number_of(other.first);
  }
};

class Harness {
 public:
  Harness(const std::uint8_t* data, std::size_t size) : input_(data, size) {}

  void run() {
    while (!input_.empty())
      step();
  }

 private:
  void step() {
    switch (next_op<AccessOp>(input_)) {
      case AccessOp::kInsert:
        return insert();
      case AccessOp::kRemove:
        return remove(read_entry());
      case AccessOp::kRemoveKnown:
        if (const std::size_t which = input_.u8(); !model_.empty())
          remove(model_[which % model_.size()].entry);
        return;
      case AccessOp::kClear:
        list_.clear();
        model_.clear();
        break;
      case AccessOp::kAsk: {
        const Address address = read_address();
        const auto match = std::find_if(model_.begin(), model_.end(), [&](const ModelEntry& entry) {
          return entry.matches(address);
        });
        require(list_.accepts(address) ==
                    (match != model_.end() && match->entry.action == AccessEntry::Action::kAccept),
                "the first entry that matches decides");
        break;
      }
      case AccessOp::kCount:
        break;
    }
    require(list_.size() == model_.size(), "as many entries as in the model");
  }

  void insert() {
    const auto position = static_cast<std::int8_t>(input_.u8());
    const AccessEntry entry = read_entry();
    const bool there = find(entry).has_value();
    const Result<> inserted = list_.insert(position, entry);
    require(inserted.error() == (there ? Error::kEntryExists : Error::kNone),
            "an entry is there once");
    if (there)
      return;
    const bool append = position < 0 || static_cast<std::size_t>(position) > model_.size();
    model_.insert(append ? model_.end() : model_.begin() + position, ModelEntry{entry});
  }

  void remove(const AccessEntry& entry) {
    const std::optional<std::size_t> where = find(entry);
    const Result<> removed = list_.remove(entry);
    require(removed.error() == (where ? Error::kNone : Error::kEntryUnknown),
            "what is removed was there");
    if (where)
      model_.erase(model_.begin() + static_cast<std::ptrdiff_t>(*where));
  }

  std::optional<std::size_t> find(const AccessEntry& entry) const {
    for (std::size_t i = 0; i < model_.size(); ++i) {
      if (model_[i].is(entry))
        return i;
    }
    return std::nullopt;
  }

  AccessEntry read_entry() {
    const std::uint8_t kind = input_.u8();
    AccessEntry entry{.type = AccessEntry::Type(kind % 3),
                      .action = AccessEntry::Action(kind / 3 % 2),
                      .first = read_address()};
    if (entry.type != AccessEntry::Type::kAddress) {
      entry.second = read_address();
      // The interface refuses a range between two families; a mask of another one is nobody's wish.
      if (entry.second.family != entry.first.family)
        entry.second = entry.first;
    }
    return entry;
  }

  // The first byte and the last two are free, those between repeat.
  Address read_address() {
    Address address;
    const std::uint8_t kind = input_.u8();
    address.family = kind % 2 == 0 ? Address::Family::kIpv4 : Address::Family::kIpv6;
    const std::size_t size = kind % 2 == 0 ? 4 : 16;
    std::fill_n(address.ip.begin(), size, kind % 4 < 2 ? std::uint8_t{0} : std::uint8_t{0xff});
    address.ip[0] = input_.u8();
    address.ip[size - 2] = input_.u8();
    address.ip[size - 1] = input_.u8();
    address.port = kind / 128;
    return address;
  }

  Input input_;
  AccessList list_;
  std::vector<ModelEntry> model_;
};

}  // namespace
}  // namespace ringknet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringknet::fuzz::Harness(data, size).run();
  return 0;
}
