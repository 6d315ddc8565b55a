// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements: a call or a value together with what it must give on our library and on the classic
// one. Nearly always that is the same; where we decided to differ the statement says so with
// differs(), so that a run on either library checks that library's side and lists the difference.
// Everything is compared as text, which is also what a failure prints. Running cases, watching over
// them and adding up is runner.cc's work.
#pragma once

#include <cerrno>
#include <concepts>
#include <string>
#include <type_traits>

#include "api/libknet.h"

namespace conformance {

// A value that no call sets by itself.
inline constexpr int kErrnoUntouched = 7777;

bool on_peer();

// "NULL" or quoted.
std::string text_of(const char* value);
std::string text_of(const std::string& value);
std::string text_of(knet_handle_t value);
template <typename Number>
requires std::integral<Number> || std::is_enum_v<Number> std::string text_of(Number value) {
  if constexpr (std::is_enum_v<Number>) {
    return std::to_string(static_cast<std::underlying_type_t<Number>>(value));
  } else {
    return std::to_string(value);
  }
}

// "0", or with an errno behind it: "-1 EINVAL".
std::string outcome(const std::string& result, int error);

// What a call returns and leaves in errno.
struct Outcome {
  std::string text;
};
template <typename Result>
Outcome gives(const Result& result, int error = 0) {
  return {outcome(text_of(result), error)};
}
inline Outcome fails(int error) {
  return gives(-1, error);
}
inline const Outcome kOk = gives(0);
inline std::string text_of(const Outcome& value) {
  return value.text;
}

// A deliberate difference: why, what ours gives, what the classic library gives.
template <typename Ours, typename Peer>
struct Difference {
  const char* reason;
  Ours ours;
  Peer peer;
};
template <typename Ours, typename Peer>
Difference<Ours, Peer> differs(const char* reason, Ours ours, Peer peer) {
  return {reason, ours, peer};
}

struct Wanted {
  std::string ours;
  std::string peer;
  const char* reason = nullptr;
};
template <typename Value>
Wanted wanted(const Value& value) {
  return {text_of(value), text_of(value)};
}
template <typename Ours, typename Peer>
Wanted wanted(const Difference<Ours, Peer>& difference) {
  return {text_of(difference.ours), text_of(difference.peer), difference.reason};
}

struct Place {
  const char* file;
  int line;
  const char* text;
};

// Tells the runner which statement is about to run, so that it can name it if it never ends.
void begin(const Place& place);
void judge(const Place& place, const std::string& got, const Wanted& wanted);
// Ends the case: its set-up does not work.
[[noreturn]] void give_up(const Place& place);
// Ends the case: the reason says which facility is missing.
[[noreturn]] void skip(const std::string& reason);
// False on the peer, where the reason is listed.
bool run_here(const Place& place, const char* reason);

template <typename Function>
Outcome call(const Function& function) {
  errno = kErrnoUntouched;
  const auto result = function();
  const int error = errno;
  return {outcome(text_of(result), error)};
}

// A test case; it runs in a process of its own.
struct Case {
  const char* name;
  void (*run)();
  Case(const char* case_name, void (*function)());
};

}  // namespace conformance

#define CONFORMANCE_PLACE(...) (conformance::Place{__FILE__, __LINE__, #__VA_ARGS__})

// The call must give this outcome: CALL(fails(EINVAL), knet_host_add(nullptr, 1)).
#define CALL(expected, ...)                                                                      \
  do {                                                                                           \
    conformance::begin(CONFORMANCE_PLACE(__VA_ARGS__));                                          \
    const conformance::Outcome conformance_got = conformance::call([&] { return __VA_ARGS__; }); \
    conformance::judge(CONFORMANCE_PLACE(__VA_ARGS__), conformance_got.text,                     \
                       conformance::wanted(expected));                                           \
  } while (false)

// The expression must have this value; errno is not looked at.
#define VALUE(expected, ...)                                               \
  do {                                                                     \
    conformance::begin(CONFORMANCE_PLACE(__VA_ARGS__));                    \
    const std::string conformance_got = conformance::text_of(__VA_ARGS__); \
    conformance::judge(CONFORMANCE_PLACE(__VA_ARGS__), conformance_got,    \
                       conformance::wanted(expected));                     \
  } while (false)

// Set-up on which the rest of the case depends.
#define NEED(...)                                           \
  do {                                                      \
    conformance::begin(CONFORMANCE_PLACE(__VA_ARGS__));     \
    if (!(__VA_ARGS__)) {                                   \
      conformance::give_up(CONFORMANCE_PLACE(__VA_ARGS__)); \
    }                                                       \
  } while (false)

// A block that would hang or break the peer: it runs on our library only.
#define NOT_ON_PEER(reason) if (conformance::run_here(CONFORMANCE_PLACE(reason), reason))

#define CONFORMANCE_CASE(name)                              \
  static void name();                                       \
  static const conformance::Case name##_case(#name, &name); \
  static void name()
