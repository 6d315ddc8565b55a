// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The ledger catches what it is there to catch: an oracle that never fails proves nothing.
#include "tests/sim/ledger.h"

#include <doctest/doctest.h>

#include "tests/sim/failure.h"

namespace ringknet::sim {
namespace {

// Two nodes, one link without jitter; node 0 sends to node 1.
struct Trial {
  Scenario scenario;
  Ledger ledger{scenario};
  Datagram datagram;
  std::vector<std::byte> content;
  std::uint16_t next_seq = 1;

  Trial() {
    datagram.incarnation = 1;
    ledger.began(0, 1, 0);
  }

  void send(std::uint32_t size, bool required = false) {
    const Ledger::Draft draft{.size = size,
                              .channel = Channel{3},
                              .receivers = 0b10,
                              .required = required ? std::uint8_t{0b10} : std::uint8_t{0}};
    ledger.write_next(draft, content);
    ledger.sent(0, 1, MessageSeq{next_seq}, draft, Instant{});
    datagram.message = ledger.find(0, 1, MessageSeq{next_seq});
    ++next_seq;
  }
  Delivery delivery() const {
    return {.from = host_of(0), .channel = Channel{3}, .bytes = content};
  }
  void deliver(const Delivery& what, std::size_t node = 1, std::uint32_t incarnation = 1) {
    ledger.delivered(node, incarnation, what, datagram);
  }
};

}  // namespace

TEST_CASE("ledger: an honest delivery passes") {
  Trial trial;
  trial.send(1000, true);
  CHECK_THROWS_AS(trial.ledger.require_all_arrived(), Failure);
  CHECK_FALSE(trial.ledger.all_required_arrived());
  trial.deliver(trial.delivery());
  trial.ledger.require_all_arrived();
  CHECK(trial.ledger.all_required_arrived());
  CHECK(trial.ledger.deliveries() == 1);
}

TEST_CASE("ledger: a second delivery is caught") {
  Trial trial;
  trial.send(1);
  trial.deliver(trial.delivery());
  CHECK_THROWS_AS(trial.deliver(trial.delivery()), Failure);
}

TEST_CASE("ledger: a second delivery is excused after the sender was forgotten") {
  Trial trial;
  trial.send(1);
  trial.deliver(trial.delivery());
  trial.ledger.forgotten(1, 0);
  trial.deliver(trial.delivery());
  CHECK(trial.ledger.excused() == 1);
}

TEST_CASE("ledger: a new process may have the message again") {
  Trial trial;
  trial.send(1);
  trial.deliver(trial.delivery());
  trial.deliver(trial.delivery(), 1, 2);
  CHECK(trial.ledger.excused() == 0);
}

TEST_CASE("ledger: altered content is caught") {
  Trial trial;
  trial.send(2000);
  SUBCASE("one bit") {
    trial.content[1999] ^= std::byte{1};
  }
  SUBCASE("too short") {
    trial.content.pop_back();
  }
  SUBCASE("too long") {
    trial.content.push_back(std::byte{});
  }
  CHECK_THROWS_AS(trial.deliver(trial.delivery()), Failure);
}

TEST_CASE("ledger: a wrong channel, sender or receiver is caught") {
  Trial trial;
  trial.send(10);
  Delivery wrong = trial.delivery();
  SUBCASE("channel") {
    wrong.channel = Channel{4};
    CHECK_THROWS_AS(trial.deliver(wrong), Failure);
  }
  SUBCASE("sender") {
    wrong.from = host_of(1);
    CHECK_THROWS_AS(trial.deliver(wrong), Failure);
  }
  SUBCASE("receiver") {
    CHECK_THROWS_AS(trial.deliver(wrong, 0), Failure);
  }
}

TEST_CASE("ledger: a message that overtakes another on an orderly path is caught") {
  Trial trial;
  trial.send(10);
  const std::uint32_t first = trial.datagram.message;
  const std::vector<std::byte> first_content = trial.content;
  trial.send(10);
  trial.deliver(trial.delivery());
  trial.datagram.message = first;
  trial.content = first_content;
  CHECK_THROWS_AS(trial.deliver(trial.delivery()), Failure);
}

TEST_CASE("ledger: two links may overtake each other, one may not") {
  Trial trial;
  trial.send(10);
  const std::uint32_t first = trial.datagram.message;
  const std::vector<std::byte> first_content = trial.content;
  trial.send(10);
  trial.deliver(trial.delivery());
  trial.datagram.message = first;
  trial.datagram.link = 1;
  trial.content = first_content;
  trial.deliver(trial.delivery());
  CHECK(trial.ledger.deliveries() == 2);
}

TEST_CASE("ledger: only a process that was back at once may be mistaken for its predecessor") {
  Trial trial;
  trial.ledger.began(0, 2, 0xff);
  trial.datagram.incarnation = 2;
  const Ledger::Draft draft{.size = 5, .receivers = 0b10};
  trial.ledger.sent(0, 2, MessageSeq{9}, draft, Instant{});
  trial.datagram.message = trial.ledger.find(0, 2, MessageSeq{9});
  trial.ledger.refused_as_seen(1, 1, trial.datagram);
  CHECK(trial.ledger.mistaken() == 1);
  trial.ledger.forgotten(1, 0);
  CHECK_THROWS_AS(trial.ledger.refused_as_seen(1, 1, trial.datagram), Failure);
}

TEST_CASE("ledger: only a message that is late by half of the numbers is refused as stale") {
  Trial trial;
  trial.send(10);
  const Datagram late = trial.datagram;
  for (int i = 0; i < 32767; ++i)
    trial.send(10);
  CHECK_THROWS_AS(trial.ledger.refused_as_stale(1, late), Failure);
  trial.send(10);
  trial.ledger.refused_as_stale(1, late);
  trial.ledger.began(0, 2, 0);
  trial.ledger.refused_as_stale(1, trial.datagram);
  CHECK(trial.ledger.mistaken() == 0);
}

TEST_CASE("ledger: a fresh message refused as a duplicate is caught") {
  Trial trial;
  trial.send(10);
  CHECK_THROWS_AS(trial.ledger.refused_as_seen(1, 1, trial.datagram), Failure);
  trial.deliver(trial.delivery());
  trial.ledger.refused_as_seen(1, 1, trial.datagram);
  CHECK_THROWS_AS(trial.ledger.refused_as_seen(1, 2, trial.datagram), Failure);
}

}  // namespace ringknet::sim
