// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Calls of the whole interface at random, from eight threads on three handles, while messages flow
// between them over loopback UDP and a caretaker keeps repairing what the calls destroy. It fails
// when a call does not return, returns an errno that does not go with its result, when nothing was
// delivered, or when descriptors, threads or memory are not given back in the end. A crash or a
// data race is the sanitizers' to see. Numbers repeat with --seed as far as threads allow.
//
// usage: random_calls [--calls N] [--seed N]
#include <dirent.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <thread>

#include "tests/conformance/random_world.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RANDOM_CALLS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RANDOM_CALLS_SANITIZED 1
#endif
#endif

namespace random_calls {
namespace {

constexpr unsigned kThreads = 8;
constexpr std::chrono::seconds kLongestCall{60};
constexpr std::chrono::milliseconds kRound{2};
constexpr unsigned kRoundsToRepair = 8;
constexpr unsigned kMessages = 4;
// Bursts of calls as fast as they go, and between them a pace that lets links come up.
constexpr uint64_t kBurst = 512;
constexpr uint64_t kStride = 4;
constexpr std::chrono::seconds kPatience{20};
// What a handle leaves behind in the allocator (arenas, caches) must not grow with the calls.
constexpr int64_t kMemoryAllowance = 4 << 20;

size_t entries(const char* path) {
  size_t count = 0;
  if (DIR* folder = opendir(path); folder != nullptr) {
    while (readdir(folder) != nullptr) {
      ++count;
    }
    closedir(folder);
  }
  return count;
}

struct Belongings {
  size_t descriptors = entries("/proc/self/fd");
  size_t threads = entries("/proc/self/task");
  int64_t memory = [] {
    const struct mallinfo2 info = mallinfo2();
    return static_cast<int64_t>(info.uordblks + info.hblkhd);
  }();
};

// Sends to everybody on channel 0 and takes what has arrived.
void exchange(World& world) {
  std::array<char, 2000> message{};
  std::array<char, KNET_MAX_PACKET_SIZE> received;
  for (const Seat& seat : world.seats) {
    knet_handle_t handle = seat.handle;
    for (unsigned number = 0; number < kMessages; ++number) {
      knet_send(handle, message.data(), message.size(), 0);
    }
    while (knet_recv(handle, received.data(), received.size(), 0) > 0) {
      ++world.delivered;
    }
  }
}

void read_log(World& world) {
  std::array<knet_log_msg, 64> records{};
  for (;;) {
    const ssize_t size = read(world.log[0], records.data(), sizeof(records));
    if (size <= 0) {
      return;
    }
    if (static_cast<size_t>(size) % sizeof(knet_log_msg) != 0) {
      world.fail("the log pipe has a torn record");
    }
    world.records += static_cast<size_t>(size) / sizeof(knet_log_msg);
  }
}

void care(World& world, const std::atomic<bool>& stop) {
  for (unsigned round = 0; !stop; ++round) {
    if (round % kRoundsToRepair == 0) {
      for (size_t node = 0; node < kNodes; ++node) {
        world.repair(node);
      }
    }
    exchange(world);
    read_log(world);
    std::this_thread::sleep_for(kRound);
  }
}

void play(Player& player, uint64_t calls) {
  for (uint64_t number = 0; number < calls; ++number) {
    player.action = player.chance.below(actions().size());
    player.doing = actions()[player.action].name;
    player.since = Clock::now().time_since_epoch().count();
    actions()[player.action].play(player);
    player.since = 0;
    if (number / kBurst % 2 == 0 && number % kStride == 0) {
      std::this_thread::sleep_for(kRound);
    }
  }
}

// Ends the program if a call does not come back; true when all have.
void watch(const std::deque<Player>& players, const std::atomic<unsigned>& playing) {
  while (playing != 0) {
    std::this_thread::sleep_for(kRound);
    for (const Player& player : players) {
      const int64_t since = player.since;
      const Clock::duration now = Clock::now().time_since_epoch();
      if (since != 0 && now - Clock::duration{since} > kLongestCall) {
        std::printf("FAILED  %s does not return\n", player.doing.load());
        std::fflush(stdout);
        std::abort();
      }
    }
  }
}

bool eventually(const std::atomic<uint64_t>& counter) {
  const auto end = Clock::now() + kPatience;
  const uint64_t before = counter;
  while (counter == before && Clock::now() < end) {
    std::this_thread::sleep_for(kRound);
  }
  return counter != before;
}

void report(const std::deque<Player>& players) {
  uint64_t good = 0;
  uint64_t bad = 0;
  std::string never;
  for (size_t index = 0; index < actions().size(); ++index) {
    Tally sum;
    for (const Player& player : players) {
      sum.good += player.tallies[index].good;
      sum.bad += player.tallies[index].bad;
    }
    good += sum.good;
    bad += sum.bad;
    never += sum.good == 0 ? std::string(" ") + actions()[index].name : "";
  }
  std::printf("%" PRIu64 " calls succeeded, %" PRIu64
              " were refused; of %zu functions never "
              "successful:%s\n",
              good, bad, actions().size(), never.empty() ? " none" : never.c_str());
}

void run(World& world, uint64_t calls, uint64_t seed) {
  for (size_t node = 0; node < kNodes; ++node) {
    world.make(node);
  }
  std::atomic<bool> stop{false};
  std::thread caretaker([&] { care(world, stop); });
  if (!eventually(world.delivered)) {
    world.fail("no message flows before the random calls");
  }
  std::deque<Player> players;
  std::vector<std::thread> threads;
  std::atomic<unsigned> playing{kThreads};
  for (unsigned number = 0; number < kThreads; ++number) {
    players.emplace_back(world, seed * kThreads + number, actions().size());
  }
  for (Player& player : players) {
    threads.emplace_back([&player, &playing, calls] {
      play(player, calls / kThreads);
      --playing;
    });
  }
  watch(players, playing);
  for (std::thread& thread : threads) {
    thread.join();
  }
  if (!eventually(world.delivered)) {
    world.fail("no message flows after the random calls");
  }
  stop = true;
  caretaker.join();
  report(players);
}

void end(World& world) {
  for (Seat& seat : world.seats) {
    knet_handle_t handle = seat.handle.exchange(nullptr);
    World::strip(handle);
    if (knet_handle_free(handle) != 0) {
      world.fail(std::string("knet_handle_free: ") + std::strerror(errno));
    }
  }
  read_log(world);
}

void compare(World& world, const Belongings& before, const Belongings& after) {
  std::printf("descriptors %zu, then %zu; threads %zu, then %zu; memory %" PRId64 " KiB more\n",
              before.descriptors, after.descriptors, before.threads, after.threads,
              (after.memory - before.memory) / 1024);
  if (after.descriptors != before.descriptors) {
    world.fail("descriptors are left open");
  }
  if (after.threads != before.threads) {
    world.fail("threads are left");
  }
#ifndef RANDOM_CALLS_SANITIZED
  if (after.memory - before.memory > kMemoryAllowance) {
    world.fail("memory is left");
  }
#endif
}

int play_all(uint64_t calls, uint64_t seed) {
  std::printf("random_calls --calls %" PRIu64 " --seed %" PRIu64 "\n", calls, seed);
  std::fflush(stdout);
  World world;
  // A first small round, so that what is made once per process is there before the count.
  constexpr uint64_t kWarmUp = 2000;
  run(world, kWarmUp, ~seed);
  end(world);
  const Belongings before;
  const auto start = Clock::now();
  run(world, calls, seed);
  const std::chrono::duration<double> took = Clock::now() - start;
  end(world);
  // A thread that has been joined may be seen for a moment more.
  const auto deadline = Clock::now() + kPatience;
  while (entries("/proc/self/task") > before.threads && Clock::now() < deadline) {
    std::this_thread::yield();
  }
  compare(world, before, Belongings());
  std::printf("%.1f s, %" PRIu64 " messages delivered, %" PRIu64 " host and %" PRIu64
              " other events, %" PRIu64 " log records\n",
              took.count(), world.delivered.load(), world.host_events.load(),
              world.other_events.load(), world.records.load());
  return world.failed ? 1 : 0;
}

}  // namespace
}  // namespace random_calls

int main(int count, char** arguments) {
  uint64_t calls = 20000;
  uint64_t seed = 1;
  for (int index = 1; index + 1 < count; index += 2) {
    const std::string name = arguments[index];
    const uint64_t value = std::strtoull(arguments[index + 1], nullptr, 10);
    if (name == "--calls") {
      calls = value;
    } else if (name == "--seed") {
      seed = value;
    }
  }
  return random_calls::play_all(calls, seed);
}
