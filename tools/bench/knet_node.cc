// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The life of a handle, step by step. Every failed call becomes a sentence with errno and, where
// the library has written one, its own log record.
#include "tools/bench/knet_node.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sstream>

#include "tools/bench/optional_api.h"

namespace ringknet::bench {
namespace {

constexpr std::uint8_t kCryptoSlot = 1;
constexpr std::uint8_t kClearTrafficRefused = 1;

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  std::string part;
  while (std::getline(stream, part, separator)) {
    parts.push_back(part);
  }
  return parts;
}

template <std::size_t kSize>
void copy_text(char (&to)[kSize], const std::string& from) {
  if (from.size() >= kSize) {
    throw Failure(
        fmt::format("'{}' is too long for libknet, which takes {} characters", from, kSize - 1));
  }
  std::memcpy(to, from.c_str(), from.size() + 1);
}

// Insists on large socket buffers if the process may have them, as corosync does.
knet::Result<knet::Handle> create_handle(knet::Handle::Options options, bool& privileged) {
  options.privileged = privileged = true;
  auto handle = knet::Handle::create(options);
  if (handle.error() == std::errc::filename_too_long) {
    options.privileged = privileged = false;
    handle = knet::Handle::create(options);
  }
  return handle;
}

}  // namespace

Message NodeSettings::to_message() const {
  Message message("open");
  message.set("id", std::int64_t{id}).set("peer", std::int64_t{peer_id});
  message.set("peers", std::int64_t{peers}).set("port", std::int64_t{port});
  message.set("peer_port", std::int64_t{peer_port}).set("driven", std::int64_t{driven});
  message.set("data_descriptors", std::int64_t{data_descriptors});
  message.set("links", static_cast<std::int64_t>(links.size()));
  for (std::size_t link = 0; link < links.size(); ++link) {
    message.set(fmt::format("local{}", link), links[link].local);
    message.set(fmt::format("remote{}", link), links[link].remote);
  }
  message.set("policy", std::int64_t{policy});
  message.set("interval", Duration(ping_interval)).set("timeout", Duration(ping_timeout));
  message.set("pongs", std::int64_t{pong_count}).set("mtu", std::int64_t{interface_mtu});
  message.set("busy_poll", busy_poll);
  message.set("crypto", crypto).set("compress", compress);
  return message;
}

NodeSettings NodeSettings::from_message(const Message& message) {
  const auto milliseconds = [&message](const char* key) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(message.duration(key));
  };
  NodeSettings settings;
  settings.id = static_cast<knet_node_id_t>(message.number("id"));
  settings.peer_id = static_cast<knet_node_id_t>(message.number("peer"));
  settings.peers = static_cast<unsigned>(message.number("peers"));
  settings.port = static_cast<std::uint16_t>(message.number("port"));
  settings.peer_port = static_cast<std::uint16_t>(message.number("peer_port"));
  settings.driven = message.number("driven") != 0;
  settings.data_descriptors = static_cast<unsigned>(
      std::min<std::int64_t>(message.number("data_descriptors"), KNET_DATAFD_MAX));
  const std::int64_t links = std::min<std::int64_t>(message.number("links"), KNET_MAX_LINK);
  for (std::int64_t link = 0; link < links; ++link) {
    settings.links.push_back(
        {message.text(fmt::format("local{}", link)), message.text(fmt::format("remote{}", link))});
  }
  settings.policy = static_cast<std::uint8_t>(message.number("policy"));
  settings.ping_interval = milliseconds("interval");
  settings.ping_timeout = milliseconds("timeout");
  settings.pong_count = static_cast<std::uint8_t>(message.number("pongs"));
  settings.interface_mtu = static_cast<unsigned>(message.number("mtu"));
  settings.busy_poll = message.duration("busy_poll");
  settings.crypto = message.text("crypto");
  settings.compress = message.text("compress");
  return settings;
}

HandleTimes time_empty_handle(knet_node_id_t id) {
  const Instant start = Clock::now();
  bool privileged = true;
  auto handle = create_handle({.self = knet::HostId(id)}, privileged);
  const Instant created = Clock::now();
  if (!handle) {
    throw failure_from_errno("knet_handle_new_ex failed");
  }
  const Instant freeing = Clock::now();
  if (handle->close()) {
    throw failure_from_errno("knet_handle_free failed");
  }
  return {created - start, Clock::now() - freeing};
}

KnetNode::KnetNode(const NodeSettings& settings) : settings_(settings) {
  try {
    create();
    configure_handle();
    for (unsigned peer = 0; peer < settings_.peers; ++peer) {
      add_peer(static_cast<knet_node_id_t>(settings_.peer_id + peer));
    }
    for_each_link([this](knet_node_id_t peer, std::uint8_t link) { configure_link(peer, link); });
  } catch (...) {
    // The first failure is the one to tell; what a half-configured handle says to being closed is
    // not.
    try {
      close();
    } catch (const Failure&) {
      handle_.reset();
    }
    throw;
  }
}

KnetNode::~KnetNode() {
  try {
    close();
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "knet-bench: node %u: %s\n", unsigned{settings_.id}, failure.what());
  }
}

void KnetNode::create() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    throw failure_from_errno("no pipe");
  }
  log_reader_.reset(ends[0]);
  log_writer_.reset(ends[1]);
  events_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!events_.open()) {
    throw failure_from_errno("no eventfd");
  }
  auto handle = create_handle({.self = knet::HostId(settings_.id),
                               .caller_driven = settings_.driven,
                               .log_descriptor = log_writer_.get()},
                              privileged_);
  if (!handle) {
    throw failed(settings_.driven ? "knet_ext_handle_new" : "knet_handle_new_ex");
  }
  handle_ = *std::move(handle);
}

void KnetNode::configure_handle() {
  check(knet_handle_enable_sock_notify(handle_->get(), this, on_data_descriptor),
        "knet_handle_enable_sock_notify");
  check(knet_host_enable_status_change_notify(handle_->get(), this, on_host_status),
        "knet_host_enable_status_change_notify");
  check(knet_handle_enable_pmtud_notify(handle_->get(), this, on_mtu),
        "knet_handle_enable_pmtud_notify");
  const unsigned count = settings_.driven ? 0 : settings_.data_descriptors;
  for (std::int8_t channel = 0; channel < static_cast<int>(count); ++channel) {
    int descriptor = 0;
    check(knet_handle_add_datafd(handle_->get(), &descriptor, &channel), "knet_handle_add_datafd");
    data_descriptors_.push_back(descriptor);
  }
  set_crypto();
  set_compression();
  if (settings_.busy_poll != Duration::zero() && handle_->set_busy_poll(settings_.busy_poll)) {
    throw failed("knet_ext_set_busy_poll");
  }
  if (settings_.interface_mtu != 0) {
    check(knet_handle_pmtud_set(handle_->get(), settings_.interface_mtu), "knet_handle_pmtud_set");
  }
  check(knet_handle_setfwd(handle_->get(), 1), "knet_handle_setfwd");
}

void KnetNode::add_peer(knet_node_id_t peer) {
  check(knet_host_add(handle_->get(), peer), "knet_host_add");
  check(knet_host_set_policy(handle_->get(), peer, settings_.policy), "knet_host_set_policy");
}

void KnetNode::configure_link(knet_node_id_t peer, std::uint8_t link) {
  const auto address = [](const std::string& text, std::uint16_t port) {
    const auto parsed = knet::address(text, port);
    if (!parsed) {
      throw Failure(fmt::format("{} port {} is no address", text, port));
    }
    return *parsed;
  };
  const auto peer_port =
      static_cast<std::uint16_t>(settings_.peer_port + (peer - settings_.peer_id));
  sockaddr_storage local = address(settings_.links[link].local, settings_.port);
  sockaddr_storage remote = address(settings_.links[link].remote, peer_port);
  check(knet_link_set_config(handle_->get(), peer, link, KNET_TRANSPORT_UDP, &local, &remote, 0),
        fmt::format("knet_link_set_config for link {} from {} port {}", link,
                    settings_.links[link].local, settings_.port));
  check(knet_link_set_ping_timers(handle_->get(), peer, link, settings_.ping_interval.count(),
                                  settings_.ping_timeout.count(), KNET_LINK_DEFAULT_PING_PRECISION),
        "knet_link_set_ping_timers");
  check(knet_link_set_pong_count(handle_->get(), peer, link, settings_.pong_count),
        "knet_link_set_pong_count");
}

void KnetNode::set_crypto() {
  if (settings_.crypto.empty()) {
    return;
  }
  const std::vector<std::string> parts = split(settings_.crypto, ',');
  knet_handle_crypto_cfg config{};
  copy_text(config.crypto_model, parts.at(0));
  copy_text(config.crypto_cipher_type, parts.at(1));
  copy_text(config.crypto_hash_type, parts.at(2));
  // A benchmark keeps no secrets: both nodes make the same key from nothing.
  config.private_key_len = sizeof config.private_key / 16;
  for (unsigned at = 0; at < config.private_key_len; ++at) {
    config.private_key[at] = static_cast<unsigned char>(at * 167 + 13);
  }
  const std::string what = fmt::format("encryption '{}'", settings_.crypto);
  const auto set = optional_call<CryptoSetConfig>("knet_handle_crypto_set_config");
  const auto use = optional_call<CryptoUseConfig>("knet_handle_crypto_use_config");
  const auto clear = optional_call<CryptoRxClearTraffic>("knet_handle_crypto_rx_clear_traffic");
  check(set(handle_->get(), &config, kCryptoSlot), what);
  check(use(handle_->get(), kCryptoSlot), what);
  check(clear(handle_->get(), kClearTrafficRefused), what);
}

void KnetNode::set_compression() {
  if (settings_.compress.empty()) {
    return;
  }
  knet_handle_compress_cfg config{};
  copy_text(config.compress_model, settings_.compress);
  config.compress_level = 1;
  const auto compress = optional_call<Compress>("knet_handle_compress");
  check(compress(handle_->get(), &config), fmt::format("compression '{}'", settings_.compress));
}

void KnetNode::enable_links() {
  for_each_link([this](knet_node_id_t peer, std::uint8_t link) {
    check(knet_link_set_enable(handle_->get(), peer, link, 1), "knet_link_set_enable");
  });
  enabled_ = Clock::now();
}

std::optional<LinkTimes> KnetNode::links_ready() {
  const Duration elapsed = Clock::now() - enabled_;
  bool connected = true;
  bool searched = true;
  unsigned smallest_mtu = UINT32_MAX;
  for (unsigned peer = 0; peer < settings_.peers; ++peer) {
    knet_host_status host{};
    check(knet_host_get_status(handle_->get(),
                               static_cast<knet_node_id_t>(settings_.peer_id + peer), &host),
          "knet_host_get_status");
    connected = connected && host.reachable != 0;
  }
  for_each_link([&](knet_node_id_t peer, std::uint8_t link) {
    const knet_link_status status = link_status(peer, link);
    connected = connected && status.connected != 0;
    searched = searched && (status.proto_overhead != 0 || settings_.interface_mtu != 0);
    smallest_mtu = std::min(smallest_mtu, status.mtu);
  });
  if (!connected) {
    connected_after_.reset();
    return std::nullopt;
  }
  connected_after_ = connected_after_.value_or(elapsed);
  // The handle starts again from the smallest MTU whenever a link comes up, and reaches the
  // smallest MTU of its links when all of them have been searched.
  unsigned data_mtu = 0;
  check(knet_handle_pmtud_get(handle_->get(), &data_mtu), "knet_handle_pmtud_get");
  if (!searched || data_mtu != smallest_mtu) {
    return std::nullopt;
  }
  return LinkTimes{*connected_after_, elapsed, data_mtu};
}

void KnetNode::clear_events() {
  std::uint64_t count = 0;
  while (::read(events_.get(), &count, sizeof count) > 0) {
  }
}

knet_link_status KnetNode::link_status(knet_node_id_t peer, std::uint8_t link) {
  knet_link_status status{};
  check(knet_link_get_status(handle_->get(), peer, link, &status, sizeof status),
        "knet_link_get_status");
  return status;
}

std::uint64_t KnetNode::link_up_count() {
  std::uint64_t count = 0;
  for_each_link([&](knet_node_id_t peer, std::uint8_t link) {
    count += link_status(peer, link).stats.up_count;
  });
  return count;
}

void KnetNode::forget_stats() {
  check(knet_handle_clear_stats(handle_->get(), KNET_CLEARSTATS_HANDLE_ONLY),
        "knet_handle_clear_stats");
}

knet_handle_stats KnetNode::stats() {
  knet_handle_stats stats{};
  check(knet_handle_get_stats(handle_->get(), &stats, sizeof stats), "knet_handle_get_stats");
  return stats;
}

std::string KnetNode::describe_links() {
  std::string text;
  for_each_link([&](knet_node_id_t peer, std::uint8_t link) {
    const knet_link_status status = link_status(peer, link);
    if (settings_.peers == 1 || status.connected == 0) {
      text += fmt::format("{}link {} ({} to {} of node {}) {}, MTU {}", text.empty() ? "" : "; ",
                          link, settings_.links[link].local, settings_.links[link].remote, peer,
                          status.connected != 0 ? "up" : "down", status.mtu);
    }
  });
  return text;
}

void KnetNode::drive(Duration limit) {
  if (handle_->run_once(limit)) {
    throw failed("knet_ext_run_once");
  }
}

void KnetNode::close() {
  if (!handle_) {
    return;
  }
  const std::error_code error = handle_->close();
  handle_.reset();
  if (error) {
    throw Failure("knet_handle_free failed: " + error.message());
  }
}

Failure KnetNode::failed(const std::string& call) {
  std::string text = fmt::format("{} failed", call);
  if (errno != 0) {
    text += fmt::format(": {}", std::strerror(errno));
  }
  knet_log_msg record{};
  while (::read(log_reader_.get(), &record, sizeof record) == sizeof record) {
    text += fmt::format("; the library says: {}", record.msg);
  }
  return Failure(text);
}

void KnetNode::check(int result, const std::string& call) {
  if (result != 0) {
    throw failed(call);
  }
}

void KnetNode::signal_event() const {
  const std::uint64_t one = 1;
  // A full counter means that there is an event already.
  [[maybe_unused]] const ssize_t written = ::write(events_.get(), &one, sizeof one);
}

void KnetNode::on_data_descriptor(void* self, int /*descriptor*/, std::int8_t /*channel*/,
                                  std::uint8_t direction, int /*error*/, int error_number) {
  auto* node = static_cast<KnetNode*>(self);
  if (direction == KNET_NOTIFY_RX && error_number == EAGAIN) {
    ++node->refused_;
  }
}

void KnetNode::on_host_status(void* self, knet_node_id_t /*host*/, std::uint8_t /*reachable*/,
                              std::uint8_t /*remote*/, std::uint8_t /*external*/) {
  static_cast<KnetNode*>(self)->signal_event();
}

void KnetNode::on_mtu(void* self, unsigned /*data_mtu*/) {
  static_cast<KnetNode*>(self)->signal_event();
}

}  // namespace ringknet::bench
