# SPDX-License-Identifier: LGPL-2.1-or-later
#
# wolfSSL as the target knet_dep_wolfssl. The one that tools/fetch-wolfssl built with the processor's crypto
# instructions comes first (one for all presets), then the system's, which works everywhere and is several times slower.
#
#   RINGKNET_WOLFSSL_ROOT         where tools/fetch-wolfssl put it; empty: take the system's
#   RINGKNET_WOLFSSL_ACCELERATED  set here: whether it was configured for crypto instructions
#   RINGKNET_WOLFSSL_OBJECTS      set here: its object files, if it is ours alone; else empty, and then
#   RINGKNET_WOLFSSL_PC           is its pkg-config name

set(RINGKNET_WOLFSSL_ROOT "${PROJECT_SOURCE_DIR}/build/deps/wolfssl" CACHE PATH "prefix of the wolfSSL to use first")

set(wolfssl_include "")
if(RINGKNET_WOLFSSL_ROOT AND EXISTS "${RINGKNET_WOLFSSL_ROOT}/lib/libwolfssl.a")
  set(wolfssl_include "${RINGKNET_WOLFSSL_ROOT}/include")
  set(wolfssl_link "${RINGKNET_WOLFSSL_ROOT}/lib/libwolfssl.a")
  set(wolfssl_from "${RINGKNET_WOLFSSL_ROOT}")
else()
  find_package(PkgConfig QUIET)
  if(PKG_CONFIG_FOUND)
    pkg_check_modules(WOLFSSL QUIET IMPORTED_TARGET wolfssl>=5.5)
  endif()
  if(WOLFSSL_FOUND)
    pkg_get_variable(wolfssl_include wolfssl includedir)
    set(wolfssl_link PkgConfig::WOLFSSL)
    set(wolfssl_from "the system")
  endif()
endif()

if(wolfssl_include)
  file(STRINGS "${wolfssl_include}/wolfssl/version.h" wolfssl_version REGEX "LIBWOLFSSL_VERSION_STRING")
  string(REGEX REPLACE ".*\"(.*)\".*" "\\1" RingknetWolfSSL_VERSION "${wolfssl_version}")
  file(STRINGS "${wolfssl_include}/wolfssl/options.h" wolfssl_fast
    REGEX "^#define (USE_INTEL_SPEEDUP|WOLFSSL_ARMASM)$")
endif()
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(RingknetWolfSSL REQUIRED_VARS wolfssl_link wolfssl_include
  VERSION_VAR RingknetWolfSSL_VERSION
  REASON_FAILURE_MESSAGE "run tools/fetch-wolfssl, or install libwolfssl-dev")

if(RingknetWolfSSL_FOUND AND NOT TARGET knet_dep_wolfssl)
  if(wolfssl_fast)
    set(RINGKNET_WOLFSSL_ACCELERATED TRUE)
    set(wolfssl_speed "accelerated")
  else()
    set(RINGKNET_WOLFSSL_ACCELERATED FALSE)
    set(wolfssl_speed "NOT accelerated: encryption will be slow; tools/fetch-wolfssl builds a fast one")
  endif()
  message(STATUS "wolfSSL ${RingknetWolfSSL_VERSION} from ${wolfssl_from}, ${wolfssl_speed}")
  add_library(knet_dep_wolfssl INTERFACE)
  target_include_directories(knet_dep_wolfssl SYSTEM INTERFACE "${wolfssl_include}")
  target_link_libraries(knet_dep_wolfssl INTERFACE "${wolfssl_link}")
  set(RINGKNET_WOLFSSL_OBJECTS "" CACHE INTERNAL "")
  set(RINGKNET_WOLFSSL_PC "" CACHE INTERNAL "")
  if(wolfssl_link MATCHES "[.]a$")
    set(wolfssl_objects "${PROJECT_BINARY_DIR}/wolfssl-objects")
    file(REMOVE_RECURSE "${wolfssl_objects}")
    file(MAKE_DIRECTORY "${wolfssl_objects}")
    execute_process(COMMAND "${CMAKE_AR}" x "${wolfssl_link}" WORKING_DIRECTORY "${wolfssl_objects}"
      COMMAND_ERROR_IS_FATAL ANY)
    file(GLOB wolfssl_objects "${wolfssl_objects}/*.o")
    set(RINGKNET_WOLFSSL_OBJECTS "${wolfssl_objects}" CACHE INTERNAL "")
  else()
    set(RINGKNET_WOLFSSL_PC wolfssl CACHE INTERNAL "")
  endif()
endif()
