// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A UDP socket between two nodes without a library, and the least that can stand between it and a
// data descriptor.
#pragma once

#include <string>
#include <thread>

#include "tools/bench/common.h"

namespace ringknet::bench {

// Between two IPv4 addresses, at the same port on both.
Descriptor open_raw_socket(const std::string& local, const std::string& remote,
                           const std::string& port);

// Two threads that do nothing but hand on what they read, asleep in between: from a descriptor like
// a library's to the network, and back. A round trip over it has the wake-ups that any library
// needs whose data descriptors are served by threads of its own.
class Relay {
 public:
  explicit Relay(Descriptor socket);
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  ~Relay();

  // The application's end.
  [[nodiscard]] int descriptor() const { return application_.get(); }

 private:
  Descriptor socket_;
  Descriptor application_;
  Descriptor inner_;
  std::thread out_;
  std::thread in_;
};

}  // namespace ringknet::bench
