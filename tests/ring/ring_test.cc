// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The ring by itself, the buffers the kernel picks from, and the queue of calls.
#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <set>
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

namespace {

// A group of 8 buffers, at least 4 of them in use, and a socket whose messages, numbered from 0,
// are read into them.
struct BufferBench {
  static constexpr std::uint32_t kFew = 4;

  BufferBench() {
    REQUIRE(ring.open().error == 0);
    REQUIRE(buffers.open(ring, 5, 8, kFew, 100) == 0);
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) == 0);
  }
  ~BufferBench() {
    ring.close();
    close(ends[0]);
    close(ends[1]);
  }
  // Fills the socket and takes buffers, in order, until none is left.
  std::vector<std::uint16_t> exhaust() {
    while (send(ends[1], &last, sizeof(last), 0) == sizeof(last))
      ++last;
    ring.queue({OpKind::kRead, 0, 0}, [&](io_uring_sqe* sqe) {
      io_uring_prep_recv_multishot(sqe, ends[0], nullptr, 0, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = buffers.group();
    });
    std::vector<std::uint16_t> taken;
    bool starved = false;
    while (!starved) {
      ring.wait(std::nullopt);
      Completion completion;
      while (ring.take(completion)) {
        starved = starved || completion.result == -ENOBUFS;
        if (!completion.has_buffer())
          continue;
        buffers.took();
        int number = -1;
        REQUIRE(completion.result == sizeof(number));
        std::memcpy(&number, buffers.bytes(completion.buffer()).data(), sizeof(number));
        CHECK(number == next++);
        taken.push_back(completion.buffer());
      }
    }
    return taken;
  }

  BufferRing buffers;
  Ring ring;
  int ends[2];
  int last = 0;
  int next = 0;
};

}  // namespace

TEST_CASE("buffer ring: runs out, recovers, and hands out every buffer") {
  BufferBench bench;
  BufferRing& buffers = bench.buffers;
  std::vector<std::uint16_t> taken = bench.exhaust();
  CHECK(taken.size() == BufferBench::kFew);
  CHECK_FALSE(buffers.recovered());
  for (const std::uint16_t buffer : taken)
    buffers.put(buffer, sizeof(int));
  CHECK(buffers.in_use() == 8);
  taken = bench.exhaust();
  CHECK(std::set(taken.begin(), taken.end()).size() == 8);
  CHECK_FALSE(buffers.recovered());
  buffers.put(taken[3], sizeof(int));
  CHECK_FALSE(buffers.recovered());
  buffers.put(taken[5], sizeof(int));
  CHECK(buffers.recovered());
  CHECK(bench.exhaust() == std::vector{taken[3], taken[5]});
}

TEST_CASE("buffer ring: few buffers go round while what they hold is long") {
  BufferBench bench;
  BufferRing& buffers = bench.buffers;
  for (const std::uint16_t buffer : bench.exhaust())
    buffers.put(buffer, 0);
  REQUIRE(buffers.in_use() == 8);
  const std::vector<std::uint16_t> taken = bench.exhaust();
  REQUIRE(taken.size() == 8);
  for (const std::uint16_t buffer : taken)
    buffers.put(buffer, BufferRing::kCached / BufferBench::kFew);
  CHECK(buffers.in_use() == BufferBench::kFew);
  CHECK(buffers.recovered());
  // What was put back last is used first: it is in the cache.
  const std::vector<std::uint16_t> hot = bench.exhaust();
  CHECK(hot == std::vector(taken.begin() + 4, taken.end()));
  // One short one does not bring back the others, many do.
  buffers.put(hot[0], 1);
  CHECK(buffers.in_use() == BufferBench::kFew);
  for (int i = 0; i < 100; ++i) {
    const std::vector<std::uint16_t> next = bench.exhaust();
    for (const std::uint16_t buffer : next)
      buffers.put(buffer, 1);
  }
  CHECK(buffers.in_use() == 8);
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
