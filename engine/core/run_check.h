// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whether runs of several packets arrive on a link when they are sent in one piece. Firewalls,
// bridges and policers of this host, and of the other one where the network between them is
// virtual, see such a run as one long packet; a rule on the length of packets, which no single
// packet meets, takes all of it away without a word.
//
// So runs are sent datagram by datagram until a run of MTU probes of their length was answered,
// and again when that was too long ago:
//
//           traffic: a run of probes             answered
//   split -----------------------------> asked -----------> in one piece, for kValid
//     ^  ^                                 |                        |  asked again every kConfirm
//     |  |    kLostMax times in a row,     |                        |  while there is traffic
//     |  |    and the single probe behind  |                        |
//     |  |    the run was answered         v                        |
//     |  +----------------------------- given up for a minute,      |
//     |           that time over        doubling up to an hour      |
//     +-------------------------------------------------------------+  not answered in time
//
// An answer names nothing but the size of its probe. So a run is not asked for with the size of a
// single probe, or of a shorter run, that may still be answered; and a single probe of that size
// that leaves later ends the question.
//
// Nothing here has a timer: without runs there is nothing to find out. Probes cost an eighth of the
// bytes of the runs that they are for, at most, so a link with little traffic is never asked.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "engine/base/backoff.h"
#include "engine/base/time.h"
#include "engine/core/transmit.h"

namespace ringknet {

class RunCheck {
 public:
  enum class News : std::uint8_t { kNone, kVanish, kPass };

  // A run of several packets, `bytes` together, is sent now: whether it has to be split.
  bool on_run(Instant now, std::size_t bytes);
  // Whether it is time to ask; whether there is traffic enough for it, with packets of `packet`
  // bytes; and how many of them are asked for.
  bool due(Instant now) const;
  bool affordable(std::size_t packet) const;
  std::size_t segments(std::size_t packet) const;
  std::size_t largest() const { return largest_; }

  // A run of so many probes leaves, of `run_size` as probes tell it, to be followed by a single one
  // of `single_size`. `gap`: what an answer may take.
  void on_probe(Instant now, std::size_t segments, std::size_t packet, std::uint16_t run_size,
                std::uint16_t single_size, Duration gap);
  // The single one has not left yet.
  bool single_due() const { return single_ == Single::kDue; }
  std::uint16_t single_size() const { return single_size_; }
  void on_single(Instant now) {
    single_ = Single::kAsked;
    note(now, single_size_, 0);
  }
  // Somebody else's probe leaves by itself, of `size` as probes tell it.
  void on_single_probe(Instant now, std::uint16_t size) {
    if (asked_ && size == run_size_)
      on_unsent();
    note(now, size, 0);
  }
  // Whether an answer of this size may be one to less than a run of `bytes` together.
  bool ambiguous(Instant now, std::uint16_t size, std::size_t bytes) const;
  // The probes were sent one by one, as this host does not split runs at present; or not at all.
  void on_split(Instant now);
  void on_unsent() {
    asked_ = false;
    single_ = Single::kNone;
  }
  // False when no probe of this size was sent.
  bool on_reply(Instant now, std::uint16_t size, News& news);

  // The link went down: nothing is known, except of what was given up.
  void stop();
  // What was given up is tried again.
  void retry() { off_ = fresh(); }

 private:
  enum class Single : std::uint8_t { kNone, kDue, kAsked };

  // While runs flow they are asked for so often.
  static constexpr Duration kConfirm = std::chrono::milliseconds(250);
  // An answer counts so long, and for the time that the next one may take.
  static constexpr Duration kValid = 2 * kConfirm;
  // Traffic that paused for so long begins anew.
  static constexpr Duration kIdle = kConfirm;
  // Bytes of runs for each byte of probes.
  static constexpr std::size_t kShare = 8;
  // Of a path that loses one packet in two, whether runs or not, the next single probe's answer and
  // not the run's comes one time in five: six times in a row once in 15,000 times.
  static constexpr unsigned kLostMax = 6;
  // An answer that takes longer says nothing any more.
  static constexpr Duration kAnswerMax = std::chrono::seconds(2);
  // Sizes that are remembered: within kAnswerMax the MTU search sends some ten, and runs that grow
  // two with each step.
  static constexpr std::size_t kSizesMax = 32;

  static Backoff fresh() { return {kOffloadPauseMin, kOffloadPauseMax}; }
  bool valid(Instant now, std::size_t bytes) const {
    return now < valid_until_ && bytes <= proven_bytes_;
  }
  void answered_both(Instant now);
  void give_up(Instant now);
  void note(Instant now, std::uint16_t size, std::size_t bytes);

  std::size_t proven_bytes_ = 0;
  Instant valid_until_{};
  Instant confirm_at_{};

  Instant last_run_{};
  std::size_t handed_out_ = 0;  // bytes of runs since the last probe
  std::size_t largest_ = 0;     // of them

  Duration gap_{};
  Instant asked_again_{};  // not before this
  std::size_t asked_bytes_ = 0;
  std::uint16_t run_size_ = 0;
  std::uint16_t single_size_ = 0;
  bool asked_ = false;  // the run, which was not answered yet
  Single single_ = Single::kNone;
  unsigned lost_ = 0;  // runs in a row
  bool told_ = false;
  Backoff off_ = fresh();

  // What an answer of this size proves at least: a run of so many bytes together, or none.
  struct Sent {
    std::uint16_t size = 0;
    std::size_t bytes = 0;
    Instant left{};
    bool answerable(Instant now) const { return size != 0 && now - left <= kAnswerMax; }
  };
  std::array<Sent, kSizesMax> sent_{};
};

}  // namespace ringknet
