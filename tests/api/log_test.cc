// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The log: levels, whole records, and that nobody waits for a reader.
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>

#include "tests/api/support.h"

using knet_test::Node;
using knet_test::on_peer;
using knet_test::Pipe;

namespace {

std::vector<knet_log_msg> drain(int fd) {
  std::vector<knet_log_msg> records;
  pollfd watched{fd, POLLIN, 0};
  while (poll(&watched, 1, 0) == 1 && (watched.revents & POLLIN) != 0) {
    knet_log_msg record;
    REQUIRE(read(fd, &record, sizeof(record)) == ssize_t{sizeof(record)});
    records.push_back(record);
  }
  return records;
}

void set_all_levels(knet_handle_t handle, uint8_t level) {
  for (int subsystem = 0; subsystem < KNET_MAX_SUBSYSTEMS; ++subsystem) {
    knet_log_set_loglevel(handle, static_cast<uint8_t>(subsystem), level);
  }
}

// Something that is logged at info or debug level.
void make_records(Node& node, int count) {
  sockaddr_storage here = knet_test::address("127.0.0.1", 0);
  REQUIRE_OK(knet_host_add(node, node.id()));
  for (int done = 0; done < count; ++done) {
    REQUIRE_OK(knet_link_set_config(node, node.id(), 0, KNET_TRANSPORT_LOOPBACK, &here, &here, 0));
    REQUIRE_OK(knet_link_clear_config(node, node.id(), 0));
  }
  REQUIRE_OK(knet_host_remove(node, node.id()));
}

}  // namespace

TEST_CASE("log levels are kept per subsystem") {
  const Pipe pipe(O_NONBLOCK);
  Node node(1, pipe.writer(), KNET_LOG_WARN);
  uint8_t level = 77;
  CHECK_OK(knet_log_get_loglevel(node, KNET_SUB_RX, &level));
  CHECK(level == KNET_LOG_WARN);
  CHECK_OK(knet_log_set_loglevel(node, KNET_SUB_RX, KNET_LOG_DEBUG));
  CHECK_OK(knet_log_get_loglevel(node, KNET_SUB_RX, &level));
  CHECK(level == KNET_LOG_DEBUG);
  CHECK_OK(knet_log_get_loglevel(node, KNET_SUB_TX, &level));
  CHECK(level == KNET_LOG_WARN);

  CHECK_OK(knet_log_set_loglevel(node, KNET_SUB_UNKNOWN, KNET_LOG_DEBUG));
  CHECK_FAILS(EINVAL, knet_log_set_loglevel(node, 255, KNET_LOG_DEBUG));
  CHECK_FAILS(EINVAL, knet_log_set_loglevel(node, KNET_SUB_UNKNOWN - 1, KNET_LOG_DEBUG));
  CHECK_FAILS(EINVAL, knet_log_set_loglevel(node, 8, KNET_LOG_DEBUG));
  CHECK_FAILS(EINVAL, knet_log_set_loglevel(node, KNET_SUB_RX, KNET_LOG_TRACE + 1));
  CHECK_FAILS(EINVAL, knet_log_get_loglevel(node, 8, &level));
  CHECK_FAILS(EINVAL, knet_log_get_loglevel(node, KNET_SUB_RX, nullptr));
}

TEST_CASE("without a log all levels are 0") {
  Node node(1);
  uint8_t level = 77;
  CHECK_OK(knet_log_get_loglevel(node, KNET_SUB_RX, &level));
  CHECK(level == 0);
}

TEST_CASE("records are whole, terminated and of a known subsystem and level") {
  const Pipe pipe(O_NONBLOCK);
  {
    Node node(1, pipe.writer());
    make_records(node, 3);
  }
  const std::vector<knet_log_msg> records = drain(pipe.reader());
  REQUIRE(!records.empty());
  for (const knet_log_msg& record : records) {
    const size_t length = strnlen(record.msg, sizeof(record.msg));
    REQUIRE(length < sizeof(record.msg));
    CHECK(length > 0);
    CHECK(record.msg[sizeof(record.msg) - 1] == 0);
    CHECK(record.msglevel <= KNET_LOG_DEBUG);
    errno = kErrnoUntouched;
    knet_log_get_subsystem_name(record.subsystem);
    CHECK(errno == 0);
  }
}

TEST_CASE("a level lets through itself and what is worse") {
  const Pipe pipe(O_NONBLOCK);
  Node node(1, pipe.writer());
  make_records(node, 1);
  CHECK(!drain(pipe.reader()).empty());
  set_all_levels(node, KNET_LOG_WARN);
  drain(pipe.reader());
  make_records(node, 1);
  for (const knet_log_msg& record : drain(pipe.reader())) {
    CHECK(record.msglevel <= KNET_LOG_WARN);
  }
}

TEST_CASE("a full blocking pipe delays nothing, and the loss is told") {
  if (on_peer()) {
    return;  // it waits for the reader for ever
  }
  const Pipe pipe(0);
  Node node(1, pipe.writer());
  // Three thousand records are ten times what the pipe holds.
  const auto start = std::chrono::steady_clock::now();
  make_records(node, 3000);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(10));
  CHECK((fcntl(pipe.writer(), F_GETFL) & O_NONBLOCK) == 0);

  CHECK(drain(pipe.reader()).size() >= 200);
  make_records(node, 1);
  bool told = false;
  for (const knet_log_msg& record : drain(pipe.reader())) {
    told = told || std::strstr(record.msg, "records were lost") != nullptr;
  }
  CHECK(told);
}

TEST_CASE("a log whose reader has gone is no danger") {
  if (on_peer()) {
    return;  // SIGPIPE ends the process
  }
  Pipe pipe(0);
  Node node(1, pipe.writer());
  pipe.close_reader();
  make_records(node, 3);
}

TEST_CASE("SCTP is refused with a word to the log") {
  if (on_peer()) {
    return;
  }
  const Pipe pipe(O_NONBLOCK);
  Node node(1, pipe.writer(), KNET_LOG_ERR);
  REQUIRE_OK(knet_host_add(node, 2));
  sockaddr_storage here = knet_test::address("127.0.0.1", 0);
  CHECK_FAILS(EPROTONOSUPPORT,
              knet_link_set_config(node, 2, 0, KNET_TRANSPORT_SCTP, &here, &here, 0));
  const std::vector<knet_log_msg> records = drain(pipe.reader());
  REQUIRE(records.size() == 1);
  CHECK(records[0].subsystem == KNET_SUB_TRANSP_SCTP);
  CHECK(records[0].msglevel == KNET_LOG_ERR);
}

TEST_CASE("a flood of packets that mean nothing is told in few records") {
  if (on_peer()) {
    return;  // it writes one for each
  }
  const Pipe pipe(O_NONBLOCK);
  Node node(1, pipe.writer());
  sockaddr_storage own{};
  sockaddr_storage other{};
  const uint16_t port = knet_test::free_port();
  REQUIRE_OK(knet_strtoaddr("127.0.0.1", std::to_string(port).c_str(), &own, sizeof(own)));
  REQUIRE_OK(knet_strtoaddr("127.0.0.2", "5405", &other, sizeof(other)));
  REQUIRE_OK(knet_host_add(node, 2));
  REQUIRE_OK(knet_link_set_config(node, 2, 0, KNET_TRANSPORT_UDP, &own, &other, 0));
  drain(pipe.reader());
  const int stranger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (int i = 0; i < 5000; ++i) {
    REQUIRE(sendto(stranger, "nonsense", 8, 0, reinterpret_cast<sockaddr*>(&own),
                   sizeof(sockaddr_in)) == 8);
  }
  close(stranger);
  std::vector<knet_log_msg> records;
  CHECK(knet_test::eventually([&] {
    for (const knet_log_msg& record : drain(pipe.reader()))
      records.push_back(record);
    return !records.empty();
  }));
  CHECK(records.size() <= 3);
  CHECK(std::strstr(records.front().msg, "dropped packets: ") != nullptr);
}

TEST_CASE("a firewall's refusal is called that, with the link and the address") {
  if (on_peer()) {
    return;
  }
  if (geteuid() != 0 || std::system("nft --version >/dev/null 2>&1") != 0) {
    knet_test::skip("needs root and nft, for a firewall in a network namespace");
    return;
  }
  const Pipe pipe(O_NONBLOCK);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    // The library's own thread is made in the new namespace, too.
    const char* rules =
        "ip link set lo up && nft add table ip t && "
        "nft 'add chain ip t out { type filter hook output priority 0; }' && "
        "nft add rule ip t out ip daddr 127.0.0.2 drop";
    if (unshare(CLONE_NEWNET) != 0 || std::system(rules) != 0) {
      _exit(50);
    }
    alarm(30);
    Node node(1, pipe.writer());
    sockaddr_storage own{};
    sockaddr_storage other{};
    const bool ready = knet_strtoaddr("127.0.0.1", "5405", &own, sizeof(own)) == 0 &&
                       knet_strtoaddr("127.0.0.2", "5405", &other, sizeof(other)) == 0 &&
                       knet_host_add(node, 2) == 0 &&
                       knet_link_set_config(node, 2, 3, KNET_TRANSPORT_UDP, &own, &other, 0) == 0 &&
                       knet_link_set_enable(node, 2, 3, 1) == 0;
    bool told = false;
    const bool seen =
        ready && knet_test::eventually([&] {
          knet_log_msg record;
          while (read(pipe.reader(), &record, sizeof(record)) == ssize_t{sizeof(record)}) {
            const std::string text = record.msg;
            told = told || (text.find("host 2 link 3") != std::string::npos &&
                            text.find("127.0.0.2 port 5405") != std::string::npos &&
                            text.find("firewall") != std::string::npos);
          }
          return told;
        });
    _exit(seen ? 0 : ready ? 1 : 2);
  }
  int status = -1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 50) {
    knet_test::skip("no network namespace with a firewall can be made here");
    return;
  }
  CHECK(WEXITSTATUS(status) == 0);
}
