// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Undoes the first part of a change when the second fails, also by an allocation that throws: a
// refused change leaves everything as it was.
#pragma once

#include <utility>

namespace ringknet {

template <typename Undo>
class Rollback {
 public:
  explicit Rollback(Undo undo) : undo_(std::move(undo)) {}
  ~Rollback() {
    if (!committed_)
      undo_();
  }
  Rollback(const Rollback&) = delete;
  Rollback& operator=(const Rollback&) = delete;

  void commit() { committed_ = true; }

 private:
  Undo undo_;
  bool committed_ = false;
};

}  // namespace ringknet
