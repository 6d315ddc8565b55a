// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The native envelope's state machine: counters on the way out, epochs and windows on the way in.
#include "engine/crypto/native_sealer.h"

#include <cstring>
#include <utility>

namespace ringknet {

namespace {

constexpr std::size_t kOverhead = NativeSealer::kHeaderSize + kAeadTagSize;
constexpr std::size_t kClearSizeMax = 65536;

std::uint64_t load_big_endian(const std::byte* bytes, std::size_t size) {
  std::uint64_t value = 0;
  std::memcpy(&value, bytes, size);
  return network_order(value) >> (64 - 8 * size);
}

void store_big_endian(std::uint64_t value, std::byte* bytes, std::size_t size) {
  value = network_order(value << (64 - 8 * size));
  std::memcpy(bytes, &value, size);
}

ConstBytes header_of(ConstBytes packet) {
  return packet.first(NativeSealer::kHeaderSize);
}

MutableBytes text_of(MutableBytes packet) {
  return packet.subspan(NativeSealer::kHeaderSize, packet.size() - kOverhead);
}

std::span<std::byte, kAeadTagSize> tag_of(MutableBytes packet) {
  return packet.last<kAeadTagSize>();
}

}  // namespace

NativeSealer::NativeSealer(std::unique_ptr<Aead> aead, HostId self, SenderTable& senders,
                           EpochSource& epochs, std::uint64_t counter_max)
    : Sealer({.block = 0, .lead = kHeaderSize, .mac = kAeadTagSize}),
      aead_(std::move(aead)),
      self_(self),
      senders_(senders),
      epochs_(epochs),
      counter_max_(counter_max),
      own_(aead_->make_key()),
      spare_(aead_->make_key()),
      scratch_(kClearSizeMax) {
  for (std::size_t row = 0; row < senders_.size(); ++row) {
    if (senders_[row].used)
      sender_added(row);
  }
}

NativeSealer::~NativeSealer() = default;

NativeSealer::Header NativeSealer::read_header(ConstBytes packet) {
  return {HostId{static_cast<std::uint16_t>(load_big_endian(packet.data(), 2))},
          Epoch{load_big_endian(packet.data() + 2, 8)}, load_big_endian(packet.data() + 10, 6)};
}

void NativeSealer::write_header(const Header& header, MutableBytes packet) {
  store_big_endian(raw(header.sender), packet.data(), 2);
  store_big_endian(raw(header.epoch), packet.data() + 2, 8);
  store_big_endian(header.counter, packet.data() + 10, 6);
}

bool NativeSealer::start_epoch() {
  started_ = epochs_.next(own_epoch_) && own_->derive(self_, own_epoch_);
  counter_ = 0;
  return started_;
}

bool NativeSealer::seal(MutableBytes buffer, std::size_t clear) {
  if (buffer.size() != shape().size(clear))
    return false;
  if ((!started_ || counter_ >= counter_max_ || !epochs_.latest(own_epoch_)) && !start_epoch())
    return false;
  write_header({self_, own_epoch_, ++counter_}, buffer);
  return own_->seal(counter_, header_of(buffer), text_of(buffer), tag_of(buffer));
}

NativeSealer::State* NativeSealer::find(Sender& sender, Epoch epoch) {
  for (State* state : {sender.current.get(), sender.other.get()}) {
    if (state->filled && state->epoch == epoch)
      return state;
  }
  return nullptr;
}

bool NativeSealer::claims(ConstBytes packet) const {
  if (packet.size() < kOverhead)
    return false;
  const Header header = read_header(packet);
  const std::size_t row = senders_.find(header.sender);
  if (row == SenderTable::kNone)
    return false;
  const Sender& sender = states_[row];
  const auto is = [&](const State& state) { return state.filled && state.epoch == header.epoch; };
  return is(*sender.current) || is(*sender.other);
}

OpenResult NativeSealer::open(MutableBytes buffer) {
  if (buffer.size() < kOverhead)
    return Drop::kSealShort;
  if (buffer.size() > kOverhead + kClearSizeMax)
    return Drop::kSealLong;
  const Header header = read_header(buffer);
  if (header.sender == self_)
    return Drop::kSealReflected;
  const std::size_t row = senders_.find(header.sender);
  if (row == SenderTable::kNone)
    return Drop::kSealSender;
  if (header.counter == 0 || header.counter > kCounterMax)
    return Drop::kSealCounter;
  State* state = find(states_[row], header.epoch);
  return state != nullptr ? open_known(buffer, header, row, *state)
                          : open_unknown(buffer, header, row);
}

OpenResult NativeSealer::open_known(MutableBytes packet, const Header& header, std::size_t row,
                                    State& state) {
  using Verdict = ReplayWindow<>::Verdict;
  const Verdict verdict = state.window.check(header.counter);
  if (verdict != Verdict::kNew)
    return verdict == Verdict::kSeen ? Drop::kSealReplay : Drop::kSealStale;
  const MutableBytes text = text_of(packet);
  if (!state.key->open(header.counter, header_of(packet), text, tag_of(packet), text))
    return Drop::kSealMac;
  return accept(packet, header, row, state);
}

// An epoch that has no state costs a key derivation, and the packet is decrypted aside: it may be
// another key's, and the buffer must survive the attempt. Only an authentic packet gets a place.
OpenResult NativeSealer::open_unknown(MutableBytes packet, const Header& header, std::size_t row) {
  const MutableBytes text = text_of(packet);
  const MutableBytes aside = MutableBytes(scratch_).first(text.size());
  if (!spare_->derive(header.sender, header.epoch) ||
      !spare_->open(header.counter, header_of(packet), text, tag_of(packet), aside)) {
    return Drop::kSealMac;
  }
  std::memcpy(text.data(), aside.data(), text.size());
  State& state = *states_[row].other;
  std::swap(state.key, spare_);
  spare_->forget();
  state.window.reset();
  state.epoch = header.epoch;
  state.filled = true;
  state.verified = false;
  Opened opened = accept(packet, header, row, state);
  opened.first = true;
  return opened;
}

Opened NativeSealer::accept(MutableBytes packet, const Header& header, std::size_t row,
                            State& state) {
  state.window.mark(header.counter);
  SenderTable::Row& known = senders_[row];
  // The sender goes on in its present boot, with a new epoch: nobody can have recorded that before.
  if (!state.verified && known.succeeds(header.epoch)) {
    known.accept(header.epoch);
    state.verified = true;
    make_current(states_[row], state);
  }
  const bool fresh = state.verified && known.trusts(header.epoch);
  return {.clear = text_of(packet),
          .proof = fresh ? Proof::kFresh : Proof::kUnverified,
          .slot = 0,
          .sender = header.sender,
          .epoch = header.epoch,
          .counter = header.counter};
}

void NativeSealer::make_current(Sender& sender, const State& state) {
  if (sender.other.get() == &state)
    std::swap(sender.current, sender.other);
}

bool NativeSealer::confirm(const Opened& opened) {
  const std::size_t row = senders_.find(opened.sender);
  if (row == SenderTable::kNone)
    return false;
  State* state = find(states_[row], opened.epoch);
  if (state == nullptr)
    return false;
  SenderTable::Row& known = senders_[row];
  if (state->verified && known.trusts(state->epoch))
    return true;
  // What was sent before the answer may have been recorded and opened before we restarted. What was
  // sent after it, and overtook it, is remembered.
  state->window.raise_floor(opened.counter);
  state->verified = true;
  known.accept(state->epoch);
  make_current(states_[row], *state);
  return true;
}

void NativeSealer::sender_added(std::size_t row) {
  if (states_.size() <= row)
    states_.resize(row + 1);
  Sender& sender = states_[row];
  for (std::unique_ptr<State>* place : {&sender.current, &sender.other}) {
    *place = std::make_unique<State>();
    (*place)->key = aead_->make_key();
  }
}

void NativeSealer::sender_removed(std::size_t row) {
  states_[row] = Sender{};
}

}  // namespace ringknet
