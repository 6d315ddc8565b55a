// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Two nodes that are ready to be measured: processes, network, handles and links up, on one
// library. A session lasts for all rows of one run, so that rows are measured on a library that has
// been at work. Ending it leaves nothing behind.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/bench/knet_node.h"
#include "tools/bench/options.h"
#include "tools/bench/progress.h"
#include "tools/bench/report.h"
#include "tools/bench/worker_process.h"

namespace ringknet::bench {

// For a node's answer, besides the time that it measures.
inline constexpr Duration kPatience = std::chrono::seconds(15);

enum class Network {
  kNamespaces,
  kLoopback,
  kMachines,  // real addresses, the second node on another machine
};

// One of the libraries that are compared.
struct Side {
  std::size_t index;  // 0 ours, 1 theirs
  std::string name;
  std::string library_folder;  // empty: the one that this program finds
};

// How the applications hand messages over.
enum class Path {
  kDatafd,
  kDirect,  // libknet_ext.h, on a library that has it; on others through data descriptors
  kRaw,     // no library: UDP sockets
  kRelay,   // no library: UDP sockets behind data descriptors
};

// What the nodes of a session are like.
struct Setup {
  Path path = Path::kDatafd;
  unsigned links = 2;
  std::chrono::milliseconds ping_interval{};
  std::chrono::milliseconds ping_timeout{};
  std::array<std::string, kSides> crypto;  // by side; empty for none
  unsigned channels = 1;
  unsigned receivers = 1;         // nodes that the second process has, one host each to the first
  bool receivers_driven = false;  // by one thread for all of them
  Duration busy_poll{};           // of ours
  bool time_handles = false;

  [[nodiscard]] bool without_library() const { return path == Path::kRaw || path == Path::kRelay; }
};

// The node that sends, and the node that receives.
constexpr std::size_t kSender = 0;
constexpr std::size_t kReceiver = 1;
constexpr std::size_t kNodes = 2;

class Session {
 public:
  Session(const Options& options, Network network, const Side& side, const Setup& setup,
          Progress& progress);

  // Sends a message and waits for the answer with the given verb.
  Message ask(std::size_t node, const Message& message, const std::string& answer,
              Duration patience);
  void tell(std::size_t node, const Message& message) { workers_[node]->control().send(message); }
  // Waits for a message from one node. A failure of either node, or silence, is a Failure. Progress
  // is shown meanwhile.
  Message expect(std::size_t node, const std::string& verb, Duration patience);
  // Lets time pass; the death of a node is noticed.
  void watch_for(Duration duration);

  // Whether all links are up and have been since the last time this was asked, or the session
  // began.
  bool links_stayed_up();
  // Waits until all links have been up for at least this long, without having been down in between.
  void wait_for_link_age(Duration age);
  // Silently cuts or repairs link 0 in both directions.
  void set_link_cut(bool cut);

  // Tells both nodes to end in good order; without it they are simply killed.
  void close();

  // A number for the messages of the next row, so that late ones are not taken for its own.
  std::int64_t next_row() { return ++row_; }

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] const Setup& setup() const { return setup_; }
  [[nodiscard]] Network network() const { return network_; }
  [[nodiscard]] Progress& progress() { return progress_; }
  [[nodiscard]] const std::string& library(std::size_t node) const { return libraries_[node]; }
  [[nodiscard]] bool privileged() const { return privileged_; }
  [[nodiscard]] const LinkTimes& link_times() const { return link_times_; }
  // Resident memory of the larger node right after the links came up, in bytes.
  [[nodiscard]] double resident_at_start() const { return resident_at_start_; }
  [[nodiscard]] Duration handle_create() const { return handle_create_; }
  [[nodiscard]] Duration handle_free() const { return handle_free_; }

 private:
  void start_workers();
  void identify_library(std::size_t node);
  void choose_addresses();
  void build_network();
  // In a process of its own, so that what handles leave behind does not count as memory of the
  // nodes.
  void time_handles();
  void open_nodes();
  void open_node(std::size_t node, unsigned number);
  void open_raw();
  void bring_up();
  std::optional<Message> poll_workers(std::size_t node, const std::string& verb);
  [[nodiscard]] bool local(std::size_t node) const;

  Options options_;
  Network network_;
  Side side_;
  Setup setup_;
  Progress& progress_;
  std::array<std::unique_ptr<WorkerProcess>, kNodes> workers_;
  std::array<std::string, kNodes> libraries_;
  std::array<std::vector<std::string>, kNodes> addresses_;
  std::uint16_t port_ = 0;
  bool privileged_ = true;
  LinkTimes link_times_{};
  double resident_at_start_ = 0;
  Duration handle_create_{};
  Duration handle_free_{};
  Instant links_up_since_;
  std::array<std::int64_t, kNodes> link_ups_{};
  std::int64_t row_ = 0;
};

}  // namespace ringknet::bench
