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
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "tools/bench/control.h"
#include "tools/bench/knet_node.h"
#include "tools/bench/netns.h"
#include "tools/bench/process_info.h"
#include "tools/bench/stats.h"
#include "tools/bench/traffic.h"

namespace ringknet::bench {
namespace {

// Links have no callback of their own in 1.x, only hosts and the MTU do; so their state is looked
// at this often too.
constexpr Duration kLinkLookInterval = std::chrono::milliseconds(5);
constexpr unsigned kPrefixLength = 24;

class Worker {
 public:
  Worker(Descriptor control, bool own_namespace)
      : control_(std::move(control)), own_namespace_(own_namespace) {}

  int run() {
    while (true) {
      const auto message = control_.receive_until(Clock::now() + std::chrono::hours(1));
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

  void answer(const Message& message) {
    static const std::map<std::string, Verb> verbs = {
        {"hello", &Worker::hello},
        {"veth", &Worker::veth},
        {"address", &Worker::address},
        {"time_handles", &Worker::time_handles},
        {"open", &Worker::open},
        {"up", &Worker::up},
        {"cpu", &Worker::cpu},
        {"memory", &Worker::memory},
        {"links", &Worker::links},
        {"send", &Worker::send},
        {"receive", &Worker::receive},
        {"ping", &Worker::ping},
        {"echo", &Worker::echo},
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
    resident_before_ = resident_memory();
    node_.emplace(NodeSettings::from_message(message));
    return Message("opened").set("privileged", std::int64_t{node_->privileged()});
  }

  Message up(const Message& message) {
    const Instant deadline = Clock::now() + message.duration("patience");
    node().enable_links();
    while (true) {
      node().clear_events();
      if (const auto times = node().links_ready()) {
        return Message("up")
            .set("connected", times->connected)
            .set("mtu_found", times->mtu_found)
            .set("data_mtu", std::int64_t{times->data_mtu});
      }
      if (Clock::now() >= deadline) {
        throw Failure(
            fmt::format("the links did not all come up with their MTU found within {:.0f} s: {}",
                        seconds_of(message.duration("patience")), node().describe_links()));
      }
      wait_for_events();
    }
  }

  void wait_for_events() {
    std::array<pollfd, 2> waiting = {pollfd{node().event_descriptor(), POLLIN, 0},
                                     pollfd{control_.descriptor(), 0, 0}};
    ::poll(waiting.data(), waiting.size(), poll_timeout(Clock::now() + kLinkLookInterval));
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
    return Message("links")
        .set("ready", std::int64_t{node().links_ready().has_value()})
        .set("ups", static_cast<std::int64_t>(node().link_up_count()));
  }

  Message send(const Message& message) {
    node().forget_stats();
    Message result = send_stream(endpoint(), message);
    const knet_handle_stats stats = node().stats();
    return result.set("crypt", nanoseconds(stats.tx_crypt_time_ave))
        .set("compress", nanoseconds(stats.tx_compress_time_ave))
        .set("original", static_cast<std::int64_t>(stats.tx_compressed_original_bytes))
        .set("compressed", static_cast<std::int64_t>(stats.tx_compressed_size_bytes));
  }
  Message receive(const Message& message) {
    const std::uint64_t refused_before = node().refused();
    node().forget_stats();
    Message result = receive_stream(endpoint(), message);
    const knet_handle_stats stats = node().stats();
    return result.set("refused", static_cast<std::int64_t>(node().refused() - refused_before))
        .set("crypt", nanoseconds(stats.rx_crypt_time_ave))
        .set("compress", nanoseconds(stats.rx_compress_time_ave));
  }
  static Duration nanoseconds(std::uint64_t count) {
    return Duration(static_cast<std::int64_t>(count));
  }
  Message ping(const Message& message) { return bench::ping(endpoint(), message); }
  Message echo(const Message& message) { return bench::echo(endpoint(), message); }
  Message flow(const Message& message) {
    return send_flow(endpoint(), message, [this](const Message& control) { cut(control); });
  }
  Message watch(const Message& message) {
    return receive_flow(endpoint(), message, [this](const Message& control) { cut(control); });
  }

  void cut(const Message& message) {
    require_own_namespace();
    set_neighbour_reachable(message.text("device"), message.text("address"),
                            message.verb() != "cut");
    control_.send(Message("done"));
  }

  Message close(const Message& /*message*/) {
    node().close();
    node_.reset();
    return Message("closed");
  }

  // A stop that crossed the end of what it was to stop.
  Message already_stopped(const Message& /*message*/) { return {}; }

  KnetNode& node() {
    if (!node_) {
      throw Failure("there is no node");
    }
    return *node_;
  }

  Endpoint endpoint() { return {control_, node().data_descriptor()}; }

  void require_own_namespace() const {
    if (!own_namespace_) {
      throw Failure("this worker has no network namespace of its own");
    }
  }

  ControlChannel control_;
  bool own_namespace_;
  std::optional<KnetNode> node_;
  std::int64_t resident_before_ = 0;
};

}  // namespace

int run_worker(Descriptor control, bool own_namespace) {
  return Worker(std::move(control), own_namespace).run();
}

}  // namespace ringknet::bench
