// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The loop. One turn: harvest every completion, read the clock once, feed the fabric, run queued
// calls, fire due timers, drain the fabric's outputs into submissions, tell the client, submit and
// wait until the next deadline.
#include <poll.h>
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <ctime>

#include "engine/ring/descriptor.h"
#include "engine/ring/engine_impl.h"

namespace ringknet {
namespace {

// A deadline missed by more means that the process was held up.
constexpr Duration kLate = std::chrono::milliseconds(1);
// Datagrams to be heard in catching up before timers are fired anyway: as many short ones as a
// socket buffer holds, some ten milliseconds of work. A flood never comes to an end.
constexpr std::uint64_t kCatchUpMax = 16384;
// The same for rounds in which something else completes.
constexpr int kCatchUpRounds = 1024;
// Per turn, so that a client that causes what it is told of cannot keep the loop from turning.
constexpr int kEventsPerTurn = 1024;

// How often the client hears of dropped packets, at most.
constexpr Duration kDropsEvery = std::chrono::seconds(5);

Instant clock_now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

}  // namespace

thread_local Engine::Impl* Engine::Impl::of_this_thread_ = nullptr;

void Engine::Impl::run(std::promise<Ring::Failure> started) {
  pthread_setname_np(pthread_self(), "ringknet");
  // A callback that cancels the thread it runs on must not end the engine.
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
  sigpipe_is_blocked_here();  // all signals are
  thread_id_ = std::this_thread::get_id();
  const Running running(*this);
  read_clock();
  const Ring::Failure failure = open();
  started.set_value(failure);
  if (failure.error == 0) {
    while (!stopping_)
      turn(std::nullopt);
  }
  ring_.close();
  ended_.store(1);
  futex_wake(&ended_);
}

Ring::Failure Engine::Impl::open() {
  if (const Ring::Failure failure = ring_.open(); failure.error != 0)
    return failure;
  if (const int error = receiver_.open(); error != 0)
    return Ring::failure(error);
  arm_wake();
  return {};
}

// The counter is never read: each write wakes the poll, and that is all it is for.
void Engine::Impl::arm_wake() {
  ring_.queue({.kind = OpKind::kWake}, [&](io_uring_sqe* sqe) {
    io_uring_prep_poll_multishot(sqe, calls_.descriptor(), POLLIN);
  });
}

Instant MonotonicStopwatch::read() {
  return clock_now();
}

void Engine::Impl::read_clock() {
  now_ = std::max(now_, clock_now());
}

void Engine::Impl::turn(std::optional<Duration> limit) {
  find_wake_up();
  const bool may_sleep = limit != Duration::zero() && !look(limit);
  const std::optional<Duration> wait = may_sleep ? sleep_time(limit) : Duration::zero();
  const bool watched = busy_poll_.on() && wait != Duration::zero();
  const Instant before = watched ? clock_now() : now_;
  ring_.wait(wait);
  calls_.awake();
  unfinished_ = false;
  read_clock();
  if (watched && !ring_.batch_empty())
    busy_poll_.slept(now_ - before);
  dispatch();
  if (wake_up_ != kNever && now_ > wake_up_ + kLate)
    catch_up();
  hand_over_looped();
  pump();
  run_calls();
  if (fabric_.next_deadline() <= now_)
    fabric_.on_timeout(now_);
  if (sender_.next_deadline() <= now_)
    sender_.on_timeout(now_);
  transmit();
  advance_flush();
  tell_client();
  transmit();
  arrivals_.on_turn(now_);
  receiver_.rearm(now_);
  reader_.rearm();
}

void Engine::Impl::find_wake_up() {
  const Instant drops_due = fabric_.drops().total() != drops_told_ ? drops_due_ : kNever;
  wake_up_ = std::min({fabric_.next_deadline(), sender_.next_deadline(), receiver_.next_deadline(),
                       flush_deadline_, drops_due, client_due_});
}

// When to go on at the latest: a long time ago if something is left to do.
Instant Engine::Impl::sleep_until() {
  constexpr Instant kNow{};
  if (unfinished_ || !ring_.batch_empty() || !calls_.may_sleep())
    return kNow;
  if (anything_posted()) {
    calls_.awake();
    return kNow;
  }
  return wake_up_;
}

std::optional<Duration> Engine::Impl::sleep_time(std::optional<Duration> limit) {
  const Instant until = sleep_until();
  if (until == kNever)
    return limit;
  // The turn took its time: the wait is measured from here, though everything was done as of now().
  const Duration wait = std::max(Duration::zero(), until - clock_now());
  return limit ? std::min(wait, *limit) : wait;
}

// Busy polling: whether something turned up while there was hope that it would. Never in a
// real-time class, where nothing else would get to run on this processor, perhaps not even what is
// waited for.
bool Engine::Impl::look(std::optional<Duration> limit) {
  if (unfinished_ || (busy_poll_.budget() == Duration::zero() && !polls_devices_))
    return false;
  const int policy = sched_getscheduler(0) & ~SCHED_RESET_ON_FORK;
  const bool may = busy_poll_.budget() > Duration::zero() &&
                   (policy == SCHED_OTHER || policy == SCHED_BATCH || policy == SCHED_IDLE);
  if (may != polls_devices_) {
    ring_.poll_devices(may ? busy_poll_.budget() : Duration::zero());
    polls_devices_ = may;
  }
  if (!may)
    return false;
  ring_.poll();  // what is prepared starts now
  const Instant start = clock_now();
  Instant until = std::min(wake_up_, start + busy_poll_.budget());
  if (limit)
    until = std::min(until, start + *limit);
  bool found = false;
  bool over = false;
  while (!found && !over) {
    relax();
    found = !ring_.batch_empty() || !ring_.quiet() || !calls_.empty() || anything_posted();
    over = clock_now() >= until;
  }
  busy_poll_.looked(found || until == wake_up_);
  return found;
}

// What was there at its beginning: what comes meanwhile has its turn after the timers.
void Engine::Impl::dispatch() {
  Completion completion;
  for (std::size_t left = ring_.batch_size(); left > 0 && ring_.take(completion); --left) {
    switch (completion.op.kind) {
      case OpKind::kReceive:
        receiver_.on_completion(completion, now_);
        break;
      case OpKind::kSend:
        sender_.on_completion(completion, now_);
        break;
      case OpKind::kSocketWritable:
        sender_.on_writable(completion, now_);
        break;
      case OpKind::kRead:
      case OpKind::kReadable:
        reader_.on_completion(completion);
        break;
      case OpKind::kDatafdWritable:
        writer_.on_writable(completion);
        break;
      case OpKind::kWake:
        if (!completion.more())
          arm_wake();
        break;
      case OpKind::kCancel:
      case OpKind::kNone:
        break;
    }
  }
  fabric_.set_backlogged(writer_.backlogged());  // before anything that came is answered
}

// The process was held up: before any link is judged silent, what its peers said meanwhile is
// heard.
void Engine::Impl::catch_up() {
  const std::uint64_t limit = receiver_.datagrams() + kCatchUpMax;
  for (int round = 0; round < kCatchUpRounds && receiver_.datagrams() < limit; ++round) {
    transmit();
    receiver_.rearm(now_);
    reader_.rearm();
    ring_.poll();
    if (ring_.batch_empty())
      return;
    read_clock();
    dispatch();
  }
}

void Engine::Impl::run_calls() {
  for (Call* call = calls_.take_all(); call != nullptr;) {
    Call* next = call->next;
    if (call->run())
      call->complete();
    call = next;
  }
}

void Engine::Impl::transmit() {
  Transmit out;
  for (;;) {
    const bool room = sender_.has_room();
    if (!room && !sender_.has_control_room())
      return;
    if (!fabric_.poll_transmit(now_, out, !room))
      return;
    sender_.send(out, now_);
  }
}

void Engine::Impl::notify(const ringknet::Datafd& datafd, Direction direction, int error,
                          int errno_value) {
  for (Notice& notice : notices_) {
    if (notice.generation == datafd.generation && notice.direction == direction &&
        notice.error == error && notice.errno_value == errno_value) {
      ++notice.count;
      return;
    }
  }
  notices_.push_back({.application_fd = datafd.application(),
                      .generation = datafd.generation,
                      .channel = datafd.channel,
                      .direction = direction,
                      .error = error,
                      .errno_value = errno_value,
                      .count = 1});
}

// What does not fit has been counted where it happened; a log that cannot keep up is no reason to
// hold on.
void Engine::Impl::report(const Trouble& trouble) {
  troubles_.push(trouble);
}

void Engine::Impl::tell_client() {
  Event event;
  int budget = kEventsPerTurn;
  while (budget-- > 0 && fabric_.poll_event(event)) {
    if (event.kind == Event::Kind::kLinkUp)
      arrivals_.start(now_);
    client_->on_event(event);
  }
  tell_notices();
  for (std::size_t left = troubles_.size(); left > 0; --left) {
    const Trouble trouble = troubles_.front();
    troubles_.pop();
    client_->on_trouble(trouble);
  }
  if (now_ >= drops_due_ && fabric_.drops().total() != drops_told_) {
    drops_told_ = fabric_.drops().total();
    drops_due_ = now_ + kDropsEvery;
    client_->on_drops(fabric_.drops());
  }
  if (now_ >= client_due_) {
    client_due_ = kNever;
    client_->on_wake();
  }
  if (room_wanted_ && fabric_.can_send()) {
    room_wanted_ = false;
    client_->on_room();
  }
  unfinished_ = unfinished_ || budget <= 0 || !notices_.empty() || !troubles_.empty();
}

void Engine::Impl::tell_notices() {
  notices_told_.swap(notices_);
  for (const Notice& notice : notices_told_) {
    for (std::uint32_t i = 0; i < notice.count; ++i) {
      const ringknet::Datafd* datafd = datafds_.find(notice.channel);
      if (datafd == nullptr || datafd->generation != notice.generation)
        break;
      client_->on_datafd(notice.application_fd, notice.channel, notice.direction, notice.error,
                         notice.errno_value);
    }
  }
  notices_told_.clear();
}

void Engine::Impl::on_truncated() {
  fabric_.count_drop(Drop::kTooLong);
}

void Engine::Impl::on_receive_error(UdpSocket& socket, int error) {
  sender_.drain_errors(socket);
  // Errors that the network reported are in the queue, with the address they are about.
  switch (error) {
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case ENONET:
    case ECONNABORTED:
    case ENOPROTOOPT:
    case EPROTO:
    case EACCES:
    case EMSGSIZE:
      return;
    default:
      report({.kind = Trouble::Kind::kReceive, .error = error});
  }
}

void Engine::Impl::on_transmit_done(TransmitId id, const TransmitResult& result) {
  fabric_.on_transmit_done(now_, id, result);
}

void Engine::Impl::on_path_error(const PathError& error) {
  fabric_.on_path_error(now_, error);
}

void Engine::Impl::on_send_failed(const Address& to, int error) {
  report({.kind = Trouble::Kind::kSend, .error = error, .to = to});
}

void Engine::Impl::on_offload_failed(const Address& to, int error) {
  report({.kind = Trouble::Kind::kOffload, .error = error, .to = to});
}

}  // namespace ringknet
