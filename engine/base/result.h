// SPDX-License-Identifier: LGPL-2.1-or-later
//
// What a call of the core can answer: a value or one Error. Errors describe a caller's mistake or a
// state that refuses the request; wrong bytes from a peer are a Drop (drop.h) instead. Errno values
// are the API's business.
#pragma once

#include <cassert>
#include <type_traits>
#include <utility>
#include <variant>

namespace ringknet {

enum class Error : unsigned char {
  kNone,
  kInvalid,              // an argument is out of range
  kUnknownHost,          // the host was not added
  kUnknownLink,          // the link is not configured
  kHostExists,           // the host was added before
  kEntryExists,          // the access list has this very entry
  kEntryUnknown,         // the access list has no such entry
  kBusy,                 // the object is in use: links configured, link enabled, hosts present
  kLoopbackConflict,     // loopback goes to the own host only, alone
  kAddressConflict,      // static and dynamic links cannot share a local address
  kForwardingOff,        // the handle does not forward
  kFilterFailed,         // the destination filter refused the message
  kNoFilter,             // synchronous sends need a destination filter
  kNoDestination,        // the filter named nobody
  kTooManyDestinations,  // synchronous sends go to one host
  kHostDown,             // no destination is reachable
  kNoBuffers,            // transmit buffers are all in flight: try again after a completion
  kSealFailed,           // no randomness to encrypt with
  kNoMemory,
};

struct Unit {};

template <typename T = Unit>
class [[nodiscard]] Result {
 public:
  Result(T value)
      : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: a value is a result
  Result(Error error) : state_(std::in_place_index<1>, error) {  // NOLINT: an error is a result
    assert(error != Error::kNone);
  }
  Result() requires std::is_same_v<T, Unit> : state_(std::in_place_index<0>) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  Error error() const { return ok() ? Error::kNone : std::get<1>(state_); }
  const T& operator*() const { return std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace ringknet
