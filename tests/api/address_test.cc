// SPDX-License-Identifier: LGPL-2.1-or-later
//
// knet_strtoaddr and knet_addrtostr: arguments, formats, partial copies and what errno holds.
#include <arpa/inet.h>
#include <netdb.h>

#include <cstring>

#include "tests/api/support.h"

namespace {

struct Texts {
  int result;
  std::string host;
  std::string port;
};

Texts print(const sockaddr_storage& storage, size_t host_size = KNET_MAX_HOST_LEN,
            size_t port_size = KNET_MAX_PORT_LEN) {
  std::array<char, KNET_MAX_HOST_LEN> host{};
  std::array<char, KNET_MAX_PORT_LEN> port{};
  const int result =
      knet_addrtostr(&storage, sizeof(storage), host.data(), host_size, port.data(), port_size);
  return {result, host.data(), port.data()};
}

std::string round_trip(const char* host, const char* port) {
  sockaddr_storage storage{};
  CHECK_OK(knet_strtoaddr(host, port, &storage, sizeof(storage)));
  const Texts texts = print(storage);
  CHECK(texts.result == 0);
  return texts.host + " " + texts.port;
}

}  // namespace

TEST_CASE("strtoaddr refuses missing arguments") {
  sockaddr_storage storage{};
  CHECK_FAILS(EINVAL, knet_strtoaddr(nullptr, "1", &storage, sizeof(storage)));
  CHECK_FAILS(EINVAL, knet_strtoaddr("127.0.0.1", nullptr, &storage, sizeof(storage)));
  CHECK_FAILS(EINVAL, knet_strtoaddr("127.0.0.1", "1", nullptr, sizeof(storage)));
  CHECK_FAILS(EINVAL, knet_strtoaddr("127.0.0.1", "1", &storage, 0));
}

TEST_CASE("strtoaddr reads numbers only") {
  sockaddr_storage storage{};
  for (const char* host : {"localhost", "no.such.host.invalid", "1.2.3.4.5", "::g", ""}) {
    INFO(host);
    CHECK(knet_strtoaddr(host, "50000", &storage, sizeof(storage)) == EAI_NONAME);
  }
  for (const char* port : {"http", "12x"}) {
    INFO(port);
    CHECK(knet_strtoaddr("127.0.0.1", port, &storage, sizeof(storage)) == EAI_NONAME);
  }
  CHECK(storage.ss_family == 0);
}

TEST_CASE("texts of addresses survive a round trip") {
  CHECK(round_trip("192.168.0.1", "50000") == "192.168.0.1 50000");
  CHECK(round_trip("FD00::1", "50000") == "fd00::1 50000");
  CHECK(round_trip("::ffff:1.2.3.4", "1") == "::ffff:1.2.3.4 1");
  CHECK(round_trip("fe80::1%lo", "7") == "fe80::1%lo 7");
  CHECK(round_trip("127.1", "") == "127.0.0.1 0");
  CHECK(round_trip("0.0.0.0", "65535") == "0.0.0.0 65535");
}

TEST_CASE("strtoaddr stores as much as there is room for and leaves the rest alone") {
  sockaddr_storage storage;
  std::memset(&storage, 0xAA, sizeof(storage));
  CHECK_OK(knet_strtoaddr("1.2.3.4", "5", &storage, sizeof(storage)));
  const auto* bytes = reinterpret_cast<const unsigned char*>(&storage);
  sockaddr_in ipv4;
  std::memcpy(&ipv4, bytes, sizeof(ipv4));
  CHECK(ipv4.sin_family == AF_INET);
  CHECK(ntohs(ipv4.sin_port) == 5);
  CHECK(ntohl(ipv4.sin_addr.s_addr) == 0x01020304);
  CHECK(bytes[sizeof(sockaddr_in)] == 0xAA);
  CHECK(bytes[sizeof(storage) - 1] == 0xAA);

  std::memset(&storage, 0xAA, sizeof(storage));
  CHECK_OK(knet_strtoaddr("::1", "5", &storage, sizeof(storage)));
  CHECK(bytes[sizeof(sockaddr_in6) - 1] == 0);
  CHECK(bytes[sizeof(sockaddr_in6)] == 0xAA);

  std::memset(&storage, 0xAA, sizeof(storage));
  CHECK_OK(knet_strtoaddr("1.2.3.4", "5", &storage, 4));
  CHECK(bytes[3] != 0xAA);
  CHECK(bytes[4] == 0xAA);
}

TEST_CASE("addrtostr refuses missing arguments") {
  const sockaddr_storage storage = knet_test::address("127.0.0.1", 5);
  std::array<char, KNET_MAX_HOST_LEN> text{};
  CHECK_FAILS(EINVAL, knet_addrtostr(nullptr, sizeof(storage), text.data(), 10, text.data(), 6));
  CHECK_FAILS(EINVAL, knet_addrtostr(&storage, 0, text.data(), 10, text.data(), 6));
  CHECK_FAILS(EINVAL, knet_addrtostr(&storage, sizeof(storage), nullptr, 10, text.data(), 6));
  CHECK_FAILS(EINVAL, knet_addrtostr(&storage, sizeof(storage), text.data(), 10, nullptr, 6));
}

TEST_CASE("addrtostr answers with the resolver's code") {
  const sockaddr_storage storage = knet_test::address("192.168.100.100", 50000);
  CHECK(print(storage, 4).result == EAI_OVERFLOW);
  CHECK(print(storage, KNET_MAX_HOST_LEN, 5).result == EAI_OVERFLOW);
  CHECK(print(storage, KNET_MAX_HOST_LEN, 6).port == "50000");
  CHECK(print(sockaddr_storage{}).result == EAI_FAMILY);

  const Texts skipped = print(storage, 0, 0);
  CHECK(skipped.result == 0);
  CHECK(skipped.host.empty());
  CHECK(skipped.port.empty());
}

TEST_CASE("addrtostr takes the length from the family") {
  const sockaddr_storage storage = knet_test::address("1.2.3.4", 5);
  std::array<char, KNET_MAX_HOST_LEN> host{};
  std::array<char, KNET_MAX_PORT_LEN> port{};
  CHECK_OK(knet_addrtostr(&storage, 1, host.data(), host.size(), port.data(), port.size()));
  CHECK(std::string(host.data()) == "1.2.3.4");
}
