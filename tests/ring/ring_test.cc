// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The ring by itself, the buffers the kernel picks from, and the queue of calls.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "engine/ring/buffer_ring.h"
#include "engine/ring/call_queue.h"
#include "engine/ring/ring.h"

namespace ringknet::test {
namespace {

TEST_CASE("op: packed and unpacked") {
  const Op op{OpKind::kDatafdWritable, 0xfedc, 0x89abcdef};
  CHECK(Op::unpack(op.pack()) == op);
  CHECK(Op::unpack(Op{}.pack()) == Op{});
}

TEST_CASE("ring: more operations than the queue holds all complete") {
  Ring ring;
  REQUIRE(ring.open().error == 0);
  constexpr std::uint32_t kCount = 20000;
  for (std::uint32_t i = 0; i < kCount; ++i) {
    ring.queue({OpKind::kSend, 1, i}, [](io_uring_sqe* sqe) { io_uring_prep_nop(sqe); });
  }
  std::uint32_t seen = 0;
  Completion completion;
  while (seen < kCount) {
    if (ring.batch_empty()) {
      ring.wait(std::nullopt);
    }
    while (ring.take(completion)) {
      REQUIRE(completion.op == Op{OpKind::kSend, 1, seen});
      ++seen;
    }
  }
}

TEST_CASE("ring: a wait ends at its time when nothing happens") {
  Ring ring;
  REQUIRE(ring.open().error == 0);
  const auto start = std::chrono::steady_clock::now();
  ring.wait(std::chrono::milliseconds(3));
  const auto waited = std::chrono::steady_clock::now() - start;
  CHECK(waited >= std::chrono::milliseconds(3));
  CHECK(ring.batch_empty());
}

TEST_CASE("ring: cancelling one operation leaves the others' completions in the batch") {
  Ring ring;
  REQUIRE(ring.open().error == 0);
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
  const Op readable{OpKind::kReadable, 1, 1};
  const Op other{OpKind::kReadable, 2, 1};
  ring.queue(readable, [&](io_uring_sqe* sqe) { io_uring_prep_poll_add(sqe, ends[0], POLLIN); });
  ring.queue(other, [&](io_uring_sqe* sqe) { io_uring_prep_poll_add(sqe, ends[1], POLLOUT); });
  ring.cancel(readable);
  bool readable_ended = false;
  bool other_ended = false;
  Completion completion;
  while (ring.take(completion)) {
    readable_ended =
        readable_ended || (completion.op == readable && completion.result == -ECANCELED);
    other_ended = other_ended || (completion.op == other && completion.result == POLLOUT);
  }
  CHECK(readable_ended);
  CHECK(other_ended);
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("ring: closing ends what is still going on") {
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) == 0);
  {
    Ring ring;
    REQUIRE(ring.open().error == 0);
    for (std::uint32_t i = 0; i < 100; ++i) {
      ring.queue({OpKind::kReadable, 0, i},
                 [&](io_uring_sqe* sqe) { io_uring_prep_poll_add(sqe, ends[0], POLLIN); });
    }
    ring.poll();
  }
  close(ends[0]);
  close(ends[1]);
}

TEST_CASE("buffer ring: runs out, recovers, and hands out every buffer") {
  BufferRing buffers;
  Ring ring;
  REQUIRE(ring.open().error == 0);
  REQUIRE(buffers.open(ring, 5, 8, 100) == 0);
  int ends[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) == 0);
  for (int i = 0; i < 9; ++i)
    REQUIRE(send(ends[1], &i, sizeof(i), 0) == sizeof(i));
  const auto receive = [&] {
    ring.queue({OpKind::kRead, 0, 0}, [&](io_uring_sqe* sqe) {
      io_uring_prep_recv_multishot(sqe, ends[0], nullptr, 0, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = buffers.group();
    });
  };
  receive();
  std::vector<std::uint16_t> taken;
  bool starved = false;
  Completion completion;
  while (!starved) {
    ring.wait(std::nullopt);
    while (ring.take(completion)) {
      starved = starved || completion.result == -ENOBUFS;
      if (!completion.has_buffer()) {
        continue;
      }
      buffers.took();
      int number = -1;
      REQUIRE(completion.result == sizeof(number));
      std::memcpy(&number, buffers.bytes(completion.buffer()).data(), sizeof(number));
      CHECK(number == static_cast<int>(taken.size()));
      taken.push_back(completion.buffer());
    }
  }
  CHECK(taken.size() == 8);
  CHECK_FALSE(buffers.recovered());
  buffers.put(taken[3]);
  CHECK_FALSE(buffers.recovered());
  buffers.put(taken[5]);
  CHECK(buffers.recovered());
  receive();
  ring.wait(std::nullopt);
  REQUIRE(ring.take(completion));
  CHECK(completion.has_buffer());
  CHECK(completion.buffer() == taken[3]);
  ring.close();
  close(ends[0]);
  close(ends[1]);
}

struct Count final : Call {
  explicit Count(int& counter) : counter(counter) {}
  bool run() override {
    ++counter;
    return true;
  }
  int& counter;
};

TEST_CASE("call queue: every call runs once, sleeping or not") {
  CallQueue queue;
  REQUIRE(queue.open() == 0);
  int counter = 0;  // touched by the running thread only
  std::atomic<bool> stop = false;
  std::thread runner([&] {
    while (!stop) {
      if (queue.may_sleep()) {
        pollfd state{queue.descriptor(), POLLIN, 0};
        poll(&state, 1, 1000);
      }
      queue.awake();
      for (Call* call = queue.take_all(); call != nullptr;) {
        Call* next = call->next;
        if (call->run()) {
          call->complete();
        }
        call = next;
      }
    }
  });
  std::vector<std::thread> callers;
  callers.reserve(4);
  for (int i = 0; i < 4; ++i) {
    callers.emplace_back([&] {
      for (int j = 0; j < 2000; ++j) {
        Count call(counter);
        queue.post(call);
        CallQueue::wait(call);
      }
    });
  }
  for (std::thread& caller : callers)
    caller.join();
  stop = true;
  Count last(counter);
  std::uint64_t one = 1;
  REQUIRE(write(queue.descriptor(), &one, sizeof(one)) == sizeof(one));
  runner.join();
  CHECK(counter == 8000);
}

TEST_CASE("call list: first in, first out") {
  int counter = 0;
  Count a(counter);
  Count b(counter);
  CallList list;
  CHECK(list.empty());
  for (int round = 0; round < 2; ++round) {
    list.push(a);
    list.push(b);
    CHECK(&list.pop() == &a);
    CHECK(&list.pop() == &b);
    CHECK(list.empty());
  }
}

}  // namespace
}  // namespace ringknet::test
