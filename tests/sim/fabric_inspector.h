// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The window through which the simulation looks into a fabric: what the oracles compare with the
// public answers, and the one thing it sets, the sequence a node that has run for long would have.
#pragma once

#include "engine/core/fabric.h"

namespace ringknet {

class FabricInspector {
 public:
  explicit FabricInspector(Fabric& fabric) : fabric_(fabric) {}

  const Host* host(HostId id) const { return fabric_.hosts_.find(id); }
  const Link* link(HostId host_id, LinkId id) const {
    const Host* found = host(host_id);
    return found == nullptr ? nullptr : found->link(id);
  }
  MessageSeq last_seq() const { return fabric_.last_seq_; }
  void set_last_seq(MessageSeq seq) { fabric_.last_seq_ = seq; }

  std::size_t control_waiting() const {
    return fabric_.control_.waiting() + fabric_.control_.probes.size();
  }
  bool runs_waiting() const { return !fabric_.runs_.empty(); }
  std::size_t sends_in_flight() const { return fabric_.in_flight_.size(); }
  std::size_t message_buffers_in_use() const { return fabric_.messages_.in_use(); }
  std::size_t free_slabs() const { return fabric_.arena_.free_slabs(); }
  bool held_up(Instant now) const { return fabric_.held_up(now); }
  std::size_t events_waiting() const { return fabric_.events_.size(); }

 private:
  Fabric& fabric_;
};

}  // namespace ringknet
