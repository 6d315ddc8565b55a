// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The loop of the bench, as small as a loop can be.
#include "tests/ring/udp_bench.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <ctime>

namespace ringknet::test {

UdpBench::UdpBench() {
  const Ring::Failure failure = ring.open();
  INFO(failure.cause);
  REQUIRE(failure.error == 0);
  REQUIRE(receiver.open() == 0);
}

Instant UdpBench::now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

UdpSocket& UdpBench::open(const Address& local) {
  const UdpSocketTable::Acquired acquired = sockets.acquire(local, 0, false);
  CAPTURE(acquired.error);
  REQUIRE(acquired.socket != nullptr);
  return *acquired.socket;
}

void UdpBench::close(UdpSocket& socket) {
  sender.abandon(socket);
  sockets.close(ring, socket);
}

std::uint64_t UdpBench::send(const UdpSocket& from, const Address& to, std::vector<std::byte> run,
                             std::size_t segment_size, Transmit::Kind kind) {
  const std::uint64_t number = ++sent_count_;
  const auto& bytes = runs_[number] = std::move(run);
  Transmit transmit;
  transmit.id.value = number;
  transmit.kind = kind;
  transmit.socket = from.id;
  transmit.segment_size = static_cast<std::uint32_t>(segment_size);
  transmit.bytes = bytes;
  transmit.to = to;
  REQUIRE(turn_until([&] {
    return kind == Transmit::Kind::kData ? sender.has_room() : sender.has_control_room();
  }));
  sender.send(transmit, now());
  return number;
}

void UdpBench::turn() {
  receiver.rearm(now());
  ring.wait(std::clamp<Duration>(sender.next_deadline() - now(), Duration::zero(),
                                 std::chrono::milliseconds(5)));
  Completion completion;
  while (ring.take(completion)) {
    switch (completion.op.kind) {
      case OpKind::kReceive:
        receiver.on_completion(completion, now());
        break;
      case OpKind::kSend:
        sender.on_completion(completion, now());
        break;
      case OpKind::kSocketWritable:
        sender.on_writable(completion, now());
        break;
      default:
        break;
    }
  }
  sender.on_timeout(now());
}

std::size_t UdpBench::count(Status status) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      results, [&](const auto& entry) { return entry.second.status == status; }));
}

void UdpBench::on_transmit_done(TransmitId id, const TransmitResult& result) {
  REQUIRE_FALSE(results.contains(id.value));
  results[id.value] = result;
  order.push_back(id.value);
}

void UdpBench::on_datagram(SocketId socket, const Address& from, MutableBytes bytes) {
  received.push_back({socket, from, {bytes.begin(), bytes.end()}});
}

}  // namespace ringknet::test
