// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Runs alternate between the libraries, so that a machine that changes its mood changes it for
// both. A row that fails ends its session; the next row gets a new one.
#include "tools/bench/controller.h"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>

#include "tools/bench/netns.h"
#include "tools/bench/report.h"
#include "tools/bench/rows.h"
#include "tools/bench/session.h"

namespace ringknet::bench {
namespace {

struct NetworkFound {
  Network network;
  std::string description;
};

std::string count_of_links(const Options& options) {
  return options.links == 1 ? "1 link" : fmt::format("{} links", options.links);
}

NetworkFound find_network(const Options& options) {
  if (!options.node.empty()) {
    return {Network::kMachines,
            fmt::format("this machine ({}) and another ({}), {}", fmt::join(options.node, ", "),
                        fmt::join(options.peer, ", "), count_of_links(options))};
  }
  const std::string loopback = fmt::format("over loopback addresses, {}, MTU set to {}",
                                           count_of_links(options), options.mtu);
  if (options.network == NetworkChoice::kLoopback) {
    return {Network::kLoopback, "two nodes " + loopback};
  }
  const NamespaceProbe probe = probe_namespaces();
  if (probe.access == NamespaceAccess::kUnavailable) {
    if (options.network == NetworkChoice::kNamespaces) {
      throw Failure(fmt::format("network namespaces cannot be had: {}", probe.reason));
    }
    return {Network::kLoopback,
            fmt::format("two nodes {} (no network namespaces: {})", loopback, probe.reason)};
  }
  const bool user_first = probe.access == NamespaceAccess::kUserFirst;
  if (user_first) {
    enter_user_namespace();
  }
  return {Network::kNamespaces, fmt::format("two nodes in network namespaces{}, {}, veth MTU {}",
                                            user_first ? " within a user namespace" : "",
                                            count_of_links(options), options.mtu)};
}

std::string describe_machine() {
  std::string processor = "unknown processor";
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("model name")) {
      processor = line.substr(line.find(':') + 2);
      break;
    }
  }
  utsname system{};
  ::uname(&system);
  return fmt::format("{} x {}, {} {}", ::sysconf(_SC_NPROCESSORS_ONLN), processor, system.sysname,
                     system.release);
}

double load_average() {
  double load = 0;
  std::ifstream("/proc/loadavg") >> load;
  return load;
}

// A library that was built with a sanitizer makes the program need one too.
constexpr bool kSanitized =
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    true;
#else
    false;
#endif

class Controller {
 public:
  explicit Controller(const Options& options)
      : options_(options),
        found_(find_network(options)),
        stages_(wanted_stages(options, found_.network)) {
    sides_.push_back({0, "ours", ""});
    if (!options.against.empty()) {
      sides_.push_back({1, "theirs", library_folder(options.against)});
    }
  }

  int run() {
    for (unsigned run = 0; run < options_.runs; ++run) {
      for (const Stage& stage : stages_) {
        for (const Side& side : sides_) {
          const std::string name = sides_.size() == 1 ? "" : ", " + side.name;
          progress_.set_scope(fmt::format("run {} of {}{}", run + 1, options_.runs, name));
          if (side.index == 0 || stage.theirs) {
            run_stage(stage, side, run);
          }
        }
      }
      add_shares(report_, run);
    }
    progress_.clear();
    print();
    return report_.failed() ? 1 : 0;
  }

 private:
  void run_stage(const Stage& stage, const Side& side, unsigned run) {
    std::unique_ptr<Session> session;
    bool hopeless = false;
    for (const RowGroup& row : stage.rows) {
      Section& section = report_.section(row.id, row.title);
      if (!row.impossible.empty()) {
        section.note("not measured: " + row.impossible);
        continue;
      }
      const auto fail = [&](const std::string& reason) {
        section.failures.push_back(fmt::format("{}, run {}: {}", side.name, run + 1, reason));
      };
      if (hopeless) {
        fail("the nodes did not come up, see above");
        continue;
      }
      try {
        if (session == nullptr) {
          session =
              std::make_unique<Session>(options_, found_.network, side, stage.setup, progress_);
          remember(*session, side);
        }
        // Without what stands in brackets, which does not change while one watches.
        progress_.step(row.title.substr(0, row.title.find(" (")));
        row.measure(*session, Sink{section, side.index, run});
      } catch (const Failure& failure) {
        fail(failure.what());
        hopeless = session == nullptr;
        session.reset();
      }
    }
    if (session != nullptr) {
      end(*session, side, run);
    }
  }

  void end(Session& session, const Side& side, unsigned run) {
    try {
      session.close();
    } catch (const Failure& failure) {
      report_.section("end", "taking the nodes down")
          .failures.push_back(fmt::format("{}, run {}: {}", side.name, run + 1, failure.what()));
    }
  }

  // The first session of a side tells what it runs on.
  void remember(const Session& session, const Side& side) {
    std::string& text = libraries_[side.index];
    if (!text.empty() || session.setup().without_library()) {
      return;
    }
    text = session.library(kSender);
    if (session.network() == Network::kMachines) {
      text += fmt::format("; far machine: {}", session.library(kReceiver));
    }
    const std::string& crypto = session.setup().crypto[side.index];
    text += fmt::format("; {}, data MTU {}{}", crypto.empty() ? "clear" : "encrypted " + crypto,
                        session.link_times().data_mtu,
                        session.privileged() ? "" : ", socket buffers within the system's limits");
  }

  void print() {
    report_.describe("network", found_.description);
    report_.describe("nodes", fmt::format("policy {}, compression {}", options_.policy,
                                          options_.compress.empty() ? "none" : options_.compress));
    for (const Side& side : sides_) {
      const std::string& text = libraries_[side.index];
      report_.describe(side.name, text.empty() ? "no node of it was up" : text);
    }
    report_.describe("machine", describe_machine());
    report_.describe("measured", fmt::format("{} run{}, {:g} s per throughput and round-trip row",
                                             options_.runs, options_.runs == 1 ? "" : "s, medians",
                                             seconds_of(options_.duration)));
    if (load_ > 0.5) {
      report_.describe("caution", fmt::format("the load average was {:.1f} at the start: something "
                                              "else was using this machine",
                                              load_));
    }
    if (kSanitized) {
      report_.describe("build", "built with a sanitizer: the figures mean little");
    }
    const bool two_sides = sides_.size() > 1;
    fmt::print("{}", options_.json ? report_.json(two_sides) : report_.table(two_sides));
  }

  Options options_;
  double load_ = load_average();
  NetworkFound found_;
  std::vector<Stage> stages_;
  std::vector<Side> sides_;
  std::array<std::string, kSides> libraries_;
  Progress progress_;
  Report report_;
};

}  // namespace

int run_controller(const Options& options) {
  return Controller(options).run();
}

}  // namespace ringknet::bench
