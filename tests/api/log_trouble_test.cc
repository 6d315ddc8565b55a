// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the log says of real trouble: few records, each with what to look at, counts of what was
// held back, and an end. Every case makes its trouble in a network namespace of its own: a local
// firewall, an interface that goes down, forged ICMP messages, packets of nodes that are configured
// wrongly.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <thread>

#include "tests/api/support.h"

using knet_test::Node;
using knet_test::on_peer;
using knet_test::Pipe;

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

bool run(const std::string& command) {
  return std::system((command + " >/dev/null 2>&1").c_str()) == 0;
}

// The body runs in a fresh network with a loopback device; the library's threads are made in it,
// too.
void in_own_network(const std::function<void()>& body) {
  if (on_peer())
    return;  // it writes a record for each event
  std::exception_ptr failure;
  std::thread thread([&] {
    if (geteuid() != 0 || unshare(CLONE_NEWNET) != 0 || !run("ip link set lo up")) {
      knet_test::skip("needs root and the command ip, for a network namespace");
      return;
    }
    try {
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  });
  thread.join();
  if (failure)
    std::rethrow_exception(failure);
}

// The records of a node so far.
class Records {
 public:
  int writer() const { return pipe_.writer(); }
  const std::vector<knet_log_msg>& read_all() {
    knet_log_msg record;
    while (read(pipe_.reader(), &record, sizeof(record)) == ssize_t{sizeof(record)})
      records_.push_back(record);
    return records_;
  }
  size_t count(const std::string& text, int level = -1) {
    size_t found = 0;
    for (const knet_log_msg& record : read_all()) {
      found += std::strstr(record.msg, text.c_str()) != nullptr &&
               (level < 0 || record.msglevel == level);
    }
    return found;
  }
  bool wait_for(const std::string& text) {
    return knet_test::eventually([&] { return count(text) > 0; });
  }
  size_t warnings() { return count("", KNET_LOG_WARN); }
  // For a failure's message.
  std::string text() {
    std::string all;
    for (const knet_log_msg& record : read_all())
      all += "\n  " + std::to_string(record.msglevel) + " " + record.msg;
    return all;
  }

 private:
  Pipe pipe_{O_NONBLOCK};
  std::vector<knet_log_msg> records_;
};

sockaddr_storage at(const std::string& host) {
  return knet_test::address(host.c_str(), 5405);
}

void add_link(Node& node, unsigned host, uint8_t link, const std::string& own,
              const std::string& peer) {
  sockaddr_storage here = at(own);
  sockaddr_storage there = at(peer);
  REQUIRE_OK(knet_link_set_config(node, static_cast<knet_node_id_t>(host), link, KNET_TRANSPORT_UDP,
                                  &here, &there, 0));
  REQUIRE_OK(knet_link_set_ping_timers(node, static_cast<knet_node_id_t>(host), link, 100, 3000,
                                       KNET_LINK_DEFAULT_PING_PRECISION));
  REQUIRE_OK(knet_link_set_pong_count(node, static_cast<knet_node_id_t>(host), link, 1));
  REQUIRE_OK(knet_link_set_enable(node, static_cast<knet_node_id_t>(host), link, 1));
}

// Nodes 1 and 2 with links of 127.0.<link>.1 and .2; node 1 writes a log.
struct Two {
  explicit Two(unsigned links, uint8_t level = KNET_LOG_INFO) : one(1, log.writer(), level) {
    REQUIRE_OK(knet_host_add(one, 2));
    REQUIRE_OK(knet_host_add(two, 1));
    for (unsigned link = 0; link < links; ++link) {
      const std::string net = "127.0." + std::to_string(link) + ".";
      add_link(one, 2, static_cast<uint8_t>(link), net + "1", net + "2");
      add_link(two, 1, static_cast<uint8_t>(link), net + "2", net + "1");
    }
    REQUIRE(knet_test::eventually([&] {
      for (unsigned link = 0; link < links; ++link) {
        knet_link_status status{};
        if (knet_link_get_status(one, 2, static_cast<uint8_t>(link), &status, sizeof(status)) !=
                0 ||
            status.connected == 0)
          return false;
      }
      return true;
    }));
  }
  Records log;
  Node one;
  Node two{2};
};

// A PING of the protocol, as any node could send it.
std::string ping(unsigned host, unsigned link, unsigned sequence = 0, unsigned seconds = 0) {
  std::string packet(26, '\0');
  packet[0] = 1;
  packet[1] = static_cast<char>(0x81);
  packet[2] = static_cast<char>(host >> 8);
  packet[3] = static_cast<char>(host);
  packet[6] = static_cast<char>(link);
  for (unsigned byte = 0; byte < 4; ++byte)
    packet[7 + byte] = static_cast<char>(seconds >> 8 * byte);
  packet[23] = static_cast<char>(sequence >> 8);
  packet[24] = static_cast<char>(sequence);
  packet[25] = 1;
  return packet;
}

// Sends datagrams from an address of its own to node 1's link 0.
class Sender {
 public:
  explicit Sender(const std::string& from) : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    const sockaddr_storage own = at(from);
    // A node that was there before may let go of the address a little later.
    REQUIRE(knet_test::eventually([&] {
      return bind(fd_, reinterpret_cast<const sockaddr*>(&own), sizeof(sockaddr_in)) == 0;
    }));
  }
  ~Sender() { close(fd_); }
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  void send(const std::string& packet) {
    const sockaddr_storage to = at("127.0.0.1");
    sendto(fd_, packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to),
           sizeof(sockaddr_in));
  }
  // Until the log says so, and then as long again as it took.
  void send_until(Records& log, const std::string& packet, const std::string& told) {
    const auto start = Clock::now();
    REQUIRE_MESSAGE(knet_test::eventually([&] {
                      send(packet);
                      std::this_thread::sleep_for(milliseconds(20));
                      return log.count(told) > 0;
                    }),
                    told << log.text());
    for (const auto end = Clock::now() + (Clock::now() - start); Clock::now() < end;) {
      send(packet);
      std::this_thread::sleep_for(milliseconds(20));
    }
  }

 private:
  int fd_;
};

uint16_t checksum(const unsigned char* bytes, size_t size) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < size; i += 2)
    sum += static_cast<uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  return htons(static_cast<uint16_t>(~(sum + (sum >> 16))));
}

// "Nobody listens there", said of a datagram from node 1's link 0 to node 2's.
void forge_refusal(int raw) {
  unsigned char packet[8 + 20 + 8] = {ICMP_DEST_UNREACH, ICMP_PORT_UNREACH};
  unsigned char* ip = packet + 8;
  const unsigned char header[20] = {0x45, 0, 0,   54, 0, 0, 0x40, 0, 64, IPPROTO_UDP,
                                    0,    0, 127, 0,  0, 1, 127,  0, 0,  2};
  std::memcpy(ip, header, sizeof(header));
  const uint16_t sum = checksum(ip, 20);
  std::memcpy(ip + 10, &sum, 2);
  const unsigned char udp[8] = {5405 >> 8, 5405 & 0xff, 5405 >> 8, 5405 & 0xff, 0, 34, 0, 0};
  std::memcpy(ip + 20, udp, sizeof(udp));
  const uint16_t whole = checksum(packet, sizeof(packet));
  std::memcpy(packet + 2, &whole, 2);
  const sockaddr_storage to = at("127.0.0.1");
  sendto(raw, packet, sizeof(packet), 0, reinterpret_cast<const sockaddr*>(&to),
         sizeof(sockaddr_in));
}

}  // namespace

TEST_CASE("log: forged ICMP messages are told in few records and with an end") {
  in_own_network([] {
    Two nodes(2);
    const int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    REQUIRE(raw >= 0);
    const size_t before = nodes.log.read_all().size();
    for (const auto end = Clock::now() + seconds(5); Clock::now() < end;) {
      forge_refusal(raw);
      std::this_thread::sleep_for(milliseconds(10));
    }
    close(raw);
    CHECK_MESSAGE(nodes.log.wait_for("host 2 link 0: sound again after"), nodes.log.text());
    MESSAGE("forged ICMP: " << nodes.log.read_all().size() - before << " records"
                            << nodes.log.text());
    CHECK(nodes.log.count("in doubt") >= 1);
    CHECK(nodes.log.count("in doubt") <= 3);
    // There is another link that takes over.
    CHECK(nodes.log.warnings() == nodes.log.count("in doubt"));
    CHECK(nodes.log.count("reports in all") == 1);
    // On a busy machine three refusals can come before a PONG: the link flaps a little.
    CHECK(nodes.log.read_all().size() - before <= 25);
  });
}

TEST_CASE("log: a link in doubt is no warning where there is no other link") {
  in_own_network([] {
    Two nodes(1);
    const int raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
    REQUIRE(raw >= 0);
    CHECK(knet_test::eventually([&] {
      forge_refusal(raw);
      return nodes.log.count("in doubt") > 0;
    }));
    close(raw);
    CHECK(nodes.log.wait_for("sound again after"));
    CHECK_MESSAGE(nodes.log.warnings() == 0, nodes.log.text());
  });
}

TEST_CASE("log: a firewall that drops one packet in five is told in few records") {
  in_own_network([] {
    if (!run("nft --version")) {
      knet_test::skip("needs nft");
      return;
    }
    Two nodes(2);
    const size_t before = nodes.log.read_all().size();
    REQUIRE(
        run("nft add table ip t && "
            "nft 'add chain ip t out { type filter hook output priority 0; }' && "
            "nft add rule ip t out ip daddr 127.0.0.2 numgen random mod 5 0 drop"));
    std::this_thread::sleep_for(seconds(10));
    REQUIRE(run("nft flush ruleset"));
    CHECK_MESSAGE(nodes.log.wait_for("host 2 link 0: no send was refused for 10 s"),
                  nodes.log.text());
    MESSAGE("20 % drop: " << nodes.log.read_all().size() - before << " records"
                          << nodes.log.text());
    CHECK(nodes.log.count("in doubt") <= 3);
    CHECK(nodes.log.count("cannot send") <= 3);
    CHECK(nodes.log.read_all().size() - before <= 15);
  });
}

TEST_CASE("log: an interface that is down for a while is told in few records and with an end") {
  in_own_network([] {
    REQUIRE(
        run("ip link add up0 type veth peer name up1 && ip link set up1 up && ip addr add "
            "10.9.0.1/24 dev up0 && "
            "ip link set up0 up"));
    Records log;
    Node node(1, log.writer(), KNET_LOG_INFO);
    REQUIRE_OK(knet_host_add(node, 2));
    add_link(node, 2, 0, "10.9.0.1", "10.9.0.2");
    const size_t before = log.read_all().size();
    REQUIRE(run("ip link set up0 down"));
    CHECK(log.wait_for("cannot send to 10.9.0.2 port 5405"));
    std::this_thread::sleep_for(seconds(10));
    REQUIRE(run("ip addr replace 10.9.0.1/24 dev up0 && ip link set up0 up"));
    CHECK_MESSAGE(log.wait_for("host 2 link 0: no send was refused for 10 s"), log.text());
    MESSAGE("interface down: " << log.read_all().size() - before << " records" << log.text());
    CHECK(log.count("cannot send") <= 3);
    CHECK(log.warnings() == 0);
  });
}

TEST_CASE("log: restarts that somebody forges are told in few records") {
  in_own_network([] {
    Two nodes(1);
    const size_t before = nodes.log.read_all().size();
    nodes.two.clear();  // its address is ours now
    Sender forger("127.0.0.2");
    for (int i = 0; i < 20000; ++i)
      forger.send(ping(2, 0, i % 2 == 0 ? 100 : 0, 1000000 + static_cast<unsigned>(i)));
    MESSAGE("forged restarts: " << nodes.log.read_all().size() - before << " records"
                                << nodes.log.text());
    CHECK(nodes.log.count("has restarted") <= 2);
    CHECK(nodes.log.read_all().size() - before <= 10);
  });
}

TEST_CASE("log: who is refused for how a node is configured is named once") {
  in_own_network([] {
    struct Case {
      const char* from;
      unsigned host;
      unsigned link;
      const char* told;
    };
    const Case cases[] = {
        {"127.0.0.9", 2, 0, "that link's peer is 127.0.0.2, check the ring addresses"},
        {"127.0.0.8", 7, 1, "no such host is configured here"},
        {"127.0.0.7", 1, 0, "that is our own host id"},
        {"127.0.0.6", 2, 5, "no such link is configured here"},
    };
    for (const Case& each : cases) {
      Records log;
      Node node(1, log.writer(), KNET_LOG_INFO);
      REQUIRE_OK(knet_host_add(node, 2));
      add_link(node, 2, 0, "127.0.0.1", "127.0.0.2");
      Sender sender(each.from);
      sender.send_until(log, ping(each.host, each.link), each.told);
      CHECK_MESSAGE(log.warnings() == 1, log.text());
      CHECK(log.count(std::string("a packet of host ") + std::to_string(each.host) + " link " +
                      std::to_string(each.link) + " from " + each.from +
                      " port 5405 is refused: ") == 1);
    }
  });
}

TEST_CASE("log: a node that speaks clear among encrypted ones, and one with another key") {
  in_own_network([] {
    knet_handle_crypto_cfg key{};
    std::strcpy(key.crypto_model, "openssl");
    std::strcpy(key.crypto_cipher_type, "aes256");
    std::strcpy(key.crypto_hash_type, "sha512");
    key.private_key_len = 1024;
    Records log;
    Node node(1, log.writer(), KNET_LOG_INFO);
    REQUIRE_OK(knet_handle_crypto_set_config(node, &key, 1));
    REQUIRE_OK(knet_handle_crypto_use_config(node, 1));
    REQUIRE_OK(knet_handle_crypto_rx_clear_traffic(node, KNET_CRYPTO_RX_DISALLOW_CLEAR_TRAFFIC));
    REQUIRE_OK(knet_host_add(node, 2));
    add_link(node, 2, 0, "127.0.0.1", "127.0.0.2");
    Sender clear("127.0.0.2");
    clear.send_until(log, ping(2, 0),
                     "a packet of host 2 from 127.0.0.2 port 5405 is refused: it is not encrypted");
    CHECK_MESSAGE(log.warnings() == 1, log.text());
    Sender other("127.0.0.3");
    other.send_until(log, std::string(200, 'x'),
                     "a packet from 127.0.0.3 port 5405 is refused: it cannot be decrypted");
    CHECK_MESSAGE(log.warnings() == 2, log.text());
    CHECK(log.count("", KNET_LOG_WARN) == log.count("is refused", KNET_LOG_WARN));
  });
}

TEST_CASE("log: a sender that an access list refuses is named") {
  in_own_network([] {
    Records log;
    Node node(1, log.writer(), KNET_LOG_INFO);
    REQUIRE_OK(knet_host_add(node, 2));
    REQUIRE_OK(knet_handle_enable_access_lists(node, 1));
    sockaddr_storage here = at("127.0.0.1");
    REQUIRE_OK(knet_link_set_config(node, 2, 0, KNET_TRANSPORT_UDP, &here, nullptr, 0));
    REQUIRE_OK(knet_link_set_enable(node, 2, 0, 1));
    Sender sender("127.0.0.9");
    sender.send_until(log, ping(2, 0),
                      "a packet of host 2 link 0 from 127.0.0.9 port 5405 is refused: the link's "
                      "access list");
    CHECK_MESSAGE(log.warnings() == 1, log.text());
  });
}

TEST_CASE("log: a flood of made-up hosts does not fill the log") {
  in_own_network([] {
    Records log;
    Node node(1, log.writer(), KNET_LOG_INFO);
    REQUIRE_OK(knet_host_add(node, 2));
    add_link(node, 2, 0, "127.0.0.1", "127.0.0.2");
    Sender sender("127.0.0.9");
    unsigned host = 3;
    CHECK(knet_test::eventually([&] {
      for (int i = 0; i < 500; ++i)
        sender.send(ping(host++ % 60000 + 3, 0));
      std::this_thread::sleep_for(milliseconds(5));
      return log.warnings() > 0;
    }));
    for (const auto end = Clock::now() + seconds(6); Clock::now() < end;) {
      for (int i = 0; i < 500; ++i)
        sender.send(ping(host++ % 60000 + 3, 0));
      std::this_thread::sleep_for(milliseconds(5));
    }
    MESSAGE("made-up hosts: " << host << " packets, " << log.warnings() << " records");
    CHECK_MESSAGE(log.warnings() <= 8, log.text());
  });
}
