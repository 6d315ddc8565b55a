// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One function per group of rows: what it has the two nodes do, and which figures it makes of their
// answers.
#include "tools/bench/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "tools/bench/carrier.h"

namespace ringknet::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kPatience = seconds(15);
constexpr std::int64_t kPingSize = 100;
constexpr Duration kIdleTimeMin = seconds(2);
constexpr Duration kTimeToDrain = milliseconds(200);
// The classic library is slow to give up a link in its first ten seconds, whatever its timeout
// says.
constexpr Duration kLinkAgeForCut = seconds(11);
constexpr Duration kLinkAgeOfOurs = seconds(1);
constexpr double kMegabyte = 1e6;
constexpr std::size_t kShort = 1024;
constexpr std::size_t kLong = 65536;
constexpr const char* kClassicCrypto = "openssl,aes256,sha256";
constexpr const char* kNativeCrypto = "wolfssl,aes256gcm,none";
constexpr Duration kBusyPoll = std::chrono::microseconds(50);
constexpr unsigned kFanOut = 8;
// 1000 links.
constexpr unsigned kScaleHosts = 125;
constexpr unsigned kScaleLinks = 8;

double milliseconds_of(Duration duration) {
  return seconds_of(duration) * 1e3;
}
double microseconds_of(Duration duration) {
  return seconds_of(duration) * 1e6;
}

void require_undamaged(const Message& result) {
  if (result.number("damaged") != 0) {
    throw Failure(fmt::format("{} messages arrived damaged", result.number("damaged")));
  }
}

void measure_setup(Session& session, const Sink& sink) {
  const auto add = [&sink](const char* name, const char* label, Duration duration) {
    sink.add(name, label, "ms", Better::kLower, milliseconds_of(duration));
  };
  add("create", "knet_handle_new_ex", session.handle_create());
  add("free", "knet_handle_free", session.handle_free());
  add("links_up", "links up after enabling", session.link_times().connected);
  add("mtu_found", "path MTU found after enabling", session.link_times().mtu_found);
}

enum class Waiting { kSleeping, kSpinning };

// What every command that moves messages says.
Message traffic(Session& session, Waiting waiting = Waiting::kSleeping) {
  return Message()
      .set("row", session.next_row())
      .set("spin", std::int64_t{waiting == Waiting::kSpinning})
      .set("progress", std::int64_t{session.progress().visible()})
      .set("duration", session.options().duration);
}

const char* side_name(const Sink& sink) {
  return sink.side == 0 ? "ours" : "theirs";
}

void add_round_trips(const Sink& sink, const Message& pinged) {
  require_undamaged(pinged);
  if (pinged.number("count") == 0) {
    throw Failure("no message came back");
  }
  const auto add = [&](const char* name, const char* label) {
    sink.add(name, label, "µs", Better::kLower, microseconds_of(pinged.duration(name)));
  };
  add("p50", "p50");
  add("p99", "p99");
  add("p999", "p99.9");
  sink.add("lost", "lost", "messages", Better::kLower, static_cast<double>(pinged.number("lost")));
}

void measure_latency(Session& session, const Sink& sink, Waiting waiting) {
  const Message pings = traffic(session, waiting).set("size", kPingSize);
  session.ask(kReceiver, pings.renamed("echo"), "ready", kPatience);
  const Message pinged =
      session.ask(kSender, pings.renamed("ping"), "pinged", session.options().duration + kPatience);
  session.ask(kReceiver, Message("stop"), "echoed", kPatience);
  add_round_trips(sink, pinged);
}

void add_cpu(const Sink& sink, double messages, double size, Duration sender, Duration receiver) {
  const auto per_message = [&](const char* name, const char* label, Duration cpu) {
    sink.add(name, label, "µs", Better::kLower, microseconds_of(cpu) / messages);
  };
  const auto per_byte = [&](const char* name, const char* label, Duration cpu) {
    sink.add(name, label, "ns", Better::kLower, seconds_of(cpu) * 1e9 / messages / size);
  };
  per_message("cpu_message_sender", "CPU per message, sender", sender);
  per_message("cpu_message_receiver", "CPU per message, receiver", receiver);
  per_byte("cpu_byte_sender", "CPU per byte, sender", sender);
  per_byte("cpu_byte_receiver", "CPU per byte, receiver", receiver);
  per_byte("cpu_byte_both", "CPU per byte, both", sender + receiver);
}

// What the library's own statistics say about encryption and compression, where these are on.
void add_work(const Sink& sink, const Message& sent, const Message& received) {
  const auto time = [&](const char* name, const char* label, Duration duration) {
    sink.add(name, label, "ns", Better::kLower, static_cast<double>(duration.count()));
  };
  if (sent.duration("crypt") != Duration::zero()) {
    time("encrypt", "encrypting a packet", sent.duration("crypt"));
    time("decrypt", "decrypting a packet", received.duration("crypt"));
  }
  if (sent.number("original") != 0) {
    time("compress", "compressing a message", sent.duration("compress"));
    time("decompress", "decompressing a message", received.duration("compress"));
    sink.add("compressed", "compressed to", "%", Better::kLower,
             static_cast<double>(sent.number("compressed")) /
                 static_cast<double>(sent.number("original")) * 100);
  }
}

void require_sound(const Message& received) {
  require_undamaged(received);
  if (received.number("duplicated") != 0) {
    throw Failure(fmt::format("{} messages arrived twice", received.number("duplicated")));
  }
  if (received.number("ended") == 0 || received.number("messages") < 2) {
    throw Failure(fmt::format("only {} messages arrived", received.number("messages")));
  }
}

void measure_throughput(Session& session, const Sink& sink, std::size_t size) {
  const Duration duration = session.options().duration;
  const Message stream = traffic(session).set("size", static_cast<std::int64_t>(size));
  session.ask(kReceiver, stream.renamed("receive"), "ready", kPatience);
  session.tell(kSender, stream.renamed("send"));
  const Message received = session.expect(kReceiver, "received", duration + kPatience);
  const Message sent = session.ask(kSender, Message("stop"), "sent", kPatience);
  require_sound(received);

  const auto messages = static_cast<double>(received.number("messages"));
  // The first message starts the clock, so it is not among those that the time was needed for.
  const double rate = (messages - 1) / seconds_of(received.duration("span"));
  const auto offered = static_cast<double>(sent.number("messages"));
  sink.add("messages", "received", "msg/s", Better::kHigher, rate);
  sink.add("bytes", "received", "MB/s", Better::kHigher,
           rate * static_cast<double>(size) / kMegabyte);
  sink.add("lost", "lost", "%", Better::kLower, (offered - messages) / offered * 100);
  add_cpu(sink, messages, static_cast<double>(size), sent.duration("cpu"),
          received.duration("cpu"));
  add_work(sink, sent, received);
  if (received.number("refused") != 0) {
    sink.section.note(fmt::format(
        "{}: the library found the receiving application's descriptor full and dropped messages",
        side_name(sink)));
  }
  if (!session.links_stayed_up()) {
    sink.section.note(fmt::format("{}: a link went down under this load", side_name(sink)));
  }
}

// Round trips on one channel while long messages stream on another.
void measure_mixed(Session& session, const Sink& sink) {
  const Duration duration = session.options().duration;
  const Message both =
      traffic(session).set("size", static_cast<std::int64_t>(kLong)).set("ping_size", kPingSize);
  session.ask(kReceiver, both.renamed("receive_and_echo"), "ready", kPatience);
  session.tell(kSender, both.renamed("send_and_ping"));
  const Message received = session.expect(kReceiver, "received", duration + kPatience);
  const Message sent = session.ask(kSender, Message("stop"), "sent_and_pinged", kPatience);
  require_sound(received);
  add_round_trips(sink, sent);
  sink.add("bytes", "streamed meanwhile", "MB/s", Better::kHigher,
           static_cast<double>(received.number("messages") - 1) * static_cast<double>(kLong) /
               seconds_of(received.duration("span")) / kMegabyte);
}

// Every message goes to all hosts there are.
void measure_fan_out(Session& session, const Sink& sink, std::size_t size) {
  const Duration duration = session.options().duration;
  const Message stream = traffic(session).set("size", static_cast<std::int64_t>(size));
  session.ask(kReceiver, stream.renamed("drain"), "ready", kPatience);
  session.tell(kSender, stream.renamed("send"));
  session.watch_for(duration + kTimeToDrain);
  const Message sent = session.ask(kSender, Message("stop"), "sent", kPatience);
  const Message drained = session.ask(kReceiver, Message("stop"), "drained", kPatience);
  const auto messages = static_cast<double>(sent.number("messages"));
  const auto expected = messages * session.setup().receivers;
  if (messages == 0 || drained.number("messages") == 0) {
    throw Failure("no message arrived");
  }
  sink.add("messages", "sent", "msg/s", Better::kHigher, messages / seconds_of(duration));
  sink.add("cpu_message_sender", "CPU per message, sender", "µs", Better::kLower,
           microseconds_of(sent.duration("cpu")) / messages);
  sink.add("lost", "lost", "%", Better::kLower,
           (expected - static_cast<double>(drained.number("messages"))) / expected * 100);
}

void measure_memory(Session& session, const Sink& sink) {
  double resident = 0;
  double before = 0;
  double threads = 0;
  for (std::size_t node = 0; node < kNodes; ++node) {
    const Message memory = session.ask(node, Message("memory"), "memory", kPatience);
    resident = std::max(resident, static_cast<double>(memory.number("resident")));
    before = std::max(before, static_cast<double>(memory.number("resident_before")));
    threads = std::max(threads, static_cast<double>(memory.number("threads")));
  }
  const auto add = [&](const char* name, const char* label, double bytes, Better better) {
    sink.add(name, label, "MB", better, bytes / kMegabyte);
  };
  add("resident_start", "resident, links just up", session.resident_at_start(), Better::kLower);
  add("resident_end", "resident, after traffic", resident, Better::kLower);
  add("resident_bench", "of it knet-bench before the handle", before, Better::kNeither);
  sink.add("threads", "threads of the library", "", Better::kLower, threads);
}

// Of the nodes in the first processes, of so many.
void measure_idle(Session& session, const Sink& sink, std::size_t nodes) {
  const Duration duration = std::max(kIdleTimeMin, session.options().duration);
  const auto used = [&] {
    Duration sum{};
    for (std::size_t node = 0; node < nodes; ++node) {
      sum += session.ask(node, Message("cpu"), "cpu", kPatience).duration("used");
    }
    return sum;
  };
  const Instant start = Clock::now();
  const Duration before = used();
  session.watch_for(duration);
  const double cpu = seconds_of(used() - before);
  sink.add("cpu", "CPU per node", "% of a core", Better::kLower,
           cpu / static_cast<double>(nodes) / seconds_of(Clock::now() - start) * 100);
}

void measure_failover(Session& session, const Sink& sink, Duration link_age) {
  session.wait_for_link_age(link_age);
  session.progress().detail("cutting a link");
  const Setup& setup = session.setup();
  const Message flow = traffic(session);
  // Long enough for the timeout to strike and for what it causes; then as long as the silence
  // takes, within reason.
  const Duration watch = setup.ping_interval * 2 + setup.ping_timeout * 3 + seconds(1);
  const Duration patience = watch + setup.ping_timeout * 10 + seconds(10);
  session.tell(kReceiver,
               Message(flow.renamed("watch")).set("watch", watch).set("patience", patience));
  session.tell(kSender, flow.renamed("flow"));
  session.expect(kReceiver, "running", kPatience);
  session.set_link_cut(true);
  const Message watched = session.expect(kReceiver, "watched", patience + kPatience);
  const Message flowed = session.ask(kSender, Message("stop"), "flowed", kPatience);
  require_undamaged(watched);
  if (watched.number("resumed") == 0) {
    throw Failure(fmt::format("no steady flow of messages within {:.0f} s after link 0 was cut",
                              seconds_of(patience)));
  }
  sink.add("silence", "longest silence", "ms", Better::kLower,
           milliseconds_of(watched.duration("gap")));
  sink.add("lost", "lost", "messages", Better::kLower,
           static_cast<double>(watched.number("highest") + 1 - watched.number("messages")));
  sink.add("duplicated", "arrived twice", "messages", Better::kLower,
           static_cast<double>(watched.number("duplicated")));
  if (flowed.number("refused") != 0) {
    sink.section.note(
        fmt::format("{}: the sender was held back while the link was cut", side_name(sink)));
  }
}

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
    list.add_latency(
        "direct", direct ? "direct_latency_busy" : "latency_busy",
        fmt::format(", {}, adaptive busy poll {:.0f} µs", direct ? "direct" : "data descriptors",
                    microseconds_of(kBusyPoll)),
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
  list.add("mixed", "mixed",
           fmt::format("round trip, {} B, while {} messages stream on another channel", kPingSize,
                       size_name(kLong)),
           measure_mixed);

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
