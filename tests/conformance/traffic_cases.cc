// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about two nodes with a link between them: coming up and going down, the callbacks and
// what may be called inside them, filters on both sides, MTU values.
#include <climits>

#include "tests/conformance/world.h"

namespace conformance {
namespace {

// Runs `inside` in the host callback of a node that loses its peer.
template <typename Function>
void in_host_callback(Pair& pair, const Function& inside) {
  std::atomic<bool> done{false};
  pair.one.host.clear();
  pair.one.inside_callback([&] {
    inside();
    done = true;
  });
  // Not the MTU callback of the same event: a removed one cannot be in the way.
  NEED(knet_handle_enable_pmtud_notify(pair.one, nullptr, nullptr) == 0);
  NEED(knet_link_set_enable(pair.one, 2, 0, 0) == 0);
  NEED(eventually([&] { return done.load(); }));
}

unsigned data_mtu(Node& node) {
  unsigned mtu = 0;
  NEED(knet_handle_pmtud_get(node, &mtu) == 0);
  return mtu;
}

}  // namespace

CONFORMANCE_CASE(link_comes_up_and_goes_down) {
  Pair pair;
  const knet_link_status up = pair.one.link_status(2, 0);
  VALUE(1, up.connected);
  VALUE(1, up.enabled);
  VALUE(0, up.dynconnected);
  VALUE(true, up.pong_last.tv_sec > 0);
  knet_host_status status{};
  CALL(kOk, knet_host_get_status(pair.one, 2, &status));
  VALUE(1, status.reachable);
  VALUE(1, pair.one.host.list().size());
  VALUE(0, pair.one.host.list().front().remote);
  VALUE(0, pair.one.host.list().front().external);
  // Disabling: unreachable here, while the other side goes on seeing its link connected.
  CALL(kOk, knet_link_set_enable(pair.one, 2, 0, 0));
  VALUE(true, pair.one.wait_reachable(2, false));
  VALUE(1, pair.one.link_status(2, 0).connected);
  const uint64_t pongs = pair.two.link_status(1, 0).stats.rx_pong_packets;
  VALUE(true,
        eventually([&] { return pair.two.link_status(1, 0).stats.rx_pong_packets > pongs + 3; }));
  VALUE(1, pair.two.link_status(1, 0).connected);
  pair.one.host.clear();
  CALL(kOk, knet_link_set_enable(pair.one, 2, 0, 1));
  VALUE(true, pair.one.wait_reachable(2));
  // Clearing takes it down on the other side.
  NEED(knet_link_set_enable(pair.one, 2, 0, 0) == 0);
  pair.one.host.clear();
  NEED(knet_link_clear_config(pair.one, 2, 0) == 0);
  VALUE(true, pair.two.wait_reachable(1, false));
  VALUE(0, pair.two.link_status(1, 0).connected);
}

CONFORMANCE_CASE(dynamic_link_learns_its_peer) {
  Node visitor(1);
  Node keeper(2);
  sockaddr_storage target = add_dynamic_link(keeper, 1);
  start_link(keeper, 1);
  sockaddr_storage source = own_address();
  NEED(knet_host_add(visitor, 2) == 0);
  NEED(knet_link_set_config(visitor, 2, 0, KNET_TRANSPORT_UDP, &source, &target, 0) == 0);
  start_link(visitor, 2);
  VALUE(true, keeper.wait_reachable(1));
  const knet_link_status learned = keeper.link_status(1, 0);
  VALUE(1, learned.dynconnected);
  VALUE(std::to_string(ntohs(reinterpret_cast<sockaddr_in&>(source).sin_port)),
        std::string(learned.dst_port));
  VALUE("127.0.0.1", static_cast<const char*>(learned.dst_ipaddr));
  uint8_t transport = 99;
  uint8_t dynamic = 99;
  uint64_t flags = 99;
  sockaddr_storage from{};
  sockaddr_storage to{};
  CALL(kOk, knet_link_get_config(keeper, 1, 0, &transport, &from, &to, &dynamic, &flags));
  VALUE(1, dynamic);
  VALUE(0, to.ss_family);
}

CONFORMANCE_CASE(mtu_values) {
  Pair pair;
  VALUE(true, eventually([&] { return data_mtu(pair.one) == 65481; }));
  const knet_link_status status = pair.one.link_status(2, 0);
  VALUE(65481, status.mtu);
  VALUE(54, status.proto_overhead);
  VALUE(true, pair.one.mtu.wait_for([](unsigned mtu) { return mtu == 482; }));
  VALUE(true, pair.one.mtu.wait_for([](unsigned mtu) { return mtu == 65481; }));
  CALL(kOk, knet_handle_pmtud_set(pair.one, 1500));
  VALUE(true, pair.one.mtu.wait_for([](unsigned mtu) { return mtu == 1446; }));
  VALUE(1446, data_mtu(pair.one));
  CALL(kOk, knet_handle_pmtud_set(pair.one, 0));
  VALUE(true, eventually([&] { return data_mtu(pair.one) == 65481; }));
}

CONFORMANCE_CASE(reset_of_the_mtu_when_disabled) {
  Pair pair;
  NEED(eventually([&] { return data_mtu(pair.one) == 65481; }));
  pair.one.mtu.clear();
  CALL(kOk, knet_link_set_enable(pair.one, 2, 0, 0));
  VALUE(true, pair.one.mtu.wait_for([](unsigned mtu) { return mtu == 482; }));
}

CONFORMANCE_CASE(calls_in_host_callback) {
  Pair pair;
  const char* reason = "every call works inside every callback";
  Outcome getter;
  Outcome other_getter;
  Outcome setter;
  Outcome adding;
  in_host_callback(pair, [&] {
    knet_host_status status{};
    unsigned mtu = 0;
    getter = call([&] { return knet_host_get_status(pair.one, 2, &status); });
    other_getter = call([&] { return knet_handle_pmtud_get(pair.one, &mtu); });
    setter = call([&] { return knet_host_set_policy(pair.one, 2, KNET_LINK_POLICY_RR); });
    adding = call([&] { return knet_host_add(pair.one, 9); });
  });
  VALUE(differs(reason, kOk, fails(EDEADLK)), getter);
  VALUE(differs(reason, kOk, fails(EDEADLK)), other_getter);
  VALUE(differs(reason, kOk, fails(EDEADLK)), setter);
  VALUE(differs(reason, kOk, fails(EDEADLK)), adding);
}

CONFORMANCE_CASE(arguments_in_host_callback) {
  Pair pair;
  Outcome bad_link;
  Outcome bad_policy;
  Outcome no_host;
  in_host_callback(pair, [&] {
    bad_link = call([&] { return knet_link_set_enable(pair.one, 2, 8, 1); });
    bad_policy = call([&] { return knet_host_set_policy(pair.one, 2, 3); });
    no_host = call([&] { return knet_host_set_policy(pair.one, 9, 1); });
  });
  VALUE(fails(EINVAL), bad_link);  // looked at before the lock
  VALUE(fails(EINVAL), bad_policy);
  VALUE(differs("every call works inside every callback", fails(EINVAL), fails(EDEADLK)), no_host);
}

CONFORMANCE_CASE(calls_in_mtu_callback) {
  Pair pair;
  const char* reason = "every call works inside every callback";
  std::atomic<bool> done{false};
  Outcome getter;
  pair.one.inside_callback([&] {
    unsigned mtu = 0;
    getter = call([&] { return knet_handle_pmtud_get(pair.one, &mtu); });
    done = true;
  });
  NEED(knet_host_enable_status_change_notify(pair.one, nullptr, nullptr) == 0);
  NEED(knet_link_set_enable(pair.one, 2, 0, 0) == 0);
  NEED(eventually([&] { return done.load(); }));
  VALUE(differs(reason, kOk, fails(EDEADLK)), getter);
  NOT_ON_PEER("calls that change something hang inside the MTU callback") {
    done = false;
    pair.one.inside_callback([&] {
      getter = call([&] { return knet_handle_pmtud_setfreq(pair.one, 30); });
      done = true;
    });
    NEED(knet_link_set_enable(pair.one, 2, 0, 1) == 0);
    NEED(eventually([&] { return done.load(); }));
    VALUE(kOk, getter);
  }
}

CONFORMANCE_CASE(calls_in_the_filter) {
  Pair pair;
  std::atomic<bool> done{false};
  Outcome getter;
  Outcome setter;
  const bool change = !on_peer();
  pair.one.set_filter(
      [&](const std::string&, int direction, unsigned, int8_t*, knet_node_id_t*, size_t*) {
        if (direction == KNET_NOTIFY_TX && !done) {
          unsigned mtu = 0;
          getter = call([&] { return knet_handle_pmtud_get(pair.one, &mtu); });
          if (change) {
            setter = call([&] { return knet_handle_pmtud_setfreq(pair.one, 30); });
          }
          done = true;
        }
        return 1;
      });
  VALUE(true, pair.one.send("message"));
  VALUE(std::string("message"), pair.two.receive());
  VALUE(kOk, getter);
  NOT_ON_PEER("calls that change something hang inside the filter") {
    VALUE(kOk, setter);
  }
}

CONFORMANCE_CASE(what_filters_see) {
  Pair pair;
  struct Seen {
    std::string message;
    int direction = -1;
    unsigned source = 0;
    int channel = -1;
    size_t count = 99;
  };
  Seen sender;
  Seen receiver;
  const auto look = [](Seen& seen) {
    return [&seen](const std::string& message, int direction, unsigned source, int8_t* channel,
                   knet_node_id_t*, size_t* count) {
      seen = {message, direction, source, *channel, *count};
      return 1;
    };
  };
  pair.one.set_filter(look(sender));
  pair.two.set_filter(look(receiver));
  VALUE(true, pair.one.send("message"));
  VALUE(std::string("message"), pair.two.receive());
  VALUE(std::string("message"), sender.message);
  VALUE(KNET_NOTIFY_TX, sender.direction);
  VALUE(1, sender.source);
  VALUE(0, sender.channel);
  VALUE(0, sender.count);
  VALUE(std::string("message"), receiver.message);
  VALUE(KNET_NOTIFY_RX, receiver.direction);
  VALUE(1, receiver.source);
  VALUE(0, receiver.channel);
  VALUE(0, receiver.count);
}

CONFORMANCE_CASE(filters_move_and_drop) {
  Pair pair;
  pair.two.open_channel(5);
  pair.two.open_channel(6);
  pair.one.set_filter([](const std::string& message, int, unsigned, int8_t* channel,
                         knet_node_id_t* hosts, size_t* count) {
    *channel = message == "moved" ? 5 : 0;
    hosts[0] = 77;  // unknown ones are skipped
    hosts[1] = 2;
    *count = 2;
    return message == "dropped" ? -1 : 0;
  });
  VALUE(true, pair.one.send("dropped"));
  VALUE(true, pair.one.send("moved"));
  VALUE(std::string("moved"), pair.two.receive(5));
  pair.two.set_filter([](const std::string& message, int, unsigned, int8_t* channel,
                         knet_node_id_t* hosts, size_t* count) {
    *channel = 6;
    hosts[0] = message == "for another" ? 3 : 2;  // a list without the local host drops
    *count = 1;
    return 0;
  });
  VALUE(true, pair.one.send("for another"));
  VALUE(true, pair.one.send("for me"));
  VALUE(std::string("for me"), pair.two.receive(6));
  VALUE(true, pair.two.silent(6));
  VALUE(true, pair.two.silent(0));
}

CONFORMANCE_CASE(filters_that_say_nonsense) {
  Pair pair;
  pair.one.set_filter(
      [](const std::string&, int, unsigned, int8_t*, knet_node_id_t* hosts, size_t* count) {
        hosts[0] = 2;
        hosts[1] = 2;
        *count = 2;
        return 0;
      });
  VALUE(true, pair.one.send("twice"));
  VALUE(std::string("twice"), pair.two.receive());
  NEED(knet_handle_setfwd(pair.one, 0) == 0);  // all of it has been sent and counted
  VALUE(differs("a filter that names a host twice sends to it once", 1, 2),
        pair.one.link_status(2, 0).stats.tx_data_packets);
  NEED(knet_handle_setfwd(pair.one, 1) == 0);
  VALUE(true, pair.two.silent());
  NOT_ON_PEER("a channel out of range, named by a filter, is not checked") {
    pair.one.set_filter(
        [](const std::string& message, int, unsigned, int8_t* channel, knet_node_id_t*, size_t*) {
          *channel = message == "nowhere" ? INT8_MAX : message == "below" ? INT8_MIN : *channel;
          return 1;
        });
    VALUE(true, pair.one.send("nowhere"));
    VALUE(true, pair.one.send("below"));
    VALUE(true, pair.one.send("here"));
    VALUE(std::string("here"), pair.two.receive());
  }
}

CONFORMANCE_CASE(smallest_manual_mtu) {
  NOT_ON_PEER("an absurdly small manual MTU underflows") {
    Pair pair;
    NEED(eventually([&] { return data_mtu(pair.one) == 65481; }));
    CALL(kOk, knet_handle_pmtud_set(pair.one, 1));
    VALUE(true, eventually([&] { return data_mtu(pair.one) == 259; }));
    const std::string longest(KNET_MAX_PACKET_SIZE, 'l');
    VALUE(true, pair.one.send(longest));
    VALUE(true, pair.two.receive() == longest);
  }
}

CONFORMANCE_CASE(no_host_callback_for_what_the_application_does) {
  Pair pair;
  NEED(knet_link_set_enable(pair.one, 2, 0, 0) == 0);
  NEED(pair.one.wait_reachable(2, false));
  pair.one.host.clear();
  CALL(kOk, knet_link_clear_config(pair.one, 2, 0));
  CALL(kOk, knet_host_remove(pair.one, 2));
  NEED(knet_handle_setfwd(pair.one, 0) == 0);
  VALUE(0, pair.one.host.list().size());
}

CONFORMANCE_CASE(messages_for_closed_channels) {
  Pair pair;
  pair.one.open_channel(3);
  VALUE(true, pair.one.send("nobody", 3));
  VALUE(true, pair.one.send("somebody"));
  VALUE(std::string("somebody"), pair.two.receive());
  VALUE(0, pair.two.sock.list().size());
}

CONFORMANCE_CASE(a_reader_that_does_not_read) {
  Pair pair;
  const std::string message(60000, 'f');
  NEED(eventually([&] {
    pair.one.send(message);
    return !pair.two.sock.list().empty();
  }));
  const SockEvent event = pair.two.sock.list().front();
  VALUE(pair.fd_two, event.datafd);
  VALUE(0, event.channel);
  VALUE(KNET_NOTIFY_RX, event.direction);
  VALUE(-1, event.error);
  VALUE(EAGAIN, event.error_number);
  VALUE(true, pair.two.receive() == message);  // still in use
}

}  // namespace conformance
