// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The table of rows: which there are, in which order, on what nodes.
#include "tools/bench/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "tools/bench/carrier.h"

namespace ringknet::bench {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// The classic library is slow to give up a link in its first ten seconds, whatever its timeout
// says.
constexpr Duration kLinkAgeForCut = seconds(11);
constexpr Duration kLinkAgeOfOurs = seconds(1);
constexpr std::size_t kShort = 1024;
constexpr const char* kClassicCrypto = "openssl,aes256,sha256";
constexpr const char* kNativeCrypto = "wolfssl,aes256gcm,none";
constexpr microseconds kBusyPoll{50};
constexpr unsigned kFanOut = 8;
// 1000 links.
constexpr unsigned kScaleHosts = 125;
constexpr unsigned kScaleLinks = 8;

std::string why_no_failover(const Options& options, Network network) {
  if (network != Network::kNamespaces) {
    return "a link can only be cut in network namespaces of knet-bench's own";
  }
  return options.links < 2 ? "there is no second link" : "";
}

// Many nodes need many ports, and a bare socket the packets as they were sent.
std::string why_no_devices(Network network) {
  return network == Network::kNamespaces ? "" : "network namespaces of knet-bench's own are needed";
}

std::string size_name(std::size_t size) {
  return size % 1024 == 0 ? fmt::format("{} KB", size / 1024) : fmt::format("{} B", size);
}

std::string pings_of(const Setup& setup) {
  return fmt::format("pings every {} ms, timeout {} ms", setup.ping_interval.count(),
                     setup.ping_timeout.count());
}

// The stages, as far as they are asked for, in the making.
class StageList {
 public:
  StageList(const Options& options, Network network) : options_(options), network_(network) {}

  // Rows of a group go into the stage that was begun last.
  Setup& begin(bool theirs = true) {
    Setup setup;
    setup.links = options_.links;
    setup.ping_interval = options_.ping_interval;
    setup.ping_timeout = options_.ping_timeout;
    setup.crypto = {options_.crypto, options_.against_crypto};
    stages_.push_back({setup, {}, theirs});
    return stages_.back().setup;
  }

  using Measure = std::function<void(Session&, const Sink&)>;
  void add(const std::string& group, const std::string& id, const std::string& title,
           const Measure& measure, const std::string& impossible = "") {
    if (options_.wants(group)) {
      stages_.back().rows.push_back({id, title, measure, impossible});
    }
  }
  void add_latency(const std::string& group, const std::string& id, const std::string& title,
                   Waiting waiting, const std::string& impossible = "") {
    add(
        group, id, fmt::format("round trip, {} B{}", kPingSize, title),
        [waiting](Session& session, const Sink& sink) { measure_latency(session, sink, waiting); },
        impossible);
  }
  void add_throughput(const std::string& group, const std::string& prefix, const std::string& title,
                      std::size_t size, const std::string& impossible = "") {
    add(
        group, fmt::format("{}_{}", prefix, size),
        fmt::format("throughput, {} messages{}", size_name(size), title),
        [size](Session& session, const Sink& sink) { measure_throughput(session, sink, size); },
        impossible);
  }

  std::vector<Stage> take() {
    std::erase_if(stages_, [](const Stage& stage) { return stage.rows.empty(); });
    return std::move(stages_);
  }

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] Network network() const { return network_; }

 private:
  const Options& options_;
  Network network_;
  std::vector<Stage> stages_;
};

// What every library has been measured by so far: applications with data descriptors.
void add_main(StageList& list) {
  const Options& options = list.options();
  Setup& setup = list.begin();
  setup.time_handles = options.wants("setup");
  const std::string pings = pings_of(setup);
  list.add("setup", "setup", fmt::format("set-up ({}, pong count {})", pings, options.pong_count),
           measure_setup);
  list.add_latency("latency", "latency", "", Waiting::kSleeping);
  for (const std::size_t size : options.sizes) {
    list.add_throughput("throughput", "throughput", "", size);
  }
  list.add("memory", "memory", "memory and threads", measure_memory);
  list.add("idle", "idle", "idle, links up",
           [](Session& session, const Sink& sink) { measure_idle(session, sink, kNodes); });
  list.add(
      "failover", "failover", fmt::format("failover, link 0 cut silently ({})", pings),
      [](Session& session, const Sink& sink) { measure_failover(session, sink, kLinkAgeForCut); },
      why_no_failover(options, list.network()));
}

// What the kernel itself can do, then services that embed the library.
void add_direct(StageList& list) {
  const std::string impossible = why_no_devices(list.network());
  list.begin(false).path = Path::kRaw;
  list.add_latency("raw", "raw_latency", ", raw UDP, sleeping", Waiting::kSleeping, impossible);
  list.add_latency("raw", "raw_latency_spin", ", raw UDP, spinning", Waiting::kSpinning,
                   impossible);
  list.add_throughput("raw", "raw", ", raw UDP with GSO and GRO", kShort, impossible);
  list.add_throughput("raw", "raw", ", raw UDP with GSO and GRO", kRawMessageMax, impossible);

  list.begin(false).path = Path::kRelay;
  list.add_latency("raw", "raw_latency_relay", ", raw UDP behind data descriptors",
                   Waiting::kSleeping, impossible);

  list.begin().path = Path::kDirect;
  list.add_latency("direct", "direct_latency", ", direct, sleeping", Waiting::kSleeping);
  list.add_latency("direct", "direct_latency_spin", ", direct, busy poll", Waiting::kSpinning);
  list.add_throughput("direct", "direct", ", direct", kShort);
  list.add_throughput("direct", "direct", ", direct", kLong);

  for (const Path path : {Path::kDatafd, Path::kDirect}) {
    const bool direct = path == Path::kDirect;
    Setup& setup = list.begin();
    setup.path = path;
    setup.busy_poll = kBusyPoll;
    list.add_latency("direct", direct ? "direct_latency_busy" : "latency_busy",
                     fmt::format(", {}, adaptive busy poll {} µs",
                                 direct ? "direct" : "data descriptors", kBusyPoll.count()),
                     Waiting::kSleeping);
  }
}

void add_crypto(StageList& list) {
  list.begin().crypto = {kClassicCrypto, kClassicCrypto};
  list.add_throughput("crypto", "classic", ", AES-256/SHA-256", kLong);
  list.begin().crypto = {kNativeCrypto, kClassicCrypto};
  list.add_throughput("crypto", "native", ", AES-256-GCM native (theirs: AES-256/SHA-256)", kLong);
  Setup& setup = list.begin();
  setup.crypto = {kNativeCrypto, kClassicCrypto};
  setup.path = Path::kDirect;
  list.add_throughput("crypto", "native_direct",
                      ", AES-256-GCM native, direct (theirs: AES-256/SHA-256)", kLong);
}

void add_conditions(StageList& list) {
  list.begin().channels = 2;
  const auto add_mixed = [&](const char* name, const char* how, Duration pace) {
    list.add("mixed", name,
             fmt::format("round trip, {} B, while {} messages {} on another channel", kPingSize,
                         size_name(kLong), how),
             [pace](Session& session, const Sink& sink) { measure_mixed(session, sink, pace); });
  };
  add_mixed("mixed", "stream", Duration::zero());
  add_mixed("mixed_paced", "come each millisecond", milliseconds(1));

  // The classic library's clock ticks every 200 ms: with these its links do not stay up.
  Setup& setup = list.begin(false);
  setup.ping_interval = milliseconds(10);
  setup.ping_timeout = milliseconds(30);
  list.add(
      "failover", "failover_fast",
      fmt::format("failover, link 0 cut silently ({})", pings_of(setup)),
      [](Session& session, const Sink& sink) { measure_failover(session, sink, kLinkAgeOfOurs); },
      why_no_failover(list.options(), list.network()));
}

void add_many(StageList& list) {
  const std::string impossible = why_no_devices(list.network());
  for (const unsigned hosts : {1U, kFanOut}) {
    list.begin().receivers = hosts;
    for (const std::size_t size : {kShort, kLong}) {
      list.add(
          "fanout", fmt::format("fanout{}_{}", hosts, size),
          fmt::format("broadcast, {} messages to {} host{}", size_name(size), hosts,
                      hosts == 1 ? "" : "s"),
          [size](Session& session, const Sink& sink) { measure_fan_out(session, sink, size); },
          impossible);
    }
  }
  Setup& setup = list.begin(false);
  setup.receivers = kScaleHosts;
  setup.receivers_driven = true;
  setup.links = kScaleLinks;
  setup.ping_interval = milliseconds(KNET_LINK_DEFAULT_PING_INTERVAL);
  setup.ping_timeout = milliseconds(KNET_LINK_DEFAULT_PING_TIMEOUT);
  list.add(
      "scale", "scale",
      fmt::format("idle, {} links of one handle up ({})", kScaleHosts * kScaleLinks,
                  pings_of(setup)),
      [](Session& session, const Sink& sink) { measure_idle(session, sink, 1); }, impossible);
}

// One figure in proportion to another one of the same run: (above / below - first) * factor.
struct Share {
  std::string id;
  std::string label;
  std::string unit;
  Better better;
  std::string above;
  std::string below;
  double factor = 100;
  double first = 0;
};

const std::vector<Share>& shares() {
  const std::string raw = fmt::format("raw_{}", kRawMessageMax);
  const auto extra = [](std::size_t size) {
    return Share{fmt::format("fanout_{}", size),
                 fmt::format("extra host, {} broadcast", size_name(size)),
                 "% of the 1st",
                 Better::kLower,
                 fmt::format("fanout{}_{}.cpu_message_sender", kFanOut, size),
                 fmt::format("fanout1_{}.cpu_message_sender", size),
                 100.0 / (kFanOut - 1),
                 1};
  };
  static const std::vector<Share> table = {
      {"datafd", "64 KB, data descriptors", "% of raw", Better::kHigher, "throughput_65536.bytes",
       raw + ".bytes"},
      {"direct", "64 KB, direct", "% of raw", Better::kHigher, "direct_65536.bytes",
       raw + ".bytes"},
      {"direct_short", "1 KB, direct", "% of raw", Better::kHigher, "direct_1024.messages",
       "raw_1024.messages"},
      {"spin", "round trip p50, direct, busy poll", "times raw", Better::kLower,
       "direct_latency_spin.p50", "raw_latency_spin.p50", 1},
      {"sleep", "round trip p50, data descriptors", "times raw", Better::kLower, "latency.p50",
       "raw_latency.p50", 1},
      {"relay", "the same", "times raw behind descriptors", Better::kLower, "latency.p50",
       "raw_latency_relay.p50", 1},
      {"relay_p99", "round trip p99, data descriptors", "times raw behind descriptors",
       Better::kLower, "latency.p99", "raw_latency_relay.p99", 1},
      {"native", "64 KB, encrypted", "% of clear", Better::kHigher, "native_65536.bytes",
       "throughput_65536.bytes"},
      {"native_direct", "64 KB, direct, encrypted", "% of clear", Better::kHigher,
       "native_direct_65536.bytes", "direct_65536.bytes"},
      {"native_cpu", "64 KB, encrypted, by CPU time", "% of clear", Better::kHigher,
       "throughput_65536.cpu_byte_both", "native_65536.cpu_byte_both"},
      {"native_direct_cpu", "64 KB, direct, encrypted, by CPU", "% of clear", Better::kHigher,
       "direct_65536.cpu_byte_both", "native_direct_65536.cpu_byte_both"},
      extra(kShort),
      extra(kLong),
  };
  return table;
}

// What the kernel did is in our column and stands for both.
std::optional<double> figure(const Report& report, const std::string& id, std::size_t side,
                             unsigned run) {
  const Metric* metric = report.find(id);
  if (metric == nullptr) {
    return std::nullopt;
  }
  const auto& values = metric->values[id.starts_with("raw") ? 0 : side];
  const auto value = values.find(run);
  return value == values.end() ? std::nullopt : std::optional(value->second);
}

}  // namespace

std::vector<Stage> wanted_stages(const Options& options, Network network) {
  StageList list(options, network);
  add_main(list);
  add_direct(list);
  add_crypto(list);
  add_conditions(list);
  add_many(list);
  return list.take();
}

void add_shares(Report& report, unsigned run) {
  for (const Share& share : shares()) {
    for (std::size_t side = 0; side < kSides; ++side) {
      const auto above = figure(report, share.above, side, run);
      const auto below = figure(report, share.below, side, run);
      if (above && below && *below != 0) {
        report.section("shares", "in proportion")
            .metric(share.id, share.label, share.unit, share.better)
            .values[side][run] = (*above / *below - share.first) * share.factor;
      }
    }
  }
}

}  // namespace ringknet::bench
