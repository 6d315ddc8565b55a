// SPDX-License-Identifier: LGPL-2.1-or-later
//
// knet-profile: two nodes in one thread, one sends, the other receives, over loopback addresses
// with packets for 1500 bytes. Nothing else runs in the process, and each direction is one
// function, so that a profiler can be told what to look at: profiled_send and profiled_receive.
// By itself it prints the CPU time per packet. It is no benchmark: see knet-bench.
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/knet.hpp"
#include "tools/bench/common.h"

namespace ringknet::bench {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kInterfaceMtu = 1500;
constexpr unsigned kFirstPort = 20000;
constexpr unsigned kPorts = 20000;
constexpr Duration kPatience = std::chrono::seconds(60);

struct Arguments {
  bool datafd = false;
  std::size_t size = 65536;
  std::size_t messages = 2000;
  std::vector<std::string> crypto;  // model, cipher, hash; empty for none
};

void check(std::error_code error, const char* what) {
  if (error) {
    throw Failure(fmt::format("{}: {}", what, error.message()));
  }
}
void check(int result, const char* what) {
  if (result != 0) {
    throw failure_from_errno(what);
  }
}
template <typename Value>
Value got(knet::Result<Value> result, const char* what) {
  check(result.error(), what);
  return *std::move(result);
}

template <std::size_t kSize>
void copy_text(char (&to)[kSize], const std::string& from) {
  std::memcpy(to, from.c_str(), std::min(from.size() + 1, kSize));
}

// A node that this thread drives, with one peer and one channel.
class ProfiledNode {
 public:
  ProfiledNode(const Arguments& arguments, std::uint16_t id, std::uint16_t peer)
      : handle_(got(knet::Handle::create({.self = knet::HostId(id), .caller_driven = true}),
                    "handle")) {
    if (!arguments.crypto.empty()) {
      set_crypto(arguments.crypto);
    }
    check(knet_handle_pmtud_set(handle_.get(), kInterfaceMtu), "MTU");
    if (arguments.datafd) {
      const auto ignore = [](void*, int, std::int8_t, std::uint8_t, int, int) {};
      check(knet_handle_enable_sock_notify(handle_.get(), nullptr, ignore), "callback");
      std::int8_t channel = 0;
      descriptor_ = 0;
      check(knet_handle_add_datafd(handle_.get(), &descriptor_, &channel), "data descriptor");
      buffer_.resize(KNET_MAX_PACKET_SIZE);
    } else {
      channel_.emplace(
          got(handle_.open_channel([this](const knet::Message& message) { take(message.bytes); }),
              "channel"));
    }
    // Several of these programs may run at a time.
    const unsigned first = kFirstPort + static_cast<unsigned>(::getpid()) * 2 % kPorts;
    const auto address = [first](std::uint16_t node) {
      return got(knet::address("127.0.0.1", static_cast<std::uint16_t>(first + node)), "address");
    };
    peer_.emplace(got(handle_.add_host(knet::HostId(peer)), "host"));
    const knet::Link link =
        got(peer_->add_link(knet::LinkId(0), address(id), address(peer)), "link");
    // So seldom that pings do not count.
    check(link.set_ping_timers(milliseconds(500), milliseconds(10000)), "ping timers");
    check(link.set_pong_count(1), "pong count");
    check(link.enable(), "link");
    check(handle_.set_forwarding(true), "forwarding");
  }

  void drive() { check(handle_.run_once(Duration::zero()), "run_once"); }
  [[nodiscard]] bool ready() const { return *peer_->reachable() && status().mtu > 1000; }
  [[nodiscard]] knet_link_status status() const {
    return got(peer_->link(knet::LinkId(0)).status(), "link status");
  }
  [[nodiscard]] std::size_t received() const { return received_; }

  bool send(std::span<const std::byte> message) {
    if (descriptor_ < 0) {
      return !channel_->try_send(message);
    }
    return ::send(descriptor_, message.data(), message.size(), MSG_DONTWAIT) >= 0;
  }
  void receive() {
    while (descriptor_ >= 0) {
      const ssize_t size = ::recv(descriptor_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
      if (size <= 0) {
        return;
      }
      take(std::span(buffer_).first(static_cast<std::size_t>(size)));
    }
  }

 private:
  void take(std::span<const std::byte> /*message*/) { ++received_; }

  void set_crypto(const std::vector<std::string>& names) {
    knet_handle_crypto_cfg config{};
    copy_text(config.crypto_model, names.at(0));
    copy_text(config.crypto_cipher_type, names.at(1));
    copy_text(config.crypto_hash_type, names.at(2));
    config.private_key_len = sizeof config.private_key / 16;
    check(knet_handle_crypto_set_config(handle_.get(), &config, 1), "encryption");
    check(knet_handle_crypto_use_config(handle_.get(), 1), "encryption");
    check(knet_handle_crypto_rx_clear_traffic(handle_.get(), 1), "encryption");
  }

  std::size_t received_ = 0;
  knet::Handle handle_;
  std::optional<knet::Channel> channel_;
  std::optional<knet::Host> peer_;
  int descriptor_ = -1;
  std::vector<std::byte> buffer_;
};

Duration cpu_now() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + Duration(time.tv_nsec);
}

// As many messages as there is room for, and a turn that sends them.
[[gnu::noinline]] std::size_t profiled_send(ProfiledNode& node, std::span<const std::byte> message,
                                            std::size_t count) {
  std::size_t sent = 0;
  while (sent < count && node.send(message)) {
    ++sent;
  }
  node.drive();
  return sent;
}

// A turn that receives what has come, and the application's part of it.
[[gnu::noinline]] void profiled_receive(ProfiledNode& node) {
  node.drive();
  node.receive();
}

class Profile {
 public:
  explicit Profile(const Arguments& arguments)
      : arguments_(arguments),
        message_(arguments.size),
        one_(arguments, 1, 2),
        two_(arguments, 2, 1) {}

  void run() {
    bring_up();
    move(arguments_.messages / 10, false);
    const std::uint64_t before = one_.status().stats.tx_data_packets;
    move(arguments_.messages, true);
    const auto packets = static_cast<double>(one_.status().stats.tx_data_packets - before);
    fmt::print("packets {:.0f} send_ns {:.1f} receive_ns {:.1f}\n", packets,
               static_cast<double>(send_cpu_.count()) / packets,
               static_cast<double>(receive_cpu_.count()) / packets);
  }

 private:
  void bring_up() {
    const Instant deadline = Clock::now() + kPatience;
    while (!one_.ready() || !two_.ready()) {
      one_.drive();
      two_.drive();
      if (Clock::now() > deadline) {
        throw Failure("the link did not come up");
      }
      ::usleep(100);
    }
  }

  // What is not counted goes by the same way, but not through the profiled functions' names.
  void move(std::size_t count, bool counted) {
    const std::size_t end = two_.received() + count;
    std::size_t left = count;
    const Instant deadline = Clock::now() + kPatience;
    while (two_.received() < end) {
      if (counted) {
        step(left);
      } else {
        while (left > 0 && one_.send(message_)) {
          --left;
        }
        one_.drive();
        two_.drive();
        two_.receive();
      }
      if (Clock::now() > deadline) {
        throw Failure(fmt::format("{} of {} messages are missing", end - two_.received(), count));
      }
    }
  }

  void step(std::size_t& left) {
    const Duration start = cpu_now();
    left -= profiled_send(one_, message_, left);
    const Duration sent = cpu_now();
    profiled_receive(two_);
    send_cpu_ += sent - start;
    receive_cpu_ += cpu_now() - sent;
  }

  Arguments arguments_;
  std::vector<std::byte> message_;
  ProfiledNode one_;
  ProfiledNode two_;
  Duration send_cpu_{};
  Duration receive_cpu_{};
};

std::size_t number(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0) {
    throw Failure(fmt::format("'{}' is no number", text));
  }
  return value;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts{""};
  for (const char character : text) {
    if (character == ',') {
      parts.emplace_back();
    } else {
      parts.back() += character;
    }
  }
  return parts;
}

Arguments parse(int count, char** values) {
  Arguments arguments;
  for (int at = 1; at + 1 < count; at += 2) {
    const std::string_view name = values[at];
    const std::string_view value = values[at + 1];
    if (name == "--path" && (value == "datafd" || value == "direct")) {
      arguments.datafd = value == "datafd";
    } else if (name == "--size") {
      arguments.size = number(value);
    } else if (name == "--messages") {
      arguments.messages = number(value);
    } else if (name == "--crypto" && split(value).size() == 3) {
      arguments.crypto = split(value);
    } else {
      throw Failure(fmt::format("what is {} {}?", name, value));
    }
  }
  if (count % 2 == 0) {
    throw Failure(
        "usage: knet-profile [--path direct|datafd] [--size BYTES] [--messages N] "
        "[--crypto MODEL,CIPHER,HASH]");
  }
  return arguments;
}

}  // namespace
}  // namespace ringknet::bench

int main(int argc, char** argv) {
  try {
    ringknet::bench::Profile(ringknet::bench::parse(argc, argv)).run();
    return 0;
  } catch (const std::exception& failure) {
    fmt::print(stderr, "knet-profile: {}\n", failure.what());
    return 1;
  }
}
