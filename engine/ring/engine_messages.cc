// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Messages on their way between datafds and the fabric, both directions: forwarding, the
// destination filter, channels. The filter is the client's code, called synchronously: after it,
// anything may have changed, so what was looked up before is looked up again.
#include <algorithm>

#include "engine/ring/engine_impl.h"

namespace ringknet {
namespace {

// Switching forwarding off does not wait for ever on paths that take nothing.
constexpr Duration kFlushMax = std::chrono::seconds(2);

}  // namespace

// Room for the filter's hosts: made once, but a filter that sends needs one of its own for the
// inner call.
class Engine::Impl::HostList {
 public:
  explicit HostList(Impl& impl) : impl_(impl), outermost_(!impl.filter_hosts_used_) {
    std::unique_ptr<HostId[]>& hosts = outermost_ ? impl.filter_hosts_ : own_;
    if (!hosts)
      hosts = std::make_unique_for_overwrite<HostId[]>(kHostCount);
    impl.filter_hosts_used_ = true;
    hosts_ = hosts.get();
  }
  ~HostList() {
    if (outermost_)
      impl_.filter_hosts_used_ = false;
  }
  HostList(const HostList&) = delete;
  HostList& operator=(const HostList&) = delete;

  HostId* data() { return hosts_; }
  std::span<const HostId> first(std::size_t count) const { return {hosts_, count}; }

 private:
  Impl& impl_;
  bool outermost_;
  HostId* hosts_ = nullptr;
  std::unique_ptr<HostId[]> own_;
};

void Engine::Impl::on_datagram(SocketId socket, const Address& from, MutableBytes bytes) {
  const std::optional<Delivery> delivery = fabric_.on_datagram(now_, socket, from, bytes);
  if (!delivery)
    return;
  deliver(*delivery);
  if (delivery->buffer != MessageBufferId::kNone)
    fabric_.release_message(delivery->buffer);
}

void Engine::Impl::on_datagrams_end(UdpSocket* socket, std::size_t bytes) {
  writer_.write_collected();
  const ReceiveOffload::News news{
      .bytes = bytes,
      .arrived = fabric_.arrived() - std::exchange(arrived_, fabric_.arrived()),
      .missing = fabric_.missing() - std::exchange(missing_, fabric_.missing())};
  if (socket == nullptr)
    return;
  using Change = ReceiveOffload::Change;
  ReceiveOffload& offload = socket->receive.offload;
  const Change change = offload.on_arrival(now_, news);
  if (change == Change::kNone || !socket->join(change == Change::kJoin))
    return;
  if (change == Change::kSplit && offload.split(now_))
    report({.kind = Trouble::Kind::kReceiveOffload, .to = socket->local()});
}

void Engine::Impl::deliver(const Delivery& delivery) {
  Channel channel = delivery.channel;
  const Drop reason = find_reader(delivery, channel);
  if (reason != Drop::kCount) {
    drop(channel, reason);
    return;
  }
  // A message in one packet lies in the receive buffer, until on_datagrams_end().
  const bool stays = delivery.buffer == MessageBufferId::kNone;
  write_to(channel, delivery.bytes, delivery.from, stays);
}

// Who reads the message: the filter may change the channel. kCount: nothing against it.
Drop Engine::Impl::find_reader(const Delivery& delivery, Channel& channel) {
  if (!forwarding_)
    return Drop::kForwardingOff;
  return client_->has_filter() ? ask_filter(delivery, channel) : Drop::kCount;
}

Drop Engine::Impl::ask_filter(const Delivery& delivery, Channel& channel) {
  HostList hosts(*this);
  std::size_t count = 0;
  auto wanted = static_cast<std::int8_t>(raw(channel));
  const int verdict = client_->filter(Direction::kRx, delivery.bytes, fabric_.self(), delivery.from,
                                      wanted, hosts.data(), count);
  if (verdict < 0 || (verdict == 0 && count > kHostCount))
    return Drop::kFilter;
  if (verdict == 0 &&
      std::ranges::find(hosts.first(count), fabric_.self()) == hosts.first(count).end()) {
    return Drop::kFilter;
  }
  if (wanted < 0 || static_cast<std::size_t>(wanted) >= kChannelCount)
    return Drop::kChannelClosed;
  channel = static_cast<Channel>(wanted);
  return Drop::kCount;
}

void Engine::Impl::write_to(Channel channel, ConstBytes message, HostId from, bool stays) {
  if (direct_.test(raw(channel))) {
    hand_over(channel, message, from);
    return;
  }
  ringknet::Datafd* datafd = datafds_.find(channel);
  if (datafd == nullptr) {
    drop(channel, Drop::kChannelClosed);
    return;
  }
  stays ? writer_.collect(*datafd, message) : writer_.write(*datafd, message);
}

void Engine::Impl::on_write_error(const ringknet::Datafd& datafd, int error) {
  notify(datafd, Direction::kRx, -1, error);
  drop(datafd.channel, error == EAGAIN ? Drop::kReaderSlow : Drop::kReaderError);
}

void Engine::Impl::drop(Channel channel, Drop reason) {
  fabric_.count_drop(reason);
  report({.kind = Trouble::Kind::kDropped, .drop = reason, .channel = channel});
}

void Engine::Impl::on_read_end(const ringknet::Datafd& datafd, int error, int errno_value) {
  notify(datafd, Direction::kTx, error, errno_value);
}

void Engine::Impl::on_oversized(Channel channel, std::size_t size) {
  report({.kind = Trouble::Kind::kOversized, .channel = channel, .size = size});
}

// One message of the application. kNoBuffers: nothing happened, once more later; else it is done
// with.
Error Engine::Impl::forward(Channel channel, ConstBytes message, bool sync) {
  Destinations destinations = Destinations::all();
  std::optional<HostList> hosts;
  if (client_->has_filter()) {
    hosts.emplace(*this);
    std::size_t count = 0;
    auto wanted = static_cast<std::int8_t>(raw(channel));
    const int verdict = client_->filter(Direction::kTx, message, fabric_.self(), fabric_.self(),
                                        wanted, hosts->data(), count);
    if (verdict < 0)
      return Error::kFilterFailed;
    if (verdict == 0 && (count == 0 || count > kHostCount))
      return Error::kNoDestination;
    if (sync && (verdict > 0 || count > 1))
      return Error::kTooManyDestinations;
    if (verdict == 0)
      destinations = Destinations::to(hosts->first(count));
    if (wanted < 0 || static_cast<std::size_t>(wanted) >= kChannelCount)
      return Error::kInvalid;
    channel = static_cast<Channel>(wanted);
  }
  const SendOutcome outcome = fabric_.send(now_, channel, message, destinations);
  if (outcome.error == Error::kNoBuffers)
    return outcome.error;
  if (outcome.local) {
    write_to(channel, message, fabric_.self(), false);
    // Nobody else could be reached, but there was somebody.
    if (outcome.error == Error::kHostDown)
      return Error::kNone;
  }
  return outcome.error;
}

Error Engine::Impl::try_sync(Channel channel, ConstBytes message) {
  if (!client_->has_filter())
    return Error::kNoFilter;
  if (message.empty() || message.size() > kMessageSizeMax || datafds_.find(channel) == nullptr) {
    return Error::kInvalid;
  }
  if (!forwarding_)
    return Error::kForwardingOff;
  if (!fabric_.can_send())
    return Error::kNoBuffers;  // before the filter, which is called once per message
  return forward(channel, message, true);
}

// Moves messages into the fabric while it has room. What was written to the datafds, what
// synchronous callers hold and what other threads have posted takes turns, so that none starves the
// others.
void Engine::Impl::pump() {
  struct Source {
    bool ready;
    void (Impl::*pump)();
  };
  const auto fits = [this](std::size_t size) { return has_room(size); };
  for (;;) {
    const bool held = flush_ == Flush::kSending || flush_ == Flush::kLeaving;
    const bool may_read = !reader_.empty() && (!held || reader_.oldest() < flush_mark_);
    const std::array<Source, 3> sources{
        {{may_read && reader_.turn_to(fits), &Impl::pump_one},
         {!sync_calls_.empty() && fits(kMessageSizeMax), &Impl::pump_sync},
         {anything_posted(), &Impl::pump_posted}}};
    if (std::ranges::none_of(sources, &Source::ready))
      return;
    do {
      source_ = (source_ + 1) % sources.size();
    } while (!sources[source_].ready);
    (this->*sources[source_].pump)();
  }
}

void Engine::Impl::pump_one() {
  const DatafdReader::Message message = reader_.front();
  if (pass_on(message.channel, message.bytes))
    reader_.pop();
}

void Engine::Impl::pump_posted() {
  const MessageQueue::Message message = posted_.front();
  if (pass_on(message.channel, message.bytes))
    posted_.pop();
}

// False if it has to be tried once more.
bool Engine::Impl::pass_on(Channel channel, ConstBytes message) {
  if (!forwarding_)
    return true;
  const Error error = forward(channel, message, false);
  if (error == Error::kNoBuffers)
    return false;
  if (error != Error::kNone)
    report({.kind = Trouble::Kind::kRefusedSend, .reason = error, .channel = channel});
  return true;
}

// Starts switching forwarding off; false when it is off already.
bool Engine::Impl::begin_flush() {
  if (!forwarding_)
    return false;
  if (flush_ == Flush::kNone) {
    flush_ = Flush::kRequested;
    forwarding_seen_.store(false);
    flush_deadline_ = now_ + kFlushMax;
    unfinished_ = true;
  }
  return true;
}

// Called once per turn, when the turn's completions have been dealt with:
//   kRequested  everything that had been read before the request is in line now; note what is still
//               unread
//   kReading    ... until that has been read; note how far the line reaches
//   kSending    ... until the line up to there is with the fabric
//   kLeaving    ... until the fabric has nothing on its way any more
void Engine::Impl::advance_flush() {
  if (flush_ == Flush::kNone)
    return;
  const Flush before = flush_;
  const bool overdue = now_ >= flush_deadline_;
  const bool in_line = ring_.batch_empty();  // all that has been read
  switch (flush_) {
    case Flush::kRequested:
      if (!in_line)
        break;
      reader_.start_flush();
      flush_ = Flush::kReading;
      break;
    case Flush::kReading:
      if (!in_line || !reader_.flushed())
        break;
      flush_mark_ = reader_.arrived();
      flush_ = Flush::kSending;
      break;
    case Flush::kSending:
      if (reader_.oldest() >= flush_mark_)
        flush_ = Flush::kLeaving;
      break;
    case Flush::kLeaving:
      if (!fabric_.data_pending()) {
        forwarding_ = false;
        end_flush();
      }
      break;
    case Flush::kNone:
      break;
  }
  if (flush_ != before)
    unfinished_ = true;
  if (overdue && flush_ != Flush::kNone) {
    forwarding_ = false;
    end_flush();
  }
}

// Forwarding is off, or on again: whoever waited goes on.
void Engine::Impl::end_flush() {
  flush_ = Flush::kNone;
  flush_deadline_ = kNever;
  unfinished_ = true;
  while (!flush_calls_.empty())
    flush_calls_.pop().complete();
}

}  // namespace ringknet
