// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The world of the random calls and how arguments are drawn: mostly such that a call can succeed,
// sometimes wild. It decides nothing about which calls are made.
#include "tests/conformance/random_world.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace random_calls {
namespace {

constexpr time_t kPingInterval = 5;
constexpr time_t kPingTimeout = 200;

void require(bool good, const char* text) {
  if (!good) {
    std::printf("set-up failed: %s: %s\n", text, std::strerror(errno));
    std::exit(1);
  }
}

// Of a loopback address of the node's own, so that nodes do not fight for ports.
sockaddr_storage free_address(size_t node) {
  sockaddr_storage storage{};
  auto& four = reinterpret_cast<sockaddr_in&>(storage);
  four.sin_family = AF_INET;
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 40 + static_cast<uint32_t>(node));
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  socklen_t size = sizeof(four);
  auto* generic = reinterpret_cast<sockaddr*>(&storage);
  require(bind(fd, generic, size) == 0 && getsockname(fd, generic, &size) == 0, "a free port");
  close(fd);
  return storage;
}

// A number that differs from call to call; callbacks have no player to draw from.
uint64_t dice() {
  static std::atomic<uint64_t> state{0};
  uint64_t value = state.fetch_add(0x9e3779b97f4a7c15);
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

// Calls from inside a callback.
void call_back(Seat& seat) {
  const uint64_t number = dice();
  knet_handle_t handle = seat.handle;
  unsigned value = 0;
  knet_host_status status{};
  switch ((number >> 8) % 64) {
    case 0:
      knet_handle_pmtud_get(handle, &value);
      break;
    case 1:
      knet_host_get_status(handle, 2, &status);
      break;
    case 2:
      knet_host_set_policy(handle, 2, static_cast<uint8_t>(number >> 16) % 3);
      break;
    default:
      break;
  }
}

}  // namespace

World::World() {
  for (Seat& seat : seats) {
    seat.world = this;
  }
  for (size_t node = 0; node < kNodes; ++node) {
    for (sockaddr_storage& address : addresses[node]) {
      address = free_address(node);
    }
  }
  for (auto& pair : pairs) {
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.data()) == 0,
            "socketpair");
  }
  require(pipe2(log.data(), O_CLOEXEC | O_NONBLOCK) == 0, "pipe");
}

World::~World() {
  for (const auto& pair : pairs) {
    close(pair[0]);
    close(pair[1]);
  }
  close(log[0]);
  close(log[1]);
}

void World::make(size_t node) {
  knet_handle_t handle = knet_handle_new_ex(id(node), log[1], KNET_LOG_DEBUG, 0);
  require(handle != nullptr, "knet_handle_new_ex");
  knet_handle_enable_sock_notify(handle, &seats[node], on_sock);
  knet_host_enable_status_change_notify(handle, &seats[node], on_host);
  knet_handle_enable_pmtud_notify(handle, &seats[node], on_mtu);
  seats[node].handle = handle;
}

void World::discard(knet_handle_t handle) {
  while (knet_handle_free(handle) != 0 && errno == EBUSY) {
    strip(handle);
  }
}

void World::repair(size_t node) {
  knet_handle_t handle = seats[node].handle;
  knet_handle_setfwd(handle, 1);
  knet_handle_enable_access_lists(handle, 0);
  knet_handle_crypto_rx_clear_traffic(handle, KNET_CRYPTO_RX_ALLOW_CLEAR_TRAFFIC);
  knet_handle_crypto_use_config(handle, 0);
  knet_handle_enable_filter(handle, nullptr, nullptr);
  int datafd = 0;
  int8_t channel = 0;
  knet_handle_add_datafd(handle, &datafd, &channel);
  for (size_t other = 0; other < kNodes; ++other) {
    if (other == node) {
      continue;
    }
    knet_host_add(handle, id(other));
    // Addresses 0 to 2 are the base links' own: the one for node n is number n.
    knet_link_set_config(handle, id(other), 0, KNET_TRANSPORT_UDP, &addresses[node][other],
                         &addresses[other][node], 0);
    knet_link_set_ping_timers(handle, id(other), 0, kPingInterval, kPingTimeout, 16);
    knet_link_set_pong_count(handle, id(other), 0, 1);
    knet_link_set_enable(handle, id(other), 0, 1);
  }
}

void World::strip(knet_handle_t handle) {
  std::vector<knet_node_id_t> hosts(KNET_MAX_HOST);
  size_t count = 0;
  if (knet_host_get_host_list(handle, hosts.data(), &count) != 0) {
    return;
  }
  for (const knet_node_id_t host : std::span(hosts.data(), count)) {
    std::array<uint8_t, KNET_MAX_LINK> links{};
    size_t link_count = 0;
    knet_link_get_link_list(handle, host, links.data(), &link_count);
    for (const uint8_t link : std::span(links.data(), link_count)) {
      knet_link_set_enable(handle, host, link, 0);
      knet_link_clear_config(handle, host, link);
    }
    knet_host_remove(handle, host);
  }
}

void World::fail(const std::string& text) {
  std::printf("FAILED  %s\n", text.c_str());
  failed = true;
}

void on_sock(void* seat_pointer, int, int8_t, uint8_t, int, int) {
  Seat& seat = *static_cast<Seat*>(seat_pointer);
  ++seat.world->other_events;
  call_back(seat);
}

void on_host(void* seat_pointer, knet_node_id_t, uint8_t reachable, uint8_t remote,
             uint8_t external) {
  Seat& seat = *static_cast<Seat*>(seat_pointer);
  ++seat.world->host_events;
  if (reachable > 1 || remote != 0 || external != 0) {
    seat.world->fail("the host callback got a state that does not exist");
  }
  call_back(seat);
}

void on_mtu(void* seat_pointer, unsigned mtu) {
  Seat& seat = *static_cast<Seat*>(seat_pointer);
  ++seat.world->other_events;
  if (mtu == 0 || mtu > 65535) {
    seat.world->fail("the MTU callback got " + std::to_string(mtu));
  }
  call_back(seat);
}

int filter(void* seat_pointer, const unsigned char*, ssize_t size, uint8_t, knet_node_id_t,
           knet_node_id_t, int8_t* channel, knet_node_id_t* hosts, size_t* count) {
  Seat& seat = *static_cast<Seat*>(seat_pointer);
  if (size < 1 || size > KNET_MAX_PACKET_SIZE) {
    seat.world->fail("the filter got " + std::to_string(size) + " bytes");
  }
  call_back(seat);
  const uint64_t number = dice();
  switch (number % 16) {
    case 0:
      return -1;
    case 1:
      *channel = static_cast<int8_t>(number >> 8);
      return 1;
    case 2:
      *count = (number >> 8) % 100000;  // more than there is room for: refused, or undefined ids
      std::fill_n(hosts, std::min<size_t>(*count, KNET_MAX_HOST), knet_node_id_t{2});
      return 0;
    case 3:
    case 4:
    case 5:
      hosts[0] = static_cast<knet_node_id_t>((number >> 8) % 5);
      *count = 1;
      return 0;
    default:
      return 1;
  }
}

Player::Player(World& its_world, uint64_t seed, size_t action_count)
    : world(its_world), chance(seed), tallies(action_count) {}

knet_handle_t Player::handle() {
  node_ = chance.below(kNodes);
  knet_handle_t good = world.seats[node_].handle;
  switch (chance.below(64)) {
    case 0:
      return nullptr;
    case 1:
      return reinterpret_cast<knet_handle_t>(static_cast<uintptr_t>(chance.bits()));
    case 2:
      return world.freed;
    case 3:
      return reinterpret_cast<knet_handle_t>(reinterpret_cast<char*>(good) + chance.below(64) + 1);
    default:
      return good;
  }
}

knet_node_id_t Player::host() {
  constexpr std::array<knet_node_id_t, 2> kOthers{10, UINT16_MAX};
  switch (chance.below(16)) {
    case 0:
      return static_cast<knet_node_id_t>(chance.bits());
    case 1:
    case 2:
      return chance.pick(kOthers);
    default:
      return World::id(chance.below(kNodes));
  }
}

uint8_t Player::link() {
  // The base link is left alone mostly, so that there is traffic to disturb.
  return chance.one_in(16) ? byte() : static_cast<uint8_t>(1 + chance.below(2));
}

int8_t Player::channel() {
  return chance.one_in(8) ? static_cast<int8_t>(chance.bits())
                          : static_cast<int8_t>(chance.below(6));
}

uint8_t Player::byte() {
  return static_cast<uint8_t>(chance.bits());
}

int Player::datafd() {
  // No number of a descriptor that is open and not ours: the call would be right to use it.
  constexpr std::array<int, 5> kOthers{0, -1, INT_MIN, kClosedDescriptor, INT_MAX};
  return chance.one_in(2) ? chance.pick(kOthers) : world.pairs[chance.below(kUserPairs)][0];
}

size_t Player::length() {
  constexpr std::array<size_t, 8> kLengths{0, 1, 100, 1446, 9000, 65536, 65537, SIZE_MAX};
  return chance.one_in(3) ? chance.pick(kLengths) : chance.below(3000);
}

sockaddr_storage* Player::source() {
  storages_[0] = world.addresses[node_][kNodes + chance.below(kAddresses - kNodes)];
  switch (chance.below(24)) {
    case 0:
      return nullptr;
    case 1:
      storages_[0].ss_family = AF_UNIX;
      break;
    case 2:
      storages_[0].ss_family = AF_UNSPEC;
      break;
    case 3:
    case 4: {
      storages_[0] = {};
      auto& six = reinterpret_cast<sockaddr_in6&>(storages_[0]);
      six.sin6_family = AF_INET6;
      six.sin6_addr = in6addr_loopback;
      break;
    }
    default:
      break;
  }
  return storages_.data();
}

sockaddr_storage* Player::target() {
  storages_[1] = chance.one_in(8) ? storages_[0]
                                  : world.addresses[chance.below(kNodes)][chance.below(kAddresses)];
  // The last of the node's own addresses is mostly for dynamic links.
  const bool last =
      std::memcmp(&storages_[0], &world.addresses[node_].back(), sizeof(sockaddr_storage)) == 0;
  return last != chance.one_in(16) ? nullptr : &storages_[1];
}

const char* Player::name() {
  static const std::string kTooLong(KNET_MAX_HOST_LEN, 'n');
  static const std::array<const char*, 18> kNames{
      "",      "1",       "2",     "node",  "UDP",     "LOOPBACK",
      "udp",   "tx",      "debug", "trace", "::1",     "127.0.0.1",
      "50000", "1000000", "%s%n",  "\xff",  "unknown", kTooLong.c_str()};
  return chance.one_in(kNullRate) ? nullptr : chance.pick(kNames);
}

unsigned Player::small_or_wild(unsigned bound) {
  return chance.one_in(8) ? static_cast<unsigned>(chance.bits())
                          : static_cast<unsigned>(chance.below(bound));
}

time_t Player::milliseconds() {
  constexpr std::array<time_t, 10> kTimes{0, -1, 1, 5, 50, 200, 1000, 100000, LONG_MAX, LONG_MIN};
  return chance.pick(kTimes);
}

void Player::judge(const char* text, long result, int error) {
  const bool good = result >= 0;
  ++(good ? tallies[action].good : tallies[action].bad);
  const bool known_model_error = result == -2;
  if (error == kErrnoUntouched || (!good && error == 0 && !known_model_error) ||
      (result == 0 && error != 0) || error == EDEADLK) {
    world.fail(std::string(text) + " returned " + std::to_string(result) + " with errno " +
               std::to_string(error));
  }
}

}  // namespace random_calls
