// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The functions of libknet_ext.h as this program sees them. It does not ask the linker for them,
// since the classic library has none and would not load; they are looked up when they are first
// called, in the library that is there.
#include <cerrno>

#include "api/libknet_ext.h"
#include "tools/bench/optional_api.h"

using ringknet::bench::next_call;

int knet_ext_open_channel(knet_handle_t knet_h, int8_t* channel, knet_ext_message_fn message,
                          knet_ext_room_fn room, void* private_data) {
  static const auto call = next_call<decltype(&knet_ext_open_channel)>("knet_ext_open_channel");
  return call == nullptr ? (errno = ENOSYS, -1)
                         : call(knet_h, channel, message, room, private_data);
}

int knet_ext_close_channel(knet_handle_t knet_h, int8_t channel) {
  static const auto call = next_call<decltype(&knet_ext_close_channel)>("knet_ext_close_channel");
  return call == nullptr ? (errno = ENOSYS, -1) : call(knet_h, channel);
}

int knet_ext_send(knet_handle_t knet_h, int8_t channel, const void* message, size_t size,
                  unsigned int flags) {
  static const auto call = next_call<decltype(&knet_ext_send)>("knet_ext_send");
  return call == nullptr ? (errno = ENOSYS, -1) : call(knet_h, channel, message, size, flags);
}

knet_handle_t knet_ext_handle_new(knet_node_id_t host_id, int log_fd, uint8_t default_log_level,
                                  uint64_t flags) {
  static const auto call = next_call<decltype(&knet_ext_handle_new)>("knet_ext_handle_new");
  return call == nullptr ? (errno = ENOSYS, nullptr)
                         : call(host_id, log_fd, default_log_level, flags);
}

int knet_ext_run_once(knet_handle_t knet_h, int64_t timeout) {
  static const auto call = next_call<decltype(&knet_ext_run_once)>("knet_ext_run_once");
  return call == nullptr ? (errno = ENOSYS, -1) : call(knet_h, timeout);
}

int knet_ext_get_fd(knet_handle_t knet_h) {
  static const auto call = next_call<decltype(&knet_ext_get_fd)>("knet_ext_get_fd");
  return call == nullptr ? (errno = ENOSYS, -1) : call(knet_h);
}

int knet_ext_set_busy_poll(knet_handle_t knet_h, int64_t nanoseconds) {
  static const auto call = next_call<decltype(&knet_ext_set_busy_poll)>("knet_ext_set_busy_poll");
  return call == nullptr ? (errno = ENOSYS, -1) : call(knet_h, nanoseconds);
}

int knet_ext_set_offload(knet_handle_t knet_h, int on) {
  static const auto call = next_call<decltype(&knet_ext_set_offload)>("knet_ext_set_offload");
  return call == nullptr ? (errno = ENOSYS, -1) : call(knet_h, on);
}
