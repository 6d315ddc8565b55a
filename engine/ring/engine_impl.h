// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The inside of Engine: the parts, and what glues them to the fabric and to the client. Private to
// engine/ring.
//   engine.cc           life, calls from other threads
//   engine_turn.cc      the loop, completions, telling the client
//   engine_messages.cc  messages between datafds and the fabric, the filter, forwarding
//   engine_direct.cc    messages without datafds, an engine without a thread
//   engine_links.cc     links and their sockets, datafds
#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "engine/base/bounded_queue.h"
#include "engine/ring/arrival_watch.h"
#include "engine/ring/busy_poll.h"
#include "engine/ring/call_queue.h"
#include "engine/ring/datafd.h"
#include "engine/ring/datafd_read.h"
#include "engine/ring/datafd_write.h"
#include "engine/ring/engine.h"
#include "engine/ring/engine_poll.h"
#include "engine/ring/message_queue.h"
#include "engine/ring/pending_messages.h"
#include "engine/ring/ring.h"
#include "engine/ring/udp_receive.h"
#include "engine/ring/udp_send.h"
#include "engine/ring/udp_socket.h"

namespace ringknet {

// Reads the clock whenever it is asked, for the fabric's statistics.
class MonotonicStopwatch final : public Stopwatch {
 public:
  Instant read() override;
};

class Engine::Impl final : private UdpReceiver::Owner,
                           private UdpSender::Owner,
                           private DatafdReader::Owner,
                           private DatafdWriter::Owner {
 public:
  Impl(Engine& engine, Options options, EngineClient& client);

  // engine.cc
  Ring::Failure start();
  void stop();
  static bool serve_own_calls();
  void call(Thunk thunk, void* context);
  void set_forwarding(bool on);
  Error send_sync(Channel channel, ConstBytes message);
  bool on_engine_thread() const { return std::this_thread::get_id() == thread_id_; }
  static bool is_engine_thread() { return of_this_thread_ != nullptr; }
  volatile bool* busy() { return caller_driven_ && on_engine_thread() ? &busy_ : nullptr; }

  // engine_direct.cc
  Ring::Failure start_here();
  void run_once(std::optional<Duration> limit);
  int descriptor(int& error);
  void touch();
  bool caller_driven() const { return caller_driven_; }
  bool in_callback() const { return on_engine_thread() && running_ > 0; }
  void channel_open(Channel channel);
  void channel_close(Channel channel);
  bool channel_is_open(Channel channel) const { return direct_.test(raw(channel)); }
  Error send(Channel channel, ConstBytes message, bool wait);

  // engine_links.cc
  EngineStatus link_configure(HostId host, LinkId link, LinkConfig config);
  EngineStatus link_clear(HostId host, LinkId link);
  EngineStatus datafd_add(int fd, Channel channel, int& application_fd);
  void datafd_remove(Channel channel);
  Datafd datafd(Channel channel) const;

  void set_offload(bool on);
  void set_dscp(std::uint8_t dscp) { dscp_ = dscp; }
  void set_busy_poll(Duration most) { busy_poll_.set(most); }
  Fabric& fabric() { return fabric_; }
  Instant now() const { return now_; }
  void wake_client(Instant at) { client_due_ = at; }

 private:
  struct EngineCall;
  struct FlushCall;
  struct SyncCall;
  class HostList;

  // While one lives, the running thread is known to be this engine's: as long as an engine's own
  // thread runs; of an engine without one, during a turn or a callback. Several engines can have
  // the same thread at once: in a callback of one, another one may be driven.
  class Running {
   public:
    explicit Running(Impl& impl) : impl_(impl) {
      if (impl_.running_++ == 0)
        impl_.outer_ = std::exchange(of_this_thread_, &impl_);
    }
    ~Running() {
      if (--impl_.running_ == 0)
        of_this_thread_ = impl_.outer_;
    }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

   private:
    Impl& impl_;
  };

  // The only way to the client: `client_->on_message(...)` is a callback, and known to be one until
  // it returns, whether it is called inside a turn or inside a call of the thread that drives.
  class Client {
   public:
    class Callback {
     public:
      Callback(Impl& impl, EngineClient& client)
          : running_(impl), busy_(impl.busy_), was_busy_(impl.busy_), client_(client) {
        busy_ = false;  // calls are welcome
      }
      ~Callback() { busy_ = was_busy_; }
      Callback(const Callback&) = delete;
      Callback& operator=(const Callback&) = delete;
      EngineClient* operator->() const { return &client_; }

     private:
      Running running_;
      volatile bool& busy_;
      const bool was_busy_;
      EngineClient& client_;
    };

    Client(Impl& impl, EngineClient& client) : impl_(impl), client_(client) {}
    Callback operator->() { return {impl_, client_}; }

   private:
    Impl& impl_;
    EngineClient& client_;
  };

  // What on_datafd is told, with how often.
  struct Notice {
    int application_fd = -1;
    std::uint32_t generation = 0;  // of the datafd: nothing is told about one that was removed
    Channel channel{};
    Direction direction{};
    int error = 0;
    int errno_value = 0;
    std::uint32_t count = 0;
  };

  // engine_turn.cc
  void run(std::promise<Ring::Failure> started);
  Ring::Failure open();
  void arm_wake();
  void turn(std::optional<Duration> limit);
  void read_clock();
  void find_wake_up();
  Instant sleep_until();
  std::optional<Duration> sleep_time(std::optional<Duration> limit);
  bool look(std::optional<Duration> limit);
  // Whether a message of this size can be dealt with: without forwarding it is dropped.
  bool has_room(std::size_t size) const { return !forwarding_ || fabric_.can_send(size); }
  bool anything_posted() { return !posted_.empty() && has_room(posted_.front().bytes.size()); }
  void dispatch();
  void catch_up();
  void run_calls();
  void transmit();
  void tell_client();
  void tell_notices();
  void notify(const ringknet::Datafd& datafd, Direction direction, int error, int errno_value);
  void report(const Trouble& trouble);

  // Parts' reports.
  void on_datagram(SocketId socket, const Address& from, MutableBytes bytes) override;
  void on_arrival(UdpSocket& socket, const Address& from, unsigned interface) override;
  void on_datagrams_end(UdpSocket* socket, std::size_t bytes) override;
  void on_truncated() override;
  void on_receive_error(UdpSocket& socket, int error) override;
  void on_transmit_done(TransmitId id, const TransmitResult& result) override;
  void on_path_error(const PathError& error) override;
  void on_send_failed(const Address& to, int error) override;
  void on_offload_failed(const Address& to, int error) override;
  void on_read_end(const ringknet::Datafd& datafd, int error, int errno_value) override;
  void on_oversized(Channel channel, std::size_t size) override;
  void on_write_error(const ringknet::Datafd& datafd, int error) override;

  // engine_messages.cc
  void deliver(const Delivery& delivery);
  Drop find_reader(const Delivery& delivery, Channel& channel);
  Drop ask_filter(const Delivery& delivery, Channel& channel);
  // `stays`: the message stays as it is until on_datagrams_end().
  void write_to(Channel channel, ConstBytes message, HostId from, bool stays);
  void drop(Channel channel, Drop reason);
  Error forward(Channel channel, ConstBytes message, bool sync);
  Error try_sync(Channel channel, ConstBytes message);
  void pump();
  void pump_one();
  void pump_posted();
  bool pass_on(Channel channel, ConstBytes message);
  void pump_sync();
  bool begin_flush();
  void advance_flush();
  void end_flush();

  // engine_direct.cc
  Error send_here(Channel channel, ConstBytes message);
  void hand_over(Channel channel, ConstBytes message, HostId from);
  void hand_over_looped();
  void hand_over_looped(Channel channel);

  // engine_links.cc
  void release_socket(SocketId id);

  Engine& engine_;
  const bool privileged_;
  const bool caller_driven_;
  bool offload_;
  std::uint64_t arrived_ = 0;  // messages, as the fabric said last
  std::int64_t missing_ = 0;
  std::uint8_t dscp_ = 0;
  MonotonicStopwatch stopwatch_;
  Client client_;
  Fabric fabric_;
  CallQueue calls_;
  UdpSocketTable sockets_;
  DatafdTable datafds_;
  Ring ring_;
  ArrivalWatch arrivals_;
  std::vector<LinkRef> arrivals_told_;  // links that a warning was given for
  UdpReceiver receiver_;
  UdpSender sender_;
  DatafdReader reader_;
  DatafdWriter writer_;

  void ask(Call& call);

  // Whose engine this thread is, if any's: the innermost; the others follow by outer_.
  static thread_local Impl* of_this_thread_;
  Impl* outer_ = nullptr;
  volatile bool busy_ = false;  // see Engine::Entry; signal handlers read it
  int running_ = 0;             // objects of Running: turns and callbacks that have not returned

  std::thread thread_;
  std::thread::id thread_id_;
  bool stopping_ = false;
  Word ended_{0};  // 1: the thread is done with everything but itself

  Instant now_{};
  Instant wake_up_ = kNever;  // the deadline that the last wait was for
  bool unfinished_ = false;   // there is more to do at once: do not sleep
  BusyPoll busy_poll_;
  bool polls_devices_ = false;

  // Forwarding, and switching it off: what was written before must leave first.
  enum class Flush : std::uint8_t { kNone, kRequested, kReading, kSending, kLeaving };
  bool forwarding_ = false;
  Flush flush_ = Flush::kNone;
  std::uint64_t flush_mark_ = 0;  // messages up to this one leave
  Instant flush_deadline_ = kNever;
  CallList flush_calls_;
  CallList sync_calls_;     // synchronous sends waiting for buffers
  std::size_t source_ = 0;  // of messages, which take turns

  // Channels without datafds.
  std::bitset<kChannelCount> direct_;
  std::atomic<std::uint32_t> direct_seen_{0};  // the same, for other threads
  std::atomic<bool> forwarding_seen_{false};   // forwarding_ and no flush, for other threads
  MessageQueue posted_;
  // What callbacks have sent to this very node. A message stays in its place while it is told.
  struct Looped {
    PendingMessages messages;
    std::size_t closed = 0;  // the oldest so many are of a channel that was closed meanwhile
  };
  std::array<Looped, kChannelCount> looped_;
  std::bitset<kChannelCount> looped_waiting_;  // which of them are not empty
  bool handing_over_ = false;
  bool room_wanted_ = false;

  // An engine without a thread.
  EnginePoll poll_;
  bool touched_ = false;  // something was called since the last turn

  std::unique_ptr<HostId[]> filter_hosts_;
  bool filter_hosts_used_ = false;

  std::vector<Notice> notices_;
  std::vector<Notice> notices_told_;
  BoundedQueue<Trouble> troubles_;
  std::uint64_t drops_told_ = 0;
  Instant drops_due_{};  // not before this are drops told again
  Instant client_due_ = kNever;
};

}  // namespace ringknet
