// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the two applications of a benchmark do: stream and count, ping and echo, keep a steady flow
// while a link is cut. Each call runs until it is done or told to stop and returns its result as a
// message. Nothing here knows what carries the messages.
#pragma once

#include <atomic>
#include <cstdint>

#include "tools/bench/carrier.h"
#include "tools/bench/control.h"

namespace ringknet::bench {

// The application's end of its messages, and of the control channel.
struct Endpoint {
  ControlChannel& control;
  Carrier& carrier;
};

// Sends messages of the row as fast as the library takes them, or at the pace asked for, for the
// duration asked for, then the end marker again and again until told to stop.
Message send_stream(const Endpoint& endpoint, const Message& command);

// Counts messages of the row until the end marker has come and the stream has run dry, or until
// told to stop.
Message receive_stream(const Endpoint& endpoint, const Message& command);

// The size of messages that a command asks for, checked: the worker may be talking to a stranger.
std::size_t message_size(const Message& command);

// One message there and back at a time, for the duration asked for.
Message ping(Carrier& carrier, const Message& command);

// Sends back what comes, until told to stop, or until `ended` is.
Message echo(const Endpoint& endpoint, const Message& command);
void echo_until(Carrier& carrier, std::size_t size, const std::atomic<bool>& ended);

// Messages at a fixed pace until told to stop. Control messages other than stop are handed on.
Message send_flow(const Endpoint& endpoint, const Message& command, const OnControl& on_control);

// Watches the flow: says when it runs, and after the cut, which it learns from the control message
// that it hands on, how long the longest silence was.
Message receive_flow(const Endpoint& endpoint, const Message& command, const OnControl& on_control);

}  // namespace ringknet::bench
