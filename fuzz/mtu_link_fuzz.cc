// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The link machine and its MTU search as a list of operations over an imagined path. What must hold
// at every step: deadlines that were served lie ahead, the MTU in use was proven, a link is up only
// after a PONG. What must hold in the end, when the path is left alone: the MTU becomes exact.
#include <algorithm>
#include <set>

#include "engine/core/link.h"
#include "fuzz/input.h"
#include "fuzz/operations.h"

namespace ringknet::fuzz {
namespace {

using std::chrono::milliseconds;

LinkConfig config_of(std::uint8_t kind) {
  LinkConfig config;
  config.local.family = kind % 2 == 0 ? Address::Family::kIpv4 : Address::Family::kIpv6;
  config.remote = config.local;
  return config;
}

Envelope envelope_of(std::uint8_t kind) {
  if (kind % 4 < 2)
    return {};
  return kind % 8 < 4 ? Envelope{16, 16, 32} : Envelope{1, 12, 16};
}

class Harness {
 public:
  Harness(const std::uint8_t* data, std::size_t size)
      : input_(data, size),
        kind_(input_.u8()),
        link_({}, config_of(kind_), envelope_of(kind_), interval_) {
    proven_.insert(link_.mtu.floor_size());
  }

  void run() {
    while (!input_.empty()) {
      step();
      check();
    }
    converge();
  }

 private:
  // What the fabric does with the answers of the machine.
  void act(const MtuSearch::Step& step) {
    if (step.probe) {
      waiting_ = true;
      require(link_.mtu.candidate() >= link_.mtu.floor_size(), "no probe below the floor");
      require(link_.mtu.candidate() <= kIpPacketMax, "no probe larger than IP allows");
    }
    if (step.settled)
      link_.slice = link_.mtu.slice(link_.mtu.proven());
  }
  void timeout() {
    for (int served = 0; link_.next_deadline() <= now_; ++served) {
      require(served < 3, "a served deadline moves on");
      const Link::Due due = link_.on_timeout(now_);
      if (due.silent) {
        require(answered_, "only a link that was answered falls silent");
        down();
      }
      act(due.mtu);
    }
  }
  void up() {
    require(answered_, "no link comes up without a PONG");
    link_.up(now_);
    start();
  }
  void start() {
    proven_ = {link_.mtu.floor_size()};
    link_.slice = link_.mtu.slice(link_.mtu.floor_size());
    act(link_.mtu.start(now_, milliseconds(40)));
  }
  void down() {
    link_.down(now_);
    answered_ = waiting_ = false;
  }
  void pong(Duration sample) {
    answered_ = true;
    if (link_.on_pong(now_, now_ - sample))
      up();
  }
  void reply() {
    if (!waiting_)
      return;
    waiting_ = false;
    const std::uint32_t size = link_.mtu.candidate();
    if (size > path_)
      return;
    proven_.insert(size);
    MtuSearch::Step step;
    link_.mtu.on_reply(now_, static_cast<std::uint16_t>(size), step);
    act(step);
  }
  void limit(std::uint32_t named, std::uint32_t refused) {
    proven_.insert(link_.mtu.aligned(named));
    act(link_.mtu.on_kernel_limit(now_, named, refused));
  }
  void advance(Duration by) {
    now_ += by;
    timeout();
  }

  void step() {
    switch (next_op<LinkOp>(input_)) {
      case LinkOp::kTime: {
        const std::uint8_t by = input_.u8();
        const Instant next = link_.next_deadline();
        if (by == 0 && next != kNever) {
          advance(std::max(next - now_, Duration::zero()));
        } else {
          advance(milliseconds(by * 5));
        }
        return;
      }
      case LinkOp::kReply:
        return reply();
      case LinkOp::kPong:
        if (link_.enabled())
          pong(milliseconds(input_.u8() * 2));
        return;
      case LinkOp::kData:
        return link_.mtu.on_data(now_, input_.u16());
      case LinkOp::kRefused:
        return limit(path_, link_.mtu.candidate());
      case LinkOp::kLimit: {
        const std::uint16_t named = input_.u16();
        return limit(named, input_.u16());
      }
      case LinkOp::kPath:
        path_ = std::max<std::uint32_t>(input_.u16(), link_.mtu.floor_size());
        return;
      case LinkOp::kEnable:
        return enable(input_.u8() % 2 != 0);
      case LinkOp::kTrouble:
        if (link_.on_trouble(now_, input_.u8() % 2 != 0) == Link::Verdict::kDown)
          down();
        return;
      case LinkOp::kTimers: {
        const auto interval = milliseconds(1 + input_.u8() * 4);
        const auto timeout = milliseconds(1 + input_.u8() * 16);
        return link_.set_timers(now_, {interval, timeout, 1 + input_.u8() % 8u});
      }
      case LinkOp::kSearchGap:
        interval_ = milliseconds(100 + 40 * input_.u8());
        return link_.mtu.set_interval(now_, interval_);
      case LinkOp::kCount:
        return;
    }
  }
  void enable(bool enabled) {
    if (link_.enabled() == enabled)
      return;
    link_.set_enabled(now_, enabled);
    if (enabled && link_.connected())
      start();
  }

  void check() {
    require(!link_.connected() || link_.answered(), "up, and answered");
    require(link_.mtu.phase() != MtuSearch::Phase::kIdle || link_.mtu.deadline() == kNever,
            "an idle search waits for nothing");
    require(link_.mtu.phase() == MtuSearch::Phase::kIdle || link_.mtu.deadline() != kNever,
            "a search that is not idle has a deadline");
    require(link_.mtu.proven() >= link_.mtu.floor_size(), "never below the floor");
    require(proven_.contains(link_.mtu.proven()), "the MTU in use was proven");
    require(link_.slice > 0, "a link always carries something");
  }

  // From here the path answers everything it carries and the link sees no more trouble.
  void converge() {
    enable(true);
    link_.set_timers(now_, {milliseconds(100), milliseconds(1000), 4});
    const std::uint32_t exact = link_.mtu.aligned(std::min<std::uint32_t>(path_, kIpPacketMax));
    const Instant end = now_ + 2 * interval_ + milliseconds(20'000);
    // The first answers end what was under way.
    while (now_ < end) {
      advance(milliseconds(20));
      reply();
      pong(milliseconds(1));
      check();
      if (link_.connected())
        link_.mtu.on_data(now_, link_.mtu.proven());
    }
    require(link_.usable(), "an answered link is up");
    require(link_.mtu.proven() == exact || link_.mtu.phase() == MtuSearch::Phase::kSearching,
            "the MTU becomes exact");
    require(link_.slice == link_.mtu.slice(exact), "and is used");
  }

  Input input_;
  std::uint8_t kind_;
  Duration interval_ = milliseconds(5000);
  Link link_;
  Instant now_{std::chrono::seconds(1000)};
  std::uint32_t path_ = 65535;
  std::set<std::uint32_t> proven_;
  bool answered_ = false;
  bool waiting_ = false;  // a probe is under way
};

}  // namespace
}  // namespace ringknet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringknet::fuzz::Harness(data, size).run();
  return 0;
}
