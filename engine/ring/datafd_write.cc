// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Now, later, or not at all.
#include "engine/ring/datafd_write.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace ringknet {

// Writes until all is written or the descriptor refuses. Only streams and pipes take parts. Answers
// an errno.
int DatafdWriter::write_now(Datafd& datafd, ConstBytes bytes, std::size_t& written) {
  written = 0;
  do {
    const ConstBytes rest = bytes.subspan(written);
    const ssize_t result = write_silently(datafd.descriptor(), datafd.kind(), rest);
    if (result < 0 && errno == EINTR)
      continue;
    if (result < 0)
      return errno;
    if (result == 0)
      return EIO;
    written += static_cast<std::size_t>(result);
  } while (written < bytes.size());
  return 0;
}

void DatafdWriter::write(Datafd& datafd, ConstBytes message) {
  write_collected();
  write_or_keep(datafd, message);
}

void DatafdWriter::collect(Datafd& datafd, ConstBytes message) {
  if (!datafd.is_socket() || datafd.is_stream()) {
    write(datafd, message);
    return;
  }
  if (collector_ != &datafd || collected_ == kCollectedMax)
    write_collected();
  collector_ = &datafd;
  messages_[collected_] = {const_cast<std::byte*>(message.data()), message.size()};
  ++collected_;
}

void DatafdWriter::write_collected() {
  std::size_t done = 0;
  if (collected_ > 1 && collector_->write.pending.empty()) {
    const int written = sendmmsg(collector_->descriptor(), headers_.data(),
                                 static_cast<unsigned>(collected_), MSG_DONTWAIT | MSG_NOSIGNAL);
    done = static_cast<std::size_t>(std::max(written, 0));
  }
  // The rest, one by one: what fails finds out why.
  for (; done < collected_; ++done) {
    write_or_keep(*collector_, {static_cast<const std::byte*>(messages_[done].iov_base),
                                messages_[done].iov_len});
  }
  collected_ = 0;
}

void DatafdWriter::write_or_keep(Datafd& datafd, ConstBytes message) {
  PendingMessages& pending = datafd.write.pending;
  // Not only when the poll says so: a socket counts as writable again only when it is three
  // quarters empty.
  if (!pending.empty())
    flush(datafd);
  const bool waits = !pending.empty();
  std::size_t written = 0;
  int error = waits ? EAGAIN : write_now(datafd, message, written);
  if (error == EAGAIN && pending.push(message.subspan(written))) {
    if (!waits)
      arm(datafd);
    error = 0;
  }
  if (error != 0)
    owner_.on_write_error(datafd, error);
}

bool DatafdWriter::backlogged() {
  // What is under way when senders are told to wait still has to fit: a send window of one or two.
  constexpr std::size_t kHigh = PendingMessages::kBytesMax / 4;
  bool found = false;
  datafds_.for_each(
      [&](const Datafd& datafd) { found = found || datafd.write.pending.bytes() > kHigh; });
  return found;
}

void DatafdWriter::flush(Datafd& datafd) {
  PendingMessages& pending = datafd.write.pending;
  while (!pending.empty()) {
    const ConstBytes message = pending.front();
    std::size_t written = 0;
    const int error = write_now(datafd, message, written);
    if (error == EAGAIN) {
      pending.consume(written);
      return;
    }
    pending.consume(message.size());
    if (error != 0)
      owner_.on_write_error(datafd, error);
  }
}

void DatafdWriter::arm(Datafd& datafd) {
  if (datafd.write.writable_armed)
    return;
  datafd.write.writable_armed = true;
  ring_.queue(datafd.writable_op(), [&](io_uring_sqe* sqe) {
    io_uring_prep_poll_add(sqe, datafd.descriptor(), POLLOUT);
  });
}

void DatafdWriter::on_writable(const Completion& completion) {
  Datafd* datafd = datafds_.owner(completion.op);
  if (datafd == nullptr)
    return;
  datafd->write.writable_armed = false;
  if (datafd->closing) {
    datafds_.reap(*datafd);
    return;
  }
  flush(*datafd);
  // A descriptor in error that still refuses would end the next poll at once: the next message
  // tries again. A poll that failed says nothing about the descriptor.
  const bool in_error = completion.result > 0 && (completion.result & (POLLERR | POLLHUP)) != 0;
  if (!datafd->write.pending.empty() && !in_error)
    arm(*datafd);
}

}  // namespace ringknet
