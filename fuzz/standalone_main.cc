// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The main program of a fuzz harness where there is no libFuzzer: it replays every file it is
// given, and every file in every folder it is given, in a fixed order. It generates nothing.
// Replaying nothing at all is a failure, so an empty or mistyped corpus path cannot pass as
// success.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_at(const fs::path& path) {
  std::vector<fs::path> files;
  if (fs::is_directory(path)) {
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file()) {
        files.push_back(entry.path());
      }
    }
    std::sort(files.begin(), files.end());
  } else if (fs::is_regular_file(path)) {
    files.push_back(path);
  }
  return files;
}

bool replay(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    std::fprintf(stderr, "cannot read %s\n", file.c_str());
    return false;
  }
  const std::vector<char> bytes{std::istreambuf_iterator<char>(stream),
                                std::istreambuf_iterator<char>()};
  // The exact size on the heap, so that AddressSanitizer sees a read of the first byte too far.
  const std::vector<std::uint8_t> input(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t replayed = 0;
  try {
    for (int index = 1; index < argc; ++index) {
      for (const fs::path& file : files_at(argv[index])) {
        if (!replay(file)) {
          return 1;
        }
        ++replayed;
      }
    }
  } catch (const fs::filesystem_error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  std::printf("replayed %zu inputs\n", replayed);
  if (replayed == 0) {
    std::fputs("nothing was replayed: give files or folders that exist\n", stderr);
    return 1;
  }
  return 0;
}
