// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The C API: log levels of a handle. They are plain atomics, so these calls do not wait for the
// engine.
#include <cerrno>

#include "api/error_map.h"
#include "api/handle.h"
#include "api/libknet.h"
#include "api/log_names.h"
#include "api/registry.h"

using ringknet::finish;
using ringknet::is_log_subsystem;
using ringknet::registry;

int knet_log_set_loglevel(knet_handle_t knet_h, uint8_t subsystem, uint8_t level) {
  const auto handle = registry().pin(knet_h);
  if (!handle || !is_log_subsystem(subsystem) || level > KNET_LOG_TRACE) {
    return finish(EINVAL);
  }
  handle->log().set_level(subsystem, level);
  return finish(0);
}

int knet_log_get_loglevel(knet_handle_t knet_h, uint8_t subsystem, uint8_t* level) {
  const auto handle = registry().pin(knet_h);
  if (!handle || !is_log_subsystem(subsystem) || level == nullptr) {
    return finish(EINVAL);
  }
  *level = handle->log().level(subsystem);
  return finish(0);
}
