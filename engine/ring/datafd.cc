// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Making, adopting and finding datafds.
#include "engine/ring/datafd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/ring/socket_buffer.h"

namespace ringknet {
namespace {

// io_uring would "poll" what cannot be polled, as always ready. epoll knows the difference. Answers
// an errno.
int check_pollable(int descriptor) {
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  if (poller < 0)
    return errno;
  epoll_event event{};
  event.events = EPOLLIN;
  const int error = epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) < 0 ? errno : 0;
  close(poller);
  return error;
}

// The flags are read first: a descriptor that is not open is EBADF, and no other may take its
// number meanwhile.
int prepare_adopted(int descriptor) {
  const int descriptor_flags = fcntl(descriptor, F_GETFD);
  const int status_flags = fcntl(descriptor, F_GETFL);
  if (descriptor_flags < 0 || status_flags < 0)
    return errno;
  if (const int error = check_pollable(descriptor); error != 0)
    return error;
  if (fcntl(descriptor, F_SETFD, descriptor_flags | FD_CLOEXEC) < 0)
    return errno;
  if (fcntl(descriptor, F_SETFL, status_flags | O_NONBLOCK) < 0) {
    const int error = errno;
    fcntl(descriptor, F_SETFD, descriptor_flags);
    return error;
  }
  return 0;
}

}  // namespace

Datafd::Datafd(int application, int descriptor, bool owned)
    : application_(application),
      descriptor_(descriptor),
      owned_(owned),
      kind_(kind_of(descriptor)) {
  int type = 0;
  socklen_t size = sizeof(type);
  if (is_socket())
    getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size);
  is_stream_ = is_socket() ? type == SOCK_STREAM : true;
  is_datagram_ = is_socket() && type != SOCK_STREAM && type != SOCK_SEQPACKET;
}

Datafd::Opened Datafd::make_pair(bool privileged) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
    return {.datafd = nullptr, .error = errno};
  }
  for (int& end : ends)
    end = off_standard(end);
  Opened opened;
  opened.datafd.reset(new Datafd(ends[0], ends[1], true));
  if (ends[0] < 0 || ends[1] < 0)
    return {.datafd = nullptr, .error = EMFILE};
  std::size_t granted = 0;
  opened.error = enlarge_socket_buffers(ends[0], privileged, opened.buffer_granted);
  if (opened.error == 0)
    opened.error = enlarge_socket_buffers(ends[1], privileged, granted);
  if (opened.error != 0)
    opened.datafd.reset();
  return opened;
}

Datafd::Opened Datafd::adopt(int descriptor) {
  Opened opened;
  opened.datafd.reset(new Datafd(descriptor, descriptor, false));
  opened.error = prepare_adopted(descriptor);
  if (opened.error != 0)
    opened.datafd.reset();
  return opened;
}

void Datafd::close() {
  if (owned_) {
    for (const int end : {application_, descriptor_}) {
      if (end >= 0)
        ::close(end);
    }
  }
  application_ = -1;
  descriptor_ = -1;
}

std::int64_t Datafd::unread() const {
  // A datagram socket answers for its first message only.
  int size = 0;
  if (is_datagram_ || ioctl(descriptor_, FIONREAD, &size) < 0)
    return -1;
  return size;
}

bool Datafd::readable() const {
  pollfd state{descriptor_, POLLIN, 0};
  return poll(&state, 1, 0) > 0 && (state.revents & POLLIN) != 0;
}

void DatafdTable::reserve() {
  if (std::ranges::all_of(slots_, [](const auto& slot) { return slot != nullptr; }))
    slots_.emplace_back();
}

Datafd& DatafdTable::add(std::unique_ptr<Datafd> datafd, Channel channel) {
  reserve();
  std::size_t slot = 0;
  while (slots_[slot])
    ++slot;
  slots_[slot] = std::move(datafd);
  Datafd& added = *slots_[slot];
  added.channel = channel;
  added.slot = static_cast<std::uint16_t>(slot);
  added.generation = ++last_generation_;
  channels_[raw(channel)] = &added;
  return added;
}

Datafd* DatafdTable::find(Channel channel) const {
  return raw(channel) < kChannelCount ? channels_[raw(channel)] : nullptr;
}

Datafd* DatafdTable::owner(const Op& op) const {
  if (op.slot >= slots_.size())
    return nullptr;
  Datafd* datafd = slots_[op.slot].get();
  return datafd != nullptr && datafd->generation == op.generation ? datafd : nullptr;
}

void DatafdTable::close(Ring& ring, Datafd& datafd) {
  datafd.closing = true;
  channels_[raw(datafd.channel)] = nullptr;
  if (datafd.read.armed != OpKind::kNone)
    ring.cancel(datafd.read_op());
  if (datafd.write.writable_armed)
    ring.cancel(datafd.writable_op());
  datafd.close();
  reap(datafd);
}

void DatafdTable::reap(Datafd& datafd) {
  if (!datafd.closing || datafd.read.armed != OpKind::kNone || datafd.write.writable_armed)
    return;
  slots_[datafd.slot].reset();
}

}  // namespace ringknet
