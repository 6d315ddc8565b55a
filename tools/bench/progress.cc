// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The progress line, on standard error so that it never mixes with the report.
#include "tools/bench/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace ringknet::bench {
namespace {

// A line that wraps cannot be rewritten.
std::size_t terminal_width() {
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return known ? size.ws_col : 80;
}

}  // namespace

Progress::Progress() : visible_(::isatty(STDERR_FILENO) == 1) {}

void Progress::step(const std::string& step) {
  step_ = step;
  detail_.clear();
  show();
}

void Progress::detail(const std::string& detail) {
  detail_ = detail;
  show();
}

void Progress::show() {
  if (!visible_) {
    return;
  }
  std::string line = fmt::format("[{:3.0f} s] {}{}{}", seconds_of(Clock::now() - start_), scope_,
                                 scope_.empty() ? "" : ": ", step_);
  if (!detail_.empty()) {
    line += ", " + detail_;
  }
  line.resize(std::min(line.size(), terminal_width() - 1));
  fmt::print(stderr, "\r{}\x1b[K", line);
}

void Progress::clear() const {
  if (visible_) {
    std::fputs("\r\x1b[K", stderr);
  }
}

}  // namespace ringknet::bench
