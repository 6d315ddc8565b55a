// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The data path of a program that embeds the engine: channels whose messages go to the client
// itself and come from it, without descriptors, and an engine without a thread of its own, which
// turns when it is called.
#include <cassert>

#include "engine/ring/engine_impl.h"

namespace ringknet {

void Engine::Impl::channel_open(Channel channel) {
  posted_.open();
  direct_.set(raw(channel));
  direct_seen_.store(static_cast<std::uint32_t>(direct_.to_ulong()));
}

void Engine::Impl::channel_close(Channel channel) {
  direct_.reset(raw(channel));
  direct_seen_.store(static_cast<std::uint32_t>(direct_.to_ulong()));
  Looped& looped = looped_[raw(channel)];
  looped.closed = looped.messages.size();
}

// To the client, unless it is just being told of another message: what it sends to this very node
// from there waits until it has returned.
void Engine::Impl::hand_over(Channel channel, ConstBytes message, HostId from) {
  if (handing_over_) {
    assert(from == fabric_.self());
    if (!looped_[raw(channel)].messages.push(message)) {
      drop(channel, Drop::kReaderSlow);
      return;
    }
    looped_waiting_.set(raw(channel));
    unfinished_ = true;
    return;
  }
  handing_over_ = true;
  client_->on_message(channel, message, from);
  handing_over_ = false;
}

void Engine::Impl::hand_over_looped() {
  if (looped_waiting_.none())
    return;
  for (std::size_t index = 0; index < kChannelCount; ++index) {
    if (looped_waiting_.test(index))
      hand_over_looped(Channel(index));
  }
  unfinished_ = unfinished_ || looped_waiting_.any();
}

// As many as there are now; what is sent meanwhile has to wait for the next turn. The callback may
// close the channel and open it again: what it was told of is consumed afterwards all the same.
void Engine::Impl::hand_over_looped(Channel channel) {
  Looped& looped = looped_[raw(channel)];
  for (std::size_t left = looped.messages.size(); left > 0; --left) {
    const ConstBytes message = looped.messages.front();
    if (looped.closed > 0)
      drop(channel, Drop::kChannelClosed);
    else
      hand_over(channel, message, fabric_.self());
    looped.messages.consume(message.size());
    if (looped.closed > 0)
      --looped.closed;
  }
  if (looped.messages.empty())
    looped_waiting_.reset(raw(channel));
}

Error Engine::Impl::send(Channel channel, ConstBytes message, bool wait) {
  if (message.empty() || message.size() > kMessageSizeMax || raw(channel) >= kChannelCount)
    return Error::kInvalid;
  if (on_engine_thread()) {
    touch();
    return send_here(channel, message);
  }
  if ((direct_seen_.load() >> raw(channel) & 1) == 0)
    return Error::kInvalid;
  if (!forwarding_seen_.load())
    return Error::kForwardingOff;
  // In a callback of another handle somebody may be waiting for this thread: it does not wait.
  if (!posted_.push(channel, message, wait && of_this_thread_ == nullptr))
    return Error::kNoBuffers;
  calls_.wake();
  return Error::kNone;
}

Error Engine::Impl::send_here(Channel channel, ConstBytes message) {
  if (!direct_.test(raw(channel)))
    return Error::kInvalid;
  if (!forwarding_)
    return Error::kForwardingOff;
  const Error error =
      has_room(message.size()) ? forward(channel, message, false) : Error::kNoBuffers;
  room_wanted_ = room_wanted_ || error == Error::kNoBuffers;
  return error;
}

// --- an engine without a thread

Ring::Failure Engine::Impl::start_here() {
  if (const int error = calls_.open(); error != 0)
    return {error, "no eventfd for waking the engine"};
  thread_id_ = std::this_thread::get_id();
  read_clock();
  const Ring::Failure failure = open();
  if (failure.error != 0)
    ring_.close();
  return failure;
}

// Calls on the engine's thread outside a turn find the clock as it is, and the next turn begins
// with what they have caused.
void Engine::Impl::touch() {
  if (!caller_driven_ || running_ > 0)
    return;
  touched_ = true;
  read_clock();
}

void Engine::Impl::run_once(std::optional<Duration> limit) {
  const Running running(*this);
  if (touched_) {
    touched_ = false;
    transmit();
  }
  turn(limit);
  if (poll_.open()) {
    ring_.poll();  // what the turn has prepared leaves now: the caller goes to sleep elsewhere
    find_wake_up();
    poll_.set(sleep_until());
  }
}

int Engine::Impl::descriptor(int& error) {
  error = poll_.open() ? 0 : poll_.create(ring_.descriptor());
  if (error != 0)
    return -1;
  poll_.set(Instant{});
  return poll_.descriptor();
}

}  // namespace ringknet
