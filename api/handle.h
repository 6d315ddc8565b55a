// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What stands behind a knet_handle_t: the engine, and what the C API adds to it - the application's
// callbacks, the names of hosts, the log, and the descriptors of channels for calls that bypass the
// engine. It turns what the engine reports into callbacks and log records. It knows nothing of
// packets and checks no arguments: that is done in the *_api.cc.
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <new>

#include "api/channel_table.h"
#include "api/host_names.h"
#include "api/libknet.h"
#include "api/libknet_ext.h"
#include "api/log.h"
#include "api/log_limiter.h"
#include "engine/crypto/wolfssl/random_pool.h"
#include "engine/ring/engine.h"

namespace ringknet {

// A function of the application and the pointer it wants back. Belongs to the engine thread.
template <typename Function>
struct Callback {
  Function* function = nullptr;
  void* context = nullptr;
};

// Who hears of the messages of a channel without a descriptor. Belongs to the engine thread.
struct Receiver {
  knet_ext_message_fn message = nullptr;
  knet_ext_room_fn room = nullptr;
  void* context = nullptr;
};

using SockNotify = void(void*, int, std::int8_t, std::uint8_t, int, int);
using DestinationFilter = int(void*, const unsigned char*, ssize_t, std::uint8_t, knet_node_id_t,
                              knet_node_id_t, std::int8_t*, knet_node_id_t*, std::size_t*);
using MtuNotify = void(void*, unsigned int);
using HostStatusNotify = void(void*, knet_node_id_t, std::uint8_t, std::uint8_t, std::uint8_t);

class Handle final : public EngineClient {
 public:
  struct Options {
    HostId self{};
    int log_fd = 0;
    std::uint8_t log_level = 0;
    bool privileged = false;
    bool caller_driven = false;
  };

  explicit Handle(const Options& options) : log_(options.log_fd, options.log_level) {}
  // Starts the engine; an errno. A handle that failed to start can only be destroyed.
  int start(const Options& options);

  Engine& engine() { return *engine_; }
  Log& log() { return log_; }
  ChannelTable& channels() { return channels_; }
  std::atomic<std::uint32_t>& reconnect_interval() { return reconnect_interval_; }

  // Runs `function(Engine&)`, which returns an errno or 0, on the engine thread and ends the API
  // call with the result. Exceptions do not reach the engine: the only one there is stands for
  // ENOMEM.
  template <typename Function>
  int command(Function&& function) {
    const Engine::Entry entry(*engine_);
    if (!entry) {
      errno = EDEADLK;
      return -1;
    }
    const int error = engine_->run([&](Engine& engine) noexcept -> int {
      try {
        return function(engine);
      } catch (...) {  // nothing but an allocation that fails
        return ENOMEM;
      }
    });
    errno = error;
    return error == 0 ? 0 : -1;
  }

  // --- engine thread only

  HostNames& host_names() { return host_names_; }
  Callback<SockNotify>& sock_notify() { return sock_notify_; }
  Callback<DestinationFilter>& destination_filter() { return destination_filter_; }
  Callback<MtuNotify>& mtu_notify() { return mtu_notify_; }
  Callback<HostStatusNotify>& host_status_notify() { return host_status_notify_; }
  Receiver& receiver(Channel channel) { return receivers_[raw(channel)]; }
  // Set by the knet_handle_free that will go through: from then on no host can be added.
  bool& closing() { return closing_; }

  bool has_filter() const override { return destination_filter_.function != nullptr; }
  int filter(Direction direction, ConstBytes message, HostId self, HostId source,
             std::int8_t& channel, HostId* hosts, std::size_t& count) override;
  void on_datafd(int application_fd, Channel channel, Direction direction, int error,
                 int errno_value) override;
  void on_message(Channel channel, ConstBytes message, HostId from) override;
  void on_room() override;
  void on_event(const Event& event) override;
  void on_trouble(const Trouble& trouble) override;
  void on_drops(const DropCounters& counters) override;
  void on_wake() override;

  // What a packet, a peer or a network causes is logged by this alone; see log_limiter.h.
  template <typename... Args>
  void tell(const LogTopic& topic, std::uint8_t subsystem, std::uint8_t level,
            fmt::format_string<const Args&...> format, const Args&... args) {
    if (!log_.wants(subsystem, level))
      return;
    std::uint64_t held = 0;
    const bool now = log_limiter_.report(engine_->now(), topic, held);
    wake_for_log();
    if (now)
      log_.write_counted(held, subsystem, level, format, args...);
  }
  // Makes room in the log's table for one more link.
  void grow_log() { log_limiter_.grow(engine_->fabric().link_count() + 1); }

 private:
  void keep_each_once(HostId* hosts, std::size_t& count);
  void on_host(const Event& event, bool reachable);
  void log_link(const Event& event);
  void log_other_interface(const Trouble& trouble);

  // log_records.cc
  bool on_episode(const LogLimiter::Episode& episode);
  bool on_link_episode(const LogLimiter::Episode& episode);
  void tell_held(const LogLimiter::Episode& episode);
  void tell_drops(const DropCounters& counters);
  std::uint64_t new_drops(const DropCounters& counters, Drop reason) const;
  void write_drops(const DropCounters& counters);
  void tell_offences();
  void tell_offence(Offence& offence);
  void tell_offence_over(const Offence& offence);
  void wake_for_log();

  Log log_;
  SystemRandom system_random_;
  RandomPool random_{system_random_};
  ChannelTable channels_;
  std::atomic<std::uint32_t> reconnect_interval_ = KNET_TRANSPORT_DEFAULT_RECONNECT_INTERVAL;

  HostNames host_names_;
  Callback<SockNotify> sock_notify_;
  Callback<DestinationFilter> destination_filter_;
  Callback<MtuNotify> mtu_notify_;
  Callback<HostStatusNotify> host_status_notify_;
  std::array<Receiver, kChannelCount> receivers_;
  LogLimiter log_limiter_;
  Instant offences_due_ = kNever;  // when those who sent refused packets are looked at again
  DropCounters drops_logged_;
  std::bitset<kHostCount> seen_;  // scratch of keep_each_once, empty between calls
  bool closing_ = false;

  // Last, so that its thread has ended before anything it uses goes away.
  std::unique_ptr<Engine> engine_;
};

// What knet_handle_new_ex does; NULL and errno on errors.
knet_handle_t new_handle(knet_node_id_t host_id, int log_fd, std::uint8_t log_level,
                         std::uint64_t flags, bool caller_driven);

inline knet_handle_t to_c(Handle& handle) {
  return reinterpret_cast<knet_handle_t>(&handle);
}

}  // namespace ringknet
