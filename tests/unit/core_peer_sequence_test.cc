// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reading a sender's progress from its data and PINGs: restarts are told from late packets, and a
// receiver that was not spoken to for long keeps up.
#include "engine/core/peer_sequence.h"

#include <doctest/doctest.h>

#include "tests/unit/bytes_kit.h"

namespace ringknet::test {
namespace {

using namespace std::chrono_literals;
using Meaning = PeerSequence::PingMeaning;

constexpr PeerSequence::PingTrust kTrust{.slack = 14ms, .quiet = 500ms};

// Whether the message is taken: it is new, and its number is believed.
bool take(PeerSequence& sequence, Instant now, unsigned value) {
  const auto place = sequence.place(now, seq(value), PacketAge::kUnknown);
  if (place.kind != PeerSequence::Place::Kind::kNew)
    return false;
  sequence.on_data(now, place);
  sequence.done(place.position);
  return true;
}
bool seen(const PeerSequence& sequence, unsigned value) {
  return sequence.place(Instant{9999s}, seq(value), PacketAge::kUnknown).kind ==
         PeerSequence::Place::Kind::kSeen;
}

// A receiver, and PINGs from a sender whose clock reads differently.
struct Receiver {
  PeerSequence sequence;
  Instant now{1000s};
  Duration clock_offset = -400s;  // the sender's clock minus ours

  // A timed PING that took `delay` to get here.
  Meaning ping(unsigned value, Duration delay = 1ms, bool timed = true) {
    PingPacket packet{.sender = HostId{2}, .seq = seq(value), .timed = timed};
    packet.stamp = stamp_of(now + clock_offset - delay);
    return sequence.on_ping(now, packet, kTrust);
  }
  bool data(unsigned value) { return take(sequence, now, value); }
};

}  // namespace

TEST_CASE("peer sequence: data is new once") {
  Receiver receiver;
  CHECK(receiver.data(1));
  CHECK_FALSE(receiver.data(1));
  CHECK(receiver.data(3));
  CHECK(receiver.data(2));
  CHECK_FALSE(receiver.data(2));
}

TEST_CASE("peer sequence: a sender that restarts before sending anything is recognised") {
  Receiver receiver;
  CHECK(receiver.ping(0) == Meaning::kNothing);
  for (unsigned value = 1; value <= 100; ++value)
    CHECK(receiver.data(value));
  receiver.now += 100ms;
  CHECK(receiver.ping(100) == Meaning::kNothing);
  receiver.now += 100ms;
  CHECK(receiver.ping(0) == Meaning::kRestarted);
  CHECK(receiver.data(1));
  CHECK(receiver.data(2));
}

TEST_CASE("peer sequence: a restart counts once") {
  Receiver receiver;
  receiver.data(7);
  receiver.ping(7);
  receiver.now += 100ms;
  CHECK(receiver.ping(0) == Meaning::kRestarted);
  receiver.now += 100ms;
  CHECK(receiver.ping(0) == Meaning::kNothing);
}

// The sender sent its first message right after a PING that says "nothing sent", and the network
// put the message in front.
TEST_CASE("peer sequence: a late PING overtaken by the first data is no restart") {
  Receiver receiver;
  CHECK(receiver.ping(0) == Meaning::kNothing);
  receiver.now += 100ms;
  CHECK(receiver.data(1));
  receiver.now += 1ms;
  CHECK(receiver.ping(0, 3ms) == Meaning::kNothing);  // sent before the data
  CHECK_FALSE(receiver.data(1));
}

TEST_CASE("peer sequence: a very late PING that newer ones overtook says nothing") {
  Receiver receiver;
  receiver.data(5);
  CHECK(receiver.ping(5) == Meaning::kNothing);
  receiver.now += 10ms;
  CHECK(receiver.ping(0, 300ms) == Meaning::kNothing);
  CHECK_FALSE(receiver.data(5));
}

TEST_CASE("peer sequence: nothing sent at two PINGs with data between them is a restart") {
  Receiver receiver;
  CHECK(receiver.ping(0) == Meaning::kNothing);
  receiver.now += 10ms;
  CHECK(receiver.data(1));
  receiver.now += 90ms;
  CHECK(receiver.ping(0) == Meaning::kRestarted);
  CHECK(receiver.data(1));
}

// A machine that boots counts its clock from zero.
TEST_CASE("peer sequence: a restart with a clock that went far back is recognised") {
  Receiver receiver;
  receiver.data(9);
  receiver.ping(9);
  receiver.now += 30s;
  receiver.clock_offset = -1020s;
  CHECK(receiver.ping(0) == Meaning::kRestarted);
  CHECK(receiver.data(1));
}

TEST_CASE("peer sequence: nothing was had so nothing restarted") {
  Receiver receiver;
  CHECK(receiver.ping(0) == Meaning::kNothing);
  receiver.now += 1s;
  CHECK(receiver.ping(0) == Meaning::kNothing);
  CHECK(receiver.data(1));
}

TEST_CASE("peer sequence: PINGs move the window along while others get the messages") {
  Receiver receiver;
  CHECK(receiver.data(1));
  // 65536 messages later the same numbers come again.
  for (unsigned sent = 1; sent < 70000; sent += 5000) {
    receiver.now += 100ms;
    receiver.ping(sent % 65536);
  }
  CHECK(receiver.data(1));
  CHECK(receiver.data(70000 % 65536));
}

TEST_CASE("peer sequence: forced PINGs move the window along between timed ones") {
  Receiver receiver;
  CHECK(receiver.data(1));
  for (unsigned forced = 8191; forced <= 65528; forced += 8191) {
    receiver.now += 1ms;
    CHECK(receiver.ping(forced, 1ms, false) == Meaning::kNothing);
  }
  CHECK(receiver.data(1));
}

// One that a forced PING overtook is behind, but not because we lost track: what was had is not
// forgotten.
TEST_CASE("peer sequence: a timed PING that a forced one overtook forgets no messages") {
  Receiver receiver;
  CHECK(receiver.ping(65522) == Meaning::kNothing);
  receiver.now += 20ms;
  CHECK(receiver.data(65523));
  for (int i = 0; i < 30; ++i) {
    receiver.now += 100ms;
    CHECK(receiver.ping(65527) == Meaning::kNothing);
  }
  receiver.now += 100ms;
  CHECK(receiver.ping(65528, 1ms, false) == Meaning::kNothing);
  receiver.now += 1ms;
  CHECK(receiver.ping(65527, 5ms) == Meaning::kNothing);
  CHECK(receiver.sequence.newest() == seq(65528));
  CHECK_FALSE(receiver.data(65523));
}

TEST_CASE("peer sequence: a forced PING with sequence 0 is ignored") {
  Receiver receiver;
  receiver.data(77);
  CHECK(receiver.ping(0, 1ms, false) == Meaning::kNothing);
  CHECK_FALSE(receiver.data(77));
}

TEST_CASE("peer sequence: a PING announces progress but delivers nothing") {
  Receiver receiver;
  receiver.data(10);
  receiver.now += 100ms;
  receiver.ping(12);
  CHECK(receiver.data(12));
  CHECK(receiver.data(11));
}

// It restarted and sent a few messages before we heard a PING: they look like old ones. Once it is
// quiet, its word counts, although it had said nothing that it contradicts now.
TEST_CASE("peer sequence: a sender behind our window is believed after a silence") {
  Receiver receiver;
  receiver.ping(0);
  receiver.data(5000);
  receiver.now += 100ms;
  CHECK(receiver.ping(3) == Meaning::kNothing);
  CHECK_FALSE(receiver.data(5000));
  receiver.now += 600ms;
  receiver.ping(3);
  CHECK(receiver.data(4));
  CHECK(receiver.data(5000));
}

TEST_CASE("peer sequence: after the loss of the host anything is adopted") {
  Receiver receiver;
  receiver.data(500);
  receiver.sequence.reset();
  CHECK(receiver.data(500));
  receiver.sequence.reset();
  CHECK(receiver.data(1));
}

// Another kind of node fills the stamp in its own way.
TEST_CASE("peer sequence: unreadable clocks leave the order of arrival") {
  PeerSequence sequence;
  Instant now{1000s};
  PingPacket ping{.sender = HostId{2}, .seq = seq(4)};
  ping.stamp.fill(std::byte{0xff});
  CHECK(take(sequence, now, 4));
  CHECK(sequence.on_ping(now, ping, kTrust) == Meaning::kNothing);
  now += 100ms;
  ping.seq = {};
  CHECK(sequence.on_ping(now, ping, kTrust) == Meaning::kRestarted);
  CHECK_FALSE(seen(sequence, 4));
}

// All other PINGs were held back, too, and the data came another way.
TEST_CASE("peer sequence: a PING that was held back for long forgets no messages") {
  Receiver receiver;
  CHECK(receiver.ping(0) == Meaning::kNothing);
  CHECK(receiver.data(1));
  receiver.now += 2000ms;
  CHECK(receiver.data(2));
  receiver.now += 1000ms;
  CHECK(receiver.ping(1, 1010ms) == Meaning::kNothing);  // sent just before that data
  CHECK_FALSE(receiver.data(1));
  CHECK_FALSE(receiver.data(2));
}

TEST_CASE("peer sequence: without clocks, a PING that was overtaken is no restart") {
  PeerSequence sequence;
  Instant now{1000s};
  PingPacket ping{.sender = HostId{2}};
  ping.stamp.fill(std::byte{0xff});
  CHECK(sequence.on_ping(now, ping, kTrust) == Meaning::kNothing);
  now += 100ms;
  CHECK(take(sequence, now, 1));
  SUBCASE("by data") {
    now += 10ms;
  }
  SUBCASE("by a PING, too") {
    now += 100ms;
    ping.seq = seq(1);
    CHECK(sequence.on_ping(now, ping, kTrust) == Meaning::kNothing);
    now += 10ms;
  }
  ping.seq = {};
  CHECK(sequence.on_ping(now, ping, kTrust) == Meaning::kNothing);
  CHECK(seen(sequence, 1));
  // Said again when nothing can be under way any more, it is true.
  now += 100ms;
  CHECK(sequence.on_ping(now, ping, kTrust) == Meaning::kRestarted);
}

TEST_CASE("peer sequence: without clocks, a PING that is behind is believed the third time") {
  PeerSequence sequence;
  Instant now{1000s};
  PingPacket ping{.sender = HostId{2}, .seq = seq(10)};
  ping.stamp.fill(std::byte{0xff});
  CHECK(take(sequence, now, 10));
  CHECK(sequence.on_ping(now, ping, kTrust) == Meaning::kNothing);
  ping.seq = seq(9);
  now += 1000ms;  // we did not run, and the PING waited
  CHECK(sequence.on_ping(now, ping, kTrust) == Meaning::kNothing);
  CHECK(sequence.on_ping(now, ping, kTrust) == Meaning::kNothing);
  CHECK(seen(sequence, 10));
  now += 100ms;  // so did another one, of another link
  CHECK(sequence.on_ping(now, ping, kTrust) == Meaning::kNothing);
  CHECK(seen(sequence, 10));
  now += 100ms;
  CHECK(sequence.on_ping(now, ping, kTrust) == Meaning::kNothing);
  CHECK_FALSE(seen(sequence, 10));
}

// Challenges take the place of clocks while keys change, and go again.
TEST_CASE("peer sequence: clocks that come and go are not compared with ours") {
  Receiver receiver;
  CHECK(receiver.ping(0) == Meaning::kNothing);
  CHECK(receiver.data(1));
  receiver.now += 100ms;
  PingPacket token{.sender = HostId{2}, .seq = seq(1)};
  token.stamp.fill(std::byte{0xff});
  CHECK(receiver.sequence.on_ping(receiver.now, token, kTrust) == Meaning::kNothing);
  receiver.now += 5ms;
  CHECK(receiver.ping(0, 105ms) == Meaning::kNothing);  // sent before the data
  CHECK_FALSE(receiver.data(1));
}

// What has fallen half the sequence space behind has its number used again: giving such an old
// partial message up must not touch the message that has the number now.
TEST_CASE("peer sequence: giving up a very old message does not move the window") {
  Receiver receiver;
  receiver.data(100);
  const MessagePosition first = receiver.sequence.head();
  for (unsigned value = 8191; value <= 40955; value += 8191)
    receiver.ping(value, 1ms, false);
  receiver.sequence.done(first);
  CHECK(receiver.data(40955));
  receiver.now += 200ms;
  CHECK(receiver.data(100));
}

namespace {

// A sender that sends: the receiver has all up to `value`.
Receiver at_work(unsigned value) {
  Receiver receiver;
  receiver.ping(value - 10);
  for (unsigned at = value - 9; at <= value; ++at) {
    receiver.now += 1ms;
    CHECK(receiver.data(at));
  }
  return receiver;
}

}  // namespace

TEST_CASE("peer sequence: a number far ahead of a sender that was just heard is not believed") {
  for (const unsigned by : {16385u, 32767u, 32768u}) {
    CAPTURE(by);
    Receiver receiver = at_work(1000);
    receiver.now += 50ms;
    CHECK_FALSE(receiver.data(1000 + by));
    CHECK(receiver.data(1001));
    CHECK(receiver.data(1001 + 16384));  // as far as that it may be
  }
}

TEST_CASE("peer sequence: what is in doubt is taken once and moves nothing") {
  Receiver receiver = at_work(1000);
  receiver.now += 200ms;
  CHECK(receiver.data(21000));
  CHECK_FALSE(receiver.data(21000));
  CHECK(receiver.data(20999));
  CHECK_FALSE(receiver.data(20999));
  CHECK(receiver.sequence.newest() == seq(1000));
  // The sender is where it was.
  CHECK(receiver.data(1001));
  CHECK_FALSE(receiver.data(21001));
  // Nor is a copy taken later, when it has been silent for a while.
  receiver.now += 200ms;
  CHECK_FALSE(receiver.data(21000));
  for (unsigned value = 1002; value < 60000; ++value)
    REQUIRE(receiver.data(value));
}

TEST_CASE("peer sequence: a jump is believed when another number confirms it a while later") {
  Receiver receiver = at_work(1000);
  receiver.now += 200ms;
  CHECK(receiver.data(21000));
  receiver.now += 50ms;
  CHECK(receiver.data(21001));
  CHECK(receiver.sequence.newest() == seq(1000));
  receiver.now += 400ms;
  CHECK(receiver.data(21002));
  CHECK(receiver.sequence.newest() == seq(1000));
  receiver.now += 60ms;
  CHECK(receiver.data(21004));
  CHECK(receiver.sequence.newest() == seq(21004));
  // Nothing twice, nothing lost, before and after.
  for (const unsigned value : {1000u, 999u, 21000u, 21001u, 21002u, 21004u})
    CHECK_FALSE(receiver.data(value));
  CHECK(receiver.data(21003));
  CHECK(receiver.data(1001));
}

// They left before the last data, and waited for a process that did not run.
TEST_CASE("peer sequence: PINGs that waited do not make their sender one that fell behind") {
  Receiver receiver = at_work(1000);
  receiver.now += 1400ms;
  receiver.ping(998, 1404ms);
  receiver.ping(999, 1402ms);
  CHECK(receiver.sequence.newest() == seq(1000));
  CHECK_FALSE(receiver.data(1000));
  // One that left long after the last data is believed, also when all PINGs take longer by now.
  receiver.now += 600ms;
  receiver.ping(500, 20ms);
  CHECK(receiver.sequence.newest() == seq(500));
}

// Its first PINGs were lost, and it had sent messages to others before the next one.
TEST_CASE("peer sequence: a sender that says less than before began anew") {
  Receiver receiver = at_work(1000);
  receiver.now += 20ms;
  receiver.ping(1000);
  receiver.now += 80ms;
  SUBCASE("its word counts at once") {
    receiver.ping(3);
    CHECK(receiver.sequence.newest() == seq(3));
    CHECK(receiver.data(4));
    CHECK(receiver.data(2));
  }
  SUBCASE("unless it is about to be overtaken by what it said before") {
    receiver.now -= 80ms;
    receiver.ping(3);
    CHECK(receiver.sequence.newest() == seq(1000));
  }
  SUBCASE("unless data says more that may have left behind it") {
    CHECK(receiver.data(1001));
    receiver.now += 10ms;
    receiver.ping(3);
    CHECK(receiver.sequence.newest() == seq(1001));
  }
}

TEST_CASE("peer sequence: clocks are compared anew") {
  Receiver receiver = at_work(1000);
  SUBCASE("the sender's stood still for a while, so that ours is further ahead from then on") {
    receiver.now += 100s;
    receiver.clock_offset -= 100s;
    for (int i = 0; i < 210; ++i) {
      receiver.now += 100ms;
      receiver.ping(1000);
    }
  }
  SUBCASE("the sender's machine booted") {
    receiver.clock_offset = 10s - receiver.now.time_since_epoch();
    CHECK(receiver.ping(0) == Meaning::kRestarted);
    CHECK(receiver.data(1000));
    receiver.now += 100ms;
    receiver.ping(1000);
  }
  CHECK(receiver.data(1001));
  receiver.now += 600ms;
  receiver.ping(500);
  CHECK(receiver.sequence.newest() == seq(500));
}

// Two messages that are late by more than half of the numbers, one near the other.
TEST_CASE("peer sequence: a jump that data alone tells of waits for the next PING") {
  Receiver receiver = at_work(40000);
  receiver.now += 200ms;
  CHECK(receiver.data(5000));
  receiver.now += 200ms;
  CHECK(receiver.data(5800));
  CHECK(receiver.data(39000 - 24000));  // late as well, but not by half
  CHECK(receiver.sequence.newest() == seq(40000));
  receiver.ping(40000);
  CHECK_FALSE(receiver.data(5801));
  CHECK(receiver.data(40001));
  CHECK(receiver.sequence.newest() == seq(40001));
}

TEST_CASE("peer sequence: PINGs with a clock confirm each other at once") {
  Receiver receiver = at_work(1000);
  CHECK(receiver.ping(1000 + 24573, 1ms, false) == Meaning::kNothing);
  CHECK(receiver.sequence.newest() == seq(1000));
  receiver.now += 5ms;
  SUBCASE("a PING") {
    receiver.ping(1000 + 32764, 1ms, false);
    CHECK(receiver.sequence.newest() == seq(33764));
  }
  SUBCASE("data") {
    CHECK(receiver.data(1000 + 24574));
    CHECK(receiver.sequence.newest() == seq(25574));
  }
  SUBCASE("the same one over another link is nothing new") {
    receiver.ping(1000 + 24573, 6ms, false);
    CHECK(receiver.sequence.newest() == seq(1000));
    CHECK(receiver.data(1001));
    receiver.ping(1000 + 24573, 6ms, false);
    CHECK(receiver.sequence.newest() == seq(1001));
  }
}

TEST_CASE("peer sequence: a forced PING that a timed one overtook says nothing") {
  Receiver receiver = at_work(1000);
  receiver.now += 100ms;
  receiver.ping(1000);
  receiver.now += 400ms;
  receiver.ping(8191, 450ms, false);
  CHECK(receiver.sequence.newest() == seq(1000));
  receiver.ping(8191, 1ms, false);
  CHECK(receiver.sequence.newest() == seq(8191));
}

TEST_CASE("peer sequence: nobody but the key's owner jumps with one PING") {
  for (const bool authentic : {false, true}) {
    CAPTURE(authentic);
    Receiver receiver = at_work(1000);
    receiver.now += 100ms;
    PingPacket packet{.sender = HostId{2}, .seq = seq(31000), .timed = true};
    packet.stamp = stamp_of(receiver.now + receiver.clock_offset);
    PeerSequence::PingTrust trust = kTrust;
    trust.authentic = authentic;
    receiver.sequence.on_ping(receiver.now, packet, trust);
    CHECK(receiver.sequence.newest() == seq(authentic ? 31000 : 1000));
  }
}

// After a pause they are all handled at one instant, and their counters tell their order.
TEST_CASE("peer sequence: two PINGs without a clock that come at once are both believed") {
  Receiver receiver = at_work(1000);
  receiver.now += 100ms;
  PingPacket packet{.sender = HostId{2}, .seq = seq(1003), .timed = true};
  packet.stamp.fill(std::byte{0xff});
  PeerSequence::PingTrust trust = kTrust;
  trust.newest = true;
  receiver.sequence.on_ping(receiver.now, packet, trust);
  packet.seq = seq(1005);
  receiver.sequence.on_ping(receiver.now, packet, trust);
  CHECK(receiver.sequence.newest() == seq(1005));
}

// What the envelope's counter says is certain.
TEST_CASE("peer sequence: a counter tells what is late from what is far ahead") {
  using Kind = PeerSequence::Place::Kind;
  Receiver receiver = at_work(1000);
  const auto place = [&](unsigned value, PacketAge age) {
    return receiver.sequence.place(receiver.now, seq(value), age);
  };
  CHECK(place(1001, PacketAge::kLate).kind == Kind::kStale);
  CHECK(place(900, PacketAge::kLate).kind == Kind::kNew);
  CHECK(place(1000, PacketAge::kLate).kind == Kind::kSeen);
  CHECK(place(31000, PacketAge::kNewest).kind == Kind::kNew);
  CHECK(place(31000, PacketAge::kNewest).certain);
  CHECK(place(31000, PacketAge::kUnknown).kind == Kind::kStale);
}

}  // namespace ringknet::test
