#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Brings Debian 12's corosync into a folder of its own, for the system tests: the daemon, its tools
# and the libraries they need, but no libknet, which each test chooses; then builds cpg_node against
# corosync's headers. Nothing is installed into the system. What cannot be had ends the script with
# 77 (skipped) and the reason, a compiler error ends it with 1 (failed).
#
# usage: fetch_corosync.sh FOLDER [COMPILER]
set -eu

folder=${1:?usage: fetch_corosync.sh FOLDER [COMPILER]}
compiler=${2:-cc}
wanted=3.1.7
here=$(cd "$(dirname "$0")" && pwd)

skip() {
  echo "system: SKIPPED: $*" >&2
  exit 77
}

# download PACKAGE...: retried once with fresh lists, as a new machine has none.
download() {
  apt-get -q -o APT::Sandbox::User=root download "$@" >download.log 2>&1 && return 0
  apt-get -q update >>download.log 2>&1 || return 1
  apt-get -q -o APT::Sandbox::User=root download "$@" >>download.log 2>&1
}

fetch() {
  for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || skip "$tool is needed to fetch Debian's corosync"
  done
  # What an earlier, broken run left is replaced; anybody else's folder is not ours to empty.
  if [ -n "$(ls -A "$folder" 2>/dev/null)" ] && [ ! -d "$folder/packages" ]; then
    echo "system: $folder is not empty and not made by this script" >&2
    exit 1
  fi
  rm -rf "$folder"
  mkdir -p "$folder/packages"
  cd "$folder/packages"
  echo "system: fetching Debian's corosync $wanted into $folder"
  download corosync libcfg7 libcmap4 libcorosync-common4 libcpg4 libnl-3-200 libnl-route-3-200 \
    libnozzle1 libqb100 libquorum5 libstatgrab10 libvotequorum8 libcorosync-common-dev libcpg-dev \
    || {
      tail -n 5 download.log >&2
      skip "Debian's corosync could not be downloaded"
    }
  version=$(dpkg-deb -f corosync_*.deb Version)
  case $version in
    "$wanted"-*) ;;
    *) skip "the archive has corosync $version; these tests are written for $wanted" ;;
  esac
  # Most machines have these.
  for package in libcap2 libgcrypt20 libgpg-error0 liblz4-1 liblzma5 libsystemd0 libzstd1; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
      download "$package" || skip "$package could not be downloaded"
  done
  for package in *.deb; do
    dpkg-deb -x "$package" "$folder"
  done
  cd "$here"
  echo "$version" >"$folder/version"
}

build() {
  # No run path: LD_LIBRARY_PATH finds the libraries, as it does for corosync itself.
  cd "$here"
  "$compiler" -std=c11 -O2 -Wall -Wextra -Wpedantic -Werror -isystem "$folder/usr/include" \
    cpg_node.c -L "$(find "$folder/usr/lib" -name libcpg.so.4 -exec dirname {} \;)" -l:libcpg.so.4 \
    -Wl,--allow-shlib-undefined -pthread -o "$folder/cpg_node.new"
  mv "$folder/cpg_node.new" "$folder/cpg_node"
}

case $folder in
  /*) ;;
  *) folder=$(pwd)/$folder ;;
esac
[ -f "$folder/version" ] || fetch
build
echo "system: corosync $(cat "$folder/version") in $folder"
