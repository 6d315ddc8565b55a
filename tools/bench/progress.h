// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One line that says what is going on, rewritten in place, and only where somebody watches: on a
// terminal.
#pragma once

#include <string>

#include "tools/bench/common.h"

namespace ringknet::bench {

class Progress {
 public:
  Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { clear(); }

  [[nodiscard]] bool visible() const { return visible_; }

  // "run 2 of 3, theirs": what the steps belong to.
  void set_scope(const std::string& scope) { scope_ = scope; }
  void step(const std::string& step);
  // Something that changes within a step.
  void detail(const std::string& detail);
  // Takes the line away; before anything else is printed.
  void clear() const;

 private:
  void show();

  bool visible_;
  Instant start_ = Clock::now();
  std::string scope_;
  std::string step_;
  std::string detail_;
};

}  // namespace ringknet::bench
