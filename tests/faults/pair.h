// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Two engines on loopback with an injector each, traffic between them that is checked to the last
// byte, and what must hold after any fault: traffic recovers within a bound, nothing comes twice or
// altered, the engine sleeps when there is nothing to do.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "tests/faults/injector.h"
#include "tests/ring/node.h"

namespace ringknet::test {

// After the last fault, everything that is sent arrives from this time on. A path that failed is
// asked for every 20 ms here; a full second covers a machine that is busy with other things.
inline constexpr std::chrono::milliseconds kRecovery{5000};

// A node whose engine belongs to an injector. The injector outlives the engine.
class FaultyNode {
 public:
  explicit FaultyNode(unsigned id, unsigned submissions = 0, unsigned completions = 0);

  Node& node() { return node_; }
  // Runs a function of the injector on the engine's thread.
  template <typename Function>
  auto inject(Function&& function) {
    return node_.engine().run([&](Engine&) { return function(injector_); });
  }

 private:
  struct Prepared {
    Prepared(Injector& injector, unsigned submissions, unsigned completions);
  };
  Injector injector_;
  Prepared prepared_;
  Node node_;
};

// Numbered messages one way.
class Stream {
 public:
  Stream(int from, int to) : from_(from), to_(to) {}

  // Writes the next messages, of all classes of size. False when the descriptor does not take them.
  bool write(unsigned count);
  // One small message.
  bool write_marker();
  // Reads what is there; waits up to `patience` for the first, and as long again for each next.
  // Ends early when all that was written is there. Bytes that are no message of ours, or one that
  // came before, fail the test.
  void read(std::chrono::milliseconds patience);
  bool complete() const { return missing_.empty(); }
  std::size_t missing() const { return missing_.size(); }
  bool arrived(std::uint32_t number) const { return !missing_.contains(number); }
  std::uint32_t last() const { return last_; }
  // What is missing now will not come any more: it is lost. Answers how many those are.
  std::size_t give_up();
  void redirect(int from) { from_ = from; }

 private:
  bool write_one(std::size_t size);
  void take(ConstBytes message);

  int from_;
  int to_;
  std::uint32_t last_ = 0;
  std::set<std::uint32_t> missing_;
  std::set<std::uint32_t> lost_;
};

struct Idle {
  std::uint64_t enters = 0;        // of io_uring_enter
  std::chrono::nanoseconds cpu{};  // of the engine's thread
};

class Pair {
 public:
  explicit Pair(unsigned links = 1, unsigned submissions = 0, unsigned completions = 0);

  FaultyNode& a() { return a_; }
  FaultyNode& b() { return b_; }
  Stream& there() { return there_; }
  Stream& back() { return back_; }
  int fd_a() const { return fd_a_; }
  int fd_b() const { return fd_b_; }

  // Traffic both ways while faults are injected; answers how many messages were lost, which shows
  // when a marker behind them has arrived. Fails the test when that takes longer than kRecovery
  // or when, after it, anything at all is lost.
  std::size_t run_through_fault(unsigned count);
  // Fails the test when an engine does more than PINGs and PONGs need over a while.
  void check_idle();

 private:
  FaultyNode a_;
  FaultyNode b_;
  int fd_a_;
  int fd_b_;
  Stream there_;
  Stream back_;
};

// Descriptors and threads that this process has, and bytes that it has allocated.
struct Belongings {
  std::size_t descriptors;
  std::size_t threads;
  std::int64_t memory;
};
Belongings belongings();

// Runs a pair with a little traffic, so that what is made once per process is there, and then the
// body, after which descriptors, threads and memory have to be what they were before it.
void check_nothing_left(const std::function<void()>& body);

std::string error_name(int error);

}  // namespace ringknet::test
