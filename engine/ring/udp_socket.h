// SPDX-License-Identifier: LGPL-2.1-or-later
//
// UDP sockets of links: opened with the protocol's options, shared by all links of the same local
// address, found by the id the core knows. Receiving and sending are udp_receive.h and udp_send.h;
// what they keep per socket lives here, because it comes and goes with the socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/address.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"
#include "engine/ring/op.h"
#include "engine/ring/receive_offload.h"
#include "engine/ring/ring.h"
#include "engine/ring/segmentation.h"

namespace ringknet {

// Link flag of the API: packets of this link ask for precedence.
inline constexpr std::uint64_t kLinkFlagHighPriority = 1;

struct SendSlot;

// Send slots waiting in line, by their own links.
struct SendLine {
  SendSlot* first = nullptr;
  SendSlot* last = nullptr;
  std::size_t size = 0;
};

class UdpSocket {
 public:
  struct Opened {
    std::unique_ptr<UdpSocket> socket;  // null on failure
    int error = 0;
  };
  // Binds to `local`. ENAMETOOLONG: privileged, and large buffers are not allowed; else what socket
  // and bind say.
  static Opened open(const Address& local, std::uint64_t flags, bool privileged);

  ~UdpSocket() { close(); }
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  // Another DSCP (0..63) than that of low delay, for a socket of high priority.
  void mark(std::uint8_t dscp) { set_traffic_class(dscp << 2); }
  int descriptor() const { return descriptor_; }
  // The address is free for others afterwards, provided that no operation holds the descriptor.
  void close();
  const Address& local() const { return local_; }

  // Takes everything off the socket's error queue, which must be done whenever an operation failed:
  // a queue that is not empty keeps the socket in error for every poll. Calls `report(error)` per
  // entry worth reporting. Answers how many entries there were.
  struct QueuedError {
    Address to;             // where the offending datagram went
    int error = 0;          // errno; 0: nothing worth knowing
    std::uint32_t mtu = 0;  // EMSGSIZE: what this host's device takes
  };
  template <typename Report>
  std::size_t drain_errors(Report&& report) {
    std::size_t count = 0;
    QueuedError error;
    for (; count < kErrorsMax && next_error(error); ++count) {
      if (error.error != 0)
        report(error);
    }
    return count;
  }

  // Whether the kernel splits runs and joins what arrives, where it can.
  void set_offload(bool on);
  // Whether what arrives is joined. False: something waits, which may be joined, so it still is.
  [[nodiscard]] bool join(bool on);
  // Whether the kernel says by which interface a datagram came in.
  void tell_arrivals(bool on);
  // Lets the kernel split what is too large for the path, or not (the normal state).
  void allow_fragmentation(bool allow);

  // The operations that last: receiving, and waiting to be writable.
  Op receive_op() const { return op(OpKind::kReceive); }
  Op writable_op() const { return op(OpKind::kSocketWritable); }

  SocketId id{};
  std::uint32_t generation = 0;
  std::uint32_t links = 0;         // that use it
  std::size_t buffer_granted = 0;  // by the kernel, in the smaller direction
  bool closing = false;

  struct {
    bool armed = false;
    bool starved = false;        // ended for want of buffers
    std::uint32_t failures = 0;  // in a row
    Instant retry = kNever;
    ReceiveOffload offload;  // whether the kernel joins datagrams for us
  } receive;

  struct {
    unsigned interface = 0;  // by which something has come in last, while that was asked for
    unsigned owner = 0;      // the one that has the address, if it is another one (ArrivalWatch)
  } arrival;

  struct {
    Segmentation segmentation;  // whether the kernel splits runs for us
    bool writable_armed = false;
    SendLine control;  // waiting for the socket to become writable
    SendLine data;
    Instant progress{};  // when anything of the lines last went out
  } send;

 private:
  // A datagram, or a report.
  bool anything_waits() const;
  // More than this at once is left for the next time.
  static constexpr std::size_t kErrorsMax = 256;

  Op op(OpKind kind) const { return {kind, static_cast<std::uint16_t>(raw(id)), generation}; }
  UdpSocket(int descriptor, const Address& local) : descriptor_(descriptor), local_(local) {}
  int set_options(std::uint64_t flags) const;
  bool set_traffic_class(int value) const;
  bool next_error(QueuedError& out) const;

  int descriptor_;
  bool joins_ = false;
  Address local_;
};

class UdpSocketTable {
 public:
  struct Acquired {
    UdpSocket* socket = nullptr;  // null on failure
    int error = 0;
    bool created = false;
  };
  // The socket of `local`, for one more link; opened if there is none. Flags count for the one that
  // opens.
  Acquired acquire(const Address& local, std::uint64_t flags, bool privileged);
  // The socket that the core knows as `id`; null if there is none, or none any more.
  UdpSocket* find(SocketId id) const;
  // The socket an operation belongs to, also one that is being closed; null if it is gone.
  UdpSocket* owner(const Op& op) const;
  // Ends the socket's operations and closes it: nothing holds the address any more. The object goes
  // when the operations' last completions have been dealt with.
  void close(Ring& ring, UdpSocket& socket);
  // Forgets a socket that is closing once no operation of it is left.
  void reap(UdpSocket& socket);

  // Every open socket once, beginning at a different one with each `start`.
  template <typename Visit>
  void for_each(Visit&& visit, std::size_t start = 0) {
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
      UdpSocket* socket = sockets_[(start + i) % sockets_.size()].get();
      if (socket != nullptr && !socket->closing)
        visit(*socket);
    }
  }

 private:
  std::vector<std::unique_ptr<UdpSocket>> sockets_;
  std::uint32_t last_generation_ = 0;
};

}  // namespace ringknet
