// SPDX-License-Identifier: LGPL-2.1-or-later
//
// From two processes to two nodes with all links up, step by step, and the conversation with them.
#include "tools/bench/session.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <filesystem>

#include "tools/bench/far_machine.h"

namespace ringknet::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kLinkPatience = seconds(30);
constexpr std::int64_t kHandlesToTime = 3;
constexpr std::int64_t kTrialSize = 100;
constexpr Duration kTrialTime = milliseconds(20);
constexpr Duration kLinkLookInterval = milliseconds(50);

std::string device_name(std::size_t link) {
  return fmt::format("knet{}", link);
}

// The same UDP port has to be free on all loopback addresses of both nodes.
std::uint16_t free_port(const std::array<std::vector<std::string>, kNodes>& addresses) {
  const auto bind_port = [](const Descriptor& socket, const std::string& address,
                            std::uint16_t port) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &name.sin_addr);
    socklen_t length = sizeof name;
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&name), length) != 0 ||
        ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &length) != 0) {
      return std::uint16_t{0};
    }
    return ntohs(name.sin_port);
  };
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::vector<Descriptor> sockets;
    std::uint16_t port = 0;
    bool all = true;
    for (const auto& node : addresses) {
      for (const std::string& address : node) {
        sockets.emplace_back(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        port = bind_port(sockets.back(), address, port);
        all = all && port != 0;
      }
    }
    if (all) {
      return port;
    }
  }
  throw Failure("no UDP port is free on the loopback addresses");
}

}  // namespace

Session::Session(const Options& options, Network network, const Side& side, const Setup& setup,
                 Progress& progress)
    : options_(options), network_(network), side_(side), setup_(setup), progress_(progress) {
  if (setup_.time_handles) {
    time_handles();
  }
  progress_.step("starting two nodes");
  start_workers();
  choose_addresses();
  if (network_ == Network::kNamespaces) {
    build_network();
  }
  if (setup_.without_library()) {
    open_raw();
    return;
  }
  open_nodes();
  bring_up();
}

bool Session::local(std::size_t node) const {
  return network_ != Network::kMachines || node == kSender;
}

void Session::start_workers() {
  const WorkerStart start{network_ == Network::kNamespaces, side_.library_folder,
                          !setup_.crypto[side_.index].empty() || !options_.compress.empty()};
  for (std::size_t node = 0; node < kNodes; ++node) {
    const std::string name = fmt::format("node {}", node + 1);
    workers_[node] =
        local(node) ? std::make_unique<WorkerProcess>(name, start)
                    : std::make_unique<WorkerProcess>(
                          name, call_far_machine(options_.peer[0], options_.port, side_.index));
  }
  for (std::size_t node = 0; node < kNodes; ++node) {
    identify_library(node);
  }
}

void Session::identify_library(std::size_t node) {
  libraries_[node] = ask(node, Message("hello"), "hello", kPatience).text("library");
  std::error_code error;
  const auto folder = std::filesystem::path(libraries_[node]).parent_path();
  if (local(node) && !side_.library_folder.empty() &&
      !std::filesystem::equivalent(
          libraries_[node], std::filesystem::path(side_.library_folder) / "libknet.so.1", error)) {
    throw Failure(fmt::format("asked for the libknet.so.1 of {}, but the process has loaded {}",
                              side_.library_folder, libraries_[node]));
  }
}

void Session::choose_addresses() {
  port_ = static_cast<std::uint16_t>(std::stoul(options_.port));
  if (network_ == Network::kMachines) {
    addresses_ = {options_.node, options_.peer};
    return;
  }
  const char* pattern = network_ == Network::kNamespaces ? "10.77.{}.{}" : "127.77.{}.{}";
  for (std::size_t node = 0; node < kNodes; ++node) {
    for (unsigned link = 0; link < setup_.links; ++link) {
      addresses_[node].push_back(fmt::format(fmt::runtime(pattern), link + 1, node + 1));
    }
  }
  if (network_ == Network::kLoopback) {
    port_ = free_port(addresses_);
  }
}

void Session::build_network() {
  for (unsigned link = 0; link < setup_.links; ++link) {
    const std::string device = device_name(link);
    ask(kSender,
        Message("veth")
            .set("device", device)
            .set("mtu", std::int64_t{options_.mtu})
            .set("other", std::int64_t{workers_[kReceiver]->pid()}),
        "done", kPatience);
    for (std::size_t node = 0; node < kNodes; ++node) {
      ask(node, Message("address").set("device", device).set("address", addresses_[node][link]),
          "done", kPatience);
    }
  }
}

void Session::time_handles() {
  progress_.step("creating and freeing handles");
  workers_[kSender] =
      std::make_unique<WorkerProcess>("node 1", WorkerStart{false, side_.library_folder, false});
  const Message timed =
      ask(kSender, Message("time_handles").set("count", kHandlesToTime), "timed", kPatience);
  handle_create_ = timed.duration("create");
  handle_free_ = timed.duration("free");
  workers_[kSender].reset();
}

void Session::open_nodes() {
  open_node(kSender, 0);
  for (unsigned number = 0; number < setup_.receivers; ++number) {
    open_node(kReceiver, number);
  }
}

// The first node is host 1 at the first port; those of the second process follow.
void Session::open_node(std::size_t node, unsigned number) {
  NodeSettings settings;
  const auto first = static_cast<std::uint16_t>(setup_.receivers == 1 ? port_ : port_ + 1);
  const bool sends = node == kSender;
  settings.id = static_cast<knet_node_id_t>(sends ? 1 : 2 + number);
  settings.peer_id = static_cast<knet_node_id_t>(sends ? 2 : 1);
  settings.peers = sends ? setup_.receivers : 1;
  settings.port = static_cast<std::uint16_t>(sends ? port_ : first + number);
  settings.peer_port = sends ? first : port_;
  const bool direct = setup_.path == Path::kDirect && side_.index == 0;
  settings.driven = direct || (setup_.receivers_driven && !sends);
  settings.data_descriptors = setup_.channels;
  settings.busy_poll = side_.index == 0 ? setup_.busy_poll : Duration::zero();
  for (unsigned link = 0; link < setup_.links; ++link) {
    settings.links.push_back({addresses_[node][link], addresses_[1 - node][link]});
  }
  settings.policy = options_.policy_number();
  settings.ping_interval = setup_.ping_interval;
  settings.ping_timeout = setup_.ping_timeout;
  settings.pong_count = options_.pong_count;
  // Devices of our own have the MTU that was asked for, and the library is to find it; elsewhere
  // it is told.
  const bool told =
      network_ == Network::kLoopback || (network_ == Network::kMachines && options_.mtu_given);
  settings.interface_mtu = told ? options_.mtu : 0;
  settings.crypto = setup_.crypto[side_.index];
  settings.compress = options_.compress;
  const Message opened = ask(node, settings.to_message(), "opened", kPatience);
  privileged_ = privileged_ && opened.number("privileged") != 0;
}

void Session::open_raw() {
  for (std::size_t node = 0; node < kNodes; ++node) {
    ask(node,
        Message("open_raw")
            .set("local", addresses_[node][0])
            .set("remote", addresses_[1 - node][0])
            .set("port", std::int64_t{port_})
            .set("relay", std::int64_t{setup_.path == Path::kRelay}),
        "opened", kPatience);
  }
  // New devices drop what is sent before the kernel has noticed that their cable is in.
  const Message trial = Message()
                            .set("row", next_row())
                            .set("size", kTrialSize)
                            .set("spin", std::int64_t{0})
                            .set("duration", kTrialTime);
  const Instant deadline = Clock::now() + kPatience;
  for (std::int64_t lost = 1; lost != 0 && Clock::now() < deadline;) {
    ask(kReceiver, trial.renamed("echo"), "ready", kPatience);
    lost = ask(kSender, trial.renamed("ping"), "pinged", kPatience).number("lost");
    ask(kReceiver, Message("stop"), "echoed", kPatience);
  }
}

void Session::bring_up() {
  progress_.step("waiting for the links and their MTU");
  for (std::size_t node = 0; node < kNodes; ++node) {
    tell(node, Message("up").set("patience", kLinkPatience));
  }
  for (std::size_t node = 0; node < kNodes; ++node) {
    const Message up = expect(node, "up", kLinkPatience + kPatience);
    const LinkTimes times{up.duration("connected"), up.duration("mtu_found"),
                          static_cast<unsigned>(up.number("data_mtu"))};
    link_times_.connected = std::max(link_times_.connected, times.connected);
    link_times_.mtu_found = std::max(link_times_.mtu_found, times.mtu_found);
    link_times_.data_mtu =
        node == 0 ? times.data_mtu : std::min(link_times_.data_mtu, times.data_mtu);
    const Message memory = ask(node, Message("memory"), "memory", kPatience);
    resident_at_start_ =
        std::max(resident_at_start_, static_cast<double>(memory.number("resident")));
  }
  links_stayed_up();
  links_up_since_ = Clock::now();
}

Message Session::ask(std::size_t node, const Message& message, const std::string& answer,
                     Duration patience) {
  tell(node, message);
  return expect(node, answer, patience);
}

std::optional<Message> Session::poll_workers(std::size_t node, const std::string& verb) {
  for (const auto& worker : workers_) {
    if (worker == nullptr) {
      continue;
    }
    while (const auto message = worker->control().receive()) {
      if (message->verb() == "failed") {
        throw Failure(fmt::format("{}: {}", worker->name(), message->text("reason")));
      }
      if (message->verb() == "progress") {
        progress_.detail(fmt::format("{} messages", message->number("messages")));
      } else {
        worker->inbox.push_back(*message);
      }
    }
    if (worker->control().closed()) {
      throw Failure(fmt::format("{} {}", worker->name(), worker->fate()));
    }
  }
  auto& inbox = workers_[node]->inbox;
  const auto found = std::find_if(inbox.begin(), inbox.end(), [&verb](const Message& message) {
    return message.verb() == verb;
  });
  if (found == inbox.end()) {
    return std::nullopt;
  }
  Message message = *found;
  inbox.erase(found);
  return message;
}

Message Session::expect(std::size_t node, const std::string& verb, Duration patience) {
  const Instant deadline = Clock::now() + patience;
  while (true) {
    if (auto message = poll_workers(node, verb)) {
      return *message;
    }
    if (Clock::now() >= deadline) {
      throw Failure(fmt::format("{} did not say '{}' within {:.0f} s", workers_[node]->name(), verb,
                                seconds_of(patience)));
    }
    std::vector<pollfd> waiting;
    for (const auto& worker : workers_) {
      if (worker != nullptr) {
        waiting.push_back({worker->control().descriptor(), POLLIN, 0});
      }
    }
    ::poll(waiting.data(), waiting.size(), poll_timeout(deadline));
  }
}

void Session::watch_for(Duration duration) {
  const Instant deadline = Clock::now() + duration;
  while (Clock::now() < deadline) {
    poll_workers(kSender, "");
    std::array<pollfd, kNodes> waiting = {
        pollfd{workers_[kSender]->control().descriptor(), POLLIN, 0},
        pollfd{workers_[kReceiver]->control().descriptor(), POLLIN, 0}};
    ::poll(waiting.data(), waiting.size(), poll_timeout(deadline));
  }
}

bool Session::links_stayed_up() {
  bool stayed = true;
  for (std::size_t node = 0; node < kNodes; ++node) {
    const Message links = ask(node, Message("links"), "links", kPatience);
    const std::int64_t ups = links.number("ups");
    stayed = stayed && links.number("ready") != 0 && ups == link_ups_[node];
    link_ups_[node] = ups;
  }
  return stayed;
}

void Session::wait_for_link_age(Duration age) {
  const Instant deadline = Clock::now() + age + kLinkPatience;
  while (Clock::now() < deadline) {
    const bool ready = links_stayed_up();
    links_up_since_ = ready ? links_up_since_ : Clock::now();
    const Duration left = age - (Clock::now() - links_up_since_);
    if (ready && left <= Duration::zero()) {
      return;
    }
    progress_.detail(
        fmt::format("until the links have been up for {:.0f} s more", seconds_of(left)));
    watch_for(std::clamp(left, Duration::zero(), Duration(seconds(1))) + kLinkLookInterval);
  }
  throw Failure("the links do not stay up");
}

void Session::set_link_cut(bool cut) {
  for (std::size_t node = 0; node < kNodes; ++node) {
    tell(node, Message(cut ? "cut" : "repair")
                   .set("device", device_name(0))
                   .set("address", addresses_[1 - node][0]));
  }
  for (std::size_t node = 0; node < kNodes; ++node) {
    expect(node, "done", kPatience);
  }
}

void Session::close() {
  progress_.step("taking the nodes down");
  for (std::size_t node = 0; node < kNodes; ++node) {
    tell(node, Message("close"));
  }
  for (std::size_t node = 0; node < kNodes; ++node) {
    expect(node, "closed", kPatience);
  }
}

}  // namespace ringknet::bench
