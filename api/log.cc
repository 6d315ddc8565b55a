// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Formatting and writing of log records. Levels and their atomics are in the header, where the hot
// path is.
#include "api/log.h"

#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>

namespace ringknet {
namespace {

// errno belongs to the call that is being made, not to what it logs on the way.
class KeepErrno {
 public:
  KeepErrno() : value_(errno) {}
  KeepErrno(const KeepErrno&) = delete;
  KeepErrno& operator=(const KeepErrno&) = delete;
  ~KeepErrno() { errno = value_; }

 private:
  const int value_;
};

// Also false when the reader is gone.
bool has_room(int fd) {
  pollfd watched{fd, POLLOUT, 0};
  return poll(&watched, 1, 0) == 1 && watched.revents == POLLOUT;
}

bool whole(ssize_t written) {
  return written == ssize_t{sizeof(knet_log_msg)};
}

}  // namespace

Log::Log(int fd, std::uint8_t level) : fd_(fd), kind_(ringknet::kind_of(fd)) {
  if (fd != 0) {
    for (auto& slot : levels_) {
      slot.store(level, kRelaxed);
    }
  }
}

std::size_t Log::print(Text& text, std::size_t position, fmt::string_view format,
                       fmt::format_args arguments) {
  const std::size_t room = text.size() - position;
  const auto printed = fmt::vformat_to_n(text.data() + position, room, format, arguments);
  return position + std::min(printed.size, room);
}

void Log::put(std::uint8_t subsystem, std::uint8_t level, std::string_view text) {
  const KeepErrno keep;
  const bool tell = wants(KNET_SUB_COMMON, KNET_LOG_WARN);
  if (const std::uint64_t lost = tell ? lost_.exchange(0) : 0; lost != 0) {
    Text notice;
    const std::size_t size =
        print(notice, 0, "log: {} records were lost for want of room", fmt::make_format_args(lost));
    if (!put_record(KNET_SUB_COMMON, KNET_LOG_WARN, {notice.data(), size})) {
      lost_ += lost + 1;
      return;
    }
  }
  if (!put_record(subsystem, level, text)) {
    ++lost_;
  }
}

bool Log::put_record(std::uint8_t subsystem, std::uint8_t level, std::string_view text) {
  knet_log_msg record{};
  std::memcpy(record.msg, text.data(), text.size());
  record.subsystem = subsystem;
  record.msglevel = level;
  return write_record(record);
}

bool Log::write_record(const knet_log_msg& record) {
  if (!has_room(fd_)) {
    return false;
  }
  const ConstBytes bytes = std::as_bytes(std::span(&record, 1));
  if (kind_ == DescriptorKind::kPipe)
    return write_pipe(bytes);
  return whole(write_silently(fd_, kind_, bytes));
}

// Another writer may take the room that poll saw, and a blocking pipe would then make this thread
// wait. Kernels since 6.4 can be told not to; on older ones a pipe that had room for a page a
// moment ago has to do.
bool Log::write_pipe(ConstBytes record) {
  if (pipe_takes_nowait_.load(kRelaxed)) {
    const ssize_t written = write_pipe_silently(fd_, record, RWF_NOWAIT);
    if (written >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS)) {
      return whole(written);
    }
    pipe_takes_nowait_.store(false, kRelaxed);
  }
  return whole(write_pipe_silently(fd_, record, 0));
}

}  // namespace ringknet
