// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The public interface: three real handles with their engines, and a sequence of calls drawn from
// the input byte by byte, every function with good arguments and wild ones. What is called, and how
// a result is judged by its errno, is tests/conformance's random calls; here one thread makes the
// calls, and the fuzzer decides. Messages that arrive are not looked at: other tests do that.
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

#include "fuzz/input.h"
#include "tests/conformance/random_world.h"

namespace ringknet::fuzz {
namespace {

using random_calls::Chance;
using random_calls::Player;
using random_calls::Seat;
using random_calls::World;

// More than this in one input takes long and says no more than several inputs.
constexpr int kCallsMax = 200;

void empty_log(const World& world) {
  std::array<char, 65536> records;
  while (read(world.log[0], records.data(), records.size()) > 0) {
  }
}

void play(World& world, std::span<const std::uint8_t> bytes) {
  for (std::size_t node = 0; node < random_calls::kNodes; ++node)
    world.make(node);
  Player player(world, 0, random_calls::actions().size());
  player.chance = Chance(bytes);
  // Either the calls begin with links that come up, or with nothing.
  if (player.chance.one_in(2)) {
    for (std::size_t node = 0; node < random_calls::kNodes; ++node)
      world.repair(node);
  }
  for (int calls = 0; calls < kCallsMax && !player.chance.used_up(); ++calls) {
    player.action = player.chance.below(random_calls::actions().size());
    random_calls::actions()[player.action].play(player);
  }
  for (Seat& seat : world.seats) {
    knet_handle_t handle = seat.handle.exchange(nullptr);
    World::strip(handle);
    require(knet_handle_free(handle) == 0, "a handle without hosts can be freed");
  }
  empty_log(world);
  require(!world.failed, "a call's result goes with its errno");
}

}  // namespace
}  // namespace ringknet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Made once: it finds free ports.
  static random_calls::World world;
  ringknet::fuzz::play(world, {data, size});
  return 0;
}
