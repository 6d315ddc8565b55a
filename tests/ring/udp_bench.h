// SPDX-License-Identifier: LGPL-2.1-or-later
//
// UDP sender and receiver on a ring of their own, without fabric and engine thread: everything they
// report is recorded, and the test turns the loop itself.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/ring/ring.h"
#include "engine/ring/udp_receive.h"
#include "engine/ring/udp_send.h"
#include "engine/ring/udp_socket.h"
#include "tests/ring/node.h"

namespace ringknet::test {

class UdpBench : private UdpSender::Owner, private UdpReceiver::Owner {
 public:
  struct Received {
    SocketId socket{};
    Address from;
    std::vector<std::byte> bytes;
  };
  using Status = TransmitResult::Status;

  UdpBench();
  ~UdpBench() override { ring.close(); }

  UdpSocket& open(const Address& local);
  void close(UdpSocket& socket);
  // Queues a run of the bytes of `run`, which the bench keeps; answers its number.
  std::uint64_t send(const UdpSocket& from, const Address& to, std::vector<std::byte> run,
                     std::size_t segment_size, Transmit::Kind kind = Transmit::Kind::kData);
  // Sends as many as were asked for, in the end.
  void turn();
  // Turns until `done()`; false when that does not come about.
  template <typename Done>
  bool turn_until(Done&& done) {
    const auto limit = std::chrono::steady_clock::now() + kLimit;
    while (!done()) {
      if (std::chrono::steady_clock::now() > limit) {
        return false;
      }
      turn();
    }
    return true;
  }
  static Instant now();
  bool all_done() const { return results.size() == sent_count_; }
  std::size_t count(Status status) const;

  Ring ring;
  UdpSocketTable sockets;
  UdpSender sender{ring, sockets, *this};
  UdpReceiver receiver{ring, sockets, *this};

  std::map<std::uint64_t, TransmitResult> results;
  std::vector<std::uint64_t> order;  // in which they ended
  std::vector<PathError> path_errors;
  std::vector<int> failures;
  std::vector<int> offload_failures;
  std::vector<Received> received;

 private:
  void on_transmit_done(TransmitId id, const TransmitResult& result) override;
  void on_path_error(const PathError& error) override { path_errors.push_back(error); }
  void on_send_failed(const Address&, int error) override { failures.push_back(error); }
  void on_offload_failed(const Address&, int error) override { offload_failures.push_back(error); }
  void on_datagram(SocketId socket, const Address& from, MutableBytes bytes) override;
  void on_arrival(UdpSocket&, const Address&, unsigned) override {}
  void on_datagrams_end(UdpSocket*, std::size_t) override {}
  void on_truncated() override {}
  void on_receive_error(UdpSocket& socket, int) override { sender.drain_errors(socket); }

  std::map<std::uint64_t, std::vector<std::byte>> runs_;
  std::uint64_t sent_count_ = 0;
};

}  // namespace ringknet::test
