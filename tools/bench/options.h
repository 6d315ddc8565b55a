// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What the user can ask for, checked and with its defaults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tools/bench/common.h"

namespace ringknet::bench {

enum class Mode {
  kMeasure,  // the controller: runs rows and reports
  kListen,   // the far machine of two
  kWorker,   // started by one of the two above
};

enum class NetworkChoice { kBest, kNamespaces, kLoopback };

struct Options {
  Mode mode = Mode::kMeasure;
  int worker_descriptor = -1;
  bool own_namespace = false;

  NetworkChoice network = NetworkChoice::kBest;
  std::vector<std::string> node;  // local addresses, one per link; empty unless over real addresses
  std::vector<std::string> peer;  // the far machine's
  std::vector<std::string> listen;  // local addresses of the far machine
  std::string port = "5405";

  unsigned links = 2;
  unsigned mtu = 1500;
  bool mtu_given = false;
  std::string policy = "passive";
  std::string crypto;
  std::string compress;
  std::chrono::milliseconds ping_interval{200};
  std::chrono::milliseconds ping_timeout{400};
  std::uint8_t pong_count = 2;

  std::string against;         // the other library; empty for none
  std::string against_crypto;  // where it differs from crypto
  bool against_crypto_given = false;
  unsigned runs = 0;  // 0: 1, or 3 with another library
  Duration duration = std::chrono::milliseconds(1500);
  std::vector<std::size_t> sizes = {100, 1024, 8192, 65536};
  std::set<std::string> rows;  // names of row groups; empty for all
  bool json = false;

  [[nodiscard]] bool wants(const std::string& group) const {
    return rows.empty() || rows.contains(group);
  }
  [[nodiscard]] std::uint8_t policy_number() const;
};

// The groups of rows, in the order in which they are measured.
const std::vector<std::string>& row_groups();

// Parses the command line. --help and mistakes end the program.
Options parse_options(int argc, char** argv);

}  // namespace ringknet::bench
