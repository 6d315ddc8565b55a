// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Writes log records to the descriptor that the application gave: 256 bytes each, in one write, if
// the level of the subsystem lets them through. It never waits, although the descriptor may be a
// blocking one: a record that finds no room is counted, and the next one that finds room is
// preceded by a record with that count. Texts are formatted into a buffer on the stack, so that
// logging allocates nothing. Any thread may write.
#pragma once

#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string_view>

#include "api/libknet.h"
#include "engine/ring/descriptor.h"

namespace ringknet {

class Log {
 public:
  // fd 0: no log. The level applies to all subsystems, and only with a log.
  Log(int fd, std::uint8_t level);

  void set_level(std::uint8_t subsystem, std::uint8_t level) {
    levels_[subsystem].store(level, kRelaxed);
  }
  std::uint8_t level(std::uint8_t subsystem) const { return levels_[subsystem].load(kRelaxed); }
  bool wants(std::uint8_t subsystem, std::uint8_t level) const {
    return fd_ != 0 && level <= this->level(subsystem);
  }

  template <typename... Args>
  void write(std::uint8_t subsystem, std::uint8_t level, fmt::format_string<const Args&...> format,
             const Args&... args) {
    if (wants(subsystem, level)) {
      Text text;
      const std::size_t size = print(text, 0, format, fmt::make_format_args(args...));
      put(subsystem, level, {text.data(), size});
    }
  }

  // The same, with how many records of this kind were held back before (log_limiter.h).
  template <typename... Args>
  void write_counted(std::uint64_t held, std::uint8_t subsystem, std::uint8_t level,
                     fmt::format_string<const Args&...> format, const Args&... args) {
    if (!wants(subsystem, level))
      return;
    Text text;
    std::size_t size = print(text, 0, format, fmt::make_format_args(args...));
    if (held != 0) {
      size =
          print(text, size, " ({} more of this kind were not logged)", fmt::make_format_args(held));
    }
    put(subsystem, level, {text.data(), size});
  }

 private:
  static constexpr std::memory_order kRelaxed = std::memory_order_relaxed;
  // One byte of the record's text is for the closing NUL.
  using Text = std::array<char, KNET_MAX_LOG_MSG_SIZE - 1>;

  // Appends at `position` and returns where the text ends then, which is never beyond the buffer.
  static std::size_t print(Text& text, std::size_t position, fmt::string_view format,
                           fmt::format_args arguments);
  void put(std::uint8_t subsystem, std::uint8_t level, std::string_view text);
  bool put_record(std::uint8_t subsystem, std::uint8_t level, std::string_view text);
  bool write_record(const knet_log_msg& record);
  bool write_pipe(ConstBytes record);

  const int fd_;
  const DescriptorKind kind_;
  std::array<std::atomic<std::uint8_t>, KNET_MAX_SUBSYSTEMS + 1> levels_{};
  std::atomic<std::uint64_t> lost_ = 0;
  std::atomic<bool> pipe_takes_nowait_ = true;
};

}  // namespace ringknet
