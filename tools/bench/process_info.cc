// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Reads getrusage(2) and /proc/self.
#include "tools/bench/process_info.h"

#include <sys/resource.h>

#include <charconv>
#include <filesystem>
#include <fstream>

namespace ringknet::bench {
namespace {

Duration duration_of(const timeval& time) {
  return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
}

// The number behind a label such as "Rss:" in a file of such lines, or -1.
std::int64_t labelled_number(const char* path, std::string_view label) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    std::int64_t number = 0;
    if (word == label && file >> number) {
      return number;
    }
  }
  return -1;
}

}  // namespace

Duration cpu_used() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) {
    throw failure_from_errno("getrusage failed");
  }
  return duration_of(usage.ru_utime) + duration_of(usage.ru_stime);
}

std::int64_t resident_memory() {
  // The sum over all mappings is exact; VmRSS is a per-CPU counter that may lag by hundreds of
  // kilobytes.
  std::int64_t kibibytes = labelled_number("/proc/self/smaps_rollup", "Rss:");
  if (kibibytes < 0) {
    kibibytes = labelled_number("/proc/self/status", "VmRSS:");
  }
  if (kibibytes < 0) {
    throw Failure("/proc/self tells nothing about resident memory");
  }
  return kibibytes * 1024;
}

std::int64_t other_threads() {
  return labelled_number("/proc/self/status", "Threads:") - 1;
}

std::string mapped_library() {
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    const std::size_t slash = line.find('/');
    if (slash == std::string::npos) {
      continue;
    }
    const std::filesystem::path path = line.substr(slash);
    if (path.filename().string().starts_with("libknet.so")) {
      return path.string();
    }
  }
  throw Failure("no libknet.so is mapped into this process");
}

}  // namespace ringknet::bench
