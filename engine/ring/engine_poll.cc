// SPDX-License-Identifier: LGPL-2.1-or-later
//
// An epoll of the ring and a timer.
#include "engine/ring/engine_poll.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "engine/ring/descriptor.h"

namespace ringknet {

EnginePoll::~EnginePoll() {
  for (const int descriptor : {epoll_, timer_}) {
    if (descriptor >= 0)
      close(descriptor);
  }
}

int EnginePoll::create(int ring) {
  timer_ = off_standard(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  epoll_ = off_standard(epoll_create1(EPOLL_CLOEXEC));
  for (const int descriptor : {ring, timer_}) {
    epoll_event event{.events = EPOLLIN, .data = {.fd = descriptor}};
    if (epoll_ < 0 || timer_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) != 0) {
      const int error = errno;
      close(std::exchange(epoll_, -1));
      close(std::exchange(timer_, -1));
      return error;
    }
  }
  return 0;
}

void EnginePoll::set(Instant at) {
  if (at == set_)
    return;
  set_ = at;
  itimerspec time{};
  if (at != kNever) {
    const Duration value = std::max(at.time_since_epoch(), Duration(1));  // zero switches it off
    time.it_value.tv_sec = value.count() / std::nano::den;
    time.it_value.tv_nsec = value.count() % std::nano::den;
  }
  timerfd_settime(timer_, TFD_TIMER_ABSTIME, &time, nullptr);
}

}  // namespace ringknet
