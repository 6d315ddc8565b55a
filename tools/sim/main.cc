// SPDX-License-Identifier: LGPL-2.1-or-later
//
// knet-sim: runs seeds of the deterministic simulation and says which fail, how to run them again
// and how fast it was; looks for the features that a failing seed needs to fail; and measures large
// clusters. What a seed does and what is checked is in tests/sim; this is only its front.
#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

#include "tests/sim/scale.h"
#include "tests/sim/scenario.h"
#include "tests/sim/simulation.h"

namespace {

using ringknet::sim::Options;
using ringknet::sim::Report;

constexpr const char* kUsage =
    "usage: knet-sim [--seeds A..B] [--jobs J]   run the seeds A to B (default 1..200)\n"
    "                [--stop]                    ... until one fails\n"
    "       knet-sim --seed N [--trace]          run one seed, with a line per packet and event\n"
    "       knet-sim --seed N --shrink           switch off what it fails without, too\n"
    "       knet-sim --digests A..B              a line per seed, to compare builds\n"
    "       knet-sim --scale N                   one node among N, and its costs\n"
    "       knet-sim --scale N --mesh            N nodes, each with links to all others\n"
    "and with seeds: --without NAME,NAME...      features to switch off; --features lists them\n"
    "                --real                      real ciphers in all of them, not in one of 16\n";

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t last = 200;
  unsigned jobs = 1;
  std::uint64_t scale = 0;
  std::vector<std::string> without;
  bool trace = false;
  bool single = false;
  bool shrink = false;
  bool digests = false;
  bool features = false;
  bool mesh = false;
  bool stop = false;
  bool real = false;

  Options options() const {
    return {.without = without, .real_ciphers = real ? std::optional(true) : std::nullopt};
  }
};

bool read_number(std::string_view text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size();
}

bool read_range(std::string_view text, Arguments& arguments) {
  const std::size_t dots = text.find("..");
  return dots != std::string_view::npos && read_number(text.substr(0, dots), arguments.first) &&
         read_number(text.substr(dots + 2), arguments.last) && arguments.first <= arguments.last &&
         arguments.last < UINT64_MAX;
}

// Names, separated by commas; each has to be a feature.
bool read_names(std::string_view text, std::vector<std::string>& out) {
  const auto known = ringknet::sim::feature_names();
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(','), text.size());
    const std::string name(text.substr(0, end));
    if (std::ranges::none_of(known, [&](const auto& feature) { return name == feature.name; })) {
      std::fprintf(stderr, "knet-sim: no feature is called \"%s\"\n", name.c_str());
      return false;
    }
    out.push_back(name);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return true;
}

bool read_flag(std::string_view option, Arguments& arguments) {
  const std::pair<std::string_view, bool Arguments::*> flags[] = {
      {"--trace", &Arguments::trace},       {"--shrink", &Arguments::shrink},
      {"--features", &Arguments::features}, {"--mesh", &Arguments::mesh},
      {"--stop", &Arguments::stop},         {"--real", &Arguments::real},
  };
  for (const auto& [name, flag] : flags) {
    if (option == name) {
      arguments.*flag = true;
      return true;
    }
  }
  return false;
}

bool read_option(std::string_view option, std::string_view value, Arguments& arguments) {
  std::uint64_t number = 0;
  if (option == "--seeds" || option == "--digests") {
    arguments.single = false;
    arguments.digests = option == "--digests";
    return read_range(value, arguments);
  }
  if (option == "--without")
    return read_names(value, arguments.without);
  if (!read_number(value, number))
    return false;
  if (option == "--seed") {
    arguments.first = arguments.last = number;
    arguments.single = true;
    return true;
  }
  if (option == "--jobs") {
    arguments.jobs = static_cast<unsigned>(number);
    return number >= 1 && number <= 256;
  }
  arguments.scale = number;
  return option == "--scale" && number >= 2 && number <= 5000;
}

std::optional<Arguments> read_arguments(int argc, char** argv) {
  Arguments arguments;
  arguments.jobs = std::max(1u, std::thread::hardware_concurrency());
  for (int i = 1; i < argc; ++i) {
    if (read_flag(argv[i], arguments))
      continue;
    if (i + 1 == argc || !read_option(argv[i], argv[i + 1], arguments))
      return std::nullopt;
    ++i;
  }
  if ((arguments.trace || arguments.shrink) && !arguments.single)
    return std::nullopt;
  return arguments;
}

// An assertion of the core ends the process: the seed is named first, with what a signal handler
// may call.
thread_local std::uint64_t current_seed = 0;

void on_abort(int) {
  char digits[20];
  std::size_t position = sizeof digits;
  std::uint64_t rest = current_seed;
  do {
    digits[--position] = static_cast<char>('0' + rest % 10);
    rest /= 10;
  } while (rest != 0);
  const auto put = [](const char* text, std::size_t size) {
    [[maybe_unused]] const auto written = write(STDERR_FILENO, text, size);
  };
  constexpr char kBefore[] = "aborted; run again with: knet-sim --trace --seed ";
  put(kBefore, sizeof kBefore - 1);
  put(digits + position, sizeof digits - position);
  put("\n", 1);
}

struct Totals {
  std::uint64_t seeds = 0;
  std::uint64_t failed = 0;
  std::uint64_t real_ciphers = 0;
  double simulated = 0;  // seconds
  Report sum;
};

void add(Totals& totals, const Report& report) {
  ++totals.seeds;
  totals.failed += report.passed ? 0 : 1;
  totals.real_ciphers += report.real_ciphers ? 1 : 0;
  totals.simulated += std::chrono::duration<double>(report.simulated).count();
  totals.sum.datagrams += report.datagrams;
  totals.sum.messages += report.messages;
  totals.sum.deliveries += report.deliveries;
  totals.sum.excused += report.excused;
  totals.sum.link_ups += report.link_ups;
  totals.sum.link_downs += report.link_downs;
  totals.sum.restarts_seen += report.restarts_seen;
  totals.sum.key_changes += report.key_changes;
  totals.sum.bogus += report.bogus;
  totals.sum.repeated += report.repeated;
}

std::string command(std::uint64_t seed, const Options& options) {
  std::string line = "knet-sim --trace --seed " + std::to_string(seed);
  for (std::size_t i = 0; i < options.without.size(); ++i)
    line += (i == 0 ? " --without " : ",") + options.without[i];
  return options.real_ciphers ? line + " --real" : line;
}

void print_failure(std::uint64_t seed, const Report& report, const Options& options) {
  std::printf("FAILED %s\n  run again with: %s\n", report.failure.c_str(),
              command(seed, options).c_str());
  std::fflush(stdout);
}

void print_totals(const Totals& totals, double elapsed) {
  const auto count = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("%llu seeds, %llu failed, in %.1f s: %.1f seeds/s, %.0f virtual seconds per second\n",
              count(totals.seeds), count(totals.failed), elapsed,
              static_cast<double>(totals.seeds) / elapsed, totals.simulated / elapsed);
  std::printf(
      "%llu seeds with real ciphers, %llu messages, %llu deliveries (%llu twice after the loss of "
      "a host), %llu datagrams, "
      "links %llu times up and %llu times down, %llu restarts noticed, %llu changes of keys, "
      "%llu packets forged or damaged, %llu repeated\n",
      count(totals.real_ciphers), count(totals.sum.messages), count(totals.sum.deliveries),
      count(totals.sum.excused), count(totals.sum.datagrams), count(totals.sum.link_ups),
      count(totals.sum.link_downs), count(totals.sum.restarts_seen), count(totals.sum.key_changes),
      count(totals.sum.bogus), count(totals.sum.repeated));
}

// On a terminal, a line that says how far it is and how long it will take.
void print_progress(const Totals& totals, std::uint64_t all, double elapsed) {
  const double rate = static_cast<double>(totals.seeds) / elapsed;
  std::fprintf(stderr, "\r%llu of %llu seeds, %llu failed, %.1f seeds/s, %.0f s left  ",
               static_cast<unsigned long long>(totals.seeds), static_cast<unsigned long long>(all),
               static_cast<unsigned long long>(totals.failed), rate,
               static_cast<double>(all - totals.seeds) / rate);
}

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Runs all seeds on a few threads; runs share nothing.
Totals run_range(const Arguments& arguments, Clock::time_point start) {
  std::atomic<std::uint64_t> next{arguments.first};
  std::mutex mutex;
  Totals totals;
  const std::uint64_t all = arguments.last - arguments.first + 1;
  const bool live = isatty(STDERR_FILENO) != 0;
  const Options options = arguments.options();
  const auto work = [&] {
    for (;;) {
      const std::uint64_t seed = next++;
      if (seed > arguments.last)
        return;
      current_seed = seed;
      const Report report = ringknet::sim::simulate(seed, options);
      const std::lock_guard lock(mutex);
      add(totals, report);
      if (!report.passed)
        print_failure(seed, report, options);
      if (!report.passed && arguments.stop)
        next = arguments.last + 1;
      if (live)
        print_progress(totals, all, seconds_since(start));
    }
  };
  std::vector<std::thread> threads;
  for (unsigned job = 0; job < std::min<std::uint64_t>(arguments.jobs, all); ++job)
    threads.emplace_back(work);
  for (std::thread& thread : threads)
    thread.join();
  if (live)
    std::fputc('\n', stderr);
  return totals;
}

int run_single(const Arguments& arguments) {
  current_seed = arguments.first;
  Options options = arguments.options();
  options.trace = arguments.trace ? stdout : nullptr;
  const auto start = Clock::now();
  const Report report = ringknet::sim::simulate(arguments.first, options);
  const double elapsed = seconds_since(start);
  if (!report.passed)
    print_failure(arguments.first, report, options);
  Totals totals;
  add(totals, report);
  print_totals(totals, elapsed);
  std::printf("digest %016llx\n", static_cast<unsigned long long>(report.digest));
  return report.passed ? 0 : 1;
}

int run_digests(const Arguments& arguments) {
  for (std::uint64_t seed = arguments.first; seed <= arguments.last; ++seed) {
    const Report report = ringknet::sim::simulate(seed, arguments.options());
    std::printf("%llu %016llx\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(report.digest));
  }
  return 0;
}

// Switches the features of a failing seed off, one after the other, and keeps off what it fails
// without, until none is left that could be spared.
int run_shrink(const Arguments& arguments) {
  const std::uint64_t seed = arguments.first;
  current_seed = seed;
  Options options = arguments.options();
  std::vector<std::string>& without = options.without;
  Report report = ringknet::sim::simulate(seed, options);
  if (report.passed) {
    std::printf("seed %llu passes: nothing to shrink\n", static_cast<unsigned long long>(seed));
    return 2;
  }
  const auto drawn = ringknet::sim::Scenario::from_seed(seed, without).features;
  for (bool smaller = true; smaller;) {
    smaller = false;
    for (const auto& feature : ringknet::sim::feature_names()) {
      if (!(drawn.*feature.feature) || std::ranges::find(without, feature.name) != without.end())
        continue;
      without.emplace_back(feature.name);
      const Report attempt = ringknet::sim::simulate(seed, options);
      std::printf("  without %-16s %s\n", feature.name, attempt.passed ? "passes" : "fails, too");
      std::fflush(stdout);
      if (attempt.passed) {
        without.pop_back();
      } else {
        report = attempt;
        smaller = true;
      }
    }
  }
  print_failure(seed, report, options);
  return 1;
}

int list_features() {
  for (const auto& feature : ringknet::sim::feature_names())
    std::printf("%s\n", feature.name);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = read_arguments(argc, argv);
  if (!arguments) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  std::signal(SIGABRT, on_abort);
  if (arguments->features)
    return list_features();
  if (arguments->scale != 0) {
    ringknet::sim::print_scale(arguments->scale, arguments->mesh);
    return 0;
  }
  if (arguments->digests)
    return run_digests(*arguments);
  if (arguments->shrink)
    return run_shrink(*arguments);
  if (arguments->single)
    return run_single(*arguments);
  const auto start = Clock::now();
  const Totals totals = run_range(*arguments, start);
  print_totals(totals, seconds_since(start));
  return totals.failed == 0 ? 0 : 1;
}
