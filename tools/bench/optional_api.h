// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Calls that a library under test may lack: encryption and compression of libknet 1.25, and all of
// libknet_ext.h. They are looked up at run time, so that one binary runs on all kinds and a missing
// call is a sentence instead of a failure to start.
#pragma once

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdint>

#include "api/libknet.h"
#include "tools/bench/common.h"

namespace ringknet::bench {

using CryptoSetConfig = int (*)(knet_handle_t, knet_handle_crypto_cfg*, std::uint8_t);
using CryptoUseConfig = int (*)(knet_handle_t, std::uint8_t);
using CryptoRxClearTraffic = int (*)(knet_handle_t, std::uint8_t);
using Compress = int (*)(knet_handle_t, knet_handle_compress_cfg*);

template <typename Function>
Function optional_call(const char* name) {
  void* address = ::dlsym(RTLD_DEFAULT, name);
  if (address == nullptr) {
    throw Failure(fmt::format("this libknet has no {}", name));
  }
  return reinterpret_cast<Function>(address);
}

// The function of that name behind this program's own, or null.
template <typename Function>
Function next_call(const char* name) {
  return reinterpret_cast<Function>(::dlsym(RTLD_NEXT, name));
}

}  // namespace ringknet::bench
