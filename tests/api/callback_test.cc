// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Any call from inside any callback: it works, at once, and nothing hangs. The classic library
// fails or hangs in most of these, so all of this is for ours.
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/api/support.h"

using knet_test::Event;
using knet_test::Node;
using knet_test::on_peer;
using knet_test::Pair;

namespace {

// Makes every kind of call on a handle and counts those that fail.
int use_everything(Node& node, knet_node_id_t peer) {
  int failures = 0;
  const auto expect = [&](bool good) { failures += good ? 0 : 1; };
  unsigned int number = 0;
  uint8_t byte = 0;
  uint32_t wide = 0;
  size_t count = 0;
  knet_node_id_t id = 0;
  int datafd = 0;
  int8_t channel = -1;
  std::vector<knet_node_id_t> ids(KNET_MAX_HOST);
  std::array<uint8_t, KNET_MAX_LINK> links{};
  std::array<char, KNET_MAX_HOST_LEN> text{};
  knet_handle_stats stats{};
  knet_host_status host{};
  knet_link_status link{};
  sockaddr_storage here{};
  expect(knet_strtoaddr("127.0.0.1", "0", &here, sizeof(here)) == 0);

  expect(knet_handle_pmtud_getfreq(node, &number) == 0);
  expect(knet_handle_pmtud_setfreq(node, number) == 0);
  expect(knet_handle_pmtud_get(node, &number) == 0);
  expect(knet_handle_get_stats(node, &stats, sizeof(stats)) == 0);
  expect(knet_handle_clear_stats(node, KNET_CLEARSTATS_HANDLE_ONLY) == 0);
  expect(knet_handle_get_transport_reconnect_interval(node, &wide) == 0);
  expect(knet_log_set_loglevel(node, KNET_SUB_RX, KNET_LOG_DEBUG) == 0);
  expect(knet_host_get_host_list(node, ids.data(), &count) == 0);
  expect(knet_host_get_name_by_host_id(node, peer, text.data()) == 0);
  expect(knet_host_get_id_by_host_name(node, text.data(), &id) == 0);
  expect(knet_host_get_status(node, peer, &host) == 0);
  expect(knet_host_get_policy(node, peer, &byte) == 0);
  expect(knet_host_set_policy(node, peer, byte) == 0);
  expect(knet_link_get_link_list(node, peer, links.data(), &count) == 0);
  expect(knet_link_get_status(node, peer, 0, &link, sizeof(link)) == 0);
  expect(knet_link_get_priority(node, peer, 0, &byte) == 0);
  expect(knet_link_set_priority(node, peer, 0, byte) == 0);

  expect(knet_host_add(node, 4000) == 0);
  expect(knet_link_set_config(node, 4000, 0, KNET_TRANSPORT_UDP, &here, nullptr, 0) == 0);
  expect(knet_link_set_enable(node, 4000, 0, 1) == 0);
  expect(knet_link_set_enable(node, 4000, 0, 0) == 0);
  expect(knet_link_clear_config(node, 4000, 0) == 0);
  expect(knet_host_remove(node, 4000) == 0);

  expect(knet_handle_add_datafd(node, &datafd, &channel) == 0);
  expect(knet_send(node, "x", 1, channel) == 1);
  expect(knet_handle_remove_datafd(node, datafd) == 0);
  errno = 0;
  expect(knet_handle_free(node) == -1 && (errno == EDEADLK));
  return failures;
}

struct Outcome {
  std::atomic<int> calls = 0;
  std::atomic<int> failures = 0;

  void add(int failed) {
    failures += failed;
    ++calls;
  }
  bool wait() const {
    return knet_test::eventually([this] { return calls > 0; });
  }
};

}  // namespace

TEST_CASE("every call works inside the host status callback") {
  if (on_peer()) {
    return;
  }
  Pair pair;
  Outcome outcome;
  pair.one.on_callback([&](const Event& event) {
    if (event.kind == Event::Kind::kHost) {
      outcome.add(use_everything(pair.one, 2));
    }
  });
  CHECK_OK(knet_link_set_enable(pair.one, 2, 0, 0));
  CHECK_OK(knet_link_set_enable(pair.one, 2, 0, 1));
  REQUIRE(knet_test::eventually([&] { return outcome.calls >= 2; }));
  CHECK(outcome.failures == 0);
  pair.one.on_callback({});
}

TEST_CASE("every call works inside the MTU callback") {
  if (on_peer()) {
    return;
  }
  Pair pair;
  Outcome outcome;
  pair.one.on_callback([&](const Event& event) {
    if (event.kind == Event::Kind::kMtu) {
      outcome.add(use_everything(pair.one, 2));
    }
  });
  CHECK_OK(knet_handle_pmtud_set(pair.one, 1400));
  REQUIRE(outcome.wait());
  CHECK(outcome.failures == 0);
  pair.one.on_callback({});
}

TEST_CASE("every call works inside the sock callback") {
  if (on_peer()) {
    return;
  }
  Pair pair;
  Outcome outcome;
  pair.one.on_callback([&](const Event& event) {
    if (event.kind == Event::Kind::kSock) {
      outcome.add(use_everything(pair.one, 2) +
                  (knet_handle_remove_datafd(pair.one, event.datafd) == 0 ? 0 : 1));
    }
  });
  shutdown(pair.fd_one, SHUT_RDWR);
  REQUIRE(outcome.wait());
  CHECK(outcome.failures == 0);
  CHECK(outcome.calls == 1);
  pair.one.on_callback({});
}

TEST_CASE("every call works inside the filter, out and in") {
  if (on_peer()) {
    return;
  }
  Pair pair;
  Outcome sender;
  Outcome receiver;
  pair.one.set_filter([&](const std::string& message, int, unsigned, int8_t*, knet_node_id_t* hosts,
                          size_t* count) {
    if (message != "x") {  // use_everything sends one itself
      sender.add(use_everything(pair.one, 2));
    }
    hosts[0] = 2;
    *count = 1;
    return 0;
  });
  pair.two.set_filter(
      [&](const std::string& message, int, unsigned, int8_t*, knet_node_id_t*, size_t*) {
        if (message != "x") {
          receiver.add(use_everything(pair.two, 1));
        }
        return 1;
      });
  REQUIRE(knet_send(pair.one, "queued", 6, 0) == 6);
  CHECK(pair.two.receive() == "queued");
  CHECK_OK(knet_send_sync(pair.one, "direct", 6, 0));
  CHECK(pair.two.receive() == "direct");
  CHECK(sender.calls == 2);
  CHECK(sender.failures == 0);
  CHECK(receiver.calls == 2);
  CHECK(receiver.failures == 0);
}

TEST_CASE("a synchronous send from a callback answers instead of waiting for itself") {
  if (on_peer()) {
    return;
  }
  Pair pair;
  pair.one.set_filter(
      [](const std::string&, int, unsigned, int8_t*, knet_node_id_t* hosts, size_t* count) {
        hosts[0] = 2;
        *count = 1;
        return 0;
      });
  std::atomic<int> result = 77;
  pair.one.on_callback([&](const Event& event) {
    if (event.kind == Event::Kind::kMtu && result == 77) {
      result = knet_send_sync(pair.one, "from inside", 11, 0);
    }
  });
  CHECK_OK(knet_handle_pmtud_set(pair.one, 1400));
  CHECK(pair.two.receive() == "from inside");
  CHECK(result == 0);
  pair.one.on_callback({});
}

TEST_CASE("forwarding can be switched off inside a callback") {
  if (on_peer()) {
    return;
  }
  Pair pair;
  std::atomic<int> result = 77;
  pair.one.on_callback([&](const Event& event) {
    if (event.kind == Event::Kind::kMtu && result == 77) {
      result = knet_handle_setfwd(pair.one, 0);
    }
  });
  CHECK_OK(knet_handle_pmtud_set(pair.one, 1400));
  CHECK(knet_test::eventually([&] { return result != 77; }));
  CHECK(result == 0);
  pair.one.on_callback({});
}

TEST_CASE("the state is stored before the callback that tells of it") {
  if (on_peer()) {
    return;
  }
  Pair pair;
  std::atomic<int> told = 0;
  std::atomic<int> wrong = 0;
  pair.one.on_callback([&](const Event& event) {
    if (event.kind == Event::Kind::kHost) {
      knet_host_status status{};
      knet_host_get_status(pair.one, 2, &status);
      wrong += status.reachable == event.reachable ? 0 : 1;
      ++told;
    } else if (event.kind == Event::Kind::kMtu) {
      unsigned int mtu = 0;
      wrong += knet_handle_pmtud_get(pair.one, &mtu) == 0 ? 0 : 1;
    }
  });
  for (int turn = 0; turn < 5; ++turn) {
    const int before = told;
    CHECK_OK(knet_link_set_enable(pair.one, 2, 0, 0));
    REQUIRE(knet_test::eventually([&] { return told > before; }));
    CHECK_OK(knet_link_set_enable(pair.one, 2, 0, 1));
    REQUIRE(knet_test::eventually([&] { return told > before + 1; }));
  }
  CHECK(wrong == 0);
  pair.one.on_callback({});
}

TEST_CASE("a removed callback does not run after the call that removed it") {
  if (on_peer()) {
    return;
  }
  Pair pair;
  for (int turn = 0; turn < 20; ++turn) {
    std::atomic<bool> removed = false;
    std::atomic<int> late = 0;
    struct Shared {
      std::atomic<bool>* removed;
      std::atomic<int>* late;
    } shared{&removed, &late};
    CHECK_OK(knet_handle_enable_pmtud_notify(pair.one, &shared, [](void* context, unsigned int) {
      const auto* given = static_cast<Shared*>(context);
      *given->late += *given->removed ? 1 : 0;
    }));
    CHECK_OK(knet_handle_pmtud_set(pair.one, 1400U + static_cast<unsigned>(turn)));
    CHECK_OK(knet_handle_enable_pmtud_notify(pair.one, nullptr, nullptr));
    removed = true;
    CHECK_OK(knet_handle_pmtud_set(pair.one, 0));
    CHECK(late == 0);
  }
}

TEST_CASE("callbacks of two handles may call each other's handle at the same time") {
  if (on_peer()) {
    return;
  }
  Pair pair;
  std::atomic<int> calls = 0;
  const auto ask = [&calls](knet_handle_t handle) {
    unsigned int mtu = 0;
    knet_node_id_t hosts[KNET_MAX_HOST];
    size_t count = 0;
    if (knet_handle_pmtud_get(handle, &mtu) == 0 &&
        knet_host_get_host_list(handle, hosts, &count) == 0 && count == 1) {
      ++calls;
    }
  };
  const auto filter_that_asks = [&](Node& other) {
    return [&, handle = other.get()](const std::string&, int, unsigned, int8_t*, knet_node_id_t*,
                                     size_t*) {
      ask(handle);
      return 1;  // everybody
    };
  };
  pair.one.set_filter(filter_that_asks(pair.two));
  pair.two.set_filter(filter_that_asks(pair.one));
  constexpr int kCount = 300;
  const auto stream = [](Node& from, Node& to) {
    for (int number = 0; number < kCount; ++number) {
      REQUIRE(knet_send(from, "x", 1, 0) == 1);
      REQUIRE(to.receive() == "x");
    }
  };
  std::thread other([&] { stream(pair.two, pair.one); });
  stream(pair.one, pair.two);
  other.join();
  CHECK(calls >= 4 * kCount);
}
