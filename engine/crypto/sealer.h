// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The interface between the protocol and the encryption of its packets: one Sealer is one key with
// one cipher suite, and puts packets into envelopes and takes them out again, in place.
//
//   buffer for sealing:   | lead | clear packet | pad and mac |     size(clear) bytes
//                                  ^ the caller writes the packet here
//   buffer when opening:  | whatever came from the network    |     the packet is a part of it
//
// Sealers allocate when they are made and when senders are added, never per packet, and prepare
// their keys once. They know no clock and no socket. Which key is used when is keyring.h's
// business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "engine/base/bytes.h"
#include "engine/base/drop.h"
#include "engine/base/ids.h"
#include "engine/crypto/epoch.h"

namespace ringknet {

// The sizes of an envelope. For the arithmetic from MTU to slice make a wire Envelope of the three
// numbers, {block, lead, mac}: it reserves one byte more for stream ciphers than is sent, because
// classic nodes do.
struct SealShape {
  std::size_t block = 0;  // cipher block size; 0 without a cipher, 1 for stream ciphers
  std::size_t lead = 0;   // bytes in front of the packet
  std::size_t mac = 0;    // bytes behind it, not counting the pad

  // What a clear packet of `clear` bytes takes on the wire, to the byte.
  constexpr std::size_t size(std::size_t clear) const {
    return lead + clear + (block > 1 ? block - clear % block : 0) + mac;
  }
};

// What an envelope proves about the packet in it.
enum class Proof : std::uint8_t {
  kNone,        // clear: anybody can have made it
  kKey,         // somebody who has the key made it, once
  kUnverified,  // `sender` made it, but perhaps long ago: its epoch has answered no challenge of
                // ours
  kFresh,       // `sender` made it in its present boot, and it was not opened before
};

struct Opened {
  MutableBytes clear;  // inside the buffer
  Proof proof = Proof::kNone;
  std::uint8_t slot = 0;  // of the keyring; 0 for clear traffic
  // These mean something with kUnverified and kFresh only.
  HostId sender{};
  Epoch epoch{};
  std::uint64_t counter = 0;
  bool first = false;  // no packet of this epoch was opened before, or others were since
};

// Whether the envelope names a sender and its epoch.
constexpr bool names_sender(const Opened& opened) {
  return opened.proof == Proof::kUnverified || opened.proof == Proof::kFresh;
}

using OpenResult = std::variant<Drop, Opened>;

class Sealer {
 public:
  virtual ~Sealer() = default;
  Sealer(const Sealer&) = delete;
  Sealer& operator=(const Sealer&) = delete;

  const SealShape& shape() const { return shape_; }
  // Cipher and hash, for people.
  virtual std::string_view name() const = 0;

  // `buffer` is shape().size(clear) bytes with the packet at shape().lead. False when it has
  // another size, or no randomness or no epoch was to be had: the buffer must not be sent then.
  [[nodiscard]] virtual bool seal(MutableBytes buffer, std::size_t clear) = 0;

  // The same for a row of packets that lie one behind the other, all of `clear` bytes but the last,
  // which has `last` and is not larger. A sealer may work on several at once. False: none of them
  // must be sent.
  [[nodiscard]] virtual bool seal_row(MutableBytes row, std::size_t clear, std::size_t last);
  // Whether that takes less time than sealing them one by one.
  virtual bool seals_rows() const { return false; }

  // Unless claims(buffer) was true, a drop leaves the buffer as it was, for the next key to try.
  [[nodiscard]] virtual OpenResult open(MutableBytes buffer) = 0;

  // Whether the packet is recognisably meant for this key, so that others need not be tried. Says
  // nothing about authenticity.
  virtual bool claims(ConstBytes /*packet*/) const { return false; }

  // --- for envelopes that know their senders (native); the others ignore these

  // Whether open() tells kUnverified from kFresh, so that PINGs must carry challenges.
  virtual bool challenges() const { return false; }
  // Row `row` of the sender table was filled, or is about to be emptied.
  virtual void sender_added(std::size_t /*row*/) {}
  virtual void sender_removed(std::size_t /*row*/) {}
  // A packet just opened answered a fresh challenge: its epoch is the sender's present one. False
  // if nothing is known of that epoch.
  virtual bool confirm(const Opened& /*opened*/) { return false; }

 protected:
  explicit Sealer(const SealShape& shape) : shape_(shape) {}

 private:
  SealShape shape_;
};

}  // namespace ringknet
