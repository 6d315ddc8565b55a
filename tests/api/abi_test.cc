// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The binary interface from outside: the header is good for the compilers that will meet it, and
// the library exports what the header declares, under the version its users ask for, and nothing
// else. Sizes and offsets are checked at compile time in api/abi_check.cc.
#include <dlfcn.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>

#include "tests/api/support.h"

namespace {

namespace fs = std::filesystem;

fs::path header_path() {
  return fs::path(__FILE__).parent_path() / "../../api/libknet.h";
}

struct Ran {
  int status;
  std::string output;
};

Ran run(const std::string& command) {
  Ran ran{-1, ""};
  FILE* stream = popen((command + " 2>&1").c_str(), "r");
  REQUIRE(stream != nullptr);
  std::array<char, 4096> chunk{};
  for (size_t got = 0; (got = fread(chunk.data(), 1, chunk.size(), stream)) != 0;) {
    ran.output.append(chunk.data(), got);
  }
  ran.status = pclose(stream);
  return ran;
}

std::string header_without_comments() {
  std::ifstream file(header_path());
  std::string text{std::istreambuf_iterator<char>(file), {}};
  for (size_t start = 0; (start = text.find("/*", start)) != std::string::npos;) {
    const size_t end = text.find("*/", start);
    REQUIRE(end != std::string::npos);
    text.erase(start, end + 2 - start);
  }
  return text;
}

// Every name that begins with knet_ and is followed by a parenthesis.
std::set<std::string> declared_functions() {
  const std::string text = header_without_comments();
  const auto is_word = [](char letter) { return std::isalnum(letter) != 0 || letter == '_'; };
  std::set<std::string> names;
  for (size_t start = 0; (start = text.find("knet_", start)) != std::string::npos;) {
    size_t end = start;
    while (is_word(text[end])) {
      ++end;
    }
    if (text[end] == '(' && !is_word(text[start - 1])) {
      names.insert(text.substr(start, end - start));
    }
    start = end;
  }
  return names;
}

std::string library_path() {
  Dl_info info{};
  REQUIRE(dladdr(reinterpret_cast<void*>(&knet_handle_new), &info) != 0);
  return info.dli_fname;
}

}  // namespace

TEST_CASE("libknet.h stands alone in C and C++") {
  if (run("cc --version").status != 0 || run("c++ --version").status != 0) {
    knet_test::skip("no cc and c++ to compile the header with");
    return;
  }
  const std::string flags = " -Wall -Wextra -Wpedantic -Werror -fsyntax-only ";
  const std::string header = "'" + header_path().string() + "'";
  for (const char* compiler : {"cc -x c -std=c99", "cc -x c -std=gnu99", "cc -x c -std=c17",
                               "c++ -x c++ -std=c++11", "c++ -x c++ -std=c++20"}) {
    INFO(compiler);
    const Ran ran = run(compiler + flags + header);
    CHECK_MESSAGE(ran.status == 0, ran.output);
  }
}

TEST_CASE("a C program sees the structures in the sizes that are in use") {
  if (run("cc --version").status != 0) {
    knet_test::skip("no cc to compile a C program with");
    return;
  }
  // An array of negative size stops the compiler.
  std::ostringstream program;
  program << "printf '#include \"libknet.h\"\\n";
  const std::pair<const char*, int> sizes[] = {{"knet_log_msg", 256},
                                               {"knet_host_status", 3},
                                               {"knet_handle_crypto_cfg", 4148},
                                               {"knet_handle_compress_cfg", 24},
                                               {"knet_handle_stats", 184},
                                               {"knet_link_status", 1064},
                                               {"knet_link_stats", 496},
                                               {"knet_transport_info", 272},
                                               {"knet_crypto_info", 272},
                                               {"knet_compress_info", 272}};
  for (const auto& [name, size] : sizes) {
    program << "extern char is_" << name << "[sizeof(struct " << name << ") == " << size
            << " ? 1 : -1];\\n";
  }
  program << "' | cc -x c -std=c99 -fsyntax-only -I'" << header_path().parent_path().string()
          << "' -";
  const Ran ran = run(program.str());
  CHECK_MESSAGE(ran.status == 0, ran.output);
}

TEST_CASE("every declared function is exported under the version LIBKNET") {
  const std::set<std::string> declared = declared_functions();
  CHECK(declared.size() == 71);
  void* library = dlopen(library_path().c_str(), RTLD_NOW | RTLD_NOLOAD);
  REQUIRE(library != nullptr);
  for (const std::string& name : declared) {
    INFO(name);
    CHECK(dlvsym(library, name.c_str(), "LIBKNET") != nullptr);
  }
  dlclose(library);
}

TEST_CASE("nothing else is exported but the extension, under a version of its own") {
  if (knet_test::on_peer()) {
    return;  // it has what later versions of our header will declare
  }
  if (run("nm --version").status != 0) {
    knet_test::skip("no nm to list symbols with");
    return;
  }
  const std::set<std::string> declared = declared_functions();
  const Ran ran = run("nm -D --defined-only --format=posix '" + library_path() + "'");
  REQUIRE(ran.status == 0);
  std::istringstream lines(ran.output);
  size_t functions = 0;
  for (std::string name, type, rest; lines >> name >> type && std::getline(lines, rest);) {
    const std::string plain = name.substr(0, name.find('@'));
    if (plain == "LIBKNET" || plain == "RINGKNET_1") {
      CHECK(type == "A");
      continue;
    }
    INFO(name);
    if (plain.starts_with("knet_ext_")) {
      CHECK(name == plain + "@@RINGKNET_1");
      continue;
    }
    CHECK(name == plain + "@@LIBKNET");
    CHECK(declared.contains(plain));
    ++functions;
  }
  CHECK(functions == declared.size());
}
