// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Names and numbers: log subsystems, log levels, transports. None of these calls takes a handle.
#include <cstring>

#include "tests/api/support.h"

namespace {

struct Named {
  int id;
  const char* name;
};

constexpr Named kSubsystems[] = {
    {0, "common"},     {1, "handle"},     {2, "host"},           {3, "listener"},
    {4, "link"},       {5, "transport"},  {6, "crypto"},         {7, "compress"},
    {19, "filter"},    {20, "dstcache"},  {21, "heartbeat"},     {22, "pmtud"},
    {23, "tx"},        {24, "rx"},        {40, "loopback"},      {41, "udp"},
    {42, "sctp"},      {60, "nsscrypto"}, {61, "opensslcrypto"}, {70, "zlibcomp"},
    {71, "lz4comp"},   {72, "lz4hccomp"}, {73, "lzo2comp"},      {74, "lzmacomp"},
    {75, "bzip2comp"}, {76, "zstdcomp"},
};

constexpr Named kLevels[] = {{0, "ERROR"}, {1, "WARNING"}, {2, "info"}, {3, "debug"}};

bool is_subsystem(int id) {
  for (const Named& known : kSubsystems) {
    if (known.id == id) {
      return true;
    }
  }
  return false;
}

}  // namespace

TEST_CASE("every subsystem has its number and name") {
  for (const Named& known : kSubsystems) {
    errno = kErrnoUntouched;
    CHECK(std::string(knet_log_get_subsystem_name(static_cast<uint8_t>(known.id))) == known.name);
    CHECK(errno == 0);
    CHECK_CALL(known.id, 0, knet_log_get_subsystem_id(known.name));
  }
  CHECK_CALL(22, 0, knet_log_get_subsystem_id("PmTuD"));
}

TEST_CASE("an unknown subsystem is 'unknown' and leaves errno alone") {
  for (int id = 0; id <= 255; ++id) {
    if (is_subsystem(id)) {
      continue;
    }
    INFO(id);
    errno = kErrnoUntouched;
    CHECK(std::strcmp(knet_log_get_subsystem_name(static_cast<uint8_t>(id)), "unknown") == 0);
    CHECK(errno == kErrnoUntouched);
  }
  CHECK_CALL(254, kErrnoUntouched, knet_log_get_subsystem_id("unknown"));
  CHECK_CALL(254, kErrnoUntouched, knet_log_get_subsystem_id("no such"));
  CHECK_CALL(254, kErrnoUntouched, knet_log_get_subsystem_id(""));
  if (!knet_test::on_peer()) {  // it follows a NULL
    CHECK_CALL(254, kErrnoUntouched, knet_log_get_subsystem_id(nullptr));
    CHECK_CALL(0, kErrnoUntouched, knet_log_get_loglevel_id(nullptr));
  }
}

TEST_CASE("log levels have numbers and names") {
  for (const Named& known : kLevels) {
    errno = kErrnoUntouched;
    CHECK(std::string(knet_log_get_loglevel_name(static_cast<uint8_t>(known.id))) == known.name);
    CHECK(errno == 0);
    CHECK_CALL(known.id, 0, knet_log_get_loglevel_id(known.name));
  }
  CHECK_CALL(1, 0, knet_log_get_loglevel_id("warning"));
  CHECK_CALL(3, 0, knet_log_get_loglevel_id("DEBUG"));
  CHECK_CALL(0, kErrnoUntouched, knet_log_get_loglevel_id("warn"));
  errno = kErrnoUntouched;
  CHECK(std::string(knet_log_get_loglevel_name(200)) == "ERROR");
  CHECK(errno == kErrnoUntouched);
}

TEST_CASE("the transports are listed in the order of their ids") {
  CHECK_FAILS(EINVAL, knet_get_transport_list(nullptr, nullptr));
  size_t count = 0;
  CHECK_OK(knet_get_transport_list(nullptr, &count));
  REQUIRE(count == 3);

  std::array<knet_transport_info, 4> list;
  std::memset(list.data(), 0x5A, sizeof(list));
  CHECK_FAILS(EINVAL, knet_get_transport_list(list.data(), nullptr));
  count = 0;
  CHECK_OK(knet_get_transport_list(list.data(), &count));
  REQUIRE(count == 3);
  const std::array<const char*, 3> names = {"LOOPBACK", "UDP", "SCTP"};
  for (size_t index = 0; index < count; ++index) {
    CHECK(list[index].id == index);
    CHECK(std::string(list[index].name) == names[index]);
    CHECK(list[index].properties == 0x5A);
    CHECK(list[index].pad[255] == 0x5A);
  }
  CHECK(list[3].id == 0x5A);
}

TEST_CASE("transport names and ids convert") {
  errno = kErrnoUntouched;
  CHECK(std::string(knet_get_transport_name_by_id(KNET_TRANSPORT_UDP)) == "UDP");
  CHECK(errno == 0);
  errno = kErrnoUntouched;
  CHECK(knet_get_transport_name_by_id(3) == nullptr);
  CHECK(errno == ENOENT);
  CHECK(knet_get_transport_name_by_id(254) == nullptr);
  CHECK(errno == ENOENT);
  CHECK(knet_get_transport_name_by_id(KNET_MAX_TRANSPORTS) == nullptr);
  CHECK(errno == EINVAL);

  CHECK_CALL(0, 0, knet_get_transport_id_by_name("LOOPBACK"));
  CHECK_CALL(1, 0, knet_get_transport_id_by_name("UDP"));
  CHECK_CALL(2, 0, knet_get_transport_id_by_name("SCTP"));
  CHECK_CALL(KNET_MAX_TRANSPORTS, EINVAL, knet_get_transport_id_by_name("udp"));
  CHECK_CALL(KNET_MAX_TRANSPORTS, EINVAL, knet_get_transport_id_by_name(""));
  CHECK_CALL(KNET_MAX_TRANSPORTS, EINVAL, knet_get_transport_id_by_name(nullptr));
}
