// SPDX-License-Identifier: LGPL-2.1-or-later
//
// knet-sim: runs seeds of the deterministic simulation and says which fail, how to run them again
// and how fast it was. What a seed does and what is checked is in tests/sim; this is only its
// front.
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
#include <vector>

#include <unistd.h>

#include "tests/sim/simulation.h"

namespace {

using ringknet::sim::Options;
using ringknet::sim::Report;

constexpr const char* kUsage =
    "usage: knet-sim [--seeds A..B] [--jobs J]   run the seeds A to B (default 1..200)\n"
    "       knet-sim --seed N [--trace]          run one seed, with a line per packet and event\n";

struct Arguments {
  std::uint64_t first = 1;
  std::uint64_t last = 200;
  unsigned jobs = 1;
  bool trace = false;
  bool single = false;
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

std::optional<Arguments> read_arguments(int argc, char** argv) {
  Arguments arguments;
  arguments.jobs = std::max(1u, std::thread::hardware_concurrency());
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
    if (option == "--trace") {
      arguments.trace = true;
      continue;
    }
    std::uint64_t number = 0;
    if (option == "--seeds" && read_range(value, arguments)) {
      arguments.single = false;
    } else if (option == "--seed" && read_number(value, number)) {
      arguments.first = arguments.last = number;
      arguments.single = true;
    } else if (option == "--jobs" && read_number(value, number) && number >= 1 && number <= 256) {
      arguments.jobs = static_cast<unsigned>(number);
    } else {
      return std::nullopt;
    }
    ++i;
  }
  if (arguments.trace && !arguments.single)
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
  double simulated = 0;  // seconds
  Report sum;
};

void add(Totals& totals, const Report& report) {
  ++totals.seeds;
  totals.failed += report.passed ? 0 : 1;
  totals.simulated += std::chrono::duration<double>(report.simulated).count();
  totals.sum.datagrams += report.datagrams;
  totals.sum.messages += report.messages;
  totals.sum.deliveries += report.deliveries;
  totals.sum.excused += report.excused;
  totals.sum.link_ups += report.link_ups;
  totals.sum.link_downs += report.link_downs;
  totals.sum.restarts_seen += report.restarts_seen;
}

void print_failure(std::uint64_t seed, const Report& report) {
  std::printf("FAILED %s\n  run again with: knet-sim --trace --seed %llu\n", report.failure.c_str(),
              static_cast<unsigned long long>(seed));
  std::fflush(stdout);
}

void print_totals(const Totals& totals, double elapsed) {
  const auto count = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("%llu seeds, %llu failed, in %.1f s: %.1f seeds/s, %.0f virtual seconds per second\n",
              count(totals.seeds), count(totals.failed), elapsed,
              static_cast<double>(totals.seeds) / elapsed, totals.simulated / elapsed);
  std::printf(
      "%llu messages, %llu deliveries (%llu twice after the loss of a host), %llu datagrams, "
      "links %llu times up and %llu times down, %llu restarts noticed\n",
      count(totals.sum.messages), count(totals.sum.deliveries), count(totals.sum.excused),
      count(totals.sum.datagrams), count(totals.sum.link_ups), count(totals.sum.link_downs),
      count(totals.sum.restarts_seen));
}

// Runs all seeds on a few threads; runs share nothing.
Totals run_range(const Arguments& arguments) {
  std::atomic<std::uint64_t> next{arguments.first};
  std::mutex mutex;
  Totals totals;
  const std::uint64_t all = arguments.last - arguments.first + 1;
  const bool live = isatty(STDERR_FILENO) != 0;
  const auto work = [&] {
    for (;;) {
      const std::uint64_t seed = next++;
      if (seed > arguments.last)
        return;
      current_seed = seed;
      const Report report = ringknet::sim::simulate(seed, Options{});
      const std::lock_guard lock(mutex);
      add(totals, report);
      if (!report.passed)
        print_failure(seed, report);
      if (live) {
        std::fprintf(stderr, "\r%llu of %llu seeds", static_cast<unsigned long long>(totals.seeds),
                     static_cast<unsigned long long>(all));
      }
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
  Options options;
  options.trace = arguments.trace ? stdout : nullptr;
  const auto start = std::chrono::steady_clock::now();
  const Report report = ringknet::sim::simulate(arguments.first, options);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  if (!report.passed)
    print_failure(arguments.first, report);
  Totals totals;
  add(totals, report);
  print_totals(totals, elapsed.count());
  std::printf("digest %016llx\n", static_cast<unsigned long long>(report.digest));
  return report.passed ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const auto arguments = read_arguments(argc, argv);
  if (!arguments) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  std::signal(SIGABRT, on_abort);
  if (arguments->single)
    return run_single(*arguments);
  const auto start = std::chrono::steady_clock::now();
  const Totals totals = run_range(*arguments);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  print_totals(totals, elapsed.count());
  return totals.failed == 0 ? 0 : 1;
}
