// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The library for services written in C++20: what libknet_ext.h and the part of libknet.h that such
// a service needs look like with owners, types and callables. It is this header and nothing to link
// besides the library; it adds no allocation, copy, lock or system call to any message. It does not
// wrap everything: handle.get() goes into every other call of libknet.h.
//
//     auto handle = knet::Handle::create({.self = knet::HostId(1)});
//     auto channel = handle->open_channel([](const knet::Message& message) { ... });
//     auto host = handle->add_host(knet::HostId(2));
//     auto link = host->add_link(knet::LinkId(0), *knet::address("192.0.2.1", 5405),
//                                *knet::address("192.0.2.2", 5405));
//     link->enable();
//     handle->set_forwarding(true);
//     channel->send(bytes);
//
// ERRORS. Nothing here throws. A call answers a std::error_code of the generic category, which is
// false for success and compares with std::errc, or a Result of it and a value. What errors there
// are, libknet.h and libknet_ext.h say with the function that is named here. Memory that cannot be
// had is ENOMEM.
//
// THREADS. What libknet.h says: every call from any thread and in every callback, unless it says
// otherwise here. An object of these classes is used by one thread at a time, except that any
// number may send by one channel. A call that configures waits for the engine's next turn, some
// tens of microseconds, or on the engine thread not at all.
//
// CALLABLES are moved into storage that the object allocates once, when they are handed over, and
// are called from there on the engine thread. They must not throw (that ends the program) and must
// not wait. They live until they are replaced or their object is closed, so nobody closes or
// replaces an object from inside its own callable.
#ifndef RINGKNET_KNET_HPP
#define RINGKNET_KNET_HPP

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

#include "libknet_ext.h"

namespace knet {

enum class HostId : knet_node_id_t {};
enum class LinkId : std::uint8_t {};    // 0 .. KNET_MAX_LINK - 1
enum class ChannelId : std::int8_t {};  // 0 .. KNET_DATAFD_MAX - 1
constexpr ChannelId kFreeChannel{-1};   // the lowest one that is free
enum class Policy : std::uint8_t {
  kPassive = KNET_LINK_POLICY_PASSIVE,
  kActive = KNET_LINK_POLICY_ACTIVE,
  kRoundRobin = KNET_LINK_POLICY_RR,
};

// A value, or why there is none.
template <typename Value>
class [[nodiscard]] Result {
 public:
  Result(Value value) noexcept : value_(std::move(value)) {}  // NOLINT: either is one
  Result(std::error_code error) noexcept : error_(error) {}   // NOLINT
  [[nodiscard]] explicit operator bool() const noexcept { return value_.has_value(); }
  // False with a value.
  [[nodiscard]] std::error_code error() const noexcept { return error_; }
  // Only with a value.
  [[nodiscard]] Value& operator*() & noexcept { return *value_; }
  [[nodiscard]] const Value& operator*() const& noexcept { return *value_; }
  [[nodiscard]] Value&& operator*() && noexcept { return std::move(*value_); }
  [[nodiscard]] Value* operator->() noexcept { return &*value_; }
  [[nodiscard]] const Value* operator->() const noexcept { return &*value_; }

 private:
  std::optional<Value> value_;
  std::error_code error_;
};

// One message as it has come. The bytes are where the library has them, and valid until the
// callable returns.
struct Message {
  std::span<const std::byte> bytes;
  HostId source;
  ChannelId channel;
};

// What a filter does with a message.
enum class Route {
  kNowhere,   // it is dropped
  kListed,    // to the hosts that were listed; on the way in: for us if we are
  kEverybody  // to all that can be reached; on the way in: for us
};

// A message in front of a filter. The filter may change the channel.
class Filtered {
 public:
  Filtered(const Message& message, bool outgoing, HostId self, knet_node_id_t* hosts) noexcept
      : bytes(message.bytes),
        outgoing(outgoing),
        self(self),
        source(message.source),
        channel(message.channel),
        hosts_(hosts) {}

  // At most KNET_MAX_HOST of them.
  void list(HostId host) noexcept { hosts_[count_++] = static_cast<knet_node_id_t>(host); }
  [[nodiscard]] std::size_t listed() const noexcept { return count_; }

  const std::span<const std::byte> bytes;
  const bool outgoing;
  const HostId self;
  const HostId source;
  ChannelId channel;

 private:
  knet_node_id_t* hosts_;
  std::size_t count_ = 0;
};

namespace detail {

inline std::error_code last_error() noexcept {
  return {errno, std::generic_category()};
}
inline std::error_code status(int result) noexcept {
  return result == 0 ? std::error_code() : last_error();
}

// A callable, or several, whose types nobody but the function that calls them knows.
using Storage = std::unique_ptr<void, void (*)(void*)>;
inline Storage no_storage() noexcept {
  return {nullptr, [](void*) {}};
}
template <typename Stored>
Storage store(Stored&& stored) noexcept {
  using Kept = std::decay_t<Stored>;
  return {new (std::nothrow) Kept(std::forward<Stored>(stored)),
          [](void* kept) { delete static_cast<Kept*>(kept); }};
}

struct Ignore {
  void operator()() const noexcept {}
};

}  // namespace detail

// A numeric address and a port (knet_strtoaddr). EINVAL for what is none.
inline Result<sockaddr_storage> address(const std::string& host, std::uint16_t port) {
  sockaddr_storage storage{};
  const std::string service = std::to_string(port);
  if (knet_strtoaddr(host.c_str(), service.c_str(), &storage, sizeof storage) != 0) {
    return std::make_error_code(std::errc::invalid_argument);
  }
  return storage;
}

// Messages without descriptors (knet_ext_open_channel). It is closed when it goes; before its
// handle does.
class Channel {
 public:
  Channel(Channel&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)),
        id_(other.id_),
        callables_(std::move(other.callables_)) {}
  Channel& operator=(Channel&& other) noexcept {
    if (this != &other) {
      (void)close();
      handle_ = std::exchange(other.handle_, nullptr);
      id_ = other.id_;
      callables_ = std::move(other.callables_);
    }
    return *this;
  }
  ~Channel() { (void)close(); }

  [[nodiscard]] ChannelId id() const noexcept { return ChannelId(id_); }

  // Sends one message of 1 to KNET_MAX_PACKET_SIZE bytes (knet_ext_send). On the engine thread it
  // is on its way when this returns, or refused with EAGAIN, and on_room will be called. On other
  // threads it is in line; when the line is full this waits.
  [[nodiscard]] std::error_code send(std::span<const std::byte> message) const noexcept {
    return detail::status(knet_ext_send(handle_, id_, message.data(), message.size(), 0));
  }
  // The same, but it never waits: EAGAIN.
  [[nodiscard]] std::error_code try_send(std::span<const std::byte> message) const noexcept {
    return detail::status(
        knet_ext_send(handle_, id_, message.data(), message.size(), KNET_EXT_DONTWAIT));
  }

  // From when this has returned the callables are not running and have been destroyed. Does nothing
  // the second time.
  std::error_code close() noexcept {
    if (handle_ == nullptr) {
      return {};
    }
    const std::error_code error =
        detail::status(knet_ext_close_channel(std::exchange(handle_, nullptr), id_));
    callables_.reset();
    return error;
  }

 private:
  friend class Handle;
  Channel(knet_handle_t handle, std::int8_t id, detail::Storage callables) noexcept
      : handle_(handle), id_(id), callables_(std::move(callables)) {}

  knet_handle_t handle_;
  std::int8_t id_;
  detail::Storage callables_;
};

// A link of a host: a name for it, which owns nothing and may be copied. It is gone when the host
// or the handle is; calls answer EINVAL then.
class Link {
 public:
  Link(knet_handle_t handle, HostId host, LinkId id) noexcept
      : handle_(handle),
        host_(static_cast<knet_node_id_t>(host)),
        id_(static_cast<std::uint8_t>(id)) {}

  [[nodiscard]] HostId host() const noexcept { return HostId(host_); }
  [[nodiscard]] LinkId id() const noexcept { return LinkId(id_); }

  // knet_link_set_enable
  std::error_code enable() const noexcept {
    return detail::status(knet_link_set_enable(handle_, host_, id_, 1));
  }
  std::error_code disable() const noexcept {
    return detail::status(knet_link_set_enable(handle_, host_, id_, 0));
  }
  // knet_link_set_ping_timers; the library counts in whole milliseconds.
  std::error_code set_ping_timers(
      std::chrono::milliseconds interval, std::chrono::milliseconds timeout,
      unsigned precision = KNET_LINK_DEFAULT_PING_PRECISION) const noexcept {
    return detail::status(
        knet_link_set_ping_timers(handle_, host_, id_, static_cast<time_t>(interval.count()),
                                  static_cast<time_t>(timeout.count()), precision));
  }
  // knet_link_set_pong_count
  std::error_code set_pong_count(std::uint8_t answers) const noexcept {
    return detail::status(knet_link_set_pong_count(handle_, host_, id_, answers));
  }
  // knet_link_get_status
  [[nodiscard]] Result<knet_link_status> status() const noexcept {
    knet_link_status status{};
    if (knet_link_get_status(handle_, host_, id_, &status, sizeof status) != 0) {
      return detail::last_error();
    }
    return status;
  }
  // Disables it and takes its configuration away (knet_link_clear_config).
  std::error_code remove() const noexcept {
    (void)disable();
    return detail::status(knet_link_clear_config(handle_, host_, id_));
  }

 private:
  knet_handle_t handle_;
  knet_node_id_t host_;
  std::uint8_t id_;
};

// A host: a name for it, like Link.
class Host {
 public:
  Host(knet_handle_t handle, HostId id) noexcept
      : handle_(handle), id_(static_cast<knet_node_id_t>(id)) {}

  [[nodiscard]] HostId id() const noexcept { return HostId(id_); }
  [[nodiscard]] Link link(LinkId id) const noexcept { return {handle_, HostId(id_), id}; }

  // Configures a link (knet_link_set_config), disabled; without a remote address a dynamic one.
  [[nodiscard]] Result<Link> add_link(LinkId id, sockaddr_storage local,
                                      std::optional<sockaddr_storage> remote,
                                      std::uint8_t transport = KNET_TRANSPORT_UDP,
                                      std::uint64_t flags = 0) const noexcept {
    if (knet_link_set_config(handle_, id_, static_cast<std::uint8_t>(id), transport, &local,
                             remote ? &*remote : nullptr, flags) != 0) {
      return detail::last_error();
    }
    return link(id);
  }
  // knet_host_set_policy
  std::error_code set_policy(Policy policy) const noexcept {
    return detail::status(knet_host_set_policy(handle_, id_, static_cast<std::uint8_t>(policy)));
  }
  // knet_host_get_status
  [[nodiscard]] Result<bool> reachable() const noexcept {
    knet_host_status status{};
    if (knet_host_get_status(handle_, id_, &status) != 0) {
      return detail::last_error();
    }
    return status.reachable != 0;
  }
  // Removes it with all its links (knet_host_remove).
  std::error_code remove() const noexcept {
    for (std::uint8_t id = 0; id < KNET_MAX_LINK; ++id) {
      (void)link(LinkId(id)).remove();  // EINVAL for those that are not configured
    }
    return detail::status(knet_host_remove(handle_, id_));
  }

 private:
  knet_handle_t handle_;
  knet_node_id_t id_;
};

// One node. It owns the handle and ends it when it goes, with all hosts and links in it.
class Handle {
 public:
  struct Options {
    HostId self{};
    bool caller_driven = false;  // no thread: see run_once()
    bool privileged = false;     // insist on large socket buffers: ENAMETOOLONG
    int log_descriptor = 0;      // 0: no log
    std::uint8_t log_level = KNET_LOG_ERR;
  };

  // knet_handle_new_ex, or knet_ext_handle_new for a caller-driven one. Milliseconds.
  static Result<Handle> create(const Options& options) noexcept {
    const auto self = static_cast<knet_node_id_t>(options.self);
    const std::uint64_t flags = options.privileged ? KNET_HANDLE_FLAG_PRIVILEGED : 0;
    knet_handle_t made =
        options.caller_driven
            ? knet_ext_handle_new(self, options.log_descriptor, options.log_level,
                                  flags | KNET_EXT_CALLER_DRIVEN)
            : knet_handle_new_ex(self, options.log_descriptor, options.log_level, flags);
    if (made == nullptr) {
      return detail::last_error();
    }
    return Handle(made);
  }
  Handle(Handle&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)),
        on_host_(std::move(other.on_host_)),
        filter_(std::move(other.filter_)) {}
  Handle& operator=(Handle&& other) noexcept {
    if (this != &other) {
      end();
      handle_ = std::exchange(other.handle_, nullptr);
      on_host_ = std::move(other.on_host_);
      filter_ = std::move(other.filter_);
    }
    return *this;
  }
  // As close(). Where that is refused the handle lives on, and so does what it calls.
  ~Handle() { end(); }

  // Removes all hosts and frees the handle (knet_handle_free). Milliseconds. EDEADLK in a callback
  // of this handle, EPERM on another thread than a caller-driven handle's: the handle is still
  // there then, but maybe without its hosts. Does nothing the second time.
  std::error_code close() noexcept {
    if (handle_ == nullptr) {
      return {};
    }
    if (const std::error_code error = remove_hosts()) {
      return error;
    }
    if (knet_handle_free(handle_) != 0) {
      return detail::last_error();
    }
    handle_ = nullptr;
    on_host_.reset();
    filter_.reset();
    return {};
  }

  // For everything of libknet.h; not to be freed.
  [[nodiscard]] knet_handle_t get() const noexcept { return handle_; }

  // knet_handle_setfwd: messages pass from now on, or not.
  std::error_code set_forwarding(bool on) const noexcept {
    return detail::status(knet_handle_setfwd(handle_, on ? 1 : 0));
  }

  // Before the engine sleeps it looks for so long at most for something to do, adapting to what it
  // finds (knet_ext_set_busy_poll). Zero switches it off. EINVAL for more than a second.
  std::error_code set_busy_poll(std::chrono::nanoseconds most) const noexcept {
    return detail::status(knet_ext_set_busy_poll(handle_, most.count()));
  }
  // Segmentation and receive offload of the kernel, on in a new handle (knet_ext_set_offload).
  std::error_code set_offload(bool on) const noexcept {
    return detail::status(knet_ext_set_offload(handle_, on ? 1 : 0));
  }

  // knet_host_add
  [[nodiscard]] Result<Host> add_host(HostId id) const noexcept {
    if (knet_host_add(handle_, static_cast<knet_node_id_t>(id)) != 0) {
      return detail::last_error();
    }
    return host(id);
  }
  [[nodiscard]] Host host(HostId id) const noexcept { return {handle_, id}; }

  // Opens a channel (knet_ext_open_channel). on_message(const Message&) is called for every message
  // that comes; on_room() when there is room again after a send was refused on the engine thread.
  template <typename OnMessage, typename OnRoom = detail::Ignore>
  requires std::is_invocable_v<OnMessage&, const Message&> && std::is_invocable_v<OnRoom&>
  [[nodiscard]] Result<Channel> open_channel(OnMessage on_message, OnRoom on_room = {},
                                             ChannelId wanted = kFreeChannel) const noexcept {
    struct Callables {
      OnMessage message;
      OnRoom room;
    };
    detail::Storage callables = detail::store(Callables{std::move(on_message), std::move(on_room)});
    if (callables == nullptr) {
      return std::make_error_code(std::errc::not_enough_memory);
    }
    constexpr knet_ext_message_fn kMessage = [](void* self, const void* bytes, std::size_t size,
                                                knet_node_id_t source,
                                                std::int8_t channel) noexcept {
      static_cast<Callables*>(self)->message(Message{
          {static_cast<const std::byte*>(bytes), size}, HostId(source), ChannelId(channel)});
    };
    constexpr knet_ext_room_fn kRoom = [](void* self) noexcept {
      static_cast<Callables*>(self)->room();
    };
    constexpr bool kWantsRoom = !std::is_same_v<OnRoom, detail::Ignore>;
    auto id = static_cast<std::int8_t>(wanted);
    if (knet_ext_open_channel(handle_, &id, kMessage, kWantsRoom ? kRoom : nullptr,
                              callables.get()) != 0) {
      return detail::last_error();
    }
    return Channel(handle_, id, std::move(callables));
  }

  // on_host(HostId, bool reachable) is called for every host that comes or goes
  // (knet_host_enable_status_change_notify). Replaces the one before.
  template <typename OnHost>
  requires std::is_invocable_v<OnHost&, HostId, bool> std::error_code set_host_callback(
      OnHost on_host)
  noexcept {
    const auto call = [](void* self, knet_node_id_t host, std::uint8_t reachable, std::uint8_t,
                         std::uint8_t) noexcept {
      (*static_cast<OnHost*>(self))(HostId(host), reachable != 0);
    };
    return replace(on_host_, std::move(on_host), [&](void* stored) {
      return knet_host_enable_status_change_notify(handle_, stored, call);
    });
  }

  // Route filter(Filtered&) is asked about every message, both ways (knet_handle_enable_filter).
  // Replaces the one before.
  template <typename Filter>
  requires std::is_invocable_r_v<Route, Filter&, Filtered&> std::error_code set_filter(
      Filter filter)
  noexcept {
    const auto call = [](void* self, const unsigned char* bytes, ssize_t size,
                         std::uint8_t direction, knet_node_id_t this_host, knet_node_id_t source,
                         std::int8_t* channel, knet_node_id_t* hosts, std::size_t* count) noexcept {
      const Message message{
          {reinterpret_cast<const std::byte*>(bytes), static_cast<std::size_t>(size)},
          HostId(source),
          ChannelId(*channel)};
      Filtered filtered(message, direction == KNET_NOTIFY_TX, HostId(this_host), hosts);
      const Route route = (*static_cast<Filter*>(self))(filtered);
      *channel = static_cast<std::int8_t>(filtered.channel);
      *count = filtered.listed();
      return route == Route::kNowhere ? -1 : route == Route::kListed ? 0 : 1;
    };
    return replace(filter_, std::move(filter),
                   [&](void* stored) { return knet_handle_enable_filter(handle_, stored, call); });
  }

  // --- caller-driven handles, on the thread that created them

  // One turn (knet_ext_run_once): does what there is to do, callables included, after having waited
  // for it, but not for longer than this. Zero does not wait.
  std::error_code run_once(std::chrono::nanoseconds limit) const noexcept {
    return detail::status(knet_ext_run_once(handle_, std::max(limit.count(), kNoWait)));
  }
  // The same, waiting for as long as it takes.
  std::error_code run_once() const noexcept {
    return detail::status(knet_ext_run_once(handle_, -1));
  }
  // Polls readable when run_once() has something to do (knet_ext_get_fd). It belongs to the handle.
  [[nodiscard]] Result<int> descriptor() const noexcept {
    const int descriptor = knet_ext_get_fd(handle_);
    if (descriptor < 0) {
      return detail::last_error();
    }
    return descriptor;
  }

 private:
  static constexpr std::int64_t kNoWait = 0;

  explicit Handle(knet_handle_t handle) noexcept : handle_(handle) {}

  // The new callable is in place before the old one goes.
  template <typename Callable, typename Install>
  static std::error_code replace(detail::Storage& place, Callable&& callable,
                                 const Install& install) noexcept {
    detail::Storage stored = detail::store(std::forward<Callable>(callable));
    if (stored == nullptr) {
      return std::make_error_code(std::errc::not_enough_memory);
    }
    if (install(stored.get()) != 0) {
      return detail::last_error();
    }
    place = std::move(stored);
    return {};
  }

  std::error_code remove_hosts() const noexcept {
    const std::unique_ptr<knet_node_id_t[]> hosts(new (std::nothrow) knet_node_id_t[KNET_MAX_HOST]);
    std::size_t count = 0;
    if (hosts == nullptr) {
      return std::make_error_code(std::errc::not_enough_memory);
    }
    if (knet_host_get_host_list(handle_, hosts.get(), &count) != 0) {
      return detail::last_error();
    }
    for (const knet_node_id_t id : std::span(hosts.get(), count)) {
      (void)host(HostId(id)).remove();
    }
    return {};
  }

  void end() noexcept {
    if (close()) {
      (void)on_host_.release();
      (void)filter_.release();
    }
  }

  knet_handle_t handle_;
  detail::Storage on_host_ = detail::no_storage();
  detail::Storage filter_ = detail::no_storage();
};

}  // namespace knet

#endif  // RINGKNET_KNET_HPP
