// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One verb, one function. A verb that fails answers "failed" with the reason and leaves the worker
// ready for the next; the end of the control channel ends the process, and with it handle,
// namespace and devices.
#include "tools/bench/worker.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <map>
#include <memory>
#include <vector>

#include "tools/bench/carrier.h"
#include "tools/bench/control.h"
#include "tools/bench/knet_node.h"
#include "tools/bench/netns.h"
#include "tools/bench/payload.h"
#include "tools/bench/process_info.h"
#include "tools/bench/raw_socket.h"
#include "tools/bench/stats.h"
#include "tools/bench/traffic.h"

namespace ringknet::bench {
namespace {

// Links have no callback of their own in 1.x, only hosts and the MTU do; so their state is looked
// at this often too.
constexpr Duration kLinkLookInterval = std::chrono::milliseconds(5);
constexpr unsigned kPrefixLength = 24;
constexpr Duration kDryAfter = std::chrono::milliseconds(100);
// How long nobody need look at the control channel.
constexpr Duration kControlInterval = std::chrono::milliseconds(5);

class Worker {
 public:
  Worker(Descriptor control, bool own_namespace)
      : control_(std::move(control)), own_namespace_(own_namespace) {}

  int run() {
    while (true) {
      const auto message = await_message();
      if (control_.closed()) {
        return 0;
      }
      if (message) {
        answer(*message);
      }
    }
  }

 private:
  using Verb = Message (Worker::*)(const Message&);

  // Nodes without a thread live on this one, also while nothing is being measured.
  std::optional<Message> await_message() {
    if (nodes_.empty() || !nodes_[0]->driven()) {
      return control_.receive_until(Clock::now() + std::chrono::hours(1));
    }
    drive();
    return control_.receive();
  }

  void drive() {
    if (nodes_.size() == 1) {
      nodes_[0]->drive(kControlInterval);
      return;
    }
    std::vector<pollfd> waiting = {{control_.descriptor(), POLLIN, 0}};
    for (const auto& node : nodes_) {
      waiting.push_back({*node->handle().descriptor(), POLLIN, 0});
    }
    ::poll(waiting.data(), waiting.size(), -1);
    for (std::size_t at = 0; at < nodes_.size(); ++at) {
      if (waiting[at + 1].revents != 0) {
        nodes_[at]->drive(Duration::zero());
      }
    }
  }

  void answer(const Message& message) {
    static const std::map<std::string, Verb> verbs = {
        {"hello", &Worker::hello},
        {"veth", &Worker::veth},
        {"address", &Worker::address},
        {"time_handles", &Worker::time_handles},
        {"open", &Worker::open},
        {"open_raw", &Worker::open_raw},
        {"up", &Worker::up},
        {"cpu", &Worker::cpu},
        {"memory", &Worker::memory},
        {"links", &Worker::links},
        {"send", &Worker::send},
        {"receive", &Worker::receive},
        {"ping", &Worker::ping},
        {"echo", &Worker::echo},
        {"send_and_ping", &Worker::send_and_ping},
        {"receive_and_echo", &Worker::receive_and_echo},
        {"drain", &Worker::drain},
        {"flow", &Worker::flow},
        {"watch", &Worker::watch},
        {"close", &Worker::close},
        {"stop", &Worker::already_stopped},
    };
    const auto verb = verbs.find(message.verb());
    try {
      if (verb == verbs.end()) {
        throw Failure(fmt::format("unknown verb '{}'", message.verb()));
      }
      const Message result = (this->*verb->second)(message);
      if (!result.verb().empty()) {
        control_.send(result);
      }
    } catch (const std::exception& failure) {
      control_.send(Message("failed").set("reason", std::string_view(failure.what())));
    }
  }

  Message hello(const Message& /*message*/) {
    return Message("hello").set("library", mapped_library()).set("pid", std::int64_t{::getpid()});
  }

  Message veth(const Message& message) {
    require_own_namespace();
    create_veth(message.text("device"), static_cast<unsigned>(message.number("mtu")),
                static_cast<pid_t>(message.number("other")));
    return Message("done");
  }

  Message address(const Message& message) {
    require_own_namespace();
    const std::string& device = message.text("device");
    add_address(device, message.text("address"), kPrefixLength);
    set_device_up(device);
    return Message("done");
  }

  Message time_handles(const Message& message) {
    std::vector<double> create;
    std::vector<double> free;
    for (std::int64_t times = message.number("count"); times > 0; --times) {
      const HandleTimes handle = time_empty_handle(1);
      create.push_back(static_cast<double>(handle.create.count()));
      free.push_back(static_cast<double>(handle.free.count()));
    }
    return Message("timed")
        .set("create", Duration(static_cast<std::int64_t>(median(create))))
        .set("free", Duration(static_cast<std::int64_t>(median(free))));
  }

  Message open(const Message& message) {
    if (nodes_.empty()) {
      resident_before_ = resident_memory();
    }
    const NodeSettings settings = NodeSettings::from_message(message);
    KnetNode& node = *nodes_.emplace_back(std::make_unique<KnetNode>(settings));
    if (node.driven()) {
      carriers_.push_back(make_direct_carrier(&control_, node.handle()));
    }
    for (std::size_t channel = 0; channel < node.data_descriptors(); ++channel) {
      // Only one application of a process talks to the controller.
      ControlChannel* control = carriers_.empty() ? &control_ : nullptr;
      carriers_.push_back(make_datafd_carrier(control, node.data_descriptor(channel)));
    }
    return Message("opened").set("privileged", std::int64_t{node.privileged()});
  }

  Message open_raw(const Message& message) {
    Descriptor socket =
        open_raw_socket(message.text("local"), message.text("remote"), message.text("port"));
    if (message.number("relay") != 0) {
      relay_ = std::make_unique<Relay>(std::move(socket));
      carriers_.push_back(make_datafd_carrier(&control_, relay_->descriptor()));
    } else {
      carriers_.push_back(make_raw_carrier(&control_, std::move(socket)));
    }
    return Message("opened").set("privileged", std::int64_t{1});
  }

  Message up(const Message& message) {
    const Instant deadline = Clock::now() + message.duration("patience");
    for (const auto& node : nodes_) {
      node->enable_links();
    }
    LinkTimes times{};
    for (const auto& node : nodes_) {
      const LinkTimes of_node = ready_times(*node, deadline);
      times = {std::max(times.connected, of_node.connected),
               std::max(times.mtu_found, of_node.mtu_found), of_node.data_mtu};
    }
    return Message("up")
        .set("connected", times.connected)
        .set("mtu_found", times.mtu_found)
        .set("data_mtu", std::int64_t{times.data_mtu});
  }

  LinkTimes ready_times(KnetNode& node, Instant deadline) {
    while (true) {
      node.clear_events();
      if (const auto times = node.links_ready()) {
        return *times;
      }
      if (Clock::now() >= deadline) {
        throw Failure(fmt::format("the links did not all come up with their MTU found in time: {}",
                                  node.describe_links()));
      }
      wait_for_events(node);
    }
  }

  void wait_for_events(const KnetNode& node) {
    if (node.driven()) {
      const Instant end = Clock::now() + kLinkLookInterval;
      do {
        drive();
      } while (nodes_.size() > 1 && Clock::now() < end);
    }
    std::array<pollfd, 2> waiting = {pollfd{node.event_descriptor(), POLLIN, 0},
                                     pollfd{control_.descriptor(), 0, 0}};
    ::poll(waiting.data(), waiting.size(),
           node.driven() ? 0 : poll_timeout(Clock::now() + kLinkLookInterval));
    if (waiting[1].revents != 0) {
      throw Failure("the controller is gone");
    }
  }

  Message cpu(const Message& /*message*/) { return Message("cpu").set("used", cpu_used()); }

  Message memory(const Message& /*message*/) {
    return Message("memory")
        .set("resident", resident_memory())
        .set("resident_before", resident_before_)
        .set("threads", other_threads());
  }

  Message links(const Message& /*message*/) {
    bool ready = true;
    std::uint64_t ups = 0;
    for (const auto& node : nodes_) {
      ready = ready && node->links_ready().has_value();
      ups += node->link_up_count();
    }
    return Message("links")
        .set("ready", std::int64_t{ready})
        .set("ups", static_cast<std::int64_t>(ups));
  }

  // What the library says about its work is not there without one.
  Message send(const Message& message) {
    const StatsSince stats(*this);
    Message result = send_stream(endpoint(message), message);
    const knet_handle_stats sums = stats.get();
    return result.set("crypt", nanoseconds(sums.tx_crypt_time_ave))
        .set("compress", nanoseconds(sums.tx_compress_time_ave))
        .set("original", static_cast<std::int64_t>(sums.tx_compressed_original_bytes))
        .set("compressed", static_cast<std::int64_t>(sums.tx_compressed_size_bytes));
  }
  Message receive(const Message& message) {
    const std::uint64_t refused_before = refused();
    const StatsSince stats(*this);
    Message result = receive_stream(endpoint(message), message);
    const knet_handle_stats sums = stats.get();
    return result.set("refused", static_cast<std::int64_t>(refused() - refused_before))
        .set("crypt", nanoseconds(sums.rx_crypt_time_ave))
        .set("compress", nanoseconds(sums.rx_compress_time_ave));
  }

  // The statistics of the first node from here on; zeros where there is none.
  class StatsSince {
   public:
    explicit StatsSince(Worker& worker) : worker_(worker) {
      if (!worker_.nodes_.empty()) {
        worker_.nodes_[0]->forget_stats();
      }
    }
    [[nodiscard]] knet_handle_stats get() const {
      return worker_.nodes_.empty() ? knet_handle_stats{} : worker_.nodes_[0]->stats();
    }

   private:
    Worker& worker_;
  };
  [[nodiscard]] std::uint64_t refused() const { return nodes_.empty() ? 0 : nodes_[0]->refused(); }
  static Duration nanoseconds(std::uint64_t count) {
    return Duration(static_cast<std::int64_t>(count));
  }
  Message ping(const Message& message) { return bench::ping(endpoint(message).carrier, message); }
  Message echo(const Message& message) { return bench::echo(endpoint(message), message); }

  // Channel 0 carries the stream that the message describes, channel 1 pings, from a thread of
  // their own as two parts of an application would.
  Message send_and_ping(const Message& message) {
    // The pings end before the stream, and with it the echo, does.
    const Message pings = Message(message)
                              .set("size", message.number("ping_size"))
                              .set("duration", message.duration("duration") * 9 / 10);
    Carrier& carrier = *carriers_.at(1);
    auto pinged = std::async(std::launch::async, [&] { return bench::ping(carrier, pings); });
    const Message sent = send_stream(endpoint(message), message);
    return pinged.get().renamed("sent_and_pinged").set("messages", sent.number("messages"));
  }
  Message receive_and_echo(const Message& message) {
    std::atomic<bool> ended = false;
    Carrier& carrier = *carriers_.at(1);
    const auto size = static_cast<std::size_t>(message.number("ping_size"));
    auto echoing = std::async(std::launch::async, [&] { echo_until(carrier, size, ended); });
    Message received = receive_stream(endpoint(message), message);
    ended = true;
    echoing.get();
    return received;
  }

  // Takes what comes for any of the nodes, until told to stop.
  Message drain(const Message& message) {
    std::int64_t messages = 0;
    const auto row = static_cast<std::uint32_t>(message.number("row"));
    const auto count = [&](std::span<const std::byte> bytes) {
      PayloadHeader header;
      const bool intact = check_payload(bytes, row, header) == Verdict::kIntact;
      messages += intact && header.kind == PayloadKind::kData ? 1 : 0;
    };
    std::vector<pollfd> waiting = {{control_.descriptor(), POLLIN, 0}};
    for (std::size_t at = 0; at < carriers_.size(); ++at) {
      carriers_[at]->listen(message_size(message), count);
      waiting.push_back({nodes_[at]->data_descriptor(0), POLLIN, 0});
    }
    control_.send(Message("ready"));
    // Once told to stop, it goes on until nothing comes any more.
    bool told = false;
    int ready = 0;
    do {
      waiting[0].fd = told ? -1 : control_.descriptor();
      ready = ::poll(waiting.data(), waiting.size(),
                     told ? poll_timeout(Clock::now() + kDryAfter) : -1);
      told = told || waiting[0].revents != 0;
      for (std::size_t at = 0; at < carriers_.size(); ++at) {
        while (waiting[at + 1].revents != 0 && carriers_[at]->receive()) {
        }
      }
    } while (ready != 0);
    control_.receive();
    for (const auto& carrier : carriers_) {
      carrier->listen(message_size(message), [](std::span<const std::byte>) {});
    }
    return Message("drained").set("messages", messages);
  }

  Message flow(const Message& message) {
    return send_flow(endpoint(message), message, [this](const Message& control) { cut(control); });
  }
  Message watch(const Message& message) {
    return receive_flow(endpoint(message), message,
                        [this](const Message& control) { cut(control); });
  }

  void cut(const Message& message) {
    require_own_namespace();
    set_neighbour_reachable(message.text("device"), message.text("address"),
                            message.verb() != "cut");
    control_.send(Message("done"));
  }

  Message close(const Message& /*message*/) {
    carriers_.clear();
    relay_.reset();
    for (const auto& node : nodes_) {
      node->close();
    }
    nodes_.clear();
    return Message("closed");
  }

  // A stop that crossed the end of what it was to stop.
  Message already_stopped(const Message& /*message*/) { return {}; }

  Endpoint endpoint(const Message& command) {
    if (carriers_.empty()) {
      throw Failure("there is no node");
    }
    carriers_[0]->set_spinning(command.number("spin") != 0);
    return {control_, *carriers_[0]};
  }

  void require_own_namespace() const {
    if (!own_namespace_) {
      throw Failure("this worker has no network namespace of its own");
    }
  }

  ControlChannel control_;
  bool own_namespace_;
  std::vector<std::unique_ptr<KnetNode>> nodes_;
  std::unique_ptr<Relay> relay_;
  std::vector<std::unique_ptr<Carrier>> carriers_;  // of the channels of the nodes, in this order
  std::int64_t resident_before_ = 0;
};

}  // namespace

int run_worker(Descriptor control, bool own_namespace) {
  return Worker(std::move(control), own_namespace).run();
}

}  // namespace ringknet::bench
