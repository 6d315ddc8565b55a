// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The engine of one handle: a thread that owns one io_uring and one Fabric, and moves bytes between
// sockets, datafds and the fabric. It knows nothing of the C API: what the application wants to
// hear goes through EngineClient, what it wants done comes in through run().
//
// One turn of the loop: harvest every completion into a batch, read the clock once, feed the
// fabric, run queued calls, fire due timers, drain the fabric's outputs into submissions, tell the
// client what happened, submit and wait until the next deadline.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "engine/base/bytes.h"
#include "engine/base/ids.h"
#include "engine/base/result.h"
#include "engine/core/event.h"
#include "engine/core/fabric.h"
#include "engine/ring/futex.h"

namespace ringknet {

// Values are the API's: which way a message travels, seen from the application.
enum class Direction : std::uint8_t { kTx = 0, kRx = 1 };

// Trouble the engine met and dealt with; for the log.
struct Trouble {
  enum class Kind : std::uint8_t {
    kSend,       // a datagram could not be sent: `to`, `error`
    kReceive,    // a link socket's receive failed: `error`
    kOversized,  // a message longer than kMessageSizeMax was written to a datafd: `channel`, `size`
    kRefusedSend,     // the fabric or filter refused an application's message: `channel`, `reason`
    kDropped,         // a complete message found no reader: `channel`, `drop`
    kSocketBuffer,    // the kernel granted a smaller socket buffer than asked for: `size` granted
    kOffload,         // runs of packets are refused, single ones are not: `to`, `error`
    kReceiveOffload,  // what arrives at the address `to` is lost when it is joined, and not else
    kOtherInterface,  // a peer's packets (`to` is its address) to the address of one interface
                      // arrive on another: `interface`, `arrival`; said once per link
  };
  Kind kind;
  int error = 0;  // errno
  Error reason = Error::kNone;
  Drop drop = Drop::kCount;
  Channel channel{};
  std::size_t size = 0;
  Address to{};
  unsigned interface = 0;  // kernel's indices
  unsigned arrival = 0;
};

// What the engine calls, always on the engine thread, with no lock held and no state half-changed:
// every call of Engine and of the API is allowed inside. Only filter() and on_message() are
// synchronous; the rest runs at the end of a turn.
class EngineClient {
 public:
  virtual ~EngineClient() = default;

  // The destination filter. `hosts` has room for kHostCount ids. Returns < 0 to refuse, 0 for the
  // hosts listed, > 0 for everybody. `channel` may be changed to anything; the engine checks it.
  virtual bool has_filter() const = 0;
  virtual int filter(Direction direction, ConstBytes message, HostId self, HostId source,
                     std::int8_t& channel, HostId* hosts, std::size_t& count) = 0;

  // A datafd failed or ended. kTx: reading from the application; error -1 with errno, or 0 and 0 at
  // end of file: told once, the datafd is not read any more. kRx: writing to the application
  // failed; the message is lost.
  virtual void on_datafd(int application_fd, Channel channel, Direction direction, int error,
                         int errno_value) = 0;

  // A message of a channel without a datafd (Engine::channel_open), synchronously and where it
  // lies: valid until this returns.
  virtual void on_message(Channel channel, ConstBytes message, HostId from) = 0;
  // There is room again after Engine::send was refused for want of it on the engine thread.
  virtual void on_room() = 0;

  virtual void on_event(const Event& event) = 0;
  virtual void on_trouble(const Trouble& trouble) = 0;
  // Packets were dropped since the last time, which was seconds ago at least.
  virtual void on_drops(const DropCounters& counters) = 0;
  // The instant given to Engine::wake_client() has come.
  virtual void on_wake() = 0;
};

// How an engine call ended: fine, one of the fabric's errors, or an errno of the system.
struct EngineStatus {
  Error error = Error::kNone;
  int system = 0;
  bool ok() const { return error == Error::kNone && system == 0; }
};

class Engine {
 public:
  struct Options {
    HostId self{};
    bool privileged = false;  // force socket buffer sizes; failing that is an error (ENAMETOOLONG)
    // No thread: the thread that creates the engine is its engine thread, calls run_once() and
    // destroys it.
    bool caller_driven = false;
    bool offload = true;             // see set_offload()
    RandomSource* random = nullptr;  // for encryption; outlives the engine, used on its thread only
    std::array<std::unique_ptr<Decompressor>, kCompressIds> decompressors{};  // by wire id
  };
  struct Created {
    std::unique_ptr<Engine> engine;  // null on failure
    int system = 0;                  // errno then
    const char* cause = "";          // and what it means, for the log
  };

  // Starts the thread and returns once its ring is proven to work. Milliseconds.
  static Created create(Options options, EngineClient& client);
  // Stops the thread, waits for it and releases everything; user-supplied datafds are left open.
  // Must not be called on the engine thread.
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Runs `function(*this)` on the engine thread and returns its result: inline on that thread, else
  // queued, and the caller blocks until it ran. Nothing is allocated.
  template <typename Function>
  auto run(Function&& function) -> std::invoke_result_t<Function, Engine&> {
    using Returned = std::invoke_result_t<Function, Engine&>;
    if (on_engine_thread()) {
      touch();
      return function(*this);
    }
    if constexpr (std::is_void_v<Returned>) {
      auto body = [&](Engine& engine) { function(engine); };
      call([](void* context, Engine& engine) { (*static_cast<decltype(body)*>(context))(engine); },
           &body);
    } else {
      std::optional<Returned> result;
      auto body = [&](Engine& engine) { result.emplace(function(engine)); };
      call([](void* context, Engine& engine) { (*static_cast<decltype(body)*>(context))(engine); },
           &body);
      return std::move(*result);
    }
  }

  bool on_engine_thread() const;

  // One call from outside, while it lives. False if it must not be made: the thread that drives is
  // in the midst of a call or turn of this engine, and not in a callback: this is a signal handler.
  // Other threads' calls wait for their turn and are always fine.
  class Entry {
   public:
    explicit Entry(Engine& engine);
    ~Entry();
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    explicit operator bool() const { return allowed_; }

   private:
    volatile bool* busy_ = nullptr;  // where to say that nothing is going on any more
    bool allowed_ = true;
  };
  // Whether this thread is some engine's at the moment: its own one, or one that drives or is in a
  // callback. Such a thread must not wait.
  static bool is_engine_thread();

  // --- any thread -----------------------------------------------------------------------------

  // Forwarding. Switching off first sends everything that was written to the datafds before the
  // call and waits until it has left (on the engine thread it does not wait, and the flush goes on
  // in the background).
  void set_forwarding(bool on);
  // One message, as if written to the channel's datafd, but with an answer: needs a filter, goes to
  // one host (kNoFilter, kInvalid for an unused channel, kForwardingOff, kFilterFailed,
  // kNoDestination, kTooManyDestinations, kHostDown). Waits for buffers when all are in flight,
  // except on the engine thread (kNoBuffers). A message to this very node over loopback is
  // delivered and is a success.
  Error send_sync(Channel channel, ConstBytes message);

  // One message of a channel that is open without a datafd, copied before it returns. On the engine
  // thread it is on its way then, or was refused (kNoBuffers, kForwardingOff, kHostDown ... as for
  // send_sync; on_room() follows a kNoBuffers). Elsewhere it is in line: kNoBuffers when there is
  // no room there, unless `wait`, and kForwardingOff. Other engines' threads never wait.
  Error send(Channel channel, ConstBytes message, bool wait);

  // --- the thread of a caller-driven engine, outside of its callbacks ---------------------------

  // One turn: waits until there is something to do, but not for longer than `limit`, and does it.
  void run_once(std::optional<Duration> limit);
  // Polls readable when run_once() has something to do; -1 and an errno where there is none to be
  // had. Belongs to the engine.
  int descriptor(int& error);
  bool caller_driven() const;
  // Whether this is the engine thread, and it is in a turn or in one of the client's functions.
  bool in_callback() const;

  // --- engine thread only (inside run) -------------------------------------------------------

  Fabric& fabric();
  // The instant of this turn, CLOCK_MONOTONIC.
  Instant now() const;
  // Calls the client's on_wake() once when `at` has come; kNever: not at all.
  void wake_client(Instant at);

  // Opens or shares the UDP socket of config.local and configures the link (config.socket is filled
  // in here).
  EngineStatus link_configure(HostId host, LinkId link, LinkConfig config);
  EngineStatus link_clear(HostId host, LinkId link);
  // Whether the kernel splits and joins datagrams for us, where it can; of all links, also of those
  // to come.
  void set_offload(bool on);
  // How long to look for something to do before sleeping, at most; zero: not at all.
  void set_busy_poll(Duration most);
  // The DSCP (0..63) of high-priority links configured from now on; 0 for the default, low delay.
  void set_dscp(std::uint8_t dscp);

  // Adds a datafd. `fd` < 1: a connected pair of SOCK_SEQPACKET sockets is made, and its
  // application end returned; else the given descriptor is made non-blocking and close-on-exec and
  // is used in both directions. The channel must be free and the descriptor not added yet (the
  // caller checks by datafd()). System errors: those of fcntl (EBADF), socketpair, and EPERM for
  // descriptors that cannot be polled.
  struct Datafd {
    int application_fd = -1;  // -1: channel free
    bool owned = false;       // a pair of ours: both ends are closed on removal
  };
  EngineStatus datafd_add(int fd, Channel channel, int& application_fd);
  void datafd_remove(Channel channel);
  Datafd datafd(Channel channel) const;
  // A channel without a datafd: what comes for it goes to on_message(), what send() is given leaves
  // by it. The channel must be free.
  void channel_open(Channel channel);
  void channel_close(Channel channel);
  bool channel_is_open(Channel channel) const;  // without a datafd

 private:
  Engine();
  using Thunk = void (*)(void* context, Engine& engine);
  void call(Thunk thunk, void* context);
  void touch();

  friend bool serve_own_calls();
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ringknet
