#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Brings the peer of the interop tests into a folder of its own: Debian's libknet1 1.25, its header,
# and the libraries that its plug-ins need; then builds peer_node against that header. Nothing is
# installed into the system. It is not a general package installer: what cannot be had ends the
# script with 77 (skipped) and the reason, a compiler error ends it with 1 (failed).
#
# usage: fetch_peer.sh FOLDER [COMPILER]
set -eu

folder=${1:?usage: fetch_peer.sh FOLDER [COMPILER]}
compiler=${2:-cc}
wanted=1.25
here=$(cd "$(dirname "$0")" && pwd)

skip() {
  echo "interop: SKIPPED: $*" >&2
  exit 77
}

library_folder() {
  find "$folder/usr/lib" -name libknet.so.1 -exec dirname {} \; | head -n 1
}

# download PACKAGE...: retried once with fresh lists, as a new machine has none.
download() {
  apt-get -q -o APT::Sandbox::User=root download "$@" >download.log 2>&1 && return 0
  apt-get -q update >>download.log 2>&1 || return 1
  apt-get -q -o APT::Sandbox::User=root download "$@" >>download.log 2>&1
}

fetch() {
  for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || skip "$tool is needed to fetch Debian's libknet1"
  done
  # What an earlier, broken run left is replaced; anybody else's folder is not ours to empty.
  if [ -n "$(ls -A "$folder" 2>/dev/null)" ] && [ ! -d "$folder/packages" ]; then
    echo "interop: $folder is not empty and not made by this script" >&2
    exit 1
  fi
  rm -rf "$folder"
  mkdir -p "$folder/packages"
  cd "$folder/packages"
  echo "interop: fetching Debian's libknet1 $wanted into $folder"
  download libknet1 libknet-dev || {
    tail -n 5 download.log >&2
    skip "Debian's libknet1 could not be downloaded"
  }
  version=$(dpkg-deb -f libknet1_*.deb Version)
  case $version in
    "$wanted"-*) ;;
    *) skip "the archive has libknet1 $version; these tests are written for $wanted" ;;
  esac
  # Only the plug-ins (encryption, compression) need these: without them the rest still runs.
  for package in libbz2-1.0 liblz4-1 liblzma5 liblzo2-2 libnspr4 libnss3 libsqlite3-0 libssl3 \
    libzstd1 zlib1g; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
      download "$package" || echo "interop: $package is missing, and with it a plug-in of the peer"
  done
  for package in *.deb; do
    dpkg-deb -x "$package" "$folder"
  done
  cd "$here"
  echo "$version" >"$folder/version"
}

build() {
  # Linked by soname with no run path: LD_LIBRARY_PATH alone decides which library a node runs on.
  cd "$here"
  "$compiler" -std=c99 -O2 -Wall -Wextra -Wpedantic -Werror -I "$folder/usr/include" \
    peer_node.c peer_commands.c message_log.c -L "$(library_folder)" -l:libknet.so.1 \
    -o "$folder/peer_node.new"
  mv "$folder/peer_node.new" "$folder/peer_node"
}

case $folder in
  /*) ;;
  *) folder=$(pwd)/$folder ;;
esac
[ -f "$folder/version" ] || fetch
build
echo "interop: the peer is libknet1 $(cat "$folder/version") in $(library_folder)"
