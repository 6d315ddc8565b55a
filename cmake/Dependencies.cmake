# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every outside library, found here and nowhere else. The rest of the build knows only the three targets
# knet_dep_uring, knet_dep_fmt, knet_dep_lz4 and, in tests, doctest::doctest.
#
# libknet.so.1 is loaded into other people's processes (corosync), so it should drag in as little as can be:
# liburing is linked from its static archive (Debian builds it position independent), fmt is used header-only (Debian
# ships no static archive of it). Where a distribution has no liburing.a, the shared one is taken.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

pkg_check_modules(LIBURING REQUIRED IMPORTED_TARGET liburing>=2.3)
find_library(LIBURING_ARCHIVE NAMES liburing.a HINTS ${LIBURING_LIBRARY_DIRS})
mark_as_advanced(LIBURING_ARCHIVE)
add_library(knet_dep_uring INTERFACE)
if(LIBURING_ARCHIVE)
  target_include_directories(knet_dep_uring SYSTEM INTERFACE ${LIBURING_INCLUDE_DIRS})
  target_link_libraries(knet_dep_uring INTERFACE "${LIBURING_ARCHIVE}")
else()
  target_link_libraries(knet_dep_uring INTERFACE PkgConfig::LIBURING)
endif()

find_package(fmt 9 REQUIRED)
add_library(knet_dep_fmt INTERFACE)
target_link_libraries(knet_dep_fmt INTERFACE fmt::fmt-header-only)

pkg_check_modules(LZ4 REQUIRED IMPORTED_TARGET liblz4)
add_library(knet_dep_lz4 INTERFACE)
target_link_libraries(knet_dep_lz4 INTERFACE PkgConfig::LZ4)

# What users of libknet.a have to link as well, for libknet.pc.
set(RINGKNET_PC_REQUIRES liblz4)
set(RINGKNET_PC_LIBS "")

# Compression models beside lz4. Each is built when its library is found and nobody switched it off, so that the nodes
# of a mixed cluster can read one another: target knet_dep_MODEL says so.
function(ringknet_codec model link)
  string(TOUPPER ${model} upper)
  option(RINGKNET_${upper} "compression model ${model}, where its library is found" ON)
  if(RINGKNET_${upper} AND TARGET ${link})
    add_library(knet_dep_${model} INTERFACE)
    target_link_libraries(knet_dep_${model} INTERFACE ${link})
    if(link MATCHES "^PkgConfig::")
      set(RINGKNET_PC_REQUIRES "${RINGKNET_PC_REQUIRES} ${ARGV2}" PARENT_SCOPE)
    else()
      set(RINGKNET_PC_LIBS "${RINGKNET_PC_LIBS} ${ARGV2}" PARENT_SCOPE)
    endif()
  else()
    message(STATUS "compression model ${model}: not built")
  endif()
endfunction()
pkg_check_modules(ZLIB IMPORTED_TARGET zlib)
pkg_check_modules(ZSTD IMPORTED_TARGET libzstd)
pkg_check_modules(LZMA IMPORTED_TARGET liblzma)
pkg_check_modules(LZO2 IMPORTED_TARGET lzo2)
find_package(BZip2)
ringknet_codec(zlib PkgConfig::ZLIB zlib)
ringknet_codec(zstd PkgConfig::ZSTD libzstd)
ringknet_codec(lzma PkgConfig::LZMA liblzma)
ringknet_codec(lzo2 PkgConfig::LZO2 lzo2)
ringknet_codec(bzip2 BZip2::BZip2 -lbz2)

# Intel's multi-buffer crypto library (x86-64) makes encryption two to three times faster where it is found; it has no
# pkg-config file.
option(RINGKNET_MULTIBUFFER "encrypt with Intel's multi-buffer library beside wolfSSL, where it is found" ON)
find_path(MULTIBUFFER_INCLUDE intel-ipsec-mb.h)
find_library(MULTIBUFFER_LIBRARY IPSec_MB)
mark_as_advanced(MULTIBUFFER_INCLUDE MULTIBUFFER_LIBRARY)
if(RINGKNET_MULTIBUFFER AND MULTIBUFFER_INCLUDE AND MULTIBUFFER_LIBRARY)
  add_library(knet_dep_multibuffer INTERFACE)
  target_include_directories(knet_dep_multibuffer SYSTEM INTERFACE "${MULTIBUFFER_INCLUDE}")
  target_link_libraries(knet_dep_multibuffer INTERFACE "${MULTIBUFFER_LIBRARY}")
  target_compile_definitions(knet_dep_multibuffer INTERFACE NO_COMPAT_IMB_API_053) # old names, which wolfSSL has, too
  set(RINGKNET_PC_LIBS "${RINGKNET_PC_LIBS} -lIPSec_MB")
else()
  message(STATUS "multi-buffer library: not used; wolfSSL does all the encryption")
endif()

find_package(doctest 2.4 REQUIRED)
