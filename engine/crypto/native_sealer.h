// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The native envelope: authenticated encryption with a subkey per sender and epoch, a packet
// counter, a replay window over all links, and epochs that have to prove themselves. What it is
// good for and what not, and every rule of the state machine, is in README.md.
//
//    0        2                        10                16
//   +--------+------------------------+-----------------+---------------+-----------+
//   | sender | epoch                  | packet counter  | ciphertext    | tag (16)  |
//   +--------+------------------------+-----------------+---------------+-----------+
//   |<------------ authenticated, not encrypted ------->|   all integers big-endian
//
// Per sender there are two places: `current`, always an epoch that was verified once, and `other`,
// either the epoch that current succeeded, for packets that are late, or a candidate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/crypto/aead.h"
#include "engine/crypto/replay_window.h"
#include "engine/crypto/sealer.h"
#include "engine/crypto/sender_table.h"

namespace ringknet {

class NativeSealer final : public Sealer {
 public:
  static constexpr std::size_t kHeaderSize = 16;
  // A sender moves on to its next epoch after this many packets, so that no cipher comes near its
  // limits: 2^32 packets of 64 KB are 2^44 blocks under one key.
  static constexpr std::uint64_t kCounterMax = std::uint64_t{1} << 32;

  // `senders` and `epochs` are shared by all sealers of a handle and outlive them. `counter_max` is
  // for tests that want to see the next epoch.
  NativeSealer(std::unique_ptr<Aead> aead, HostId self, SenderTable& senders, EpochSource& epochs,
               std::uint64_t counter_max = kCounterMax);
  ~NativeSealer() override;

  std::string_view name() const override { return aead_->name(); }
  bool seal(MutableBytes buffer, std::size_t clear) override;
  OpenResult open(MutableBytes buffer) override;
  bool claims(ConstBytes packet) const override;
  bool challenges() const override { return true; }
  void sender_added(std::size_t row) override;
  void sender_removed(std::size_t row) override;
  bool confirm(const Opened& opened) override;

 private:
  struct Header {
    HostId sender{};
    Epoch epoch{};
    std::uint64_t counter = 0;
  };
  // What is known of one epoch of one sender.
  struct State {
    std::unique_ptr<AeadKey> key;
    ReplayWindow<> window;
    Epoch epoch{};
    bool filled = false;
    bool verified = false;
  };
  struct Sender {
    std::unique_ptr<State> current;
    std::unique_ptr<State> other;
  };

  static Header read_header(ConstBytes packet);
  static void write_header(const Header& header, MutableBytes packet);
  static State* find(Sender& sender, Epoch epoch);
  OpenResult open_known(MutableBytes packet, const Header& header, std::size_t row, State& state);
  OpenResult open_unknown(MutableBytes packet, const Header& header, std::size_t row);
  Opened accept(MutableBytes packet, const Header& header, std::size_t row, State& state);
  static void make_current(Sender& sender, const State& state);
  bool start_epoch();

  std::unique_ptr<Aead> aead_;  // outlives the keys it made
  HostId self_;
  SenderTable& senders_;
  EpochSource& epochs_;
  std::uint64_t counter_max_;

  std::unique_ptr<AeadKey> own_;
  Epoch own_epoch_{};
  std::uint64_t counter_ = 0;  // of the last packet sealed
  bool started_ = false;

  std::vector<Sender> states_;      // by row of the sender table
  std::unique_ptr<AeadKey> spare_;  // to try unknown epochs with
  std::vector<std::byte> scratch_;  // where their packets are decrypted to
};

}  // namespace ringknet
