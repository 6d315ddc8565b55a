// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The table of episodes and their pace.
#include "api/log_limiter.h"

#include <bit>
#include <utility>

namespace ringknet {
namespace {

std::uint32_t hash(const LogTopic& topic) {
  const auto key = std::uint32_t{raw(topic.host)} << 16 | std::uint32_t{topic.detail} << 8 |
                   static_cast<std::uint32_t>(topic.kind);
  return static_cast<std::uint32_t>((key * std::uint64_t{0x9E3779B97F4A7C15}) >> 32);
}

}  // namespace

LogLimiter::Pace LogLimiter::pace(LogTopic::Kind kind) {
  using std::chrono::hours;
  using std::chrono::minutes;
  switch (kind) {
    case LogTopic::Kind::kLinkState:
    case LogTopic::Kind::kLinkMtu:
    case LogTopic::Kind::kMoved:
    case LogTopic::Kind::kHostState:
    case LogTopic::Kind::kDataMtu:
      return {.burst = 5, .state = true};
    case LogTopic::Kind::kStranger:
      return {.burst = 8, .pause_min = minutes(1), .pause_max = hours(1)};
    default:
      return {};
  }
}

LogLimiter::LogLimiter() : entries_(kEntriesMin + kKinds) {}

void LogLimiter::grow(std::size_t links) {
  const std::size_t wanted = std::bit_ceil(links * kEntriesPerLink) + kKinds;
  if (wanted <= entries_.size())
    return;
  std::vector<Entry> old(wanted);
  old.swap(entries_);
  for (const Entry& entry : old) {
    if (entry.used() && !entry.shared)
      *find(entry.topic, true) = entry;
  }
}

// Nothing if there is none and none is to be made.
LogLimiter::Entry* LogLimiter::find(const LogTopic& topic, bool make) {
  const std::size_t places = entries_.size() - kKinds;
  const std::size_t start = hash(topic);
  Entry* empty = nullptr;
  for (std::size_t probe = 0; probe < kProbes; ++probe) {
    Entry& entry = entries_[(start + probe) & (places - 1)];
    if (entry.used() && entry.topic == topic)
      return &entry;
    if (!entry.used() && empty == nullptr)
      empty = &entry;
  }
  if (!make)
    return nullptr;
  if (empty != nullptr) {
    *empty = {};
    empty->topic = topic;
    return empty;
  }
  Entry& shared = entries_[places + static_cast<std::size_t>(topic.kind)];
  shared.topic = LogTopic::of_handle(topic.kind);
  shared.shared = true;
  return &shared;
}

bool LogLimiter::report(Instant now, const LogTopic& topic, std::uint64_t& held) {
  Entry& entry = *find(topic, true);
  if (!entry.open) {
    entry.open = true;
    entry.written = false;
    entry.began = now;
    entry.count = 0;
    entry.held = 0;
  }
  ++entry.count;
  entry.last = now;
  next_scan_ = std::min(next_scan_, now + kTick);
  if (now < entry.next) {
    ++entry.held;
    return false;
  }
  held = std::exchange(entry.held, 0);
  count_record(entry, now);
  return true;
}

void LogLimiter::end(const LogTopic& topic) {
  if (Entry* entry = find(topic, false); entry != nullptr)
    entry->open = false;
}

void LogLimiter::count_record(Entry& entry, Instant now) {
  const Pace pace = LogLimiter::pace(entry.topic.kind);
  entry.written = true;
  entry.records = std::min<std::uint8_t>(pace.burst, entry.records + 1);
  if (entry.records == pace.burst) {
    entry.pause = std::clamp(2 * entry.pause, pace.pause_min, pace.pause_max);
    entry.next = now + entry.pause;
  }
}

// Whether a record is due that no report brings: of a trouble's end, or of the state that was held
// back. An end of which the beginning was held back waits for its turn like any record.
bool LogLimiter::due(Entry& entry, Instant now) {
  entry.over = entry.quiet(now);
  if (!entry.open)
    return false;
  if (pace(entry.topic.kind).state)
    return entry.held > 0 && now >= entry.next;
  return entry.over && (entry.written || now >= entry.next);
}

void LogLimiter::settle(Entry& entry, Instant now) {
  if (pace(entry.topic.kind).state || !entry.written)
    count_record(entry, now);
  entry.held = 0;
}

void LogLimiter::close_quiet(Entry& entry, Instant now, bool settled) {
  const bool nothing_held = pace(entry.topic.kind).state && entry.held == 0;
  if (entry.over && (settled || nothing_held))
    entry.open = false;
  if (!entry.open && now >= forgotten(entry))
    entry.topic = {};
}

// When a topic that is over begins with short pauses again.
Instant LogLimiter::forgotten(const Entry& entry) {
  return std::max(entry.next, entry.last + kForget);
}

Instant LogLimiter::next_look(const Entry& entry, Instant now) {
  if (!entry.used())
    return kNever;
  Instant look = entry.next;
  if (!entry.open)
    look = forgotten(entry);
  else if (!entry.over)
    look = entry.last + kQuiet;
  if (entry.open && entry.held > 0)
    look = std::min(look, entry.next);
  return std::max(look, now + kTick);
}

}  // namespace ringknet
