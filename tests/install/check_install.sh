#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Installs a build into a folder and uses it as strangers would: a C program built with pkg-config against the shared
# library, against the static one, and by CMake with find_package(knet), where a C++ service uses knet.hpp, too. Each is
# run.
#
# usage: check_install.sh CMAKE BUILD-FOLDER COMPILER C++-COMPILER
set -eu

cmake=$1 build=$2 compiler=$3 cxx_compiler=$4
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$cmake" --install "$build" --prefix "$work/usr" >"$work/install.log"
PKG_CONFIG_PATH=$(dirname "$(find "$work/usr" -name libknet.pc)")
export PKG_CONFIG_PATH
libraries=$(dirname "$(find "$work/usr" -name libknet.so.1)")

# Word splitting of the flags is what they are for.
# shellcheck disable=SC2046
"$compiler" -std=c99 -Wall -Wextra -Werror "$here/user.c" -o "$work/shared" $(pkg-config --cflags --libs libknet)
LD_LIBRARY_PATH=$libraries "$work/shared"

# shellcheck disable=SC2046
"$compiler" -std=c99 "$here/user.c" -o "$work/static" $(pkg-config --cflags libknet) \
  -Wl,-Bstatic -lknet -L"$libraries" -Wl,-Bdynamic $(pkg-config --static --libs libknet | sed 's/-lknet//')
if readelf -d "$work/static" | grep -q 'NEEDED.*libknet'; then
  echo "the static program needs the shared library" >&2
  exit 1
fi
"$work/static"

"$cmake" -S "$here" -B "$work/cmake" -DCMAKE_PREFIX_PATH="$work/usr" -DCMAKE_C_COMPILER="$compiler" \
  -DCMAKE_CXX_COMPILER="$cxx_compiler" >"$work/cmake.log" ||
  { cat "$work/cmake.log" && exit 1; }
"$cmake" --build "$work/cmake" >>"$work/cmake.log" || { cat "$work/cmake.log" && exit 1; }
"$work/cmake/user"
"$work/cmake/service"
echo "shared, static and CMake users work"
