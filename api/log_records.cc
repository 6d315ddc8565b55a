// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Records that no single event causes: how an episode of the log limiter ended, what was dropped in
// the last seconds, and whose packets are refused. Part of Handle.
#include <algorithm>
#include <string_view>

#include "api/address.h"
#include "api/handle.h"

namespace ringknet {

using Kind = LogTopic::Kind;

namespace {

// A sender is told of when this is over: nodes that are being configured refuse each other's
// packets for a moment.
constexpr Duration kOffenceAge = std::chrono::seconds(2);
// Without a packet for so long an offence is over.
constexpr Duration kOffenceOver = std::chrono::seconds(30);
// The same offence is told again after this.
constexpr Duration kOffenceAgain = std::chrono::hours(1);
// When the limiter does not let a record through.
constexpr Duration kOffenceRetry = std::chrono::seconds(10);

double seconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

// A text on the stack.
using Text = fmt::basic_memory_buffer<char, 128>;

// What the packet says it is, as far as it says so.
Text claim(const Offence& offence) {
  Text text;
  if (offence.host)
    fmt::format_to(std::back_inserter(text), " of host {}", raw(*offence.host));
  if (offence.link)
    fmt::format_to(std::back_inserter(text), " link {}", raw(*offence.link));
  return text;
}

std::string_view view(const Text& text) {
  return {text.data(), text.size()};
}

bool of_encryption(Drop reason) {
  switch (reason) {
    case Drop::kSealMac:
    case Drop::kSealReflected:
    case Drop::kSealSender:
    case Drop::kSealImpostor:
    case Drop::kClearRefused:
      return true;
    default:
      return false;
  }
}

std::string_view what_is_wrong(const Offence& offence, HostId self) {
  switch (offence.reason) {
    case Drop::kVersion:
      return "it is of another version of the protocol: check which libknet that node uses";
    case Drop::kSealMac:
      return "it cannot be decrypted: that node uses another key, cipher or hash";
    case Drop::kSealReflected:
      return "it is encrypted as our own: two nodes have one host id, or the network sends our "
             "packets back";
    case Drop::kSealSender:
    case Drop::kSealImpostor:
      return "it is encrypted by another host than it may come from: check the host ids";
    case Drop::kClearRefused:
      return "it is not encrypted: that node has no key";
    case Drop::kUnknownHost:
      return offence.host == self ? "that is our own host id: check whether two nodes have it"
                                  : "no such host is configured here: check the host ids";
    case Drop::kUnknownLink:
      return "no such link is configured here: check the links of both nodes";
    case Drop::kAccessList:
      return "the link's access list does not accept that address";
    case Drop::kNoSourceLink:
      return "no link of that host leads to that address: check the ring addresses";
    default:
      return "";
  }
}

}  // namespace

void Handle::wake_for_log() {
  engine_->wake_client(std::min(log_limiter_.next_deadline(), offences_due_));
}

void Handle::on_wake() {
  const Instant now = engine_->now();
  log_limiter_.on_timeout(now, [&](const LogLimiter::Episode& episode) {
    return episode.shared || on_episode(episode);
  });
  if (now >= offences_due_)
    tell_offences();
  wake_for_log();
}

// What the records so far have left open: the end of a trouble, the present state of what changes
// often, how many more there were. False: it is not over.
bool Handle::on_episode(const LogLimiter::Episode& episode) {
  const double lasted = seconds(episode.last - episode.began);
  switch (episode.topic.kind) {
    case Kind::kHostState:
      if (const auto reachable = engine_->fabric().host_reachable(episode.topic.host); reachable)
        log_.write(KNET_SUB_HOST, KNET_LOG_INFO, "host {} is {} now, after {} changes in {:.1f} s",
                   raw(episode.topic.host), *reachable ? "reachable" : "not reachable",
                   episode.count, lasted);
      return true;
    case Kind::kDataMtu:
      log_.write(KNET_SUB_PMTUD, KNET_LOG_INFO, "data MTU is {} now, after {} changes in {:.1f} s",
                 engine_->fabric().data_mtu(), episode.count, lasted);
      return true;
    case Kind::kLinkState:
    case Kind::kLinkMtu:
    case Kind::kMoved:
    case Kind::kDoubt:
    case Kind::kCannotSend:
      return on_link_episode(episode);
    default:
      if (episode.held != 0)
        tell_held(episode);
      return true;
  }
}

void Handle::tell_held(const LogLimiter::Episode& episode) {
  const double lasted = seconds(episode.last - episode.began);
  const unsigned channel = episode.topic.detail;
  switch (episode.topic.kind) {
    case Kind::kRestarted:
      return log_.write(KNET_SUB_HOST, KNET_LOG_INFO,
                        "host {} has restarted {} more times in {:.1f} s", raw(episode.topic.host),
                        episode.held, lasted);
    case Kind::kDatafd:
      return log_.write(KNET_SUB_COMMON, KNET_LOG_DEBUG,
                        "channel {}: {} more messages could not be written in {:.1f} s", channel,
                        episode.held, lasted);
    case Kind::kOversized:
      return log_.write(KNET_SUB_TX, KNET_LOG_WARN,
                        "channel {}: {} more messages were too long in {:.1f} s", channel,
                        episode.held, lasted);
    case Kind::kRefusedSend:
      return log_.write(KNET_SUB_TX, KNET_LOG_DEBUG,
                        "channel {}: {} more messages were not sent in {:.1f} s", channel,
                        episode.held, lasted);
    case Kind::kNotDelivered:
      return log_.write(KNET_SUB_RX, KNET_LOG_DEBUG,
                        "channel {}: {} more messages were not delivered in {:.1f} s", channel,
                        episode.held, lasted);
    case Kind::kCannotReceive:
      return log_.write(KNET_SUB_TRANSP_UDP, KNET_LOG_WARN,
                        "receiving failed {} more times in {:.1f} s", episode.held, lasted);
    case Kind::kDrops:
      return write_drops(engine_->fabric().drops());
    default:  // the rest is told by records of its own
      return;
  }
}

bool Handle::on_link_episode(const LogLimiter::Episode& episode) {
  const unsigned host = raw(episode.topic.host);
  const unsigned link = raw(episode.topic.link());
  const double lasted = seconds(episode.last - episode.began);
  const auto found = engine_->fabric().link_status(episode.topic.host, episode.topic.link());
  if (!found)
    return true;  // the link is no more
  const LinkStatus& status = *found;
  switch (episode.topic.kind) {
    case Kind::kLinkState:
      log_.write(KNET_SUB_LINK, KNET_LOG_INFO,
                 "host {} link {} is {} now, after {} changes in {:.1f} s", host, link,
                 status.connected ? "up" : "down", episode.count, lasted);
      return true;
    case Kind::kLinkMtu:
      log_.write(KNET_SUB_PMTUD, KNET_LOG_INFO,
                 "host {} link {} has MTU {} now, after {} changes in {:.1f} s", host, link,
                 status.mtu, episode.count, lasted);
      return true;
    case Kind::kMoved: {
      const AddressText text = to_text(status.config.remote);
      log_.write(KNET_SUB_LINK, KNET_LOG_INFO,
                 "host {} link {} is at {} port {} now, after {} changes in {:.1f} s", host, link,
                 text.host.data(), text.port.data(), episode.count, lasted);
      return true;
    }
    case Kind::kDoubt:
      if (!status.connected)
        return true;
      if (status.suspect)
        return false;
      log_.write(KNET_SUB_LINK, KNET_LOG_INFO,
                 "host {} link {}: sound again after {:.1f} s, {} reports in all", host, link,
                 lasted, episode.count);
      return true;
    default:
      log_.write(KNET_SUB_TRANSP_UDP, KNET_LOG_INFO,
                 "host {} link {}: no send was refused for {} s; before, {} were in {:.1f} s", host,
                 link, std::chrono::duration_cast<std::chrono::seconds>(LogLimiter::kQuiet).count(),
                 episode.count, lasted);
      return true;
  }
}

void Handle::on_drops(const DropCounters& counters) {
  tell_drops(counters);
  offences_due_ = engine_->now();
  tell_offences();
  wake_for_log();
}

// For those who look for them: what was dropped since the last list.
void Handle::tell_drops(const DropCounters& counters) {
  std::uint64_t news = 0;
  for (std::size_t i = 0; i < kDropCount; ++i)
    news += new_drops(counters, Drop(i));
  std::uint64_t held = 0;
  if (news != 0 && log_.wants(KNET_SUB_RX, KNET_LOG_DEBUG) &&
      log_limiter_.report(engine_->now(), LogTopic::of_handle(Kind::kDrops), held))
    write_drops(counters);
}

std::uint64_t Handle::new_drops(const DropCounters& counters, Drop reason) const {
  // The second copies of ACTIVE messages are nothing to talk about.
  const bool usual = reason == Drop::kDuplicate || reason == Drop::kSealReplay;
  return usual ? 0 : counters[reason] - drops_logged_[reason];
}

void Handle::write_drops(const DropCounters& counters) {
  fmt::memory_buffer reasons;
  for (std::size_t i = 0; i < kDropCount; ++i) {
    if (const std::uint64_t news = new_drops(counters, Drop(i)); news != 0) {
      fmt::format_to(std::back_inserter(reasons), "{}{} {}", reasons.size() == 0 ? "" : ", ", news,
                     name(Drop(i)));
    }
  }
  log_.write(KNET_SUB_RX, KNET_LOG_DEBUG, "dropped packets: {}",
             std::string_view(reasons.data(), reasons.size()));
  drops_logged_ = counters;
}

// Each sender of refused packets is told of once, while the limiter lets it through: eight at once
// for each reason, then one after pauses from a minute to an hour. The limit is for all senders of
// a reason together, since anybody can make up senders.
void Handle::tell_offences() {
  const Instant now = engine_->now();
  Fabric& fabric = engine_->fabric();
  offences_due_ = kNever;
  if (!log_.wants(KNET_SUB_RX, KNET_LOG_WARN) && !log_.wants(KNET_SUB_CRYPTO, KNET_LOG_WARN))
    return;
  for (Offence& offence : fabric.offences().places()) {
    if (!offence.used())
      continue;
    Instant due =
        offence.told == kNever ? offence.first + kOffenceAge : offence.last + kOffenceOver;
    if (now - offence.last >= kOffenceOver) {
      if (offence.told != kNever)
        tell_offence_over(offence);
      offence = {};
      continue;
    }
    const bool news = offence.told == kNever || now - offence.told >= kOffenceAgain;
    if (news && now - offence.first >= kOffenceAge) {
      tell_offence(offence);
      due = offence.told == now ? offence.last + kOffenceOver : now + kOffenceRetry;
    }
    offences_due_ = std::min(offences_due_, due);
  }
}

void Handle::tell_offence(Offence& offence) {
  std::uint64_t held = 0;
  const Instant now = engine_->now();
  Fabric& fabric = engine_->fabric();
  if (!fabric.still_offends(offence) ||
      !log_limiter_.report(now, LogTopic::of_drop(offence.reason), held))
    return;
  offence.told = now;
  Text wrong;
  if (offence.reason == Drop::kSourceAddress) {
    const auto link = fabric.link_status(*offence.host, *offence.link);
    fmt::format_to(std::back_inserter(wrong), "that link's peer is {}, check the ring addresses",
                   to_text(link ? link->config.remote : Address{}).host.data());
  } else {
    fmt::format_to(std::back_inserter(wrong), "{}", what_is_wrong(offence, fabric.self()));
  }
  const AddressText from = to_text(offence.from);
  log_.write_counted(held, of_encryption(offence.reason) ? KNET_SUB_CRYPTO : KNET_SUB_RX,
                     KNET_LOG_WARN, "a packet{} from {} port {} is refused: {}",
                     view(claim(offence)), from.host.data(), from.port.data(), view(wrong));
}

void Handle::tell_offence_over(const Offence& offence) {
  const AddressText from = to_text(offence.from);
  log_.write(KNET_SUB_RX, KNET_LOG_INFO,
             "packets{} from {} are not refused any more ({}): there were {} in {:.1f} s",
             view(claim(offence)), from.host.data(), name(offence.reason), offence.count,
             seconds(offence.last - offence.first));
}

}  // namespace ringknet
