# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Every flag of the project in one place: the language, the warnings, hidden visibility, sanitizers, coverage.
# Targets get the warnings by linking knet_flags; what changes the ABI of an object (sanitizers, coverage) is set for
# the whole tree, because half a sanitized program reports nonsense.

set(RINGKNET_SANITIZE "" CACHE STRING "sanitizers for the whole tree, e.g. address,undefined or thread")
option(RINGKNET_FUZZ "build fuzz/ harnesses as libFuzzer programs (clang only)" OFF)
option(RINGKNET_COVERAGE "instrument for gcov" OFF)
option(RINGKNET_WERROR "warnings are errors" ON)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 99)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "" FORCE)
endif()

add_library(knet_flags INTERFACE)
target_include_directories(knet_flags INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(knet_flags INTERFACE -Wall -Wextra -Wpedantic $<$<BOOL:${RINGKNET_WERROR}>:-Werror>)

if(RINGKNET_SANITIZE)
  add_compile_options(-fsanitize=${RINGKNET_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${RINGKNET_SANITIZE})
endif()

if(RINGKNET_FUZZ)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "RINGKNET_FUZZ needs clang (libFuzzer); use the preset 'fuzz'")
  endif()
  add_compile_options(-fsanitize=fuzzer-no-link)
  add_link_options(-fsanitize=fuzzer-no-link)
endif()

if(RINGKNET_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
endif()
