// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The keys of one handle: two slots, which of them seals, whether clear traffic is let in. Every
// filled slot opens; that is how keys are changed without losing a packet: fill the other slot on
// all nodes, use it on all nodes, erase the old one on all nodes.
//
// It measures no time, as it knows no clock. Making sealers is wolfssl/make_sealer.h's business,
// the order of checks in the public calls is the API's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/base/result.h"
#include "engine/crypto/epoch.h"
#include "engine/crypto/random_source.h"
#include "engine/crypto/sealer.h"
#include "engine/crypto/sender_table.h"

namespace ringknet {

// Slots are numbered as in the API: 1 and 2, and 0 means clear.
inline constexpr std::size_t kKeySlots = 2;

class Keyring {
 public:
  // `random` outlives the keyring.
  Keyring(HostId self, RandomSource& random) : self_(self), random_(random), epochs_(random) {}
  Keyring(const Keyring&) = delete;
  Keyring& operator=(const Keyring&) = delete;

  // What the handle's sealers share; for make_sealer.
  HostId self() const { return self_; }
  RandomSource& random() { return random_; }
  SenderTable& senders() { return senders_; }
  EpochSource& epochs() { return epochs_; }

  // Slots. A replaced or erased sealer wipes its keys. Installing into the slot in use changes what
  // is sent at once: whoever wants that refused asks in_use() before.
  Result<> install(std::size_t slot, std::unique_ptr<Sealer> sealer);
  Result<> erase(std::size_t slot);  // kBusy: it is in use
  Result<> use(std::size_t slot);    // kInvalid: it is empty
  std::size_t in_use() const { return use_; }
  bool filled(std::size_t slot) const { return slot >= 1 && slot <= kKeySlots && at(slot); }
  void allow_clear(bool allowed) { clear_allowed_ = allowed; }
  bool clear_allowed() const { return clear_allowed_; }

  // Every configured host, whatever is in the slots now.
  void add_sender(HostId host);
  void remove_sender(HostId host);

  // The envelope of what is sent now, or would be with that slot in use; all zeros for clear.
  SealShape shape() const { return shape(use_); }
  SealShape shape(std::size_t slot) const { return slot == 0 ? SealShape{} : at(slot)->shape(); }
  // Whether PINGs have to carry a challenge, 16 random bytes, instead of our clock: as soon as any
  // slot may open packets that have to be confirmed, whatever seals ours.
  bool challenges() const;
  // The slot whose packets receivers have to confirm before they count, while one is in use that
  // needs no such thing; 0 for none. PINGs go out in it as well, and what comes in it is answered
  // in it, so that everybody has confirmed it when it is used and no message is lost.
  std::size_t warming() const;
  bool empty() const { return !at(1) && !at(2); }

  // `buffer` is shape().size(clear) bytes with the packet at shape().lead. False: do not send it.
  [[nodiscard]] bool seal(MutableBytes buffer, std::size_t clear) {
    return seal(use_, buffer, clear);
  }
  [[nodiscard]] bool seal(std::size_t slot, MutableBytes buffer, std::size_t clear) {
    return slot == 0 || at(slot)->seal(buffer, clear);
  }
  // The same with a row of packets; see Sealer::seal_row. The key in use, and there must be one.
  [[nodiscard]] bool seal_row(MutableBytes row, std::size_t clear, std::size_t last) {
    return at(use_)->seal_row(row, clear, last);
  }
  bool seals_rows() const { return use_ != 0 && at(use_)->seals_rows(); }
  // The slot in use is tried first, then the others, then clear, if that is allowed.
  [[nodiscard]] OpenResult open(MutableBytes buffer);

  // Challenges. A PING that is sent carries a token and remembers the era; a PONG that was just
  // opened and brings the token back confirms its sender's epoch: from now on that is trusted. An
  // answer of an earlier era confirms nothing (false): since then the sender was confirmed
  // otherwise, or we have forgotten what was opened, and somebody may have held the answer back for
  // that moment.
  std::uint64_t era(HostId host) const;
  bool confirm(const Opened& opened, std::uint64_t era);

 private:
  const std::unique_ptr<Sealer>& at(std::size_t slot) const { return slots_[slot - 1]; }
  std::unique_ptr<Sealer>& at(std::size_t slot) { return slots_[slot - 1]; }
  OpenResult open_with(std::size_t slot, MutableBytes buffer);

  HostId self_;
  RandomSource& random_;
  EpochSource epochs_;
  SenderTable senders_;
  std::array<std::unique_ptr<Sealer>, kKeySlots> slots_;  // they refer to the members above
  std::size_t use_ = 0;
  bool clear_allowed_ = true;
  std::uint64_t upheavals_ = 0;  // how often windows may have been forgotten
};

}  // namespace ringknet
