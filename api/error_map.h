// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The one place where what the engine and its core answer becomes an errno. What each call may
// answer is said in libknet.h.
#pragma once

#include <cerrno>

#include "engine/base/result.h"
#include "engine/ring/engine.h"

namespace ringknet {

constexpr int to_errno(Error error) {
  switch (error) {
    case Error::kNone:
      return 0;
    case Error::kInvalid:
    case Error::kUnknownHost:
    case Error::kUnknownLink:
    case Error::kLoopbackConflict:
    case Error::kAddressConflict:
    case Error::kNoDestination:
      return EINVAL;
    case Error::kHostExists:
    case Error::kEntryExists:
      return EEXIST;
    case Error::kEntryUnknown:
      return ENOENT;
    case Error::kBusy:
      return EBUSY;
    case Error::kForwardingOff:
      return ECANCELED;
    case Error::kFilterFailed:
      return EFAULT;
    case Error::kNoFilter:
      return ENETDOWN;
    case Error::kTooManyDestinations:
      return E2BIG;
    case Error::kHostDown:
      return EHOSTDOWN;
    case Error::kNoBuffers:
      return EAGAIN;
    case Error::kSealFailed:
      return ECHILD;
    case Error::kNoMemory:
      return ENOMEM;
  }
  return EINVAL;
}

constexpr int to_errno(const EngineStatus& status) {
  return status.system != 0 ? status.system : to_errno(status.error);
}

template <typename T>
constexpr int to_errno(const Result<T>& result) {
  return to_errno(result.error());
}

// How every call of the C API ends: 0 or -1, with errno saying why.
inline int finish(int error) {
  errno = error;
  return error == 0 ? 0 : -1;
}

}  // namespace ringknet
