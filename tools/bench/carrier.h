// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What carries the messages of a benchmark's application, and the one way in which that application
// waits: for messages or room, with one eye on the control channel. What is measured sits behind
// it: the data descriptors of a node, a node's channels without descriptors, or nothing but a UDP
// socket.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "tools/bench/batch.h"
#include "tools/bench/control.h"

namespace knet {
class Handle;
}

namespace ringknet::bench {

enum class Wake {
  kReady,    // there may be what was wanted
  kTimeout,  // the deadline has passed
  kControl,  // a control message was handed on
  kStopped,  // the controller said stop
};

enum class Want { kMessages, kRoom, kNothing };

// Who is given a message: the bytes are valid until it returns.
using Taker = std::function<void(std::span<const std::byte> message)>;
using OnControl = std::function<void(const Message&)>;

class Carrier {
 public:
  // Without a control channel nobody can stop a wait but the clock.
  explicit Carrier(ControlChannel* control) : control_(control) {}
  Carrier(const Carrier&) = delete;
  Carrier& operator=(const Carrier&) = delete;
  virtual ~Carrier() = default;

  // From now on messages, of this size at most, go to `take` when they are received or waited for.
  void listen(std::size_t size, Taker take);
  // Waiting is looking again and again, without sleeping.
  void set_spinning(bool spinning) { spinning_ = spinning; }

  // Sends the messages of a batch from this one on: how many were taken; 0 when there is no room.
  virtual std::size_t send(Batch& batch, std::size_t from) = 0;
  // One message; false when there is no room.
  virtual bool send(std::span<const std::byte> message) = 0;
  // Hands over what is there; false when that was all for now.
  virtual bool receive() = 0;

  // A control message other than stop goes to on_control; without one it is a Failure, as is the
  // end of the control channel.
  virtual Wake wait(Want want, Instant deadline, const OnControl& on_control = nullptr) = 0;

 protected:
  virtual void make_buffers(std::size_t /*size*/) {}
  // Waits for the descriptor, a control message, or the deadline.
  Wake wait_for(int descriptor, Want want, Instant deadline, const OnControl& on_control);
  // Looks at the control channel, unless it has just been looked at; nothing if nobody speaks.
  std::optional<Wake> glance(const OnControl& on_control);
  [[nodiscard]] bool spinning() const { return spinning_; }
  void take(std::span<const std::byte> message) const { take_(message); }

 private:
  std::optional<Wake> heed(const OnControl& on_control);

  ControlChannel* control_;
  Taker take_ = [](std::span<const std::byte>) {};
  bool spinning_ = false;
  Instant next_glance_;
};

// Writes one message, waiting for room if there is none; false when it was told to stop.
bool send_message(Carrier& carrier, std::span<const std::byte> message);

// The application's end of a data descriptor.
std::unique_ptr<Carrier> make_datafd_carrier(ControlChannel* control, int descriptor);

// A channel without a descriptor of a handle that is driven by this thread. The handle must outlive
// it.
std::unique_ptr<Carrier> make_direct_carrier(ControlChannel* control, const knet::Handle& handle);

// A UDP socket (raw_socket.h), with segmentation and receive offload: what the kernel itself can
// do. Messages are as long as one packet holds, or have the one size below.
std::unique_ptr<Carrier> make_raw_carrier(ControlChannel* control, Descriptor socket);

// As many whole packets of a 1500-byte device as one datagram with segmentation offload holds.
constexpr std::size_t kRawSegment = 1472;
constexpr std::size_t kRawMessageMax = kRawSegment * 44;

}  // namespace ringknet::bench
