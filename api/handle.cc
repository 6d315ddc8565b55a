// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The engine's reports as callbacks and log records. What a record says is written here and nowhere
// else.
#include "api/handle.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "api/address.h"
#include "api/error_map.h"
#include "engine/compress/codecs/codecs.h"
#include "engine/ring/socket_buffer.h"

namespace ringknet {
namespace {

const char* reason_text(Event::Reason reason) {
  switch (reason) {
    case Event::Reason::kNone:
      break;
    case Event::Reason::kSilence:
      return "no answer in time";
    case Event::Reason::kRefused:
      return "nobody listens at the other end";
    case Event::Reason::kUnreachable:
      return "the network cannot reach the other end";
    case Event::Reason::kDisabled:
      return "it was disabled";
    case Event::Reason::kBlackHole:
      return "larger packets vanish";
  }
  return "no reason given";
}

// What people should look at, where the errno alone would mislead them.
const char* likely_cause(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return " (a firewall on this machine refuses it)";
    case ENOBUFS:
    case ENOMEM:
      return " (the device's queue is full, or its other end takes shorter packets only)";
    case EMSGSIZE:
      return " (longer than the device's MTU)";
    case ENETUNREACH:
    case EHOSTUNREACH:
      return " (no route, or no neighbour answers)";
    case EINVAL:
    case EADDRNOTAVAIL:
    case ENODEV:
      return " (the local address is gone)";
    default:
      return "";
  }
}

// The identity of a link in every record about it.
struct LinkName {
  unsigned host;
  unsigned link;
  explicit LinkName(const Event& event) : host(raw(event.host)), link(raw(event.link)) {}
};

// Callers that insist on large buffers are ready to go on without them, but only if they are told
// here and not at the first link.
int try_large_buffers() {
  const int probe = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe == -1) {
    return errno;
  }
  std::size_t granted = 0;
  const int error = enlarge_socket_buffers(probe, true, granted);
  close(probe);
  return error;
}

}  // namespace

int Handle::start(const Options& options) {
  if (const int error = options.privileged ? try_large_buffers() : 0; error != 0) {
    log_.write(KNET_SUB_HANDLE, KNET_LOG_ERR,
               "cannot create the handle: no large socket buffers ({})", std::strerror(error));
    return error;
  }
  Engine::Options engine_options{.self = options.self,
                                 .privileged = options.privileged,
                                 .caller_driven = options.caller_driven,
                                 .random = &random_};
  for (const CodecModel& model : codec_models()) {
    engine_options.decompressors[static_cast<std::size_t>(model.id)] = model.decompressor();
  }
  Engine::Created created = Engine::create(std::move(engine_options), *this);
  if (created.engine == nullptr) {
    log_.write(KNET_SUB_HANDLE, KNET_LOG_ERR, "cannot create the handle: {} ({})", created.cause,
               std::strerror(created.system));
    return created.system;
  }
  engine_ = std::move(created.engine);
  log_.write(KNET_SUB_HANDLE, KNET_LOG_DEBUG, "handle for host {} created", raw(options.self));
  return 0;
}

int Handle::filter(Direction direction, ConstBytes message, HostId self, HostId source,
                   std::int8_t& channel, HostId* hosts, std::size_t& count) {
  static_assert(sizeof(HostId) == sizeof(knet_node_id_t));
  const Callback<DestinationFilter> callback = destination_filter_;
  const int verdict = callback.function(
      callback.context, reinterpret_cast<const unsigned char*>(message.data()),
      static_cast<ssize_t>(message.size()), static_cast<std::uint8_t>(direction), raw(self),
      raw(source), &channel, reinterpret_cast<knet_node_id_t*>(hosts), &count);
  if (direction == Direction::kTx && verdict == 0 && count > 1 && count <= kHostCount) {
    keep_each_once(hosts, count);
  }
  return verdict;
}

// The core takes a list of destinations at its word; this one comes from the application.
void Handle::keep_each_once(HostId* hosts, std::size_t& count) {
  std::size_t kept = 0;
  for (std::size_t index = 0; index < count; ++index) {
    const HostId host = hosts[index];
    if (!seen_.test(raw(host))) {
      seen_.set(raw(host));
      hosts[kept++] = host;
    }
  }
  for (std::size_t index = 0; index < kept; ++index) {
    seen_.reset(raw(hosts[index]));
  }
  count = kept;
}

void Handle::on_datafd(int application_fd, Channel channel, Direction direction, int error,
                       int errno_value) {
  const bool ended = direction == Direction::kTx;
  log_.write(KNET_SUB_COMMON, ended ? KNET_LOG_WARN : KNET_LOG_DEBUG,
             "channel {}: {} descriptor {}: {}", raw(channel),
             ended ? "no more is read from" : "a message could not be written to", application_fd,
             error == 0 ? "closed by the application" : std::strerror(errno_value));
  if (const Callback<SockNotify> callback = sock_notify_; callback.function != nullptr) {
    callback.function(callback.context, application_fd, static_cast<std::int8_t>(raw(channel)),
                      static_cast<std::uint8_t>(direction), error, errno_value);
  }
}

void Handle::on_message(Channel channel, ConstBytes message, HostId from) {
  const Receiver receiver = receivers_[raw(channel)];
  receiver.message(receiver.context, message.data(), message.size(), raw(from),
                   static_cast<std::int8_t>(raw(channel)));
}

void Handle::on_room() {
  for (std::size_t index = 0; index < receivers_.size(); ++index) {
    const Receiver receiver = receivers_[index];
    if (receiver.room != nullptr) {
      receiver.room(receiver.context);
    }
  }
}

void Handle::on_event(const Event& event) {
  switch (event.kind) {
    case Event::Kind::kHostReachable:
      return on_host(event, true);
    case Event::Kind::kHostUnreachable:
      return on_host(event, false);
    case Event::Kind::kDataMtu:
      log_.write(KNET_SUB_PMTUD, KNET_LOG_INFO, "data MTU is {}", event.mtu);
      if (const Callback<MtuNotify> callback = mtu_notify_; callback.function != nullptr) {
        callback.function(callback.context, event.mtu);
      }
      return;
    default:
      return log_link(event);
  }
}

void Handle::on_host(const Event& event, bool reachable) {
  log_.write(KNET_SUB_HOST, KNET_LOG_INFO, "host {} is {}", raw(event.host),
             reachable ? "reachable" : "not reachable");
  if (const Callback<HostStatusNotify> callback = host_status_notify_;
      callback.function != nullptr) {
    callback.function(callback.context, raw(event.host), reachable ? 1 : 0, 0, 0);
  }
}

void Handle::log_link(const Event& event) {
  const LinkName name(event);
  switch (event.kind) {
    case Event::Kind::kLinkUp:
      return log_.write(KNET_SUB_LINK, KNET_LOG_INFO, "host {} link {} is up", name.host,
                        name.link);
    case Event::Kind::kLinkDown:
      return log_.write(KNET_SUB_LINK, KNET_LOG_INFO, "host {} link {} is down: {}", name.host,
                        name.link, reason_text(event.reason));
    case Event::Kind::kLinkMtu:
      return log_.write(KNET_SUB_PMTUD, KNET_LOG_INFO, "host {} link {} has MTU {}", name.host,
                        name.link, event.mtu);
    case Event::Kind::kLinkLearned: {
      const AddressText text = to_text(event.address);
      return log_.write(KNET_SUB_LINK, KNET_LOG_INFO, "host {} link {} is now at {} port {}",
                        name.host, name.link, text.host.data(), text.port.data());
    }
    case Event::Kind::kLinkSuspect:
      return log_.write(KNET_SUB_LINK, KNET_LOG_WARN, "host {} link {} is in doubt: {}", name.host,
                        name.link, reason_text(event.reason));
    case Event::Kind::kPeerRestarted:
      return log_.write(KNET_SUB_HOST, KNET_LOG_INFO, "host {} has restarted", name.host);
    default:
      return;
  }
}

// Trouble can come with every packet, so each kind has its own limit.
void Handle::on_trouble(const Trouble& trouble) {
  const auto kind = static_cast<std::size_t>(trouble.kind);
  if (kind >= trouble_limits_.size()) {
    return;
  }
  LogLimit& limit = trouble_limits_[kind];
  const Instant now = engine_->now();
  const unsigned channel = raw(trouble.channel);
  switch (trouble.kind) {
    case Trouble::Kind::kSend: {
      const AddressText to = to_text(trouble.to);
      const auto link = engine_->fabric().link_to(trouble.to);
      return log_.write_limited(limit, now, KNET_SUB_TRANSP_UDP, KNET_LOG_WARN,
                                "host {} link {}: cannot send to {} port {}: {}{}",
                                link ? raw(link->host) : 0u, link ? raw(link->link) : 0u,
                                to.host.data(), to.port.data(), std::strerror(trouble.error),
                                likely_cause(trouble.error));
    }
    case Trouble::Kind::kReceive:
      return log_.write_limited(limit, now, KNET_SUB_TRANSP_UDP, KNET_LOG_WARN,
                                "cannot receive: {}", std::strerror(trouble.error));
    case Trouble::Kind::kOversized:
      return log_.write_limited(limit, now, KNET_SUB_TX, KNET_LOG_WARN,
                                "channel {}: dropped a message of {} bytes, more than {}", channel,
                                trouble.size, KNET_MAX_PACKET_SIZE);
    case Trouble::Kind::kRefusedSend:
      return log_.write_limited(limit, now, KNET_SUB_TX, KNET_LOG_DEBUG,
                                "channel {}: dropped a message to be sent: {}", channel,
                                std::strerror(to_errno(trouble.reason)));
    case Trouble::Kind::kDropped:
      return log_.write_limited(limit, now, KNET_SUB_RX, KNET_LOG_DEBUG,
                                "channel {}: dropped a received message: {}", channel,
                                name(trouble.drop));
    case Trouble::Kind::kSocketBuffer:
      return log_.write_limited(limit, now, KNET_SUB_TRANSPORT, KNET_LOG_WARN,
                                "the kernel grants socket buffers of {} bytes only", trouble.size);
    case Trouble::Kind::kOffload:
      return log_.write_limited(limit, now, KNET_SUB_TRANSP_UDP, KNET_LOG_INFO,
                                "segmentation offload is off for a socket: {}",
                                std::strerror(trouble.error));
  }
}

// Nothing that a stranger sends may fill the log: one record per call, and the engine calls seldom.
void Handle::on_drops(const DropCounters& counters) {
  const auto news = [&](Drop reason) { return counters[reason] - drops_logged_[reason]; };
  if (log_.wants(KNET_SUB_RX, KNET_LOG_DEBUG)) {
    fmt::memory_buffer reasons;
    for (std::size_t i = 0; i < kDropCount; ++i) {
      const auto reason = static_cast<Drop>(i);
      // The second copies of ACTIVE messages are nothing to talk about.
      if (news(reason) == 0 || reason == Drop::kDuplicate || reason == Drop::kSealReplay)
        continue;
      fmt::format_to(std::back_inserter(reasons), "{}{} {}", reasons.size() == 0 ? "" : ", ",
                     news(reason), name(reason));
    }
    if (reasons.size() != 0) {
      log_.write(KNET_SUB_RX, KNET_LOG_DEBUG, "dropped packets: {}",
                 std::string_view(reasons.data(), reasons.size()));
    }
  }
  if (const auto unreadable = news(Drop::kSealMac) + news(Drop::kClearRefused); unreadable != 0) {
    log_.write_limited(unreadable_limit_, engine_->now(), KNET_SUB_CRYPTO, KNET_LOG_WARN,
                       "{} packets could not be decrypted: some node uses another key or none",
                       unreadable);
  }
  drops_logged_ = counters;
}

}  // namespace ringknet
