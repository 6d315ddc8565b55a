// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The two ways of reading, and telling an end of file from an empty message.
#include "engine/ring/datafd_read.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <limits>

namespace ringknet {
namespace {

// Of the first channel; the receiver has the one before it.
constexpr std::uint16_t kFirstGroup = 1;
// One byte more than the largest message, so that what is longer shows.
constexpr std::size_t kBufferSize = kMessageSizeMax + 1;

}  // namespace

int DatafdReader::open(Channel channel) {
  std::unique_ptr<Line>& line = lines_[raw(channel)];
  if (line != nullptr)
    return 0;
  auto opened = std::make_unique<Line>();
  const auto group = static_cast<std::uint16_t>(kFirstGroup + raw(channel));
  const int error = opened->buffers.open(ring_, group, kBuffers, kFewBuffers, kBufferSize);
  if (error == 0)
    line = std::move(opened);
  return error;
}

void DatafdReader::arm(Datafd& datafd) {
  const bool poll_first = !datafd.is_socket() && datafd.read.wait_readable;
  datafd.read.armed = poll_first ? OpKind::kReadable : OpKind::kRead;
  datafd.read.starved = false;
  ring_.queue(datafd.read_op(), [&](io_uring_sqe* sqe) {
    if (poll_first) {
      io_uring_prep_poll_add(sqe, datafd.descriptor(), POLLIN);
      return;
    }
    if (datafd.is_socket()) {
      io_uring_prep_recv_multishot(sqe, datafd.descriptor(), nullptr, 0, 0);
    } else {
      io_uring_prep_read(sqe, datafd.descriptor(), nullptr, kMessageSizeMax, ~std::uint64_t{0});
    }
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = line(datafd).buffers.group();
  });
}

void DatafdReader::on_completion(const Completion& completion) {
  Datafd* datafd = datafds_.owner(completion.op);
  if (datafd == nullptr)
    return;  // not to be: it stays until its last completion
  BufferRing& buffers = line(*datafd).buffers;
  if (completion.has_buffer())
    buffers.took();
  if (!completion.more())
    datafd->read.armed = OpKind::kNone;
  if (completion.op.kind == OpKind::kReadable) {
    datafd->read.wait_readable = false;
  } else if (completion.has_buffer() && completion.result > 0) {
    // Also when the datafd is being removed: the application wrote it before.
    on_read(*datafd, completion);
  } else {
    if (completion.has_buffer())
      buffers.put(completion.buffer(), 0);
    if (!datafd->closing) {
      completion.result >= 0 ? on_nothing(*datafd) : on_failure(*datafd, -completion.result);
    }
  }
  datafds_.reap(*datafd);
}

void DatafdReader::on_read(Datafd& datafd, const Completion& completion) {
  const auto size = static_cast<std::uint32_t>(completion.result);
  datafd.read.flush -= size;
  datafd.read.wait_readable = true;
  if (size > kMessageSizeMax && !datafd.is_stream()) {
    line(datafd).buffers.put(completion.buffer(), size);
    owner_.on_oversized(datafd.channel, size);
    return;
  }
  if (waiting_ == 0)
    turn_ = raw(datafd.channel);
  waiting_ |= bit(raw(datafd.channel));
  line(datafd).waiting.push(
      {.buffer = completion.buffer(), .offset = 0, .size = size, .number = arrived_});
  ++arrived_;
}

// A read of nothing is an end of file, or somebody sent an empty message.
void DatafdReader::on_nothing(Datafd& datafd) {
  if (!datafd.is_socket() || datafd.is_stream()) {
    end(datafd, 0, 0);
    return;
  }
  pollfd state{datafd.descriptor(), POLLIN | POLLRDHUP, 0};
  const bool hung_up = poll(&state, 1, 0) > 0 && (state.revents & (POLLHUP | POLLRDHUP)) != 0;
  if (hung_up && datafd.unread() <= 0)
    end(datafd, 0, 0);
}

void DatafdReader::on_failure(Datafd& datafd, int error) {
  switch (error) {
    case ENOBUFS:
    case ENOMEM:  // the kernel's own: no reason to give up what it was needed for
      datafd.read.starved = true;
      return;
    case EAGAIN:
      datafd.read.wait_readable = true;
      return;
    case EINTR:
    case ECANCELED:
      return;
    default:
      end(datafd, -1, error);
  }
}

void DatafdReader::end(Datafd& datafd, int error, int errno_value) {
  if (datafd.read.ended)
    return;
  datafd.read.ended = true;
  owner_.on_read_end(datafd, error, errno_value);
}

void DatafdReader::rearm() {
  datafds_.for_each([this](Datafd& datafd) {
    const auto& state = datafd.read;
    const bool starved = state.starved && !line(datafd).buffers.recovered();
    if (state.armed == OpKind::kNone && !state.ended && !starved)
      arm(datafd);
  });
}

DatafdReader::Message DatafdReader::front() {
  Line& line = *lines_[turn_];
  const Waiting& waiting = line.waiting.front();
  return {Channel(turn_),
          line.buffers.bytes(waiting.buffer).subspan(waiting.offset, size(waiting))};
}

void DatafdReader::pop() {
  Line& line = *lines_[turn_];
  Waiting& waiting = line.waiting.front();
  if (waiting.size > kMessageSizeMax) {
    // More of a stream than one message holds.
    waiting.offset += kMessageSizeMax;
    waiting.size -= kMessageSizeMax;
  } else {
    line.buffers.put(waiting.buffer, waiting.offset + waiting.size);
    line.waiting.pop();
    if (line.waiting.empty())
      waiting_ &= ~bit(turn_);
  }
  turn_ = waiting_ != 0 ? following((turn_ + 1) % kChannelCount, waiting_) : 0;
}

std::uint64_t DatafdReader::oldest() const {
  std::uint64_t number = arrived_;
  for (const std::unique_ptr<Line>& line : lines_) {
    if (line != nullptr && !line->waiting.empty())
      number = std::min(number, line->waiting.front().number);
  }
  return number;
}

void DatafdReader::start_flush() {
  datafds_.for_each([](Datafd& datafd) {
    const std::int64_t unread = datafd.unread();
    datafd.read.flush = unread >= 0 ? unread : std::numeric_limits<std::int64_t>::max();
  });
}

bool DatafdReader::flushed() {
  bool all = true;
  datafds_.for_each([&](const Datafd& datafd) {
    all = all && (datafd.read.ended || datafd.read.flush <= 0 || !datafd.readable());
  });
  return all;
}

}  // namespace ringknet
