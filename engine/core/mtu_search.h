// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Path MTU discovery of one link: which packet sizes are proven, which is probed next, and when.
// All sizes are whole IP packets, as in the protocol's probes.
//
//                start()                     bracket closed
//      kIdle ---------------> kSearching -----------------------> kSettled
//        ^  stop()               ^    ^                               |   ^
//        |                       |    |      large data flows, or the |   | answered
//        |                       |    |      interval has passed      v   |
//        |                       |    +--------------------------- kConfirming
//        |                       |      answered, and the interval      |
//        |                       |      has passed: look for more       |
//        |                       +--------------------------------------+
//                                  black hole: large probes lost, small pongs arrive
//
// The search never takes anything away from a working link: it starts from the floor that every
// path carries and only raises. What is proven is lowered by evidence only: the kernel refuses the
// size, or probes of the size in use stay unanswered while small packets on the same link are
// answered. How many probes that takes depends on how much the path loses of everything.
#pragma once

#include <cstdint>

#include "engine/base/address.h"
#include "engine/base/time.h"
#include "engine/wire/size.h"

namespace ringknet {

class MtuSearch {
 public:
  enum class Phase : std::uint8_t { kIdle, kSearching, kSettled, kConfirming };

  // What the link should do now.
  struct Step {
    bool probe = false;       // send a probe of candidate() bytes
    bool ping = false;        // send a PING: is the path alive for small packets?
    bool settled = false;     // proven() is final for now: use it
    bool black_hole = false;  // the size in use does not pass any more: proven() fell to the floor
  };

  void configure(const Envelope& envelope, Address::Family family);

  // Link up or a forced run. `attempt_gap` is the time between two tries of a size.
  Step start(Instant now, Duration attempt_gap);
  void stop();
  Step on_timeout(Instant now);
  // False when no probe of this size waits for its answer.
  bool on_reply(Instant now, std::uint16_t size, Step& step);
  void on_pong() { small_answered_ = true; }
  // The kernel refuses IP packets beyond `limit` (0: beyond something it did not name) on this
  // path.
  Step on_kernel_limit(Instant now, std::uint32_t limit, std::uint32_t refused_size);
  // Packets of `size` went out: worth confirming when they are larger than the floor.
  void on_data(Instant now, std::uint32_t size);

  // How long a settled size stays before a larger one is tried.
  void set_interval(Instant now, Duration interval);

  Phase phase() const { return phase_; }
  Instant deadline() const { return deadline_; }
  std::uint32_t candidate() const { return candidate_; }
  std::uint32_t proven() const { return proven_; }
  // The largest slice in an IP packet of `size` bytes, and the packet that holds exactly this
  // slice.
  std::uint32_t slice(std::uint32_t size) const;
  std::uint32_t aligned(std::uint32_t size) const;
  std::uint32_t packet(std::uint32_t slice) const;
  std::uint32_t floor_size() const { return floor_size_; }
  bool measured() const { return measured_; }

 private:
  // Of questions that should have been answered, how many were not: a moving average in 256ths.
  class Loss {
   public:
    void add(bool lost) { share_ = (31 * share_ + (lost ? 256 : 0)) / 32; }
    unsigned share() const { return share_; }

   private:
    unsigned share_ = 0;
  };

  // From `least` tries of a size without loss, `more` with nothing but loss.
  unsigned tries(unsigned least, unsigned more) const {
    return least + (more * loss_.share() + 255) / 256;
  }
  Step next_candidate(Instant now, bool kernel_named = false);
  Step try_candidate(Instant now, std::uint32_t size);
  Step look_for_more(Instant now);
  Step confirm(Instant now);
  Step settle(Instant now);
  Step fall_back(Instant now);

  Envelope envelope_;
  std::uint32_t overhead_ = 0;
  std::uint32_t floor_size_ = 0;
  Phase phase_ = Phase::kIdle;
  std::uint32_t proven_ = 0;
  std::uint32_t failed_ = 0;  // the smallest size known not to pass
  std::uint32_t candidate_ = 0;
  unsigned attempts_ = 0;
  Loss loss_;
  bool measured_ = false;
  bool small_answered_ = false;
  bool confirm_armed_ = false;
  Duration attempt_gap_{};
  Duration interval_ = std::chrono::seconds(60);
  Instant settled_at_{};
  Instant deadline_ = kNever;
};

}  // namespace ringknet
