// SPDX-License-Identifier: LGPL-2.1-or-later
//
// A mount namespace with one read-only overlay in it; both end with the process.
#include "tools/bench/plugins.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>

#include <filesystem>

namespace ringknet::bench {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPluginFolder = "kronosnet";
constexpr const char* kSystemLibraries = "/usr/lib/";

}  // namespace

void show_plugins(const std::string& library_folder) {
  std::error_code error;
  const std::size_t system_part = library_folder.rfind(kSystemLibraries);
  if (system_part == std::string::npos || system_part == 0 ||
      !fs::is_directory(fs::path(library_folder) / kPluginFolder, error)) {
    return;
  }
  const std::string system_folder = library_folder.substr(system_part);
  const std::string layers = fmt::format("lowerdir={}:{}", library_folder, system_folder);
  // Without the second step the mount would spread to everybody.
  if (::unshare(CLONE_NEWNS) == 0 &&
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0) {
    ::mount("overlay", system_folder.c_str(), "overlay", MS_RDONLY, layers.c_str());
  }
}

}  // namespace ringknet::bench
