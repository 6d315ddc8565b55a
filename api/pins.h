// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Counts the calls that are using something, so that whoever takes it away can wait until the last
// one has left. The thing itself is published by an atomic beside the counter: a user enters first
// and looks afterwards whether it is still there, a remover takes it away first and waits
// afterwards. All operations are sequentially consistent, which is what makes this exchange safe.
// It protects calls, which end; it is no lock.
#pragma once

#include <atomic>

namespace ringknet {

class Pins {
 public:
  void enter() { count_.fetch_add(1); }

  void leave() {
    if (count_.fetch_sub(1) == 1 && waiting_.load()) {
      count_.notify_all();
    }
  }

  // In a forked child: those inside were threads of the parent.
  void forget() {
    count_.store(0);
    waiting_.store(false);
  }

  bool empty() const { return count_.load() == 0; }

  // Returns once nobody is inside. Later entries find nothing and leave at once, so it comes to an
  // end. Must not be called from inside.
  void wait_until_empty() {
    waiting_.store(true);
    for (int inside = count_.load(); inside != 0; inside = count_.load()) {
      count_.wait(inside);
    }
    waiting_.store(false);
  }

 private:
  std::atomic<int> count_ = 0;
  std::atomic<bool> waiting_ = false;
};

}  // namespace ringknet
