#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Brings Debian 13's libknet1 (1.31) with everything it needs, its C library too, into a folder that a node process can
# take for its root. Nothing is installed into the system. What cannot be had ends the script with 77 (skipped) and the
# reason.
#
# usage: fetch_newer_peer.sh FOLDER
set -euo pipefail

folder=${1:?usage: fetch_newer_peer.sh FOLDER}
suite=trixie # Debian 13
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
. "$here/../../tools/debian-suite.sh"

skip() {
  echo "interop: SKIPPED: $*" >&2
  exit 77
}

[ ! -f "$folder/version" ] || exit 0
for tool in apt-get dpkg-deb; do
  command -v "$tool" >/dev/null || skip "$tool is needed to fetch Debian 13's libknet1"
done
echo "interop: fetching Debian 13's libknet1 into $folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
open_suite "$folder/fetch" "$suite" deb || skip "$suite_error"
suite_apt install -y --no-install-recommends --download-only libknet1t64 >>"$folder/fetch/fetch.log" 2>&1 || {
  tail -n 5 "$folder/fetch/fetch.log" >&2
  skip "Debian 13's libknet1 could not be downloaded"
}
rm -rf "$folder/root"
mkdir -p "$folder"/root/{proc,dev,etc,tmp,program}
for package in "$folder"/fetch/cache/archives/*.deb; do
  dpkg-deb -x "$package" "$folder/root"
done
[ -e "$folder/root/lib" ] || ln -s usr/lib "$folder/root/lib"
[ -e "$folder/root/lib64" ] || ln -s usr/lib64 "$folder/root/lib64"
version=$(dpkg-deb -f "$folder"/fetch/cache/archives/libknet1t64_*.deb Version)
rm -rf "$folder/fetch"
echo "$version" >"$folder/version"
echo "interop: the newer peer is libknet1 $version in $folder/root"
