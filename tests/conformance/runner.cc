// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Runs the cases, each in a process of its own, so that a crash or a hang costs one case and names
// the statement at which it happened; then prints what was checked and the list of the deliberate
// differences. Which libknet.so.1 it runs on is LD_LIBRARY_PATH's choice; --library says which one
// that is meant to be. It does not start the peer's plug-ins by itself: they are looked for under
// an absolute path, so --plugins lays their folder over that path in a mount namespace of its own.
#include <dlfcn.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <new>
#include <string>
#include <vector>

#include "tests/conformance/statement.h"

namespace conformance {
namespace {

using Clock = std::chrono::steady_clock;

// Far above what any statement waits for by itself (kPatience in world.h).
constexpr std::chrono::seconds kStatementLimit{45};
constexpr std::chrono::seconds kCaseLimit{150};
constexpr int kSkipped = 77;

// A difference or a statement that was not run, as the child noted it.
struct Note {
  std::array<char, 160> reason;
  std::array<char, 160> statement;
  std::array<char, 64> ours;
  std::array<char, 64> peer;
};

// What the child tells its parent. Plain memory, because the child may die at any point.
struct Shared {
  std::atomic<int64_t> begun;  // of the current statement, on Clock
  std::array<char, 256> statement;
  unsigned statements;
  unsigned failures;
  unsigned note_count;
  std::array<Note, 400> notes;
};

struct Totals {
  unsigned cases = 0;
  unsigned statements = 0;
  unsigned failures = 0;
  std::vector<std::string> skipped;
  std::map<std::string, std::vector<Note>> differences;
  std::map<std::string, std::vector<Note>> left_out;
};

bool peer_run = false;
Shared* shared = nullptr;

std::vector<const Case*>& cases() {
  static std::vector<const Case*> all;
  return all;
}

template <std::size_t kSize>
void store(std::array<char, kSize>& into, const std::string& text) {
  const std::size_t length = std::min(text.size(), kSize - 1);
  std::memcpy(into.data(), text.data(), length);
  into[length] = '\0';
}

const char* file_name(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash == nullptr ? path : slash + 1;
}

std::string spell(const Place& place) {
  return std::string(file_name(place.file)) + ":" + std::to_string(place.line) + ": " + place.text;
}

void note(const Place& place, const char* reason, const std::string& ours,
          const std::string& peer) {
  if (shared->note_count == shared->notes.size()) {
    return;
  }
  Note& entry = shared->notes[shared->note_count++];
  store(entry.reason, reason);
  store(entry.statement, place.text);
  store(entry.ours, ours);
  store(entry.peer, peer);
}

void fail(const std::string& text) {
  ++shared->failures;
  std::printf("FAILED  %s\n", text.c_str());
  std::fflush(stdout);
}

struct Ended {};

[[noreturn]] void run_child(const Case& one) {
  int code = 0;
  try {
    one.run();
  } catch (const Ended&) {
    code = shared->failures == 0 ? kSkipped : 0;
  }
  std::fflush(stdout);
  _exit(code);
}

// Waits for the child; an empty text, or what went wrong with it as a whole.
std::string watch(pid_t child, int& status) {
  const int process = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  const Clock::time_point start = Clock::now();
  std::string trouble;
  constexpr int kLookMilliseconds = 500;
  for (;;) {
    pollfd watched{process, POLLIN, 0};
    if (poll(&watched, 1, kLookMilliseconds) == 1) {
      break;
    }
    const Clock::duration begun{shared->begun.load()};
    const Clock::duration now = Clock::now().time_since_epoch();
    if (now - begun > kStatementLimit || Clock::now() - start > kCaseLimit) {
      trouble = std::string("hangs at or after ") + shared->statement.data();
      kill(child, SIGKILL);
      break;
    }
  }
  waitpid(child, &status, 0);
  close(process);
  if (trouble.empty() && WIFSIGNALED(status)) {
    trouble = std::string(strsignal(WTERMSIG(status))) + " at or after " + shared->statement.data();
  }
  return trouble;
}

void run(const Case& one, Totals& totals) {
  new (shared) Shared{};
  shared->begun = Clock::now().time_since_epoch().count();
  store(shared->statement, "the start of the case");
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    run_child(one);
  }
  int status = 0;
  const std::string trouble = watch(child, status);
  if (!trouble.empty()) {
    fail(trouble);
  } else if (WEXITSTATUS(status) == kSkipped) {
    totals.skipped.emplace_back(one.name);
  } else if (WEXITSTATUS(status) != 0) {
    fail("exit code " + std::to_string(WEXITSTATUS(status)));
  }
  ++totals.cases;
  totals.statements += shared->statements;
  totals.failures += shared->failures;
  for (unsigned index = 0; index < shared->note_count; ++index) {
    const Note& entry = shared->notes[index];
    auto& list = entry.ours[0] == '\0' ? totals.left_out : totals.differences;
    list[entry.reason.data()].push_back(entry);
  }
  std::printf("%-7s %s: %u statements\n", shared->failures == 0 ? "ok" : "FAILED", one.name,
              shared->statements);
}

void print(const Totals& totals) {
  if (!totals.differences.empty()) {
    std::printf("\ndeliberate differences:\n");
  }
  for (const auto& [reason, list] : totals.differences) {
    const Note& first = list.front();
    std::printf("- %s (%zu statements)\n    %s\n    ours: %s   classic: %s\n", reason.c_str(),
                list.size(), first.statement.data(), first.ours.data(), first.peer.data());
  }
  if (!totals.left_out.empty()) {
    std::printf("\nnot run on the classic library:\n");
  }
  for (const auto& [reason, list] : totals.left_out) {
    std::printf("- %s\n", reason.c_str());
  }
  for (const std::string& name : totals.skipped) {
    std::printf("skipped: %s\n", name.c_str());
  }
  std::printf(
      "\n%u cases, %u statements, %zu kinds of differences, %zu not run here, %zu cases skipped, "
      "%u failures\n",
      totals.cases, totals.statements, totals.differences.size(), totals.left_out.size(),
      totals.skipped.size(), totals.failures);
}

// Makes `folder` visible at the path at which the classic library looks for its plug-ins.
void lay_over(const char* folder, const char* path) {
  const std::string layers = std::string("lowerdir=") + folder + ":" + path;
  if (unshare(CLONE_NEWNS) != 0 || mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("overlay", path, "overlay", 0, layers.c_str()) != 0) {
    std::printf("no plug-ins for the peer (its encryption and compression are skipped): %s\n",
                std::strerror(errno));
  }
}

struct Options {
  std::string library;
  std::string only;
  std::string plugins;
  bool list = false;
};

Options parse(int count, char** arguments) {
  Options options;
  for (int index = 1; index < count; ++index) {
    const std::string name = arguments[index];
    const char* value = index + 1 < count ? arguments[index + 1] : "";
    if (name == "--list") {
      options.list = true;
    } else if (name == "--library") {
      options.library = value;
      ++index;
    } else if (name == "--case") {
      options.only = value;
      ++index;
    } else if (name == "--plugins") {
      options.plugins = value;
      ++index;
    } else {
      options.library.clear();
      break;
    }
  }
  return options;
}

// Only ours has the functions of later versions.
bool is_meant(const std::string& library) {
  const bool ours = dlsym(RTLD_DEFAULT, "knet_handle_setprio_dscp") != nullptr;
  return ours == (library == "ours");
}

int run_all(const Options& options) {
  // The object behind an address of the library; the program itself where the linker made a stub.
  Dl_info where{};
  if (dladdr(dlsym(RTLD_DEFAULT, "knet_handle_new_ex"), &where) != 0) {
    std::printf("library under test, as %s: %s\n", options.library.c_str(), where.dli_fname);
  }
  if (!is_meant(options.library)) {
    std::printf("SKIPPED: that is not the library meant; is LD_LIBRARY_PATH right?\n");
    return kSkipped;
  }
  if (!options.plugins.empty()) {
    const std::string path = options.plugins.substr(options.plugins.find("/usr/lib/"));
    lay_over(options.plugins.c_str(), path.c_str());
  }
  shared = static_cast<Shared*>(
      mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (shared == MAP_FAILED) {
    std::perror("mmap");
    return 1;
  }
  Totals totals;
  for (const Case* one : cases()) {
    if (options.only.empty() || options.only == one->name) {
      run(*one, totals);
    }
  }
  print(totals);
  if (totals.cases == 0) {
    std::printf("no such case\n");
    return 1;
  }
  return totals.failures == 0 ? 0 : 1;
}

}  // namespace

Case::Case(const char* case_name, void (*function)()) : name(case_name), run(function) {
  cases().push_back(this);
}

bool on_peer() {
  return peer_run;
}

std::string text_of(const char* value) {
  return value == nullptr ? "NULL" : "\"" + std::string(value) + "\"";
}

std::string text_of(const std::string& value) {
  return "\"" + value + "\"";
}

std::string text_of(knet_handle_t value) {
  return value == nullptr ? "NULL" : "a handle";
}

std::string outcome(const std::string& result, int error) {
  if (error == 0) {
    return result;
  }
  if (error == kErrnoUntouched) {
    return result + " errno untouched";
  }
  const char* name = strerrorname_np(error);
  return result + " " + (name == nullptr ? std::to_string(error) : name);
}

void begin(const Place& place) {
  shared->begun = Clock::now().time_since_epoch().count();
  store(shared->statement, spell(place));
}

void judge(const Place& place, const std::string& got, const Wanted& wanted) {
  ++shared->statements;
  const std::string& expected = peer_run ? wanted.peer : wanted.ours;
  if (wanted.reason != nullptr) {
    note(place, wanted.reason, wanted.ours, wanted.peer);
    if (wanted.ours == wanted.peer) {
      fail(spell(place) + "\n        declares a difference that is none: " + wanted.ours);
    }
  }
  if (got != expected) {
    fail(spell(place) + "\n        got " + got + ", expected " + expected);
  }
}

void give_up(const Place& place) {
  const std::string error = outcome("errno", errno);
  fail("set-up: " + spell(place) + " (" + error + ")");
  throw Ended{};
}

void skip(const std::string& reason) {
  std::printf("SKIPPED %s\n", reason.c_str());
  throw Ended{};
}

bool run_here(const Place& place, const char* reason) {
  note(place, reason, "", "");
  return !peer_run;
}

}  // namespace conformance

int main(int count, char** arguments) {
  const conformance::Options options = conformance::parse(count, arguments);
  if (options.list) {
    for (const conformance::Case* one : conformance::cases()) {
      std::printf("%s\n", one->name);
    }
    return 0;
  }
  if (options.library != "ours" && options.library != "peer") {
    std::fprintf(stderr,
                 "usage: %s --library ours|peer [--case NAME] [--plugins FOLDER] | --list\n",
                 arguments[0]);
    return 2;
  }
  conformance::peer_run = options.library == "peer";
  return conformance::run_all(options);
}
