// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The links that have control packets to send (link_control.h says which), in three queues that
// take turns among links: PINGs of our own, answers, and answers that wait on purpose. A link is in
// each of them at most once, so none can be full and what is caused by one link never keeps another
// one waiting for more than its turn. Probes have a queue of their own, as they are larger.
#pragma once

#include <bit>
#include <cstddef>

#include "engine/base/bounded_queue.h"
#include "engine/core/link.h"

namespace ringknet {

class ControlQueue {
 public:
  // Room for every link.
  void grow(std::size_t links) {
    own_.grow(links);
    answers_.grow(links);
    held_.grow(links);
    probes.grow(kProbesMin + links);
    run_probes.grow(kProbesMin + links);
  }
  // The link is about to be taken away.
  void forget(const Link& link) {
    remove(own_, link);
    remove(answers_, link);
    remove(held_, link);
  }

  void want(Link& link, PingKind kind) {
    link.control.want(kind);
    enter(own_, link, link.control.in_own);
  }
  // False when an older answer of the link was given up for this one.
  bool answer(Link& link, const PongAnswer& pong) {
    const bool room = link.control.pongs.push(pong);
    if (!room && link.control.released > 0)
      --link.control.released;
    if (!link.control.in_held)
      enter(answers_, link, link.control.in_answers);
    return room;
  }
  bool answer(Link& link, const MtuAnswer& answer) {
    enter(answers_, link, link.control.in_answers);
    return link.control.mtu_answers.push(answer);
  }

  // The link whose turn it is, if any. It stays that until it was served, or given up.
  Link* next_own() { return own_.empty() ? nullptr : own_.front(); }
  Link* next_answering() { return answers_.empty() ? nullptr : answers_.front(); }
  // The link's PING of that kind left, or is not wanted any more.
  void own_done(Link& link, PingKind kind) {
    link.control.done(kind);
    take_turns(own_, link.control.in_own, link.control.own != 0);
  }
  // The link's first PONG, or MTU answer, left.
  void pong_done(Link& link) {
    link.control.pongs.pop();
    if (link.control.released > 0)
      --link.control.released;
    answered(link);
  }
  void mtu_answer_done(Link& link) {
    link.control.mtu_answers.pop();
    answered(link);
  }
  // Its PONGs wait until release().
  void hold(Link& link) {
    take_turns(answers_, link.control.in_answers, false);
    enter(held_, link, link.control.in_held);
  }
  void release() {
    for (; !held_.empty(); held_.pop()) {
      Link& link = *held_.front();
      link.control.in_held = false;
      link.control.released = link.control.pongs.size();
      if (link.control.released > 0)
        enter(answers_, link, link.control.in_answers);
    }
  }

  // Packets that could leave now; for tests.
  std::size_t waiting() {
    std::size_t count = 0;
    for (std::size_t i = 0; i < own_.size(); ++i)
      count += static_cast<std::size_t>(std::popcount(own_.at(i)->control.own));
    for (std::size_t i = 0; i < answers_.size(); ++i) {
      const LinkControl& control = answers_.at(i)->control;
      count += (control.in_held ? 0 : control.pongs.size()) + control.mtu_answers.size();
    }
    return count;
  }

  BoundedQueue<LinkRef> probes{kProbesMin};      // each link at most once
  BoundedQueue<LinkRef> run_probes{kProbesMin};  // the same

 private:
  static constexpr std::size_t kProbesMin = 256;

  using Links = BoundedQueue<Link*>;

  static void enter(Links& links, Link& link, bool& in) {
    if (in)
      return;
    in = links.push(&link);
    assert(in);
  }
  // The first link goes behind the others if it has more.
  static void take_turns(Links& links, bool& in, bool more) {
    Link* link = links.front();
    links.pop();
    in = more && links.push(link);
  }
  void answered(Link& link) {
    const bool pongs = !link.control.pongs.empty() && !link.control.in_held;
    const bool more = pongs || !link.control.mtu_answers.empty();
    take_turns(answers_, link.control.in_answers, more);
  }
  static void remove(Links& links, const Link& link) {
    for (std::size_t left = links.size(); left > 0; --left) {
      Link* first = links.front();
      links.pop();
      if (first != &link)
        links.push(first);
    }
  }

  Links own_{1};
  Links answers_{1};
  Links held_{1};
};

}  // namespace ringknet
