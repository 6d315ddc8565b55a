// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The command line: a table of options, each with a function that checks its argument and stores
// it. Mistakes are told in a sentence each.
#include "tools/bench/options.h"

#include <fmt/format.h>
#include <getopt.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <sstream>

#include "api/libknet.h"
#include "tools/bench/payload.h"

namespace ringknet::bench {
namespace {

constexpr const char* kHelp = R"(usage: knet-bench [OPTION]...

Measures libknet.so.1 through its public API: two nodes, each in a process and network namespace of
its own, joined by two links; where namespaces may not be made, over loopback addresses. Prints one
table.

What to measure
  --rows GROUP[,GROUP]...  only these of: setup, latency, throughput, memory, idle, failover, raw,
                           direct, crypto, mixed, fanout, scale (also --only)
  --sizes BYTES[,BYTES]... message sizes of the throughput rows (default 100,1K,8K,64K)
  --duration SECONDS       of each throughput and round-trip row (default 1.5)
  --runs N                 how often everything is measured (default 1; 3 with --against)
  --against PATH           measure another library too, alternating, and compare: PATH is its
                           libknet.so.1, or the folder that holds it, or 'peer' for the folder
                           named in $RINGKNET_PEER

How
  --policy passive|active|rr
                           how messages are spread over links (default passive)
  --links N                1 to 8 (default 2)
  --mtu BYTES              of the links (default 1500)
  --crypto MODEL,CIPHER,HASH
                           for example openssl,aes256,sha256 (default none)
  --against-crypto MODEL,CIPHER,HASH
                           for the other library, where it is to differ; 'none' for none
  --compress MODEL         for example lz4 (default none)
  --ping INTERVAL,TIMEOUT  in milliseconds (default 200,400)
  --pong-count N           answers before a link is up (default 2)
  --network best|namespaces|loopback

Over two machines
  --listen ADDR[,ADDR]...  on the far one: serve as second node, until interrupted; with --against
                           PATH too if the near one compares
  --node ADDR[,ADDR]...    on the near one: its own addresses, one per link, and
  --peer ADDR[,ADDR]...    the far one's, in the same order
  --port N                 UDP port of the links, and TCP port of the bench itself (default 5405)

Output
  --json                   one JSON object instead of the table
  --help

Exit status: 0 if every row was measured, 1 if one failed, 2 for a mistake on the command line.
)";

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  std::string part;
  while (std::getline(stream, part, ',')) {
    parts.push_back(part);
  }
  return parts;
}

std::uint64_t parse_number(const std::string& text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most) {
    throw Failure(fmt::format("'{}' is no number from {} to {}", text, least, most));
  }
  return number;
}

std::size_t parse_size(std::string text) {
  std::uint64_t factor = 1;
  if (text.ends_with('K') || text.ends_with('k')) {
    text.pop_back();
    factor = 1024;
  }
  const std::uint64_t size = parse_number(text, 1, KNET_MAX_PACKET_SIZE) * factor;
  if (size < kPayloadSizeMin || size > KNET_MAX_PACKET_SIZE) {
    throw Failure(fmt::format("messages of {} bytes: the sizes are {} to {}", size, kPayloadSizeMin,
                              KNET_MAX_PACKET_SIZE));
  }
  return size;
}

Duration parse_seconds(const std::string& text) {
  std::size_t used = 0;
  double value = 0;
  try {
    value = std::stod(text, &used);
  } catch (const std::logic_error&) {
    used = 0;
  }
  if (used != text.size() || !(value >= 0.1 && value <= 3600)) {
    throw Failure(fmt::format("'{}' is no time from 0.1 to 3600 seconds", text));
  }
  return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

std::string parse_choice(const std::string& text, const std::vector<std::string>& choices) {
  if (std::find(choices.begin(), choices.end(), text) == choices.end()) {
    throw Failure(fmt::format("'{}' is none of {}", text, fmt::join(choices, ", ")));
  }
  return text;
}

std::string parse_crypto(const std::string& text) {
  if (text == "none") {
    return "";
  }
  if (split(text).size() != 3) {
    throw Failure(fmt::format("'{}' is not MODEL,CIPHER,HASH, as in openssl,aes256,sha256", text));
  }
  return text;
}

void parse_ping(const std::string& text, Options& options) {
  const std::vector<std::string> parts = split(text);
  if (parts.size() != 2) {
    throw Failure(fmt::format("'{}' is not INTERVAL,TIMEOUT, as in 200,400", text));
  }
  options.ping_interval = std::chrono::milliseconds(parse_number(parts[0], 1, 3'600'000));
  options.ping_timeout = std::chrono::milliseconds(parse_number(parts[1], 1, 3'600'000));
}

NetworkChoice parse_network(const std::string& text) {
  parse_choice(text, {"best", "namespaces", "loopback"});
  return text == "best"         ? NetworkChoice::kBest
         : text == "namespaces" ? NetworkChoice::kNamespaces
                                : NetworkChoice::kLoopback;
}

std::string parse_against(const std::string& text) {
  if (text != "peer") {
    return text;
  }
  const char* peer = std::getenv("RINGKNET_PEER");
  if (peer == nullptr || *peer == '\0') {
    throw Failure("$RINGKNET_PEER does not name a folder");
  }
  return peer;
}

void parse_worker(const std::string& text, Options& options) {
  options.mode = Mode::kWorker;
  options.worker_descriptor = static_cast<int>(parse_number(text, 0, 1023));
}

struct Entry {
  const char* name;
  int has_argument;
  std::function<void(Options&, const std::string&)> store;
};

const std::vector<Entry>& entries() {
  using Text = const std::string&;
  const auto rows = [](Options& options, Text text) {
    for (const std::string& row : split(text)) {
      options.rows.insert(parse_choice(row, row_groups()));
    }
  };
  static const std::vector<Entry> table = {
      {"rows", required_argument, rows},
      {"only", required_argument, rows},
      {"sizes", required_argument,
       [](Options& options, Text text) {
         options.sizes.clear();
         for (const std::string& size : split(text)) {
           options.sizes.push_back(parse_size(size));
         }
       }},
      {"duration", required_argument,
       [](Options& options, Text text) { options.duration = parse_seconds(text); }},
      {"runs", required_argument,
       [](Options& options, Text text) {
         options.runs = static_cast<unsigned>(parse_number(text, 1, 1000));
       }},
      {"against", required_argument,
       [](Options& options, Text text) { options.against = parse_against(text); }},
      {"policy", required_argument,
       [](Options& options, Text text) {
         options.policy = parse_choice(text, {"passive", "active", "rr"});
       }},
      {"links", required_argument,
       [](Options& options, Text text) {
         options.links = static_cast<unsigned>(parse_number(text, 1, KNET_MAX_LINK));
       }},
      {"mtu", required_argument,
       [](Options& options, Text text) {
         options.mtu = static_cast<unsigned>(parse_number(text, 576, 65535));
         options.mtu_given = true;
       }},
      {"crypto", required_argument,
       [](Options& options, Text text) { options.crypto = parse_crypto(text); }},
      {"against-crypto", required_argument,
       [](Options& options, Text text) {
         options.against_crypto = parse_crypto(text);
         options.against_crypto_given = true;
       }},
      {"compress", required_argument,
       [](Options& options, Text text) { options.compress = text == "none" ? "" : text; }},
      {"ping", required_argument, [](Options& options, Text text) { parse_ping(text, options); }},
      {"pong-count", required_argument,
       [](Options& options, Text text) {
         options.pong_count = static_cast<std::uint8_t>(parse_number(text, 1, 255));
       }},
      {"network", required_argument,
       [](Options& options, Text text) { options.network = parse_network(text); }},
      {"listen", required_argument,
       [](Options& options, Text text) {
         options.mode = Mode::kListen;
         options.listen = split(text);
       }},
      {"node", required_argument, [](Options& options, Text text) { options.node = split(text); }},
      {"peer", required_argument, [](Options& options, Text text) { options.peer = split(text); }},
      {"port", required_argument,
       [](Options& options, Text text) {
         options.port = fmt::to_string(parse_number(text, 1, 65535));
       }},
      {"json", no_argument, [](Options& options, Text) { options.json = true; }},
      // How a worker is started; not for users.
      {"worker", required_argument,
       [](Options& options, Text text) { parse_worker(text, options); }},
      {"own-namespace", no_argument, [](Options& options, Text) { options.own_namespace = true; }},
      {"help", no_argument,
       [](Options&, Text) {
         fmt::print("{}", kHelp);
         std::exit(0);
       }},
  };
  return table;
}

[[noreturn]] void complain(const std::string& sentence) {
  fmt::print(stderr, "knet-bench: {}; --help tells what there is\n", sentence);
  std::exit(2);
}

void check_together(Options& options) {
  if (options.node.size() != options.peer.size()) {
    complain("--node and --peer need each other, with the same number of addresses");
  }
  if (!options.node.empty()) {
    options.links = static_cast<unsigned>(options.node.size());
    if (options.network != NetworkChoice::kBest) {
      complain("--network makes no sense over real addresses");
    }
  }
  if (options.links > KNET_MAX_LINK) {
    complain(fmt::format("{} links: libknet has {}", options.links, KNET_MAX_LINK));
  }
  if (options.sizes.empty()) {
    complain("--sizes: there is no size");
  }
  if (options.mode == Mode::kListen && options.listen.empty()) {
    complain("--listen: there is no address");
  }
  if (options.runs == 0) {
    options.runs = options.against.empty() ? 1 : 3;
  }
  if (!options.against_crypto_given) {
    options.against_crypto = options.crypto;
  }
}

}  // namespace

const std::vector<std::string>& row_groups() {
  static const std::vector<std::string> groups = {"setup",  "latency",  "throughput", "memory",
                                                  "idle",   "failover", "raw",        "direct",
                                                  "crypto", "mixed",    "fanout",     "scale"};
  return groups;
}

std::uint8_t Options::policy_number() const {
  return policy == "rr"       ? KNET_LINK_POLICY_RR
         : policy == "active" ? KNET_LINK_POLICY_ACTIVE
                              : KNET_LINK_POLICY_PASSIVE;
}

Options parse_options(int argc, char** argv) {
  std::vector<option> long_options;
  for (const Entry& entry : entries()) {
    long_options.push_back({entry.name, entry.has_argument, nullptr, 0});
  }
  long_options.push_back({nullptr, 0, nullptr, 0});

  Options options;
  opterr = 0;
  int index = 0;
  for (int found = 0;
       (found = ::getopt_long(argc, argv, ":", long_options.data(), &index)) != -1;) {
    if (found == ':') {
      complain(fmt::format("'{}' needs a value", argv[optind - 1]));
    }
    if (found == '?') {
      complain(fmt::format("there is no option '{}'", argv[optind - 1]));
    }
    const Entry& entry = entries()[static_cast<std::size_t>(index)];
    try {
      entry.store(options, optarg == nullptr ? "" : optarg);
    } catch (const Failure& failure) {
      complain(fmt::format("--{}: {}", entry.name, failure.what()));
    }
  }
  if (optind < argc) {
    complain(fmt::format("'{}' is not an option", argv[optind]));
  }
  check_together(options);
  return options;
}

}  // namespace ringknet::bench
