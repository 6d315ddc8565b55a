// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Blocking reads and writes, one thread per direction.
#include "tools/bench/raw_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <vector>

namespace ringknet::bench {
namespace {

constexpr int kSocketBuffer = 8 << 20;
constexpr std::size_t kMessageMax = 65536;

sockaddr_in parse(const std::string& address, const std::string& port) {
  std::uint16_t number = 0;
  std::from_chars(port.data(), port.data() + port.size(), number);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(number);
  if (::inet_pton(AF_INET, address.c_str(), &name.sin_addr) != 1) {
    throw Failure(address + " is no IPv4 address");
  }
  return name;
}

// Until one of the two is shut down. A datagram that nobody was there to take is no reason to end.
void hand_on(int from, int to) {
  std::vector<std::byte> buffer(kMessageMax);
  for (;;) {
    const ssize_t length = ::recv(from, buffer.data(), buffer.size(), 0);
    if (length == 0) {
      return;
    }
    if (length > 0) {
      ::send(to, buffer.data(), static_cast<std::size_t>(length), MSG_NOSIGNAL);
    } else if (errno != EINTR && errno != ECONNREFUSED) {
      return;
    }
  }
}

}  // namespace

Descriptor open_raw_socket(const std::string& local, const std::string& remote,
                           const std::string& port) {
  const auto address = [](const sockaddr_in& name) {
    return reinterpret_cast<const sockaddr*>(&name);
  };
  const sockaddr_in near = parse(local, port);
  const sockaddr_in far = parse(remote, port);
  Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (const int option : {SO_RCVBUF, SO_RCVBUFFORCE, SO_SNDBUF, SO_SNDBUFFORCE}) {
    // What may not be forced is as large as it may be.
    ::setsockopt(socket.get(), SOL_SOCKET, option, &kSocketBuffer, sizeof kSocketBuffer);
  }
  if (!socket.open() || ::bind(socket.get(), address(near), sizeof near) != 0 ||
      ::connect(socket.get(), address(far), sizeof far) != 0) {
    throw failure_from_errno("no UDP socket to compare with");
  }
  return socket;
}

Relay::Relay(Descriptor socket) : socket_(std::move(socket)) {
  std::array<int, 2> pair{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) {
    throw failure_from_errno("no descriptors for a relay");
  }
  application_ = Descriptor(pair[0]);
  inner_ = Descriptor(pair[1]);
  out_ = std::thread(hand_on, inner_.get(), socket_.get());
  in_ = std::thread(hand_on, socket_.get(), inner_.get());
}

Relay::~Relay() {
  ::shutdown(inner_.get(), SHUT_RDWR);
  ::shutdown(socket_.get(), SHUT_RDWR);
  out_.join();
  in_.join();
}

}  // namespace ringknet::bench
