// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A network that does what it likes with native envelopes. The input is a script: nodes seal
// packets and start anew, everything ever sent can be delivered again, damaged, cut short, or made
// up, and answers to challenges arrive, late if that is of use. Whatever the script: a packet is
// delivered as fresh at most once, only if it was really sent, unharmed, by that node, after the
// receiver's last restart and not by an earlier boot than the one that answered.
//
// Input: operations of 4 bytes (what, which, where, how).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "engine/base/random.h"
#include "engine/crypto/keyring.h"
#include "engine/crypto/native_sealer.h"
#include "engine/crypto/wolfssl/wolf_aead.h"

namespace {

using namespace ringknet;
using Buffer = std::vector<std::byte>;

constexpr HostId kReceiver{1};
constexpr std::size_t kSenders = 2;  // ids 2 and 3
constexpr std::size_t kPacketsMax = 400;
constexpr std::uint64_t kCountersPerEpoch = 5;  // so that epochs follow each other

void expect(bool good) {
  if (!good)
    std::abort();
}

class Draws final : public RandomSource {
 public:
  explicit Draws(std::uint64_t seed) : random_(seed) {}
  bool fill(MutableBytes out) override {
    for (std::byte& byte : out)
      byte = static_cast<std::byte>(random_.next() & 0xff);
    return true;
  }

 private:
  Random random_;
};

Buffer key(unsigned slot) {
  return Buffer(128, static_cast<std::byte>(slot));
}

struct Node {
  Node(HostId id, std::uint64_t seed) : draws(seed), keyring(id, draws) {
    keyring.allow_clear(false);
    if (id == kReceiver) {
      for (std::uint16_t sender = 2; sender < 2 + kSenders; ++sender)
        keyring.add_sender(HostId{sender});
    }
    for (unsigned slot = 1; slot <= 2; ++slot)
      fill(slot);
    expect(keyring.use(1).ok());
  }
  void fill(unsigned slot) {
    expect(keyring
               .install(slot, std::make_unique<NativeSealer>(
                                  make_aead(CipherType::kChaChaPoly, key(slot)), keyring.self(),
                                  keyring.senders(), keyring.epochs(), kCountersPerEpoch))
               .ok());
  }
  Draws draws;
  Keyring keyring;
};

struct Sent {
  Buffer packet;
  std::uint32_t number = 0;
  std::size_t sender = 0;
  std::uint64_t boot = 0;
  bool delivered = false;  // as fresh, ever, to any boot of the receiver
  bool answers = false;    // a challenge of that era and that boot of the receiver
  std::uint64_t era = 0;
  std::uint32_t born = 0;
};

class Network {
 public:
  Network() {
    restart_receiver();
    for (std::size_t sender = 0; sender < kSenders; ++sender)
      restart(sender);
  }

  void run(const std::uint8_t* operation) {
    const std::size_t sender = operation[1] % kSenders;
    switch (operation[0] % 16) {
      case 0:
      case 1:
      case 2:
      case 3:
        send(sender);
        deliver(sent_.size() - 1);
        break;
      case 4:
        send(sender);
        break;
      case 5:
      case 6:
      case 7:
        if (!sent_.empty())
          deliver((static_cast<std::size_t>(operation[1]) << 8 | operation[2]) % sent_.size());
        break;
      case 8:
        if (!sent_.empty())
          damage(operation);
        break;
      case 9:
        make_up(operation);
        break;
      case 10:
        answer(sender);
        break;
      case 11:
        hold_back(sender);
        break;
      case 12:
        restart(sender);
        break;
      case 13:
        if (operation[3] % 4 == 0)
          restart_receiver();
        break;
      case 14:
        expect(nodes_[sender]->keyring.use(1 + operation[2] % 2).ok());
        break;
      default:
        if (operation[3] % 2 == 0)
          nodes_[sender]->fill(1 + operation[2] % 2);
        else
          receiver_->fill(1 + operation[2] % 2);
        break;
    }
  }

 private:
  void restart(std::size_t sender) {
    nodes_[sender] =
        std::make_unique<Node>(HostId{static_cast<std::uint16_t>(2 + sender)}, ++boots_);
    boot_of_[sender] = boots_;
  }
  void restart_receiver() {
    receiver_ = std::make_unique<Node>(kReceiver, ++boots_);
    // Whatever was sent up to now was sent before the receiver can have challenged anybody.
    born_ = next_number_++;
    std::fill(std::begin(verified_boot_), std::end(verified_boot_), 0);
  }

  void send(std::size_t sender) {
    if (sent_.size() >= kPacketsMax)
      sent_.erase(sent_.begin(), sent_.begin() + kPacketsMax / 2);
    Sent sent;
    sent.number = next_number_++;
    sent.sender = sender;
    sent.boot = boot_of_[sender];
    sent.packet.resize(nodes_[sender]->keyring.shape().size(sizeof sent.number));
    std::memcpy(sent.packet.data() + nodes_[sender]->keyring.shape().lead, &sent.number,
                sizeof sent.number);
    expect(nodes_[sender]->keyring.seal(sent.packet, sizeof sent.number));
    sent_.push_back(std::move(sent));
  }

  // What the receiver makes of some bytes; `from` is the packet they are, unharmed, or none.
  OpenResult open(Buffer& packet, Sent* from) {
    const OpenResult result = receiver_->keyring.open(packet);
    const auto* opened = std::get_if<Opened>(&result);
    if (opened == nullptr)
      return result;
    expect(from != nullptr);
    expect(opened->clear.size() == sizeof from->number);
    expect(std::memcmp(opened->clear.data(), &from->number, sizeof from->number) == 0);
    expect(raw(opened->sender) == 2 + from->sender);
    expect(opened->proof == Proof::kFresh || opened->proof == Proof::kUnverified);
    if (opened->proof == Proof::kFresh) {
      expect(!from->delivered);
      expect(from->number >= born_);
      expect(from->boot == verified_boot_[from->sender]);
      from->delivered = true;
    }
    return result;
  }

  void deliver(std::size_t index) {
    Sent& sent = sent_[index];
    Buffer packet = sent.packet;
    const OpenResult result = open(packet, &sent);
    const auto* opened = std::get_if<Opened>(&result);
    // An answer that was held back, or is repeated.
    if (opened != nullptr && sent.answers && sent.born == born_)
      confirm(*opened, sent, sent.era);
  }

  void confirm(const Opened& opened, Sent& pong, std::uint64_t era) {
    const bool was_fresh = opened.proof == Proof::kFresh;
    if (receiver_->keyring.confirm(opened, era) && !was_fresh) {
      verified_boot_[pong.sender] = pong.boot;
      pong.delivered = true;
    }
  }

  void damage(const std::uint8_t* operation) {
    Buffer packet = sent_[operation[1] % sent_.size()].packet;
    if (operation[3] % 4 == 0)
      packet.resize(operation[2] % packet.size());
    else
      packet[operation[2] % packet.size()] ^= static_cast<std::byte>(1u << (operation[3] % 8));
    static_cast<void>(open(packet, nullptr));
  }

  void make_up(const std::uint8_t* operation) {
    Buffer packet(operation[1], static_cast<std::byte>(operation[2]));
    if (packet.size() >= 16) {
      packet[0] = std::byte{0};
      packet[1] = static_cast<std::byte>(operation[3] % 6);
    }
    static_cast<void>(open(packet, nullptr));
  }

  // A PONG to a fresh challenge: the sender makes a packet now, and the receiver confirms it.
  void answer(std::size_t sender) {
    send(sender);
    Sent& pong = sent_.back();
    Buffer packet = pong.packet;
    const OpenResult result = open(packet, &pong);
    const auto* opened = std::get_if<Opened>(&result);
    expect(opened != nullptr);  // made a moment ago and never seen
    confirm(*opened, pong, receiver_->keyring.era(opened->sender));
    expect(verified_boot_[sender] == pong.boot);
    // From now on packets of this boot get through at once.
    send(sender);
    deliver(sent_.size() - 1);
    expect(sent_.back().delivered);
  }

  // The sender answers a challenge of now, and the network keeps the answer for later.
  void hold_back(std::size_t sender) {
    send(sender);
    sent_.back().answers = true;
    sent_.back().era = receiver_->keyring.era(HostId{static_cast<std::uint16_t>(2 + sender)});
    sent_.back().born = born_;
  }

  std::unique_ptr<Node> receiver_;
  std::unique_ptr<Node> nodes_[kSenders];
  std::uint64_t boot_of_[kSenders] = {};
  std::uint64_t verified_boot_[kSenders] = {};
  std::uint64_t boots_ = 0;
  std::uint32_t next_number_ = 0;
  std::uint32_t born_ = 0;
  std::vector<Sent> sent_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kOperationsMax = 2000;
  Network network;
  for (std::size_t at = 0; at + 4 <= size && at < 4 * kOperationsMax; at += 4)
    network.run(data + at);
  return 0;
}
