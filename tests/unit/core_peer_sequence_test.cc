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

// A receiver, and PINGs from a sender whose clock reads differently.
struct Receiver {
  PeerSequence sequence;
  Instant now{1000s};
  Duration clock_offset = -400s;  // the sender's clock minus ours

  // A timed PING that took `delay` to get here.
  Meaning ping(unsigned value, Duration delay = 1ms, bool timed = true) {
    PingPacket packet{.sender = HostId{2}, .seq = seq(value), .timed = timed};
    packet.stamp = stamp_of(now + clock_offset - delay);
    return sequence.on_ping(now, packet, 14ms, 500ms);
  }
  bool data(unsigned value) {
    if (sequence.seen(seq(value)))
      return false;
    sequence.on_data(now, seq(value));
    sequence.done(seq(value));
    return true;
  }
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
// quiet, its word counts.
TEST_CASE("peer sequence: a sender behind our window is believed after a silence") {
  Receiver receiver;
  receiver.data(5000);
  receiver.ping(5000);
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
  sequence.on_data(now, seq(4));
  sequence.done(seq(4));
  CHECK(sequence.on_ping(now, ping, 14ms, 500ms) == Meaning::kNothing);
  now += 100ms;
  ping.seq = {};
  CHECK(sequence.on_ping(now, ping, 14ms, 500ms) == Meaning::kRestarted);
  CHECK_FALSE(sequence.seen(seq(4)));
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
  CHECK(sequence.on_ping(now, ping, 14ms, 500ms) == Meaning::kNothing);
  now += 100ms;
  sequence.on_data(now, seq(1));
  sequence.done(seq(1));
  SUBCASE("by data") {
    now += 10ms;
  }
  SUBCASE("by a PING, too") {
    now += 100ms;
    ping.seq = seq(1);
    CHECK(sequence.on_ping(now, ping, 14ms, 500ms) == Meaning::kNothing);
    now += 10ms;
  }
  ping.seq = {};
  CHECK(sequence.on_ping(now, ping, 14ms, 500ms) == Meaning::kNothing);
  CHECK(sequence.seen(seq(1)));
  // Said again when nothing can be under way any more, it is true.
  now += 100ms;
  CHECK(sequence.on_ping(now, ping, 14ms, 500ms) == Meaning::kRestarted);
}

TEST_CASE("peer sequence: without clocks, a PING that is behind is believed the third time") {
  PeerSequence sequence;
  Instant now{1000s};
  PingPacket ping{.sender = HostId{2}, .seq = seq(10)};
  ping.stamp.fill(std::byte{0xff});
  sequence.on_data(now, seq(10));
  sequence.done(seq(10));
  CHECK(sequence.on_ping(now, ping, 14ms, 500ms) == Meaning::kNothing);
  ping.seq = seq(9);
  now += 1000ms;  // we did not run, and the PING waited
  CHECK(sequence.on_ping(now, ping, 14ms, 500ms) == Meaning::kNothing);
  CHECK(sequence.on_ping(now, ping, 14ms, 500ms) == Meaning::kNothing);
  CHECK(sequence.seen(seq(10)));
  now += 100ms;  // so did another one, of another link
  CHECK(sequence.on_ping(now, ping, 14ms, 500ms) == Meaning::kNothing);
  CHECK(sequence.seen(seq(10)));
  now += 100ms;
  CHECK(sequence.on_ping(now, ping, 14ms, 500ms) == Meaning::kNothing);
  CHECK_FALSE(sequence.seen(seq(10)));
}

// Challenges take the place of clocks while keys change, and go again.
TEST_CASE("peer sequence: clocks that come and go are not compared with ours") {
  Receiver receiver;
  CHECK(receiver.ping(0) == Meaning::kNothing);
  CHECK(receiver.data(1));
  receiver.now += 100ms;
  PingPacket token{.sender = HostId{2}, .seq = seq(1)};
  token.stamp.fill(std::byte{0xff});
  CHECK(receiver.sequence.on_ping(receiver.now, token, 14ms, 500ms) == Meaning::kNothing);
  receiver.now += 5ms;
  CHECK(receiver.ping(0, 105ms) == Meaning::kNothing);  // sent before the data
  CHECK_FALSE(receiver.data(1));
}

// What has fallen half the sequence space behind has its number used again: giving such an old
// partial message up must not touch the message that has the number now.
TEST_CASE("peer sequence: giving up a very old message does not move the window") {
  Receiver receiver;
  receiver.data(100);
  for (unsigned value = 8191; value <= 40955; value += 8191)
    receiver.ping(value, 1ms, false);
  receiver.sequence.done(seq(100));
  CHECK(receiver.data(40955));
  CHECK(receiver.data(100));
}

}  // namespace ringknet::test
