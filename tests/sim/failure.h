// SPDX-License-Identifier: LGPL-2.1-or-later
//
// How an oracle says that the protocol broke a promise: an exception with a sentence in it. The
// simulation adds seed and virtual time. It is not for mistakes of the simulation itself; those
// are assertions.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace ringknet::sim {

class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

[[noreturn]] inline void fail(const std::string& what) {
  throw Failure(what);
}

// "node 3", "link 1": the parts such sentences are made of.
inline std::string label(const char* what, std::uint64_t number) {
  return std::string(what) + " " + std::to_string(number);
}

}  // namespace ringknet::sim
