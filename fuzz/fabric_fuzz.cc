// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The whole core as a list of operations: packets that are forged, honest or anything between,
// time, sends and their ends, and configuration, in any order. Nothing may crash, nothing may grow
// without bound, deadlines that were served lie ahead, and a host is reachable exactly while it has
// a usable link.
#include <algorithm>
#include <array>
#include <deque>
#include <optional>
#include <vector>

#include "engine/core/fabric.h"
#include "fuzz/input.h"
#include "fuzz/operations.h"

namespace ringknet::fuzz {
namespace {

using std::chrono::milliseconds;

constexpr HostId kSelf{1};
constexpr unsigned kHosts = 4;  // 1 is the fabric's own
constexpr unsigned kLinks = 3;
constexpr std::size_t kInFlightMax = 64;

HostId host_id(unsigned value) {
  return HostId(static_cast<std::uint16_t>(1 + value % kHosts));
}
LinkId link_id(unsigned value) {
  return LinkId(static_cast<std::uint8_t>(value % kLinks));
}
Address address_of(HostId host, LinkId link) {
  Address address;
  address.family = raw(link) == 2 ? Address::Family::kIpv6 : Address::Family::kIpv4;
  address.ip[0] = 10;
  address.ip[1] = raw(link);
  address.ip[3] = static_cast<std::uint8_t>(raw(host));
  address.port = 5405;
  return address;
}

class Harness {
 public:
  Harness(const std::uint8_t* data, std::size_t size)
      : input_(data, size), fabric_({.self = kSelf, .transmit_slabs = 8, .message_buffers = 40}) {
    const std::uint8_t dynamic = input_.u8();
    for (unsigned h = 1; h < 3; ++h) {
      (void)fabric_.host_add(host_id(h));
      for (unsigned l = 0; l < kLinks; ++l) {
        configure(host_id(h), link_id(l), (dynamic >> l & 1) != 0);
        (void)fabric_.link_set_enabled(now_, host_id(h), link_id(l), true);
      }
    }
    fabric_.set_mtu_interval(now_, milliseconds(2000));
  }

  void run() {
    while (!input_.empty()) {
      step();
      drain_events();
      check_hosts();
    }
    finish();
  }

 private:
  struct Sent {
    Transmit transmit;
    std::uint64_t sum = 0;
  };
  struct Heard {  // what the fabric last sent on a link, for answers
    PingStamp stamp{};
    std::array<std::byte, 2> probe{};
  };

  void configure(HostId host, LinkId link, bool dynamic) {
    LinkConfig config;
    config.local = address_of(kSelf, link);
    config.socket = SocketId(raw(link));
    config.dynamic = dynamic;
    if (!dynamic)
      config.remote = address_of(host, link);
    if (host == kSelf)
      config.transport = Transport::kLoopback;
    (void)fabric_.link_configure(now_, host, link, config);
  }

  void step() {
    switch (next_op<FabricOp>(input_)) {
      case FabricOp::kDatagram: {
        const HostId source = host_id(input_.u8());
        const std::size_t size = input_.u16();
        const ConstBytes bytes = input_.bytes(size);
        return receive(source, link_id(raw(source)), {bytes.begin(), bytes.end()});
      }
      case FabricOp::kPing:
        return ping();
      case FabricOp::kPong:
        return pong();
      case FabricOp::kData:
        return data();
      case FabricOp::kMtuReply:
      case FabricOp::kMtuProbe:
        return mtu();
      case FabricOp::kTime:
        return time();
      case FabricOp::kSend:
        return send();
      case FabricOp::kPoll:
        return poll(input_.u8());
      case FabricOp::kDone:
        return done();
      case FabricOp::kPathError: {
        const HostId host = host_id(input_.u8());
        const LinkId link = link_id(raw(host));
        PathError error{.socket = SocketId(raw(link)), .to = address_of(host, link)};
        error.status = TransmitResult::Status(input_.u8() % 7);
        error.mtu = input_.u16();
        return fabric_.on_path_error(now_, error);
      }
      case FabricOp::kHost: {
        const HostId host = host_id(input_.u8());
        (void)(input_.u8() % 2 == 0 ? fabric_.host_add(host) : fabric_.host_remove(host));
        return;
      }
      case FabricOp::kLink:
        return change_link();
      case FabricOp::kSettings:
        return change_settings();
      case FabricOp::kRelease:
        return release();
      case FabricOp::kAccess:
        return change_access();
      case FabricOp::kCount:
        return;
    }
  }

  // --- packets

  void receive(HostId source, LinkId link, std::vector<std::byte> bytes) {
    const std::uint64_t before = fabric_.drops().total();
    const auto delivery = fabric_.on_datagram(now_, SocketId(raw(link)), address_of(source, link),
                                              std::span<std::byte>(bytes));
    require(fabric_.drops().total() <= before + 1 + Reassembly::kSlots,
            "a datagram is dropped once, and a sender's partial messages with it");
    if (!delivery)
      return;
    require(!delivery->bytes.empty() && delivery->bytes.size() <= kMessageSizeMax, "message size");
    require(raw(delivery->channel) < kChannelCount, "channel");
    require(fabric_.host_exists(delivery->from), "a message is from a configured host");
    sum(delivery->bytes);  // touches every byte
    if (delivery->buffer != MessageBufferId::kNone)
      held_.push_back(delivery->buffer);
  }
  void ping() {
    const HostId source = host_id(input_.u8());
    const LinkId link = link_id(input_.u8());
    PingPacket packet{.type = PacketType::kPing, .sender = source, .link = link};
    packet.seq = MessageSeq{input_.u16()};
    const std::uint8_t flags = input_.u8();
    packet.timed = flags % 4 != 0;
    packet.stamp = stamp_of(now_ - milliseconds(flags / 4));
    std::vector<std::byte> bytes(kPingSize);
    encode(packet, bytes);
    receive(source, link, std::move(bytes));
  }
  void pong() {
    const HostId source = host_id(input_.u8());
    const LinkId link = link_id(input_.u8());
    PingPacket packet{.type = PacketType::kPong, .sender = source, .link = link};
    packet.stamp = heard(source, link).stamp;
    std::vector<std::byte> bytes(kPingSize);
    encode(packet, bytes);
    receive(source, link, std::move(bytes));
  }
  void data() {
    const HostId source = host_id(input_.u8());
    DataHeader header{.source = source, .seq = MessageSeq{input_.u16()}};
    header.fragment_count = input_.u8();
    header.fragment_index = input_.u8();
    header.channel = Channel{input_.u8()};
    header.compress = raw(header.channel) / 64;
    header.channel = Channel(raw(header.channel) % 64);
    std::vector<std::byte> bytes(kDataHeaderSize + input_.u16());
    encode(header, bytes);
    receive(source, link_id(header.seq.value), std::move(bytes));
  }
  void mtu() {
    const HostId source = host_id(input_.u8());
    const LinkId link = link_id(input_.u8());
    const std::size_t size = input_.u16() % 2000;
    MtuPacket packet{.type = size < kMtuHeaderSize ? PacketType::kMtuReply : PacketType::kMtuProbe,
                     .sender = source,
                     .link = link};
    packet.size = heard(source, link).probe;
    std::vector<std::byte> bytes(std::max(size, kMtuHeaderSize));
    encode(packet, bytes.size(), bytes);
    receive(source, link, std::move(bytes));
  }

  // --- the owner's part

  void time() {
    const std::uint8_t by = input_.u8();
    const Instant next = fabric_.next_deadline();
    if (by != 0) {
      now_ += milliseconds(by * 7);
    } else if (next != kNever) {
      now_ = std::max(now_, next);
    }
    fabric_.on_timeout(now_);
    require(fabric_.next_deadline() > now_, "served deadlines move on");
  }
  void send() {
    const unsigned to = input_.u8();
    const Channel channel{input_.u8()};
    const std::vector<std::byte> message(input_.u16() + std::size_t{to % 3});
    std::vector<HostId> hosts;
    for (unsigned i = 0; i < 16 * (to / 4); ++i)  // nobody says that each is named once
      hosts.push_back(host_id(i * to));
    const bool room = fabric_.can_send(message.size());
    const SendOutcome outcome = fabric_.send(
        now_, channel, message, to % 4 == 0 ? Destinations::all() : Destinations::to(hosts));
    require(outcome.error == Error::kInvalid || (outcome.error == Error::kNoBuffers) != room,
            "can_send() tells whether there are buffers");
  }
  void poll(std::uint8_t how_many) {
    for (unsigned i = 0; i <= how_many && in_flight_.size() < kInFlightMax; ++i) {
      Transmit out;
      if (!fabric_.poll_transmit(now_, out, how_many % 8 == 7))
        return;
      require(!out.bytes.empty() && out.segment_size > 0 && out.segment_size <= kIpPacketMax,
              "a run has segments");
      require(out.segments() <= kRunSegmentsMax, "a run is not too long");
      require(out.segments() == 1 || out.bytes.size() <= kRunBytesMax, "nor too large");
      require(out.to.known(), "a datagram has an address");
      remember(out);
      in_flight_.push_back({out, sum(out.bytes)});
    }
  }
  void remember(const Transmit& out) {
    const ParsedPacket packet = parse_packet(out.bytes.first(out.segment_size));
    require(!std::holds_alternative<Drop>(packet), "what is sent parses");
    const auto to = HostId(out.to.ip[3]);
    if (const auto* ping = std::get_if<PingPacket>(&packet); ping != nullptr) {
      if (ping->type == PacketType::kPing)
        heard(to, ping->link).stamp = ping->stamp;
    } else if (const auto* probe = std::get_if<MtuPacket>(&packet); probe != nullptr) {
      heard(to, probe->link).probe = probe->size;
    }
  }
  void done() {
    const unsigned which = input_.u8();
    const auto status = TransmitResult::Status(input_.u8() % 7);
    const std::uint16_t mtu = input_.u16();
    if (!in_flight_.empty())
      end_send(which % in_flight_.size(), {status, mtu, which});
  }
  void end_send(std::size_t position, const TransmitResult& result) {
    const Sent sent = in_flight_[position];
    in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(position));
    require(sum(sent.transmit.bytes) == sent.sum, "bytes stay as they are until the send ends");
    fabric_.on_transmit_done(now_, sent.transmit.id, result);
  }
  void release() {
    if (held_.empty())
      return;
    fabric_.release_message(held_.front());
    held_.pop_front();
  }

  // --- configuration

  void change_link() {
    const HostId host = host_id(input_.u8());
    const LinkId link = link_id(input_.u8());
    const std::uint8_t kind = input_.u8();
    switch (kind % 5) {
      case 0:
      case 1:
        return configure(host, link, kind % 5 == 1);
      case 2:
        (void)fabric_.link_clear(now_, host, link);
        return;
      default:
        (void)fabric_.link_set_enabled(now_, host, link, kind % 5 == 3);
        return;
    }
  }
  void change_settings() {
    const HostId host = host_id(input_.u8());
    const LinkId link = link_id(input_.u8());
    const std::uint8_t kind = input_.u8();
    const std::uint8_t value = input_.u8();
    switch (kind % 7) {
      case 0:
        (void)fabric_.host_set_policy(now_, host, Policy(value % 4));
        return;
      case 1:
        (void)fabric_.link_set_timers(now_, host, link,
                                      {milliseconds(value), milliseconds(value * 3), value});
        return;
      case 2:
        (void)fabric_.link_set_pong_count(host, link, value);
        return;
      case 3:
        (void)fabric_.link_set_priority(now_, host, link, value);
        return;
      case 4:
        (void)fabric_.set_manual_mtu(now_, value * 400u);
        return;
      case 5:
        return fabric_.set_mtu_interval(now_, milliseconds(10 + value * 20));
      default:
        return fabric_.clear_link_stats();
    }
  }
  void change_access() {
    const HostId host = host_id(input_.u8());
    const LinkId link = link_id(input_.u8());
    const std::uint8_t kind = input_.u8();
    const std::uint8_t value = input_.u8();
    AccessEntry entry{.type = AccessEntry::Type(kind / 4 % 3),
                      .action = AccessEntry::Action(kind / 16 % 2),
                      .first = address_of(host_id(value), link),
                      .second = address_of(host_id(value / 4), link)};
    switch (kind % 4) {
      case 0:
        return fabric_.set_access_lists(value % 2 != 0);
      case 1:
        (void)fabric_.access_insert(host, link, value % 4 - 1, entry);
        return;
      case 2:
        (void)fabric_.access_remove(host, link, entry);
        return;
      default:
        (void)fabric_.access_clear(host, link);
        return;
    }
  }

  // --- what must hold

  void drain_events() {
    Event event{};
    std::size_t count = 0;
    while (fabric_.poll_event(event))
      ++count;
    require(count <= 64, "an operation causes few events");
  }
  void check_hosts() {
    for (unsigned h = 0; h < kHosts; ++h) {
      const HostId host = host_id(h);
      const auto reachable = fabric_.host_reachable(host);
      if (!reachable)
        continue;
      bool usable = false;
      for (unsigned l = 0; l < kLinks; ++l) {
        const auto status = fabric_.link_status(host, link_id(l));
        if (!status)
          continue;
        const bool loopback = status->config.transport == Transport::kLoopback;
        usable |= loopback || (status->enabled && status->connected);
        require(status->mtu > 0 && status->mtu <= kIpPacketMax, "a link's MTU is a size");
      }
      require(*reachable == usable, "reachable exactly while a link is usable");
    }
    require(fabric_.data_mtu() > 0, "there is always an MTU");
  }
  // Everything that was begun can be ended.
  void finish() {
    for (int round = 0; round < 100000; ++round) {
      while (!in_flight_.empty())
        end_send(0, {});
      Transmit out;
      if (!fabric_.poll_transmit(now_, out))
        break;
      in_flight_.push_back({out, sum(out.bytes)});
      require(round < 99999, "sending comes to an end");
    }
    require(!fabric_.data_pending(), "no data is left");
    require(fabric_.can_send(), "all buffers are back");
    while (!held_.empty())
      release();
    drain_events();
  }

  Heard& heard(HostId host, LinkId link) { return heard_[raw(host) % 8][raw(link) % 8]; }
  static std::uint64_t sum(ConstBytes bytes) {
    std::uint64_t total = bytes.size();
    for (const std::byte byte : bytes)
      total = total * 31 + std::to_integer<std::uint64_t>(byte);
    return total;
  }

  Input input_;
  Fabric fabric_;
  Instant now_{std::chrono::seconds(1000)};
  std::array<std::array<Heard, 8>, 8> heard_{};
  std::vector<Sent> in_flight_;
  std::deque<MessageBufferId> held_;
};

}  // namespace
}  // namespace ringknet::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ringknet::fuzz::Harness(data, size).run();
  return 0;
}
