// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What random calls are made with: handles that come and go, addresses, descriptors, and a player
// per thread that draws arguments and judges results. Which calls there are is random_actions.cc's,
// who plays and for how long random_calls.cc's. Pointers are NULL or good, except handles, which
// may be anything.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "api/libknet.h"

namespace random_calls {

using Clock = std::chrono::steady_clock;

inline constexpr size_t kNodes = 3;
inline constexpr size_t kAddresses = 6;  // of each node, one per base link and some more
inline constexpr size_t kUserPairs = 4;
inline constexpr int kClosedDescriptor = 1000000;
// Longer than any message may be, so that a length that is too long still fits into memory.
inline constexpr size_t kBufferSize = KNET_MAX_PACKET_SIZE + 4096;
inline constexpr int kErrnoUntouched = 7777;

// Where the players' decisions come from: a generator, or bytes that somebody else has thought of,
// and nothing but zeros after them.
class Chance {
 public:
  explicit Chance(uint64_t seed) : engine_(seed) {}
  explicit Chance(std::span<const uint8_t> bytes) : bytes_(bytes), from_bytes_(true) {}
  uint64_t below(uint64_t bound) {
    return (from_bytes_ ? take(bound <= 256 ? 1 : sizeof(uint64_t)) : engine_()) % bound;
  }
  bool one_in(uint64_t n) { return below(n) == n - 1; }
  uint64_t bits() { return from_bytes_ ? take(sizeof(uint64_t)) : engine_(); }
  template <typename List>
  auto pick(const List& list) {
    return std::data(list)[below(std::size(list))];
  }
  bool used_up() const { return from_bytes_ && bytes_.empty(); }

 private:
  uint64_t take(size_t size) {
    uint64_t value = 0;
    for (; size > 0 && !bytes_.empty(); --size) {
      value = value << 8 | bytes_.front();
      bytes_ = bytes_.subspan(1);
    }
    return value;
  }

  std::mt19937_64 engine_;
  std::span<const uint8_t> bytes_;
  bool from_bytes_ = false;
};

struct World;

// A node's place, whatever handle sits on it; the private pointer of its callbacks. They call back
// into their own handle only: two that wait for each other's would wait for ever.
struct Seat {
  World* world = nullptr;
  std::atomic<knet_handle_t> handle{nullptr};
};

struct World {
  std::array<Seat, kNodes> seats{};
  std::atomic<knet_handle_t> freed{nullptr};
  std::array<std::array<sockaddr_storage, kAddresses>, kNodes> addresses{};
  std::array<std::array<int, 2>, kUserPairs> pairs{};
  std::array<int, 2> log{-1, -1};

  // Held where handles are made and freed, so that nobody takes a new handle for an old one that
  // had the same address. All other calls go on meanwhile.
  std::mutex births_and_deaths;

  std::atomic<uint64_t> delivered{0};
  std::atomic<uint64_t> host_events{0};
  std::atomic<uint64_t> other_events{0};
  std::atomic<uint64_t> records{0};
  std::atomic<bool> failed{false};

  World();
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  static knet_node_id_t id(size_t node) { return static_cast<knet_node_id_t>(node + 1); }
  // Makes the handle of a node, with all callbacks.
  void make(size_t node);
  // Frees a handle that is no node's, whatever others have put into it.
  static void discard(knet_handle_t handle);
  // Brings a node into a state in which messages flow, whatever has been done to it.
  void repair(size_t node);
  // Empties a handle as far as it lets us.
  static void strip(knet_handle_t handle);
  void fail(const std::string& text);
};

// Installed in every handle; the private pointer is the seat.
void on_sock(void* seat, int datafd, int8_t channel, uint8_t direction, int error, int number);
void on_host(void* seat, knet_node_id_t host, uint8_t reachable, uint8_t remote, uint8_t external);
void on_mtu(void* seat, unsigned mtu);
int filter(void* seat, const unsigned char* data, ssize_t size, uint8_t direction,
           knet_node_id_t self, knet_node_id_t source, int8_t* channel, knet_node_id_t* hosts,
           size_t* count);

struct Tally {
  uint64_t good = 0;
  uint64_t bad = 0;
};

// One thread's arguments and results.
class Player {
 public:
  Player(World& world, uint64_t seed, size_t actions);

  // Draw the handle first: the addresses are those of its node.
  knet_handle_t handle();
  knet_node_id_t host();
  uint8_t link();
  int8_t channel();
  uint8_t byte();
  int datafd();
  size_t length();
  char* buffer() { return chance.one_in(kNullRate) ? nullptr : buffer_.data(); }
  sockaddr_storage* source();
  sockaddr_storage* target();
  const char* name();
  unsigned small_or_wild(unsigned bound);
  time_t milliseconds();
  template <typename Value>
  Value* out(Value& value) {
    return chance.one_in(kNullRate) ? nullptr : &value;
  }
  knet_node_id_t* host_array() { return chance.one_in(kNullRate) ? nullptr : hosts_.data(); }
  uint8_t* link_array() { return chance.one_in(kNullRate) ? nullptr : links_.data(); }

  // The result of a call must go with its errno.
  void judge(const char* text, long result, int error);

  // The seat that the handle was drawn from.
  Seat* seat() { return &world.seats[node_]; }

  World& world;
  Chance chance;
  std::vector<Tally> tallies;
  size_t action = 0;
  // Looked at by the watchdog.
  std::atomic<const char*> doing{"nothing"};
  std::atomic<int64_t> since{0};

 private:
  static constexpr uint64_t kNullRate = 24;

  size_t node_ = 0;
  std::vector<char> buffer_ = std::vector<char>(kBufferSize, 'r');
  std::vector<knet_node_id_t> hosts_ = std::vector<knet_node_id_t>(KNET_MAX_HOST);
  std::array<uint8_t, KNET_MAX_LINK> links_{};
  std::array<sockaddr_storage, 2> storages_{};
};

struct Action {
  const char* name;
  void (*play)(Player&);
};
std::span<const Action> actions();

}  // namespace random_calls
