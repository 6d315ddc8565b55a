// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One function per group of rows: what it has the two nodes do, and which figures it makes of their
// answers.
#include "tools/bench/rows.h"

#include <fmt/format.h>

#include <algorithm>

namespace ringknet::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kPatience = seconds(15);
constexpr std::int64_t kPingSize = 100;
constexpr Duration kIdleTimeMin = seconds(2);
// The classic library is slow to give up a link in its first ten seconds, whatever its timeout
// says.
constexpr Duration kLinkAgeForCut = seconds(11);
constexpr double kMegabyte = 1e6;

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

void measure_latency(Session& session, const Sink& sink) {
  const std::int64_t row = session.next_row();
  const Message echo = Message("echo").set("size", kPingSize);
  session.ask(kReceiver, echo, "ready", kPatience);
  const Message pinged = session.ask(kSender,
                                     Message("ping")
                                         .set("row", row)
                                         .set("size", kPingSize)
                                         .set("duration", session.options().duration),
                                     "pinged", session.options().duration + kPatience);
  session.ask(kReceiver, Message("stop"), "echoed", kPatience);
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
  const Message stream = Message()
                             .set("row", session.next_row())
                             .set("size", static_cast<std::int64_t>(size))
                             .set("duration", duration)
                             .set("progress", std::int64_t{session.progress().visible()});
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
        sink.side == 0 ? "ours" : "theirs"));
  }
  if (!session.links_stayed_up()) {
    sink.section.note(
        fmt::format("{}: a link went down under this load", sink.side == 0 ? "ours" : "theirs"));
  }
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

void measure_idle(Session& session, const Sink& sink) {
  const Duration duration = std::max(kIdleTimeMin, session.options().duration);
  const auto used = [&session] {
    Duration sum{};
    for (std::size_t node = 0; node < kNodes; ++node) {
      sum += session.ask(node, Message("cpu"), "cpu", kPatience).duration("used");
    }
    return sum;
  };
  const Instant start = Clock::now();
  const Duration before = used();
  session.watch_for(duration);
  const double cpu = seconds_of(used() - before);
  sink.add("cpu", "CPU per node", "% of a core", Better::kLower,
           cpu / kNodes / seconds_of(Clock::now() - start) * 100);
}

void measure_failover(Session& session, const Sink& sink) {
  const Options& options = session.options();
  session.wait_for_link_age(kLinkAgeForCut);
  session.progress().detail("cutting a link");
  const std::int64_t row = session.next_row();
  // Long enough for the timeout to strike and for what it causes; then as long as the silence
  // takes, within reason.
  const Duration watch = options.ping_interval * 2 + options.ping_timeout * 3 + seconds(1);
  const Duration patience = watch + options.ping_timeout * 10 + seconds(10);
  session.tell(kReceiver,
               Message("watch").set("row", row).set("watch", watch).set("patience", patience));
  session.tell(kSender, Message("flow").set("row", row));
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
    sink.section.note(fmt::format("{}: the sender was held back while the link was cut",
                                  sink.side == 0 ? "ours" : "theirs"));
  }
}

std::string why_no_failover(const Options& options, Network network) {
  if (network != Network::kNamespaces) {
    return "a link can only be cut in network namespaces of knet-bench's own";
  }
  return options.links < 2 ? "there is no second link" : "";
}

std::string size_name(std::size_t size) {
  return size % 1024 == 0 ? fmt::format("{} KB", size / 1024) : fmt::format("{} B", size);
}

}  // namespace

std::vector<RowGroup> wanted_rows(const Options& options, Network network) {
  std::vector<RowGroup> rows;
  const auto add = [&](const std::string& group, const std::string& id, const std::string& title,
                       const std::function<void(Session&, const Sink&)>& measure,
                       const std::string& impossible = "") {
    if (options.wants(group)) {
      rows.push_back({id, title, measure, impossible});
    }
  };
  const auto pings = fmt::format("pings every {} ms, timeout {} ms", options.ping_interval.count(),
                                 options.ping_timeout.count());
  add("setup", "setup", fmt::format("set-up ({}, pong count {})", pings, options.pong_count),
      measure_setup);
  add("latency", "latency", fmt::format("round trip, {} B", kPingSize), measure_latency);
  for (const std::size_t size : options.sizes) {
    add("throughput", fmt::format("throughput_{}", size),
        fmt::format("throughput, {} messages", size_name(size)),
        [size](Session& session, const Sink& sink) { measure_throughput(session, sink, size); });
  }
  add("memory", "memory", "memory and threads", measure_memory);
  add("idle", "idle", "idle, links up", measure_idle);
  add("failover", "failover", fmt::format("failover, link 0 cut silently ({})", pings),
      measure_failover, why_no_failover(options, network));
  return rows;
}

}  // namespace ringknet::bench
