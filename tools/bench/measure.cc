// SPDX-License-Identifier: LGPL-2.1-or-later
//
// One function per kind of rows: the conversation with the nodes, and the figures.
#include "tools/bench/measure.h"

#include <fmt/format.h>

#include <algorithm>

namespace ringknet::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kIdleTimeMin = seconds(2);
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

// What every command that moves messages says.
Message traffic(Session& session, Waiting waiting = Waiting::kSleeping) {
  return Message()
      .set("row", session.next_row())
      .set("spin", std::int64_t{waiting == Waiting::kSpinning})
      .set("progress", std::int64_t{session.progress().visible()})
      .set("duration", session.options().duration)
      .set("pace", Duration::zero());
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

}  // namespace

void measure_setup(Session& session, const Sink& sink) {
  const auto add = [&sink](const char* name, const char* label, Duration duration) {
    sink.add(name, label, "ms", Better::kLower, milliseconds_of(duration));
  };
  add("create", "knet_handle_new_ex", session.handle_create());
  add("free", "knet_handle_free", session.handle_free());
  add("links_up", "links up after enabling", session.link_times().connected);
  add("mtu_found", "path MTU found after enabling", session.link_times().mtu_found);
}

void measure_latency(Session& session, const Sink& sink, Waiting waiting) {
  const Message pings = traffic(session, waiting).set("size", kPingSize);
  session.ask(kReceiver, pings.renamed("echo"), "ready", kPatience);
  const Message pinged =
      session.ask(kSender, pings.renamed("ping"), "pinged", session.options().duration + kPatience);
  session.ask(kReceiver, Message("stop"), "echoed", kPatience);
  add_round_trips(sink, pinged);
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

void measure_mixed(Session& session, const Sink& sink, Duration pace) {
  const Duration duration = session.options().duration;
  const Message both = traffic(session)
                           .set("size", static_cast<std::int64_t>(kLong))
                           .set("ping_size", kPingSize)
                           .set("pace", pace);
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

void measure_fan_out(Session& session, const Sink& sink, std::size_t size) {
  const Duration duration = session.options().duration;
  const Message stream = traffic(session).set("size", static_cast<std::int64_t>(size));
  session.ask(kReceiver, stream.renamed("drain"), "ready", kPatience);
  session.tell(kSender, stream.renamed("send"));
  session.watch_for(duration);
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

}  // namespace ringknet::bench
