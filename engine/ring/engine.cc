// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The life of an engine and the ways into it from other threads.
#include "engine/ring/engine.h"

#include <pthread.h>

#include <cerrno>
#include <csignal>
#include <new>
#include <system_error>

#include "engine/ring/engine_impl.h"

namespace ringknet {

// A function to run on the engine thread.
struct Engine::Impl::EngineCall final : Call {
  EngineCall(Impl& impl, Thunk thunk, void* context) : impl(impl), thunk(thunk), context(context) {}
  bool run() override {
    thunk(context, impl.engine_);
    return true;
  }
  Impl& impl;
  Thunk thunk;
  void* context;
};

// Waits until forwarding is off and everything has left.
struct Engine::Impl::FlushCall final : Call {
  explicit FlushCall(Impl& impl) : impl(impl) {}
  bool run() override {
    if (!impl.begin_flush())
      return true;
    impl.flush_calls_.push(*this);
    return false;
  }
  Impl& impl;
};

// A synchronous send; waits for buffers where there are none.
struct Engine::Impl::SyncCall final : Call {
  SyncCall(Impl& impl, Channel channel, ConstBytes message)
      : impl(impl), channel(channel), message(message) {}
  bool run() override {
    if (impl.sync_calls_.empty() && attempt())
      return true;
    if (result == Error::kNone)
      result = Error::kNoBuffers;
    impl.sync_calls_.push(*this);
    return false;
  }
  bool attempt() {
    result = impl.try_sync(channel, message);
    return result != Error::kNoBuffers;
  }
  Impl& impl;
  Channel channel;
  ConstBytes message;
  Error result = Error::kNone;
};

Engine::Impl::Impl(Engine& engine, Options options, EngineClient& client)
    : engine_(engine),
      privileged_(options.privileged),
      caller_driven_(options.caller_driven),
      offload_(options.offload),
      client_(*this, client),
      fabric_(Fabric::Config{.self = options.self,
                             .random = options.random,
                             .stopwatch = &stopwatch_,
                             .decompressors = std::move(options.decompressors)}),
      arrivals_(sockets_),
      receiver_(ring_, sockets_, *this),
      sender_(ring_, sockets_, *this),
      reader_(ring_, datafds_, *this),
      writer_(ring_, datafds_, *this),
      troubles_(256) {
  notices_.reserve(4 * kChannelCount);
  notices_told_.reserve(4 * kChannelCount);
}

Ring::Failure Engine::Impl::start() {
  if (const int error = calls_.open(); error != 0)
    return {error, "no eventfd for waking the engine"};
  // The thread is ours alone: signals go to the application's threads. It inherits the mask it is
  // made under.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::promise<Ring::Failure> promise;
  std::future<Ring::Failure> started = promise.get_future();
  Ring::Failure failure;
  try {
    thread_ = std::thread(&Impl::run, this, std::move(promise));
  } catch (const std::system_error& error) {
    failure = {error.code().value(), "no thread for the engine"};
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failure.error != 0)
    return failure;
  failure = started.get();
  if (failure.error != 0)
    thread_.join();
  return failure;
}

void Engine::Impl::stop() {
  if (caller_driven_) {
    ring_.close();
    return;
  }
  auto body = [this](Engine&) { stopping_ = true; };
  call([](void* context, Engine& engine) { (*static_cast<decltype(body)*>(context))(engine); },
       &body);
  // Its last callbacks may still be running and asking for answers.
  wait_and_serve(ended_, [](std::uint32_t ended) { return ended != 0; });
  thread_.join();
}

bool serve_own_calls() {
  return Engine::Impl::serve_own_calls();
}

bool Engine::Impl::serve_own_calls() {
  for (Impl* impl = of_this_thread_; impl != nullptr; impl = impl->outer_)
    impl->run_calls();
  return of_this_thread_ != nullptr;
}

void Engine::Impl::ask(Call& call) {
  calls_.post(call);
  CallQueue::wait(call);
}

void Engine::Impl::call(Thunk thunk, void* context) {
  EngineCall call(*this, thunk, context);
  ask(call);
}

void Engine::Impl::set_forwarding(bool on) {
  if (on) {
    const auto body = [this](Engine&) {
      forwarding_ = true;
      forwarding_seen_.store(true);
      end_flush();
    };
    engine_.run(body);
  } else if (on_engine_thread()) {
    touch();
    begin_flush();
  } else {
    FlushCall call(*this);
    ask(call);
  }
}

Error Engine::Impl::send_sync(Channel channel, ConstBytes message) {
  if (on_engine_thread()) {
    touch();
    return try_sync(channel, message);
  }
  SyncCall call(*this, channel, message);
  ask(call);
  return call.result;
}

// A waiting synchronous send tries again; whoever is next in line stays there if it still finds no
// buffers.
void Engine::Impl::pump_sync() {
  CallList still_waiting;
  SyncCall& call = static_cast<SyncCall&>(sync_calls_.pop());
  if (call.attempt()) {
    call.complete();
    return;
  }
  still_waiting.push(call);
  while (!sync_calls_.empty())
    still_waiting.push(sync_calls_.pop());
  sync_calls_ = still_waiting;
}

Engine::Created Engine::create(Options options, EngineClient& client) {
  try {
    std::unique_ptr<Engine> engine(new Engine);
    auto impl = std::make_unique<Impl>(*engine, std::move(options), client);
    const Ring::Failure failure = impl->caller_driven() ? impl->start_here() : impl->start();
    if (failure.error != 0)
      return {nullptr, failure.error, failure.cause};
    engine->impl_ = std::move(impl);
    return {std::move(engine), 0, ""};
  } catch (const std::bad_alloc&) {
    return {nullptr, ENOMEM, "no memory for the engine"};
  }
}

Engine::Engine() = default;

Engine::~Engine() {
  if (impl_)
    impl_->stop();
}

Engine::Entry::Entry(Engine& engine) {
  volatile bool* busy = engine.impl_->busy();
  if (busy == nullptr)
    return;
  allowed_ = !*busy;
  if (!allowed_)
    return;
  busy_ = busy;
  *busy_ = true;
}

Engine::Entry::~Entry() {
  if (busy_ != nullptr)
    *busy_ = false;
}

void Engine::call(Thunk thunk, void* context) {
  impl_->call(thunk, context);
}
bool Engine::on_engine_thread() const {
  return impl_->on_engine_thread();
}
void Engine::set_forwarding(bool on) {
  impl_->set_forwarding(on);
}
Error Engine::send_sync(Channel channel, ConstBytes message) {
  return impl_->send_sync(channel, message);
}
Error Engine::send(Channel channel, ConstBytes message, bool wait) {
  return impl_->send(channel, message, wait);
}
void Engine::run_once(std::optional<Duration> limit) {
  impl_->run_once(limit);
}
int Engine::descriptor(int& error) {
  return impl_->descriptor(error);
}
bool Engine::caller_driven() const {
  return impl_->caller_driven();
}
bool Engine::in_callback() const {
  return impl_->in_callback();
}
bool Engine::is_engine_thread() {
  return Impl::is_engine_thread();
}
void Engine::touch() {
  impl_->touch();
}
void Engine::channel_open(Channel channel) {
  impl_->channel_open(channel);
}
void Engine::channel_close(Channel channel) {
  impl_->channel_close(channel);
}
bool Engine::channel_is_open(Channel channel) const {
  return impl_->channel_is_open(channel);
}
Fabric& Engine::fabric() {
  return impl_->fabric();
}
void Engine::set_dscp(std::uint8_t dscp) {
  impl_->set_dscp(dscp);
}
void Engine::set_offload(bool on) {
  impl_->set_offload(on);
}
void Engine::set_busy_poll(Duration most) {
  impl_->set_busy_poll(most);
}
void Engine::wake_client(Instant at) {
  impl_->wake_client(at);
}

Instant Engine::now() const {
  return impl_->now();
}
EngineStatus Engine::link_configure(HostId host, LinkId link, LinkConfig config) {
  return impl_->link_configure(host, link, config);
}
EngineStatus Engine::link_clear(HostId host, LinkId link) {
  return impl_->link_clear(host, link);
}
EngineStatus Engine::datafd_add(int fd, Channel channel, int& application_fd) {
  return impl_->datafd_add(fd, channel, application_fd);
}
void Engine::datafd_remove(Channel channel) {
  impl_->datafd_remove(channel);
}
Engine::Datafd Engine::datafd(Channel channel) const {
  return impl_->datafd(channel);
}

}  // namespace ringknet
