// SPDX-License-Identifier: LGPL-2.1-or-later
//
// TCP: one connection per session. The caller's first line says which side's library it wants;
// everything after it is between the caller and the worker.
#include "tools/bench/far_machine.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <memory>

#include "tools/bench/control.h"
#include "tools/bench/report.h"
#include "tools/bench/worker_process.h"

namespace ringknet::bench {
namespace {

constexpr Duration kPatience = std::chrono::seconds(10);

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

AddressList look_up(const std::string& address, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(address.c_str(), port.c_str(), &hints, &found);
  if (error != 0) {
    throw Failure(fmt::format("{} port {}: {}", address, port, ::gai_strerror(error)));
  }
  return {found, &::freeaddrinfo};
}

Descriptor tcp_socket(const addrinfo& address) {
  Descriptor socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.open()) {
    throw failure_from_errno("no TCP socket");
  }
  return socket;
}

void set_option(const Descriptor& socket, int level, int option, int value) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof value) != 0) {
    throw failure_from_errno("setsockopt failed");
  }
}

// The other machine may go without a word; then the connection is to end within seconds.
void watch_connection(const Descriptor& socket) {
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, 5);
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, 2);
  set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

// The caller's first line, byte by byte: what follows it is for the worker.
Message first_line(const Descriptor& connection) {
  std::string line;
  const Instant deadline = Clock::now() + kPatience;
  while (line.size() < 256) {
    char character = 0;
    const ssize_t length = ::recv(connection.get(), &character, 1, MSG_DONTWAIT);
    if (length == 1 && character == '\n') {
      return Message::parse(line);
    }
    if (length == 1) {
      line += character;
      continue;
    }
    pollfd waiting{connection.get(), POLLIN, 0};
    if (length == 0 || errno != EAGAIN || ::poll(&waiting, 1, poll_timeout(deadline)) <= 0) {
      break;
    }
  }
  throw Failure("the caller is no knet-bench");
}

void serve_call(Descriptor connection, const std::array<std::string, kSides>& folders) {
  watch_connection(connection);
  const Message call = first_line(connection);
  if (call.verb() != "call" || call.number("side") < 0 ||
      call.number("side") >= std::int64_t{kSides}) {
    throw Failure("the caller is another version of knet-bench");
  }
  const auto side = static_cast<std::size_t>(call.number("side"));
  if (side != 0 && folders[side].empty()) {
    ControlChannel(std::move(connection))
        .send(Message("failed").set(
            "reason", std::string_view("the listener was started without --against")));
    return;
  }
  const pid_t worker = start_worker({false, folders[side], true}, connection);
  connection.reset(-1);
  ::waitpid(worker, nullptr, 0);
}

}  // namespace

Descriptor call_far_machine(const std::string& address, const std::string& port, std::size_t side) {
  const AddressList list = look_up(address, port);
  Descriptor socket = tcp_socket(*list);
  timeval patience{std::chrono::duration_cast<std::chrono::seconds>(kPatience).count(), 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(socket.get(), list->ai_addr, list->ai_addrlen) != 0) {
    throw failure_from_errno(
        fmt::format("cannot reach knet-bench --listen at {} port {}", address, port));
  }
  watch_connection(socket);
  const std::string line = Message("call").set("side", static_cast<std::int64_t>(side)).line();
  if (::send(socket.get(), line.data(), line.size(), MSG_NOSIGNAL) < 0) {
    throw failure_from_errno(fmt::format("{} has hung up", address));
  }
  return socket;
}

int serve_far_machine(const Options& options) {
  const std::array<std::string, kSides> folders = {
      "", options.against.empty() ? "" : library_folder(options.against)};
  const AddressList list = look_up(options.listen.at(0), options.port);
  const Descriptor listener = tcp_socket(*list);
  set_option(listener, SOL_SOCKET, SO_REUSEADDR, 1);
  if (::bind(listener.get(), list->ai_addr, list->ai_addrlen) != 0 ||
      ::listen(listener.get(), 4) != 0) {
    throw failure_from_errno(
        fmt::format("cannot listen at {} port {}", options.listen[0], options.port));
  }
  fmt::print(
      "listening at {} port {}; on the other machine: knet-bench --node ITS-ADDRESS[,...] "
      "--peer {}{}{}\n",
      options.listen[0], options.port, fmt::join(options.listen, ","),
      options.port == "5405" ? "" : " --port ", options.port == "5405" ? "" : options.port);
  std::fflush(stdout);
  while (true) {
    Descriptor connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    try {
      if (connection.open()) {
        serve_call(std::move(connection), folders);
      }
    } catch (const Failure& failure) {
      fmt::print(stderr, "knet-bench: a call was refused: {}\n", failure.what());
    }
  }
}

}  // namespace ringknet::bench
