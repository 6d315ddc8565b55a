// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Sending runs of datagrams. The normal way is one sendmsg per run through the ring, segmented by
// the kernel (GSO). Whatever goes wrong there is dealt with by plain system calls on the spot, for
// it is rare: resending datagram by datagram (one sendmmsg), in fragments, once more after an error
// that belonged to another datagram. Two things wait: a socket that is full, with everything behind
// it in order, and a device out of buffers.
//
// Every run ends in exactly one on_transmit_done, and no path's trouble holds up another's: nothing
// here sleeps, waiting is bounded in time and in slots.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "engine/base/time.h"
#include "engine/core/transmit.h"
#include "engine/ring/ring.h"
#include "engine/ring/sockaddr.h"
#include "engine/ring/udp_socket.h"

namespace ringknet {

// One run on its way.
struct SendSlot {
  Transmit transmit;
  std::size_t sent = 0;  // bytes of the run that are done with
  std::uint32_t retries = 0;
  std::uint32_t foreign_errors = 0;  // attempts that failed by an error of another datagram
  std::uint32_t mtu = 0;
  int offload_error = 0;   // why segmentation was not used after all
  bool segmented = false;  // leave splitting to the kernel
  bool split = false;      // its datagrams were sent one by one
  bool too_big = false;    // datagrams of the run were sent in fragments
  bool in_use = false;
  std::uint16_t index = 0;
  std::uint32_t generation = 0;
  std::uint32_t socket_generation = 0;
  Instant retry = kNever;
  SendSlot* next = nullptr;

  // What the kernel reads.
  SocketAddress address;
  iovec part{};
  msghdr message{};
  alignas(cmsghdr) unsigned char control[CMSG_SPACE(sizeof(std::uint16_t))];
};

class UdpSender {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void on_transmit_done(TransmitId id, const TransmitResult& result) = 0;
    virtual void on_path_error(const PathError& error) = 0;
    // For the log: a run was lost on this path; runs to there are refused, and their datagrams are
    // not: segmentation is off for the socket.
    virtual void on_send_failed(const Address& to, int error) = 0;
    virtual void on_offload_failed(const Address& to, int error) = 0;
  };

  UdpSender(Ring& ring, UdpSocketTable& sockets, Owner& owner);

  // The last slots are kept for control packets.
  bool has_room() const { return free_count_ > kReserved; }
  bool has_control_room() const { return free_count_ > 0; }
  // Needs room.
  void send(const Transmit& transmit, Instant now);

  void on_completion(const Completion& completion, Instant now);
  void on_writable(const Completion& completion, Instant now);
  void on_timeout(Instant now);
  Instant next_deadline() const;

  // Empties the socket's error queue and reports what concerns paths. Answers how much there was.
  std::size_t drain_errors(UdpSocket& socket);
  // Ends everything that waits for this socket.
  void abandon(UdpSocket& socket);

 private:
  static constexpr std::size_t kSlots = 256;
  static constexpr std::size_t kReserved = 32;

  enum class Progress { kFinished, kBlocked, kDelayed };
  enum class Remedy { kTryAgain, kWait, kNone };

  SendSlot& take_slot(const Transmit& transmit, const UdpSocket& socket, Instant now);
  UdpSocket* socket_of(const SendSlot& slot) const;
  void prepare(SendSlot& slot);
  int attempt(SendSlot& slot, const UdpSocket& socket);
  int attempt_row(SendSlot& slot, const UdpSocket& socket);
  Remedy remedy(SendSlot& slot, UdpSocket& socket, int error);
  Progress proceed(SendSlot& slot, UdpSocket& socket, int error, Instant now);
  void proceed_or_wait(SendSlot& slot, UdpSocket& socket, int error, Instant now);
  bool send_in_fragments(SendSlot& slot, UdpSocket& socket);
  void note_limit(const UdpSocket& socket, const UdpSocket::QueuedError& queued);
  void line_up(SendSlot& slot, UdpSocket& socket, Instant now);
  bool flush(SendLine& line, UdpSocket& socket, Instant now);
  void give_up(SendLine& line, TransmitResult::Status status, int error);
  void arm_writable(UdpSocket& socket);
  void finish(SendSlot& slot, int error, Instant now);
  void finish(SendSlot& slot, TransmitResult::Status status, int error);

  Ring& ring_;
  UdpSocketTable& sockets_;
  Owner& owner_;
  std::unique_ptr<SendSlot[]> slots_;
  SendSlot* free_ = nullptr;
  std::size_t free_count_ = kSlots;
  SendLine delayed_;  // until the device has buffers again; in order of their retry instants
  std::size_t lined_up_ = 0;  // slots in sockets' lines

  // What attempt_row() hands to the kernel.
  std::array<mmsghdr, kRunSegmentsMax> row_{};
  std::array<iovec, kRunSegmentsMax> row_parts_{};
};

}  // namespace ringknet
