// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The engine's reports as callbacks and log records. What a record says is written here, and in
// log_records.cc for what is told of counts, ends and senders.
#include "api/handle.h"

#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "api/address.h"
#include "api/error_map.h"
#include "engine/compress/codecs/codecs.h"
#include "engine/ring/socket_buffer.h"

namespace ringknet {

using Kind = LogTopic::Kind;

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

// For users who cannot change the program that has the handle: RINGKNET_OFFLOAD=0.
bool offload_wanted() {
  const char* value = secure_getenv("RINGKNET_OFFLOAD");
  return value == nullptr || std::strcmp(value, "0") != 0;
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
                                 .offload = offload_wanted(),
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
  if (direction == Direction::kTx) {
    log_.write(KNET_SUB_COMMON, KNET_LOG_WARN, "channel {}: no more is read from descriptor {}: {}",
               raw(channel), application_fd,
               error == 0 ? "closed by the application" : std::strerror(errno_value));
  } else {
    tell(LogTopic::of_channel(Kind::kDatafd, channel), KNET_SUB_COMMON, KNET_LOG_DEBUG,
         "channel {}: a message could not be written to descriptor {}: {}", raw(channel),
         application_fd, std::strerror(errno_value));
  }
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
      tell(LogTopic::of_handle(Kind::kDataMtu), KNET_SUB_PMTUD, KNET_LOG_INFO, "data MTU is {}",
           event.mtu);
      if (const Callback<MtuNotify> callback = mtu_notify_; callback.function != nullptr) {
        callback.function(callback.context, event.mtu);
      }
      return;
    default:
      return log_link(event);
  }
}

void Handle::on_host(const Event& event, bool reachable) {
  tell(LogTopic::of_host(Kind::kHostState, event.host), KNET_SUB_HOST, KNET_LOG_INFO,
       "host {} is {}", raw(event.host), reachable ? "reachable" : "not reachable");
  if (const Callback<HostStatusNotify> callback = host_status_notify_;
      callback.function != nullptr) {
    callback.function(callback.context, raw(event.host), reachable ? 1 : 0, 0, 0);
  }
}

void Handle::log_link(const Event& event) {
  const unsigned host = raw(event.host);
  const unsigned link = raw(event.link);
  const auto topic = [&](Kind kind) { return LogTopic::of_link(kind, event.host, event.link); };
  switch (event.kind) {
    case Event::Kind::kLinkUp:
      return tell(topic(Kind::kLinkState), KNET_SUB_LINK, KNET_LOG_INFO, "host {} link {} is up",
                  host, link);
    case Event::Kind::kLinkDown:
      log_limiter_.end(topic(Kind::kDoubt));
      return tell(topic(Kind::kLinkState), KNET_SUB_LINK, KNET_LOG_INFO,
                  "host {} link {} is down: {}", host, link, reason_text(event.reason));
    case Event::Kind::kLinkMtu:
      return tell(topic(Kind::kLinkMtu), KNET_SUB_PMTUD, KNET_LOG_INFO,
                  "host {} link {} has MTU {}", host, link, event.mtu);
    case Event::Kind::kLinkLearned: {
      const AddressText text = to_text(event.address);
      if (!event.previous.known()) {
        return tell(topic(Kind::kMoved), KNET_SUB_LINK, KNET_LOG_INFO,
                    "host {} link {} is now at {} port {}", host, link, text.host.data(),
                    text.port.data());
      }
      const AddressText old = to_text(event.previous);
      return tell(topic(Kind::kMoved), KNET_SUB_LINK, KNET_LOG_INFO,
                  "host {} link {} is now at {} port {}, before at {} port {}", host, link,
                  text.host.data(), text.port.data(), old.host.data(), old.port.data());
    }
    case Event::Kind::kLinkSuspect:
      return tell(topic(Kind::kDoubt), KNET_SUB_LINK,
                  event.rerouted ? KNET_LOG_WARN : KNET_LOG_INFO,
                  "host {} link {} is in doubt: {}{}", host, link, reason_text(event.reason),
                  event.rerouted ? "; other links take its data" : "");
    case Event::Kind::kPeerRestarted:
      return tell(LogTopic::of_host(Kind::kRestarted, event.host), KNET_SUB_HOST, KNET_LOG_INFO,
                  "host {} has restarted", host);
    case Event::Kind::kLinkRunsVanish:
      return tell(topic(Kind::kRuns), KNET_SUB_LINK, KNET_LOG_WARN,
                  "host {} link {}: runs of packets vanish on the way, single ones do not (a "
                  "firewall's rule on their length?); segmentation offload is off, and tried again "
                  "later",
                  host, link);
    case Event::Kind::kLinkRunsPass:
      return tell(topic(Kind::kRuns), KNET_SUB_LINK, KNET_LOG_INFO,
                  "host {} link {}: runs of packets pass again; segmentation offload is on", host,
                  link);
    default:
      return;
  }
}

void Handle::on_trouble(const Trouble& trouble) {
  const unsigned channel = raw(trouble.channel);
  const auto of_channel = [&](Kind kind) { return LogTopic::of_channel(kind, trouble.channel); };
  switch (trouble.kind) {
    case Trouble::Kind::kSend: {
      const AddressText to = to_text(trouble.to);
      const auto found = engine_->fabric().link_to(trouble.to);
      const LinkRef link = found.value_or(LinkRef{});
      return tell(LogTopic::of_link(Kind::kCannotSend, link.host, link.link), KNET_SUB_TRANSP_UDP,
                  KNET_LOG_INFO, "host {} link {}: cannot send to {} port {}: {}{}", raw(link.host),
                  raw(link.link), to.host.data(), to.port.data(), std::strerror(trouble.error),
                  likely_cause(trouble.error));
    }
    case Trouble::Kind::kReceive:
      return tell(LogTopic::of_handle(Kind::kCannotReceive), KNET_SUB_TRANSP_UDP, KNET_LOG_WARN,
                  "cannot receive: {}", std::strerror(trouble.error));
    case Trouble::Kind::kOversized:
      return tell(of_channel(Kind::kOversized), KNET_SUB_TX, KNET_LOG_WARN,
                  "channel {}: dropped a message of {} bytes, more than {}", channel, trouble.size,
                  KNET_MAX_PACKET_SIZE);
    case Trouble::Kind::kRefusedSend:
      return tell(of_channel(Kind::kRefusedSend), KNET_SUB_TX, KNET_LOG_DEBUG,
                  "channel {}: dropped a message to be sent: {}", channel,
                  std::strerror(to_errno(trouble.reason)));
    case Trouble::Kind::kDropped:
      return tell(of_channel(Kind::kNotDelivered), KNET_SUB_RX, KNET_LOG_DEBUG,
                  "channel {}: dropped a received message: {}", channel, name(trouble.drop));
    case Trouble::Kind::kSocketBuffer:
      return tell(LogTopic::of_handle(Kind::kSocketBuffer), KNET_SUB_TRANSPORT, KNET_LOG_WARN,
                  "the kernel grants socket buffers of {} bytes only", trouble.size);
    case Trouble::Kind::kOffload: {
      const AddressText to = to_text(trouble.to);
      return tell(LogTopic::of_handle(Kind::kOffload), KNET_SUB_TRANSP_UDP, KNET_LOG_WARN,
                  "runs of packets to {} port {} are refused, single ones are not: {}{}; "
                  "segmentation offload is off, and tried again later",
                  to.host.data(), to.port.data(), std::strerror(trouble.error),
                  likely_cause(trouble.error));
    }
    case Trouble::Kind::kReceiveOffload: {
      const AddressText to = to_text(trouble.to);
      return tell(LogTopic::of_handle(Kind::kReceiveOffload), KNET_SUB_TRANSP_UDP, KNET_LOG_WARN,
                  "packets to {} port {} are lost when the kernel joins them (a firewall's rule on "
                  "their length?); receive offload is off, and tried again later",
                  to.host.data(), to.port.data());
    }
    case Trouble::Kind::kOtherInterface:
      return log_other_interface(trouble);
  }
}

// Said once per link by the engine.
void Handle::log_other_interface(const Trouble& trouble) {
  const auto name_of = [](unsigned index, char(&name)[IF_NAMESIZE]) {
    return if_indextoname(index, name) != nullptr ? name : "?";
  };
  char own[IF_NAMESIZE];
  char arrival[IF_NAMESIZE];
  const auto link = engine_->fabric().link_to(trouble.to);
  if (!link)
    return;
  tell(LogTopic::of_link(Kind::kOtherInterface, link->host, link->link), KNET_SUB_TRANSP_UDP,
       KNET_LOG_WARN,
       "host {} link {}: packets to this link's address on {} arrive on {}: the networks are "
       "joined, and one fault may cut both (see net.ipv4.conf.all.arp_ignore)",
       raw(link->host), raw(link->link), name_of(trouble.interface, own),
       name_of(trouble.arrival, arrival));
}

}  // namespace ringknet
