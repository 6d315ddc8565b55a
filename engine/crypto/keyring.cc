// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Which key is tried when, and what is let in without one.
#include "engine/crypto/keyring.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "engine/base/rollback.h"

namespace ringknet {

namespace {

bool valid(std::size_t slot) {
  return slot >= 1 && slot <= kKeySlots;
}

// An authentic packet that is malformed inside belongs to this key and to no other.
bool authentic(Drop reason) {
  return reason == Drop::kSealLength || reason == Drop::kSealPadding;
}

}  // namespace

Result<> Keyring::install(std::size_t slot, std::unique_ptr<Sealer> sealer) {
  if (!valid(slot) || sealer == nullptr)
    return Error::kInvalid;
  at(slot) = std::move(sealer);
  ++upheavals_;
  return {};
}

Result<> Keyring::erase(std::size_t slot) {
  if (!valid(slot))
    return Error::kInvalid;
  if (slot == use_)
    return Error::kBusy;
  at(slot).reset();
  ++upheavals_;
  return {};
}

Result<> Keyring::use(std::size_t slot) {
  if (slot != 0 && !filled(slot))
    return Error::kInvalid;
  use_ = slot;
  return {};
}

bool Keyring::challenges() const {
  return std::ranges::any_of(
      slots_, [](const auto& sealer) { return sealer != nullptr && sealer->challenges(); });
}

std::size_t Keyring::warming() const {
  if (use_ != 0 && at(use_)->challenges())
    return 0;
  for (std::size_t slot = 1; slot <= kKeySlots; ++slot) {
    if (filled(slot) && at(slot)->challenges())
      return slot;
  }
  return 0;
}

void Keyring::add_sender(HostId host) {
  if (host == self_ || senders_.find(host) != SenderTable::kNone)
    return;
  const std::size_t row = senders_.add(host);
  Rollback undo([&] { senders_.remove(row); });
  for (const std::unique_ptr<Sealer>& sealer : slots_) {
    if (sealer != nullptr)
      sealer->sender_added(row);
  }
  undo.commit();
}

void Keyring::remove_sender(HostId host) {
  const std::size_t row = senders_.find(host);
  if (row == SenderTable::kNone)
    return;
  for (const std::unique_ptr<Sealer>& sealer : slots_) {
    if (sealer != nullptr)
      sealer->sender_removed(row);
  }
  // The turns of the row are forgotten, too: the sum must not come back to an old value.
  upheavals_ += senders_[row].turns + 1;
  senders_.remove(row);
}

OpenResult Keyring::open_with(std::size_t slot, MutableBytes buffer) {
  OpenResult result = at(slot)->open(buffer);
  if (auto* opened = std::get_if<Opened>(&result))
    opened->slot = static_cast<std::uint8_t>(slot);
  return result;
}

OpenResult Keyring::open(MutableBytes buffer) {
  // The slot in use comes first.
  const std::array<std::size_t, kKeySlots> order = use_ == 2
                                                       ? std::array<std::size_t, kKeySlots>{2, 1}
                                                       : std::array<std::size_t, kKeySlots>{1, 2};
  const bool choice = filled(1) && filled(2);
  for (std::size_t slot : order) {
    if (choice && at(slot)->claims(buffer))
      return open_with(slot, buffer);
  }
  std::optional<Drop> first;
  for (std::size_t slot : order) {
    if (!filled(slot))
      continue;
    const OpenResult result = open_with(slot, buffer);
    const Drop* reason = std::get_if<Drop>(&result);
    if (reason == nullptr || authentic(*reason) || at(slot)->claims(buffer))
      return result;
    if (!first)
      first = *reason;
  }
  if (clear_allowed_)
    return Opened{.clear = buffer};
  return first.value_or(Drop::kClearRefused);
}

// Only ever grows: every change of either part is another era.
std::uint64_t Keyring::era(HostId host) const {
  const std::size_t row = senders_.find(host);
  return upheavals_ + (row != SenderTable::kNone ? senders_[row].turns : 0);
}

bool Keyring::confirm(const Opened& opened, std::uint64_t era) {
  if (opened.proof == Proof::kFresh)
    return true;
  return opened.proof == Proof::kUnverified && filled(opened.slot) &&
         era == this->era(opened.sender) && at(opened.slot)->confirm(opened);
}

}  // namespace ringknet
