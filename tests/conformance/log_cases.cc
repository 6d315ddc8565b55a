// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about log levels and the stream of log records. The texts are nobody's interface.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "tests/conformance/world.h"

namespace conformance {
namespace {

bool valid(int subsystem) {
  constexpr std::array<int, 27> kIds{0,  1,  2,  3,  4,  5,  6,  7,  19, 20, 21, 22, 23, 24,
                                     40, 41, 42, 60, 61, 70, 71, 72, 73, 74, 75, 76, 254};
  return std::find(kIds.begin(), kIds.end(), subsystem) != kIds.end();
}

bool well_formed(const knet_log_msg& record) {
  const char* end = record.msg + sizeof(record.msg);
  const char* text_end = std::find(record.msg, end, '\0');
  return text_end != end && text_end != record.msg && text_end[-1] != '\n' &&
         std::all_of(text_end, end, [](char c) { return c == '\0'; }) && valid(record.subsystem) &&
         record.msglevel <= KNET_LOG_DEBUG;
}

}  // namespace

CONFORMANCE_CASE(log_level_arguments) {
  Node node;
  uint8_t level = 99;
  for (int subsystem = 0; subsystem <= UINT8_MAX; ++subsystem) {
    const auto id = static_cast<uint8_t>(subsystem);
    const Outcome expected = valid(subsystem) ? kOk : fails(EINVAL);
    CALL(expected, knet_log_set_loglevel(node, id, KNET_LOG_INFO));
    CALL(expected, knet_log_get_loglevel(node, id, &level));
  }
  CALL(fails(EINVAL), knet_log_get_loglevel(node, KNET_SUB_TX, nullptr));
  CALL(differs("level trace of later versions exists", kOk, fails(EINVAL)),
       knet_log_set_loglevel(node, KNET_SUB_COMMON, 4));
  CALL(fails(EINVAL), knet_log_set_loglevel(node, KNET_SUB_COMMON, 5));
  CALL(fails(EINVAL), knet_log_set_loglevel(node, KNET_SUB_COMMON, UINT8_MAX));
  CALL(kOk, knet_log_set_loglevel(node, KNET_SUB_TX, KNET_LOG_DEBUG));
  CALL(kOk, knet_log_get_loglevel(node, KNET_SUB_TX, &level));
  VALUE(KNET_LOG_DEBUG, level);
  CALL(kOk, knet_log_get_loglevel(node, KNET_SUB_RX, &level));
  VALUE(KNET_LOG_INFO, level);
}

CONFORMANCE_CASE(log_default_levels) {
  Ends log(Ends::pipe(O_NONBLOCK));
  Node silent;
  Node speaking(1, log.second, KNET_LOG_INFO);
  uint8_t level = 99;
  CALL(kOk, knet_log_get_loglevel(silent, KNET_SUB_TX, &level));
  VALUE(0, level);
  for (const uint8_t subsystem :
       {KNET_SUB_COMMON, KNET_SUB_TX, KNET_SUB_ZSTDCOMP, KNET_SUB_UNKNOWN}) {
    CALL(kOk, knet_log_get_loglevel(speaking, subsystem, &level));
    VALUE(KNET_LOG_INFO, level);
  }
}

CONFORMANCE_CASE(log_records) {
  Ends log(Ends::pipe(O_NONBLOCK));
  std::vector<knet_log_msg> records;
  {
    Node node(1, log.second, KNET_LOG_DEBUG);
    add_static_link(node, 2, 0);
    NEED(knet_link_set_enable(node, 2, 0, 1) == 0);
    node.clear();
  }
  records = read_log(log.first);
  VALUE(true, !records.empty());
  VALUE(true, std::all_of(records.begin(), records.end(), well_formed));
  char rest = 0;
  VALUE(-1, read(log.first, &rest, 1));  // whole records only
}

CONFORMANCE_CASE(log_levels_filter) {
  Ends log(Ends::pipe(O_NONBLOCK));
  Node node(1, log.second, KNET_LOG_ERR);
  add_static_link(node, 2, 0);
  NEED(knet_link_set_enable(node, 2, 0, 1) == 0);
  NEED(knet_handle_setfwd(node, 0) == 0);
  for (const knet_log_msg& record : read_log(log.first)) {
    VALUE(KNET_LOG_ERR, record.msglevel);
  }
  NEED(knet_log_set_loglevel(node, KNET_SUB_LINK, KNET_LOG_DEBUG) == 0);
  NEED(knet_link_set_priority(node, 2, 0, 9) == 0);
  NEED(knet_link_set_enable(node, 2, 0, 0) == 0);
  NEED(knet_handle_setfwd(node, 0) == 0);
  const std::vector<knet_log_msg> records = read_log(log.first);
  VALUE(true, !records.empty());
  VALUE(true, std::all_of(records.begin(), records.end(), [](const knet_log_msg& record) {
          return record.subsystem == KNET_SUB_LINK || record.msglevel == KNET_LOG_ERR;
        }));
}

CONFORMANCE_CASE(log_to_a_closed_or_full_descriptor) {
  constexpr int kClosed = 4000;
  Node closed(1, kClosed, KNET_LOG_DEBUG);  // not checked for being open
  CALL(kOk, knet_handle_setfwd(closed, 1));
  Ends log(Ends::pipe(O_NONBLOCK));
  Node full(1, log.second, KNET_LOG_DEBUG);
  const std::vector<char> filler(4096);
  while (write(log.second, filler.data(), filler.size()) > 0) {
  }
  CALL(kOk, knet_host_add(full, 2));
  CALL(kOk, knet_host_remove(full, 2));
}

CONFORMANCE_CASE(log_to_a_full_pipe_that_blocks) {
  NOT_ON_PEER("a full log pipe that blocks is waited for") {
    Ends log(Ends::pipe(O_NONBLOCK));
    const std::vector<char> filler(4096);
    while (write(log.second, filler.data(), filler.size()) > 0) {
    }
    NEED(fcntl(log.second, F_SETFL, 0) == 0);
    Node node(1, log.second, KNET_LOG_DEBUG);
    CALL(kOk, knet_host_add(node, 2));
    VALUE(0, fcntl(log.second, F_GETFL) & O_NONBLOCK);  // it stays as it is
  }
}

}  // namespace conformance
