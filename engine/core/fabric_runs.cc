// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The fabric's runs of several packets: which are split, and the probes that find out whether they
// arrive in one piece (run_check.h).
#include <algorithm>
#include <bit>

#include "engine/core/fabric.h"

namespace ringknet {
namespace {

// Two of the largest probes still are a run.
constexpr std::uint32_t kProbePacketMax = kRunBytesMax / 2;

std::uint32_t payload(const Link& link, std::uint32_t size) {
  return size - static_cast<std::uint32_t>(ip_overhead(link.config.local.family));
}

// As large as packets in use may be, or half of the runs if these are short, in few steps; or a
// little less, while the answer to a probe of that size that proves less may be on its way.
std::uint32_t probe_size(Instant now, const Link& link) {
  const std::uint32_t half = std::bit_ceil(static_cast<std::uint32_t>(link.runs.largest() / 2));
  const std::uint32_t most = std::min(link.mtu.packet(link.slice), kProbePacketMax);
  std::uint32_t size = link.mtu.aligned(std::min(std::max(half, link.mtu.floor_size()), most));
  const auto bytes = [&] { return link.runs.segments(payload(link, size)) * payload(link, size); };
  while (link.runs.ambiguous(now, static_cast<std::uint16_t>(size), bytes()))
    size = link.mtu.aligned(size - 1);
  return size;
}

bool due(Instant now, const Link& link) {
  return link.runs.due(now) && link.runs.affordable(payload(link, probe_size(now, link)));
}

}  // namespace

void Fabric::check_run(Instant now, Link& link, Transmit& out) {
  out.split = link.runs.on_run(now, out.bytes.size());
  if (!link.run_probe_queued && due(now, link))
    link.run_probe_queued = control_.run_probes.push(link.ref);
}

bool Fabric::poll_run_probe(Instant now, Transmit& out) {
  while (!control_.run_probes.empty() && !run_probe_under_way_) {
    Link* link = find_link(control_.run_probes.front());
    ControlSend result = ControlSend::kNotSealed;
    if (link != nullptr && link->usable() && link->addressable())
      result = hand_out_run_probe(now, *link, out);
    if (result == ControlSend::kNoRoom)
      return false;
    if (result == ControlSend::kReady && link->runs.single_due())
      return true;
    if (link != nullptr)
      link->run_probe_queued = false;
    control_.run_probes.pop();
    if (result == ControlSend::kReady)
      return true;
  }
  return false;
}

// The run first, and with the next call the single one behind it.
Fabric::ControlSend Fabric::hand_out_run_probe(Instant now, Link& link, Transmit& out) {
  const auto kind = InFlight::Kind::kRunProbe;
  if (link.runs.single_due()) {
    const ControlSend result = hand_out_probes(link, kind, link.runs.single_size(), 1, out);
    if (result != ControlSend::kNoRoom)
      link.runs.on_single(now);
    return result;
  }
  if (!due(now, link))
    return ControlSend::kNotSealed;
  const std::uint32_t size = probe_size(now, link);
  const std::uint32_t packet = payload(link, size);
  const std::size_t count = link.runs.segments(packet);
  const ControlSend result = hand_out_probes(link, kind, size, count, out);
  if (result == ControlSend::kReady) {
    run_probe_under_way_ = true;
    link.runs.on_probe(now, count, packet, static_cast<std::uint16_t>(size),
                       static_cast<std::uint16_t>(link.mtu.aligned(size - 1)), link.probe_gap());
  }
  return result;
}

// A run of `count` MTU probes that are IP packets of `size` bytes.
Fabric::ControlSend Fabric::hand_out_probes(Link& link, InFlight::Kind kind, std::uint32_t size,
                                            std::size_t count, Transmit& out) {
  const std::size_t slot = keyring_.in_use();
  const SealShape shape = keyring_.shape(slot);
  const std::size_t clear = link.mtu.slice(size) + kReservedHeaderSize;
  const std::size_t packet = shape.size(clear);
  const auto piece = arena_.allocate(TransmitArena::Use::kControl, count * packet);
  if (!piece)
    return ControlSend::kNoRoom;
  const MtuPacket probe{PacketType::kMtuProbe, config_.self, link.ref.link, probe_size_field(size)};
  for (std::size_t i = 0; i < count; ++i) {
    const MutableBytes bytes = arena_.bytes(*piece).subspan(i * packet, packet);
    encode(probe, clear, bytes.subspan(shape.lead, clear));
    if (!keyring_.seal(slot, bytes, clear)) {
      arena_.release(piece->slab);
      drops_.add(Drop::kSealFailed);
      return ControlSend::kNotSealed;
    }
  }
  if (slot != 0)
    stats_.tx_sealed += count;
  hand_out(link, kind, {*piece, static_cast<std::uint32_t>(packet), 0}, false, out);
  return ControlSend::kReady;
}

void Fabric::act_on_runs(Link& link, RunCheck::News news) {
  if (news == RunCheck::News::kNone)
    return;
  emit({.kind = news == RunCheck::News::kVanish ? Event::Kind::kLinkRunsVanish
                                                : Event::Kind::kLinkRunsPass,
        .host = link.ref.host,
        .link = link.ref.link});
}

void Fabric::retry_runs() {
  hosts_.for_each_link([](Host&, Link& link) { link.runs.retry(); });
}

}  // namespace ringknet
