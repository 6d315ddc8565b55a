// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Configuration of the fabric: hosts, links, MTU, and reading their state.
#include <algorithm>

#include "engine/base/rollback.h"
#include "engine/core/fabric.h"

namespace ringknet {
namespace {

// Partial messages of a host, at least: one that is being sent, and one before it of which a packet
// takes another path.
constexpr std::size_t kPartialsMin = 2;
// For complete messages: one that the owner has not released yet and one being decompressed, with
// as many again for an owner that is called from its own callback.
constexpr std::size_t kBuffersBeside = 4;

}  // namespace

Fabric::Fabric(Config config)
    : config_(std::move(config)),
      keyring_(config_.self, config_.random != nullptr ? *config_.random : no_randomness_),
      messages_(kBuffersBeside),
      arena_(config_.transmit_slabs),
      runs_(arena_),
      events_(64),
      data_mtu_(static_cast<std::uint32_t>(floor_slice(envelope_))) {}

Fabric::~Fabric() = default;

Link* Fabric::find_link(const LinkRef& ref) const {
  const Host* host = hosts_.find(ref.host);
  if (host == nullptr)
    return nullptr;
  Link* link = host->link(ref.link);
  return link != nullptr && link->ref == ref ? link : nullptr;
}

Result<Link*> Fabric::configured(HostId host_id, LinkId link_id) const {
  if (raw(link_id) >= kLinksPerHost)
    return Error::kInvalid;
  const Host* host = hosts_.find(host_id);
  if (host == nullptr)
    return Error::kUnknownHost;
  Link* link = host->link(link_id);
  if (link == nullptr)
    return Error::kUnknownLink;
  return link;
}

Result<> Fabric::host_add(HostId id) {
  if (hosts_.find(id) != nullptr)
    return Error::kHostExists;
  hosts_.add(id, messages_);
  Rollback undo([&] { hosts_.remove(id); });
  keyring_.add_sender(id);
  undo.commit();
  share_buffers();
  return {};
}

Result<> Fabric::host_remove(HostId id) {
  const Host* host = hosts_.find(id);
  if (host == nullptr)
    return Error::kUnknownHost;
  if (host->has_links())
    return Error::kBusy;
  hosts_.remove(id);
  keyring_.remove_sender(id);
  share_buffers();
  return {};
}

// A guaranteed share of the reassembly buffers for each host: what comes in the name of one host,
// or of many, leaves the others theirs.
void Fabric::share_buffers() {
  const std::size_t hosts = std::max<std::size_t>(hosts_.order().size(), 1);
  const std::size_t quota =
      std::clamp(config_.message_buffers / hosts, kPartialsMin, Reassembly::kSlots);
  messages_.set_limit(hosts * quota + kBuffersBeside);
  for (const HostId id : hosts_.order()) {
    Host& host = *hosts_.find(id);
    host.reassembly.set_quota(quota, [&](MessagePosition position) {
      host.sequence.done(position);
      drops_.add(Drop::kEvicted);
    });
  }
}

Result<> Fabric::host_set_policy(Instant now, HostId id, Policy policy) {
  (void)now;
  Host* host = hosts_.find(id);
  if (host == nullptr)
    return Error::kUnknownHost;
  if (policy > Policy::kRoundRobin)
    return Error::kInvalid;
  host->policy = policy;
  refresh_host(*host);
  return {};
}

Result<Policy> Fabric::host_policy(HostId id) const {
  const Host* host = hosts_.find(id);
  if (host == nullptr)
    return Error::kUnknownHost;
  return host->policy;
}

Result<bool> Fabric::host_reachable(HostId id) const {
  const Host* host = hosts_.find(id);
  if (host == nullptr)
    return Error::kUnknownHost;
  return host->reachable;
}

Result<> Fabric::link_check(HostId host_id, LinkId link_id, const LinkConfig& config) const {
  if (raw(link_id) >= kLinksPerHost)
    return Error::kInvalid;
  const bool loopback = config.transport == Transport::kLoopback;
  if (loopback && host_id != config_.self)
    return Error::kLoopbackConflict;
  if (host_id == config_.self && has_loopback_)
    return Error::kLoopbackConflict;
  const Host* host = hosts_.find(host_id);
  if (host == nullptr)
    return Error::kUnknownHost;
  if (loopback && host->has_links())
    return Error::kLoopbackConflict;
  if (host->link(link_id) != nullptr)
    return Error::kBusy;
  if (config.transport == Transport::kSctp || !config.local.known())
    return Error::kInvalid;
  if (loopback)
    return {};
  if (!config.dynamic && config.remote.family != config.local.family)
    return Error::kInvalid;
  bool conflict = false;
  hosts_.for_each_link([&](Host&, Link& other) {
    conflict |= !other.loopback() && other.config.local == config.local &&
                other.config.dynamic != config.dynamic;
  });
  if (conflict)
    return Error::kAddressConflict;
  return {};
}

Result<> Fabric::link_configure(Instant now, HostId host_id, LinkId link_id,
                                const LinkConfig& config) {
  (void)now;
  if (const auto allowed = link_check(host_id, link_id, config); !allowed)
    return allowed;
  Host& host = *hosts_.find(host_id);
  const LinkRef ref{host_id, link_id, ++generation_};
  auto added = std::make_unique<Link>(ref, config, envelope_, mtu_interval_);
  // Everything that grows with links grows here, so that traffic never allocates; and before the
  // link is there, so that one for which there is no memory leaves no trace.
  const std::size_t links = link_count_ + 1;
  control_.grow(links);
  runs_.grow(links);
  events_.grow(64 + 8 * links);
  targets_.reserve(links);
  deadlines_.reserve(links);
  slices_.reserve(links);
  host.links[raw(link_id)] = std::move(added);
  link_count_ = links;
  if (config.transport == Transport::kLoopback) {
    has_loopback_ = true;
    host.reachable = true;
  }
  return {};
}

Result<LinkConfig> Fabric::link_clear(Instant now, HostId host_id, LinkId link_id) {
  (void)now;
  const auto link = configured(host_id, link_id);
  if (!link)
    return link.error();
  if ((*link)->enabled())
    return Error::kBusy;
  const LinkConfig config = (*link)->config;
  deadlines_.remove(**link);
  control_.forget(**link);
  Host& host = *hosts_.find(host_id);
  host.links[raw(link_id)].reset();
  --link_count_;
  if (config.transport == Transport::kLoopback) {
    has_loopback_ = false;
    host.reachable = false;
  }
  refresh_host(host);
  return config;
}

Result<> Fabric::link_set_enabled(Instant now, HostId host_id, LinkId link_id, bool enabled) {
  const auto found = configured(host_id, link_id);
  if (!found)
    return found.error();
  Link& link = **found;
  if (link.enabled() == enabled)
    return {};
  link.set_enabled(now, enabled);
  if (link.loopback())
    return {};
  reschedule(link);
  if (!link.connected())
    return {};
  // A link that stayed connected while it was disabled carries data again at once.
  if (enabled) {
    start_mtu(now, link);
  } else {
    count_slice(link);
    refresh_data_mtu(true);
  }
  refresh_host(*hosts_.find(host_id));
  return {};
}

Result<> Fabric::link_set_timers(Instant now, HostId host_id, LinkId link_id,
                                 const PingTimers& timers) {
  if (timers.interval <= Duration::zero() || timers.timeout <= Duration::zero() ||
      timers.precision == 0) {
    return Error::kInvalid;
  }
  const auto link = configured(host_id, link_id);
  if (!link)
    return link.error();
  (*link)->set_timers(now, timers);
  reschedule(**link);
  return {};
}

Result<> Fabric::link_set_pong_count(HostId host_id, LinkId link_id, std::uint8_t count) {
  if (count == 0)
    return Error::kInvalid;
  const auto link = configured(host_id, link_id);
  if (!link)
    return link.error();
  (*link)->pong_count = count;
  return {};
}

Result<> Fabric::link_set_priority(Instant now, HostId host_id, LinkId link_id,
                                   std::uint8_t priority) {
  (void)now;
  const auto link = configured(host_id, link_id);
  if (!link)
    return link.error();
  (*link)->priority = priority;
  refresh_host(*hosts_.find(host_id));
  return {};
}

std::optional<LinkRef> Fabric::link_to(const Address& remote) const {
  std::optional<LinkRef> found;
  hosts_.for_each_link([&](const Host&, const Link& link) {
    if (!link.loopback() && link.config.remote.same_endpoint(remote))
      found = link.ref;
  });
  return found;
}

Result<LinkStatus> Fabric::link_status(HostId host_id, LinkId link_id) const {
  const auto found = configured(host_id, link_id);
  if (!found)
    return found.error();
  const Link& link = **found;
  LinkStatus status;
  status.config = link.config;
  status.timers = link.timers;
  status.pong_count = link.pong_count;
  status.priority = link.priority;
  status.enabled = link.enabled();
  status.connected = link.connected();
  status.suspect = link.suspect();
  status.learned = link.learned;
  status.latency = link.latency().mean();
  status.last_pong = link.last_pong();
  status.mtu = link.slice;
  if (link.mtu.measured()) {
    status.overhead =
        static_cast<std::uint32_t>(ip_overhead(link.config.local.family) + kReservedHeaderSize +
                                   envelope_.salt + envelope_.mac);
  }
  status.stats = link.stats;
  return status;
}

bool Fabric::still_offends(const Offence& offence) const {
  const Host* host = offence.host ? hosts_.find(*offence.host) : nullptr;
  const Link* link = host != nullptr && offence.link ? host->link(*offence.link) : nullptr;
  bool peer = false;
  switch (offence.reason) {
    case Drop::kUnknownHost:
      return host == nullptr;
    case Drop::kUnknownLink:
      return host != nullptr && link == nullptr;
    case Drop::kSourceAddress:
      return link != nullptr && !link->config.remote.same_ip(offence.from);
    case Drop::kNoSourceLink:
      return host != nullptr && host->source_link(offence.from, SocketId{}) == nullptr;
    case Drop::kAccessList:
      return host != nullptr;
    case Drop::kClearRefused:
      return !keyring_.clear_allowed();
    case Drop::kVersion:
      // Strangers may send us what they like; a peer that speaks another version matters.
      hosts_.for_each_link(
          [&](Host&, Link& each) { peer |= each.config.remote.same_ip(offence.from); });
      return peer;
    case Drop::kSealSender:
    case Drop::kSealImpostor:
    case Drop::kSealReflected:
      // Nothing to ask, but hosts are configured one after the other in less than this.
      return offence.last - offence.first >= std::chrono::seconds(1);
    default:
      return true;
  }
}

Result<std::size_t> Fabric::link_list(HostId host_id, std::span<LinkId, kLinksPerHost> out) const {
  const Host* host = hosts_.find(host_id);
  if (host == nullptr)
    return Error::kUnknownHost;
  std::size_t count = 0;
  for (std::size_t i = 0; i < kLinksPerHost; ++i) {
    if (host->links[i])
      out[count++] = LinkId(i);
  }
  return count;
}

Result<Link*> Fabric::with_access_list(HostId host, LinkId link) const {
  const auto found = configured(host, link);
  if (found && !(*found)->config.dynamic) {
    return Error::kInvalid;
  }
  return found;
}

Result<> Fabric::access_insert(HostId host, LinkId link, int position, const AccessEntry& entry) {
  const auto found = with_access_list(host, link);
  return found ? (*found)->access.insert(position, entry) : found.error();
}

Result<> Fabric::access_remove(HostId host, LinkId link, const AccessEntry& entry) {
  const auto found = with_access_list(host, link);
  return found ? (*found)->access.remove(entry) : found.error();
}

Result<> Fabric::access_clear(HostId host, LinkId link) {
  const auto found = with_access_list(host, link);
  if (!found) {
    return found.error();
  }
  (*found)->access.clear();
  return {};
}

Result<> Fabric::set_manual_mtu(Instant now, std::uint32_t interface_mtu) {
  if (interface_mtu > kIpPacketMax)
    return Error::kInvalid;
  if (interface_mtu == manual_mtu_)
    return {};
  manual_mtu_ = interface_mtu;
  bool any = false;
  hosts_.for_each_link([&](Host&, Link& link) {
    if (link.loopback() || !link.connected())
      return;
    any = true;
    if (manual_mtu_ != 0) {
      link.mtu.stop();
      link.slice = std::max<std::uint32_t>(link.mtu.slice(manual_mtu_), kSliceSizeMin);
      count_slice(link);
      reschedule(link);
    } else if (link.enabled()) {
      start_mtu(now, link);
    }
  });
  if (any)
    refresh_data_mtu(false);
  return {};
}

Result<> Fabric::crypto_install(Instant now, std::size_t slot, std::unique_ptr<Sealer> sealer) {
  const auto installed = keyring_.install(slot, std::move(sealer));
  if (!installed)
    return installed;
  if (keyring_.in_use() == slot)
    refresh_envelope(now);
  // What has to be confirmed before it counts is shown to everybody now, well before it is used.
  if (keyring_.warming() != 0) {
    hosts_.for_each_link([&](Host&, Link& link) {
      link.wake(now);
      reschedule(link);
    });
  }
  return installed;
}

Result<> Fabric::crypto_use(Instant now, std::size_t slot) {
  const auto used = keyring_.use(slot);
  if (used)
    refresh_envelope(now);
  return used;
}

// Another envelope leaves another room in the packets: every MTU is found anew.
void Fabric::refresh_envelope(Instant now) {
  shape_ = keyring_.shape();
  envelope_ = {.block = shape_.block, .salt = shape_.lead, .mac = shape_.mac};
  hosts_.for_each_link([&](Host&, Link& link) {
    if (link.loopback())
      return;
    link.set_envelope(envelope_);
    if (link.usable())
      search_mtu(now, link);
    count_slice(link);
    reschedule(link);
  });
  refresh_data_mtu(true);  // once for all of them
}

void Fabric::set_compressor(std::unique_ptr<Compressor> compressor, CompressId id,
                            std::size_t threshold) {
  if (compressor != nullptr)
    compressed_.resize(compress_bound(kMessageSizeMax));
  compressor_ = std::move(compressor);
  compress_id_ = id;
  compress_threshold_ = threshold;
  compress_gauge_ = {};
}

void Fabric::set_mtu_interval(Instant now, Duration interval) {
  mtu_interval_ = interval;
  hosts_.for_each_link([&](Host&, Link& link) {
    if (link.loopback())
      return;
    link.mtu.set_interval(now, interval);
    reschedule(link);
  });
}

void Fabric::clear_link_stats() {
  hosts_.for_each_link([](Host&, Link& link) { link.stats = LinkStats{}; });
}

}  // namespace ringknet
