// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the two applications of a benchmark do with the data descriptors of their nodes: stream and
// count, ping and echo, keep a steady flow while a link is cut. Each call runs until it is done or
// told to stop and returns its result as a message. The descriptors are non-blocking and are used
// with poll(2), as an application would; nothing here knows which library is behind them.
#pragma once

#include <cstdint>
#include <functional>

#include "tools/bench/control.h"

namespace ringknet::bench {

// A worker's end of the control channel and of the data descriptor.
struct Endpoint {
  ControlChannel& control;
  int data_descriptor;
};

// Sends messages of the row as fast as the library takes them, for the duration asked for, then the
// end marker again and again until told to stop.
Message send_stream(const Endpoint& endpoint, const Message& command);

// Counts messages of the row until the end marker has come and the stream has run dry, or until
// told to stop.
Message receive_stream(const Endpoint& endpoint, const Message& command);

// One message there and back at a time, for the duration asked for.
Message ping(const Endpoint& endpoint, const Message& command);

// Sends back what comes, until told to stop.
Message echo(const Endpoint& endpoint, const Message& command);

// Messages at a fixed pace until told to stop. Control messages other than stop are handed on.
Message send_flow(const Endpoint& endpoint, const Message& command,
                  const std::function<void(const Message&)>& on_control);

// Watches the flow: says when it runs, and after the cut, which it learns from the control message
// that it hands on, how long the longest silence was.
Message receive_flow(const Endpoint& endpoint, const Message& command,
                     const std::function<void(const Message&)>& on_control);

}  // namespace ringknet::bench
