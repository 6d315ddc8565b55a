// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The PINGs of one link that wait for their PONG. Only a PONG that brings back the stamp of one of
// them counts for anything, in every envelope and in clear, and each PING is good for one answer:
// who cannot see our PINGs can neither keep a dead link alive nor teach us a round trip.
//
// A stamp is our clock, which receivers read, or 16 random bytes where a PONG has to prove that it
// was made after our PING: that is what confirms an epoch (Keyring::confirm).
//
// The table is small and a path may have more PINGs under way than it has places: a round trip of
// seconds with an interval of 10 ms. Then the PINGs that it remembers are spread evenly over the
// time in which answers may still come, so that some answer is always known.
#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "engine/base/time.h"
#include "engine/core/send_window.h"
#include "engine/wire/packet.h"

namespace ringknet {

class PingsUnderWay {
 public:
  // Marks have places of their own. The window has no more of them open than there are places, and
  // lets go of the older ones first, so the oldest mark is always one that it has let go of.
  static constexpr std::size_t kMarksMax = SendWindow::kMarksMax;
  static constexpr std::size_t kOthersMax = 24;

  struct Ping {
    Instant left;
    std::uint64_t era = 0;  // of the keyring, when it left: for Keyring::confirm
  };

  // When a PING that is made now leaves, as its stamp and this table call it: no two PINGs of a
  // link share an instant, so that their answers can be told apart. A nanosecond later for each
  // one that was made at this `now`.
  Instant departure(Instant now) const { return std::max(now, newest_ + Duration(1)); }

  void add_mark(const PingStamp& stamp, const Ping& ping) {
    newest_ = ping.left;
    if (marks_.count == kMarksMax)
      marks_.erase(0);
    marks_.append({stamp, ping});
  }
  // `answer_max`: an answer that took longer does not matter any more.
  void add(const PingStamp& stamp, const Ping& ping, Duration answer_max) {
    newest_ = ping.left;
    if (others_.count == kOthersMax)
      others_.erase(expendable(ping.left, answer_max));
    others_.append({stamp, ping});
  }

  // The PING that this stamp answers; it is forgotten.
  std::optional<Ping> answer(const PingStamp& stamp) {
    const auto found = marks_.take(stamp);
    return found ? found : others_.take(stamp);
  }

 private:
  struct Entry {
    PingStamp stamp{};
    Ping ping{};
  };

  // Entries in the order in which they left.
  template <std::size_t kCapacity>
  struct Table {
    std::array<Entry, kCapacity> entries{};
    std::size_t count = 0;

    void append(const Entry& entry) {
      assert(count < kCapacity);
      entries[count++] = entry;
    }
    void erase(std::size_t index) {
      std::copy(entries.begin() + static_cast<std::ptrdiff_t>(index) + 1,
                entries.begin() + static_cast<std::ptrdiff_t>(count),
                entries.begin() + static_cast<std::ptrdiff_t>(index));
      --count;
    }
    std::optional<Ping> take(const PingStamp& stamp) {
      for (std::size_t i = 0; i < count; ++i) {
        if (entries[i].stamp != stamp)
          continue;
        const Ping ping = entries[i].ping;
        erase(i);
        return ping;
      }
      return std::nullopt;
    }
  };

  // The oldest if its answer would be too late, else the one whose neighbours are closest to each
  // other: never the oldest, which is answered next.
  std::size_t expendable(Instant now, Duration answer_max) const {
    if (now - others_.entries[0].ping.left > answer_max)
      return 0;
    std::size_t least = 1;
    Duration least_gap = Duration::max();
    for (std::size_t i = 1; i < kOthersMax; ++i) {
      const Instant after = i + 1 < kOthersMax ? others_.entries[i + 1].ping.left : now;
      const Duration gap = after - others_.entries[i - 1].ping.left;
      if (gap < least_gap) {
        least = i;
        least_gap = gap;
      }
    }
    return least;
  }

  Table<kMarksMax> marks_;
  Table<kOthersMax> others_;
  Instant newest_ = Instant::min();
};

}  // namespace ringknet
