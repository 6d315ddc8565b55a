// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The numbers and names of logging subsystems and levels, and the four converters between them.
// They take no handle. A miss is no error: it leaves errno alone and answers with a default.
#include "api/log_names.h"

#include <strings.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "api/libknet.h"

namespace ringknet {
namespace {

struct NamedNumber {
  std::uint8_t number;
  const char* name;
};

constexpr NamedNumber kSubsystems[] = {
    {KNET_SUB_COMMON, "common"},
    {KNET_SUB_HANDLE, "handle"},
    {KNET_SUB_HOST, "host"},
    {KNET_SUB_LISTENER, "listener"},
    {KNET_SUB_LINK, "link"},
    {KNET_SUB_TRANSPORT, "transport"},
    {KNET_SUB_CRYPTO, "crypto"},
    {KNET_SUB_COMPRESS, "compress"},
    {KNET_SUB_FILTER, "filter"},
    {KNET_SUB_DSTCACHE, "dstcache"},
    {KNET_SUB_HEARTBEAT, "heartbeat"},
    {KNET_SUB_PMTUD, "pmtud"},
    {KNET_SUB_TX, "tx"},
    {KNET_SUB_RX, "rx"},
    {KNET_SUB_TRANSP_LOOPBACK, "loopback"},
    {KNET_SUB_TRANSP_UDP, "udp"},
    {KNET_SUB_TRANSP_SCTP, "sctp"},
    {KNET_SUB_NSSCRYPTO, "nsscrypto"},
    {KNET_SUB_OPENSSLCRYPTO, "opensslcrypto"},
    {KNET_SUB_ZLIBCOMP, "zlibcomp"},
    {KNET_SUB_LZ4COMP, "lz4comp"},
    {KNET_SUB_LZ4HCCOMP, "lz4hccomp"},
    {KNET_SUB_LZO2COMP, "lzo2comp"},
    {KNET_SUB_LZMACOMP, "lzmacomp"},
    {KNET_SUB_BZIP2COMP, "bzip2comp"},
    {KNET_SUB_ZSTDCOMP, "zstdcomp"},
};

constexpr NamedNumber kLevels[] = {
    {KNET_LOG_ERR, "ERROR"},   {KNET_LOG_WARN, "WARNING"}, {KNET_LOG_INFO, "info"},
    {KNET_LOG_DEBUG, "debug"}, {KNET_LOG_TRACE, "trace"},
};

template <std::size_t size>
const char* name_of(const NamedNumber (&table)[size], std::uint8_t number, const char* otherwise) {
  const auto found = std::ranges::find(table, number, &NamedNumber::number);
  if (found == std::end(table)) {
    return otherwise;
  }
  errno = 0;
  return found->name;
}

template <std::size_t size>
std::uint8_t number_of(const NamedNumber (&table)[size], const char* name, std::uint8_t otherwise) {
  if (name == nullptr) {
    return otherwise;
  }
  const auto found = std::ranges::find_if(
      table, [name](const NamedNumber& entry) { return strcasecmp(entry.name, name) == 0; });
  if (found == std::end(table)) {
    return otherwise;
  }
  errno = 0;
  return found->number;
}

}  // namespace

bool is_log_subsystem(std::uint8_t subsystem) {
  // "unknown" is not in the table, because finding it is as good as finding nothing.
  return subsystem == KNET_SUB_UNKNOWN ||
         std::ranges::find(kSubsystems, subsystem, &NamedNumber::number) != std::end(kSubsystems);
}

}  // namespace ringknet

const char* knet_log_get_subsystem_name(uint8_t subsystem) {
  return ringknet::name_of(ringknet::kSubsystems, subsystem, "unknown");
}

uint8_t knet_log_get_subsystem_id(const char* name) {
  return ringknet::number_of(ringknet::kSubsystems, name, KNET_SUB_UNKNOWN);
}

const char* knet_log_get_loglevel_name(uint8_t level) {
  return ringknet::name_of(ringknet::kLevels, level, "ERROR");
}

uint8_t knet_log_get_loglevel_id(const char* name) {
  return ringknet::number_of(ringknet::kLevels, name, KNET_LOG_ERR);
}
