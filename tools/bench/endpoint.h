// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Waiting, with one eye on the control channel: what all kinds of traffic have in common.
#pragma once

#include <cstddef>
#include <functional>
#include <span>

#include "tools/bench/control.h"
#include "tools/bench/traffic.h"

namespace ringknet::bench {

enum class Wake {
  kReady,    // the data descriptor is
  kTimeout,  // the deadline has passed
  kControl,  // a control message was handed on
  kStopped,  // the controller said stop
};

// Waits for the data descriptor (POLLIN, POLLOUT, or 0 for not at all), a control message, or the
// deadline. A message other than stop goes to on_control; without one it is a Failure, as is the
// end of the control channel.
Wake wait_for(const Endpoint& endpoint, short events, Instant deadline,
              const std::function<void(const Message&)>& on_control = nullptr);

// The size of messages that a command asks for, checked: the worker may be talking to a stranger.
std::size_t message_size(const Message& command);

// Writes one message, waiting for room if there is none.
void send_message(const Endpoint& endpoint, std::span<const std::byte> message);

}  // namespace ringknet::bench
