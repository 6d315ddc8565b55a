// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A steady stream allocates nothing: every malloc of the engine threads is counted while messages
// of all sizes flow. Under a sanitizer, which has a malloc of its own, operator new is counted
// instead.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>

#include "tests/ring/node.h"

namespace {

std::atomic<bool> counting = false;
std::atomic<std::uint64_t> allocations = 0;
thread_local bool not_counted = false;  // the test's own thread

void count_allocation() {
  if (counting.load(std::memory_order_relaxed) && !not_counted) {
    allocations.fetch_add(1, std::memory_order_relaxed);
  }
}

}  // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RINGKNET_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RINGKNET_SANITIZED 1
#endif
#endif

#ifdef RINGKNET_SANITIZED
// Not inlined: the compiler would take malloc and free for a mismatch with new and delete.
__attribute__((noinline)) void* operator new(std::size_t size) {
  count_allocation();
  void* memory = std::malloc(size);
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}
__attribute__((noinline)) void operator delete(void* memory) noexcept {
  std::free(memory);
}
__attribute__((noinline)) void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#else
extern "C" {
// NOLINTBEGIN: the C library's own names
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);

__attribute__((visibility("default"))) void* malloc(std::size_t size) {
  count_allocation();
  return __libc_malloc(size);
}
__attribute__((visibility("default"))) void* calloc(std::size_t count, std::size_t size) {
  count_allocation();
  return __libc_calloc(count, size);
}
__attribute__((visibility("default"))) void* realloc(void* memory, std::size_t size) {
  count_allocation();
  return __libc_realloc(memory, size);
}
// NOLINTEND
}
#endif

namespace ringknet::test {
namespace {

// Kilobytes of this process that are in memory.
long resident() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) {
      return std::strtol(line.c_str() + 6, nullptr, 10);
    }
  }
  return 0;
}

TEST_CASE("engine: a steady stream allocates nothing") {
  not_counted = true;
  const long before = resident();
  Node a(1);
  Node b(2);
  const int fd_a = a.open_channel(0);
  const int fd_b = b.open_channel(0);
  REQUIRE(join(a, b, 2));
  const auto all_pass = [](Direction direction, ConstBytes, HostId self, HostId, std::int8_t&,
                           HostId* hosts, std::size_t& count) {
    hosts[0] = direction == Direction::kTx ? HostId{2} : self;
    count = 1;
    return 0;
  };
  for (Node* node : {&a, &b}) {
    node->engine().run([&](Engine&) { node->client().filter_function = all_pass; });
  }
  const long idle = resident();
  std::vector<std::byte> received(kMessageSizeMax);
  const auto stream = [&](std::size_t size, int messages, int ahead) {
    const auto message = pattern(size, 1);
    int missing = 0;
    for (int done = 0; done < messages; done += ahead) {
      for (int i = 0; i < ahead; ++i)
        REQUIRE(write_message(fd_a, message));
      for (int i = 0; i < ahead; ++i) {
        REQUIRE(wait_readable(fd_b));
        if (recv(fd_b, received.data(), received.size(), 0) != static_cast<ssize_t>(size)) {
          ++missing;
        }
      }
    }
    REQUIRE(missing == 0);
  };
  const auto everything = [&] {
    stream(100, 5000, 100);
    stream(1400, 2000, 100);
    stream(8192, 1000, 40);
    stream(65536, 300, 30);
    for (int i = 0; i < 200; ++i) {
      REQUIRE(a.engine().send_sync(Channel{0}, pattern(3000, 1)) == Error::kNone);
      REQUIRE(read_message(fd_b).size() == 3000);
    }
  };
  // Buffers are made when they are first needed and kept, so the first rounds may still make some.
  // What allocated per packet, or per anything that comes with packets, would do so in every round.
  std::uint64_t allocated = 1;
  for (int round = 0; round < 10 && allocated > 0; ++round) {
    allocations = 0;
    counting = true;
    everything();
    counting = false;
    allocated = allocations;
  }
  CHECK(allocated == 0);
  std::printf("engine: two of them hold %ld KiB idle, %ld KiB after a stream of all sizes\n",
              idle - before, resident() - before);
}

TEST_CASE("allocation counter: counts") {
  not_counted = false;
  allocations = 0;
  counting = true;
  auto memory = std::make_unique<std::string>(100, 'x');
  counting = false;
  CHECK(memory->size() == 100);
  CHECK(allocations > 0);
}

}  // namespace
}  // namespace ringknet::test
