// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Statements about calls that take no handle: lists, names of transports, subsystems and levels,
// addresses as text.
#include <dlfcn.h>
#include <netdb.h>

#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "tests/conformance/world.h"

namespace conformance {
namespace {

constexpr unsigned char kMark = 0xa5;
constexpr size_t kRoom = 32;
constexpr const char* kTraceReason = "level trace of later versions exists";

// Names of a list, and whether the library wrote anything but name (and id).
template <typename Info, typename Function>
std::string names(Function list, bool* extra_written = nullptr) {
  std::array<Info, kRoom> entries;
  std::memset(entries.data(), kMark, sizeof(entries));
  size_t count = 0;
  if (list(entries.data(), &count) != 0) {
    return "refused";
  }
  std::string text;
  for (size_t index = 0; index < count; ++index) {
    text += (index == 0 ? "" : " ") + std::string(entries[index].name);
    if (extra_written != nullptr) {
      *extra_written |= entries[index].properties != kMark;
      *extra_written |= static_cast<unsigned char>(entries[index].pad[255]) != kMark;
    }
  }
  return text;
}

template <typename Function>
Function newer(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace

CONFORMANCE_CASE(transport_list) {
  size_t count = 0;
  CALL(fails(EINVAL), knet_get_transport_list(nullptr, nullptr));
  std::array<knet_transport_info, kRoom> room{};
  CALL(fails(EINVAL), knet_get_transport_list(room.data(), nullptr));
  CALL(kOk, knet_get_transport_list(nullptr, &count));
  VALUE(3, count);
  bool extra = false;
  VALUE(std::string("LOOPBACK UDP SCTP"),
        names<knet_transport_info>(knet_get_transport_list, &extra));
  VALUE(false, extra);
  count = 0;
  CALL(kOk, knet_get_transport_list(room.data(), &count));
  VALUE(KNET_TRANSPORT_LOOPBACK, room[0].id);
  VALUE(KNET_TRANSPORT_UDP, room[1].id);
  VALUE(KNET_TRANSPORT_SCTP, room[2].id);
}

CONFORMANCE_CASE(transport_names) {
  CALL(gives("LOOPBACK"), knet_get_transport_name_by_id(KNET_TRANSPORT_LOOPBACK));
  CALL(gives("UDP"), knet_get_transport_name_by_id(KNET_TRANSPORT_UDP));
  CALL(gives("SCTP"), knet_get_transport_name_by_id(KNET_TRANSPORT_SCTP));
  const char* none = nullptr;
  CALL(gives(none, EINVAL), knet_get_transport_name_by_id(KNET_MAX_TRANSPORTS));
  CALL(gives(none, ENOENT), knet_get_transport_name_by_id(3));
  CALL(gives(none, ENOENT), knet_get_transport_name_by_id(KNET_MAX_TRANSPORTS - 1));
  CALL(gives(0), knet_get_transport_id_by_name("LOOPBACK"));
  CALL(gives(1), knet_get_transport_id_by_name("UDP"));
  CALL(gives(2), knet_get_transport_id_by_name("SCTP"));
  for (const char* name : {static_cast<const char*>(nullptr), "", "udp", "UD", "UDPX", " UDP"}) {
    CALL(gives(255, EINVAL), knet_get_transport_id_by_name(name));
  }
}

CONFORMANCE_CASE(crypto_list) {
  size_t count = 0;
  std::array<knet_crypto_info, kRoom> room{};
  CALL(fails(EINVAL), knet_get_crypto_list(room.data(), nullptr));
  CALL(kOk, knet_get_crypto_list(nullptr, &count));
  const char* reason = "model wolfssl exists";
  VALUE(differs(reason, 3, 2), count);
  bool extra = false;
  VALUE(differs(reason, std::string("nss openssl wolfssl"), std::string("nss openssl")),
        names<knet_crypto_info>(knet_get_crypto_list, &extra));
  VALUE(false, extra);
}

CONFORMANCE_CASE(compress_list) {
  size_t count = 0;
  std::array<knet_compress_info, kRoom> room{};
  CALL(fails(EINVAL), knet_get_compress_list(room.data(), nullptr));
  CALL(kOk, knet_get_compress_list(nullptr, &count));
  VALUE(7, count);
  bool extra = false;
  VALUE(std::string("zlib lz4 lz4hc lzo2 lzma bzip2 zstd"),
        names<knet_compress_info>(knet_get_compress_list, &extra));
  VALUE(false, extra);
}

CONFORMANCE_CASE(lists_of_later_versions) {
  using CipherList = int (*)(knet_crypto_cipher_info*, size_t*);
  using HashList = int (*)(knet_crypto_hash_info*, size_t*);
  using SetDscp = int (*)(knet_handle_t, uint8_t);
  const auto ciphers = newer<CipherList>("knet_get_crypto_cipher_list");
  const auto hashes = newer<HashList>("knet_get_crypto_hash_list");
  const auto set_dscp = newer<SetDscp>("knet_handle_setprio_dscp");
  const char* reason = "functions of later 1.x versions are there";
  VALUE(differs(reason, true, false), ciphers != nullptr);
  VALUE(differs(reason, true, false), hashes != nullptr);
  VALUE(differs(reason, true, false), set_dscp != nullptr);
  if (ciphers == nullptr || hashes == nullptr || set_dscp == nullptr) {
    return;
  }
  size_t count = 0;
  std::array<knet_crypto_cipher_info, kRoom> cipher_room;
  std::memset(cipher_room.data(), kMark, sizeof(cipher_room));
  CALL(fails(EINVAL), ciphers(cipher_room.data(), nullptr));
  CALL(kOk, ciphers(nullptr, &count));
  CALL(kOk, ciphers(cipher_room.data(), &count));
  std::string text;
  for (size_t index = 0; index < count; ++index) {
    const knet_crypto_cipher_info& one = cipher_room[index];
    text += std::string(one.name) + "/" + one.mode + "/" + std::to_string(one.key_bits) + " ";
  }
  VALUE(0, text.find("aes-128-cbc/cbc/128 aes128/cbc/128 aes-192-cbc/cbc/192 aes192/cbc/192 "
                     "aes-256-cbc/cbc/256 aes256/cbc/256 "));
  VALUE(differs("CTR mode has two names in every model", true, false),
        text.find("aes-128-ctr/ctr/128 aes128-ctr/ctr/128 aes-192-ctr/ctr/192 aes192-ctr/ctr/192 "
                  "aes-256-ctr/ctr/256 aes256-ctr/ctr/256 ") != std::string::npos);
  VALUE(0, cipher_room[0].pad[255]);
  std::array<knet_crypto_hash_info, kRoom> hash_room;
  std::memset(hash_room.data(), kMark, sizeof(hash_room));
  CALL(fails(EINVAL), hashes(hash_room.data(), nullptr));
  CALL(kOk, hashes(nullptr, &count));
  CALL(kOk, hashes(hash_room.data(), &count));
  text.clear();
  for (size_t index = 0; index < count; ++index) {
    text +=
        std::string(hash_room[index].name) + "/" + std::to_string(hash_room[index].hash_bits) + " ";
  }
  VALUE(std::string("md5/128 sha1/160 sha256/256 sha384/384 sha512/512 "), text);
  VALUE(0, hash_room[0].pad[255]);
  Node node;
  CALL(fails(EINVAL), set_dscp(nullptr, 0));
  CALL(fails(EINVAL), set_dscp(node, 64));
  CALL(kOk, set_dscp(node, 63));
  CALL(kOk, set_dscp(node, 0));
}

CONFORMANCE_CASE(subsystem_names) {
  constexpr std::array<std::pair<int, const char*>, 26> kNames{
      {{0, "common"},     {1, "handle"},     {2, "host"},           {3, "listener"},
       {4, "link"},       {5, "transport"},  {6, "crypto"},         {7, "compress"},
       {19, "filter"},    {20, "dstcache"},  {21, "heartbeat"},     {22, "pmtud"},
       {23, "tx"},        {24, "rx"},        {40, "loopback"},      {41, "udp"},
       {42, "sctp"},      {60, "nsscrypto"}, {61, "opensslcrypto"}, {70, "zlibcomp"},
       {71, "lz4comp"},   {72, "lz4hccomp"}, {73, "lzo2comp"},      {74, "lzmacomp"},
       {75, "bzip2comp"}, {76, "zstdcomp"}}};
  std::array<bool, 256> known{};
  for (const auto& entry : kNames) {
    const int id = entry.first;
    const char* name = entry.second;
    known[static_cast<size_t>(id)] = true;
    CALL(gives(name), knet_log_get_subsystem_name(static_cast<uint8_t>(id)));
    CALL(gives(id), knet_log_get_subsystem_id(name));
  }
  for (size_t id = 0; id < known.size(); ++id) {
    if (!known[id]) {
      CALL(gives("unknown", kErrnoUntouched),
           knet_log_get_subsystem_name(static_cast<uint8_t>(id)));
    }
  }
  CALL(gives(254, kErrnoUntouched), knet_log_get_subsystem_id("unknown"));
  CALL(gives(41), knet_log_get_subsystem_id("UdP"));
  CALL(gives(254, kErrnoUntouched), knet_log_get_subsystem_id("udpx"));
  CALL(gives(254, kErrnoUntouched), knet_log_get_subsystem_id(""));
  NOT_ON_PEER("a NULL name is followed by the log converters") {
    CALL(gives(254, kErrnoUntouched), knet_log_get_subsystem_id(nullptr));
    CALL(gives(0, kErrnoUntouched), knet_log_get_loglevel_id(nullptr));
  }
}

CONFORMANCE_CASE(level_names) {
  CALL(gives("ERROR"), knet_log_get_loglevel_name(KNET_LOG_ERR));
  CALL(gives("WARNING"), knet_log_get_loglevel_name(KNET_LOG_WARN));
  CALL(gives("info"), knet_log_get_loglevel_name(KNET_LOG_INFO));
  CALL(gives("debug"), knet_log_get_loglevel_name(KNET_LOG_DEBUG));
  CALL(differs(kTraceReason, gives("trace"), gives("ERROR", kErrnoUntouched)),
       knet_log_get_loglevel_name(4));
  CALL(differs(kTraceReason, gives(4), gives(0, kErrnoUntouched)),
       knet_log_get_loglevel_id("trace"));
  CALL(gives("ERROR", kErrnoUntouched), knet_log_get_loglevel_name(5));
  CALL(gives("ERROR", kErrnoUntouched), knet_log_get_loglevel_name(255));
  CALL(gives(0), knet_log_get_loglevel_id("error"));
  CALL(gives(1), knet_log_get_loglevel_id("Warning"));
  CALL(gives(2), knet_log_get_loglevel_id("INFO"));
  CALL(gives(3), knet_log_get_loglevel_id("debug"));
  CALL(gives(0, kErrnoUntouched), knet_log_get_loglevel_id("warn"));
  CALL(gives(0, kErrnoUntouched), knet_log_get_loglevel_id(""));
}

CONFORMANCE_CASE(text_to_address) {
  sockaddr_storage storage{};
  const auto size = static_cast<socklen_t>(sizeof(storage));
  CALL(fails(EINVAL), knet_strtoaddr(nullptr, "1", &storage, size));
  CALL(fails(EINVAL), knet_strtoaddr("127.0.0.1", nullptr, &storage, size));
  CALL(fails(EINVAL), knet_strtoaddr("127.0.0.1", "1", nullptr, size));
  CALL(fails(EINVAL), knet_strtoaddr("127.0.0.1", "1", &storage, 0));
  VALUE(EAI_NONAME, knet_strtoaddr("localhost", "1", &storage, size));
  VALUE(EAI_NONAME, knet_strtoaddr("127.0.0.1", "http", &storage, size));
  VALUE(EAI_NONAME, knet_strtoaddr("1.2.3.4.5", "1", &storage, size));
  std::memset(&storage, kMark, sizeof(storage));
  CALL(kOk, knet_strtoaddr("127.1", "50000", &storage, size));
  const auto* four = reinterpret_cast<const sockaddr_in*>(&storage);
  VALUE(AF_INET, storage.ss_family);
  VALUE(50000, ntohs(four->sin_port));
  VALUE(INADDR_LOOPBACK, ntohl(four->sin_addr.s_addr));
  const auto* bytes = reinterpret_cast<const unsigned char*>(&storage);
  VALUE(0, bytes[15]);
  VALUE(kMark, bytes[16]);
  CALL(kOk, knet_strtoaddr("::1", "", &storage, size));
  VALUE(AF_INET6, storage.ss_family);
  VALUE(0, reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  VALUE(1, bytes[23]);
  VALUE(kMark, bytes[28]);
  CALL(kOk, knet_strtoaddr("127.0.0.1", "70000", &storage, size));
  VALUE(4464, ntohs(four->sin_port));
  std::memset(&storage, kMark, sizeof(storage));
  CALL(kOk, knet_strtoaddr("1.2.3.4", "5", &storage, 4));
  VALUE(AF_INET, storage.ss_family);
  VALUE(kMark, bytes[4]);
}

CONFORMANCE_CASE(address_to_text) {
  std::array<char, KNET_MAX_HOST_LEN> host{};
  std::array<char, KNET_MAX_PORT_LEN> port{};
  sockaddr_storage storage = address("192.168.0.1", 50000);
  const auto size = static_cast<socklen_t>(sizeof(storage));
  CALL(fails(EINVAL),
       knet_addrtostr(nullptr, size, host.data(), host.size(), port.data(), port.size()));
  CALL(fails(EINVAL),
       knet_addrtostr(&storage, 0, host.data(), host.size(), port.data(), port.size()));
  CALL(fails(EINVAL),
       knet_addrtostr(&storage, size, nullptr, host.size(), port.data(), port.size()));
  CALL(fails(EINVAL),
       knet_addrtostr(&storage, size, host.data(), host.size(), nullptr, port.size()));
  CALL(kOk, knet_addrtostr(&storage, size, host.data(), host.size(), port.data(), port.size()));
  VALUE("192.168.0.1", static_cast<const char*>(host.data()));
  VALUE("50000", static_cast<const char*>(port.data()));
  CALL(kOk, knet_addrtostr(&storage, 1, host.data(), host.size(), port.data(), port.size()));
  VALUE(EAI_OVERFLOW, knet_addrtostr(&storage, size, host.data(), 4, port.data(), port.size()));
  VALUE(EAI_OVERFLOW, knet_addrtostr(&storage, size, host.data(), host.size(), port.data(), 2));
  host[0] = 'x';
  CALL(kOk, knet_addrtostr(&storage, size, host.data(), 0, port.data(), port.size()));
  VALUE('x', host[0]);
  for (const char* text : {"fd00::1", "::ffff:1.2.3.4", "fe80::1%lo"}) {
    storage = address(text, 50000);
    CALL(kOk, knet_addrtostr(&storage, size, host.data(), host.size(), port.data(), port.size()));
    VALUE(text, static_cast<const char*>(host.data()));
  }
  storage = address("FD00::ABCD", 1);
  CALL(kOk, knet_addrtostr(&storage, size, host.data(), host.size(), port.data(), port.size()));
  VALUE("fd00::abcd", static_cast<const char*>(host.data()));
  storage = {};
  VALUE(EAI_FAMILY,
        knet_addrtostr(&storage, size, host.data(), host.size(), port.data(), port.size()));
}

}  // namespace conformance
