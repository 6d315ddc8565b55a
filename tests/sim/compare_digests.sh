#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Whether two builds of knet-sim run the same seeds alike, byte for byte: a digest that depends on the compiler, the
# optimisation or what happened to be in memory would be a core that is not deterministic.
#
#   compare_digests.sh PROGRAM OTHER_PROGRAM FIRST..LAST     exit status 77: OTHER_PROGRAM is not there
set -euo pipefail

mine=$1 other=$2 seeds=$3
if [ ! -x "$other" ]; then
  echo "SKIPPED: no $other to compare with: tools/dev build release"
  exit 77
fi
folder=$(mktemp -d)
trap 'kill %1 2>/dev/null || true; rm -rf "$folder"' EXIT

"$other" --digests "$seeds" >"$folder/other" &
"$mine" --digests "$seeds" >"$folder/mine"
wait %1
lines=$(wc -l <"$folder/mine")
[ "$lines" -gt 0 ] || { echo "no digests at all" && exit 1; }
if ! diff "$folder/mine" "$folder/other" >"$folder/differences"; then
  echo "of $lines seeds, $(grep -c '^<' "$folder/differences") are other runs with $other (a seed, then its digest):"
  head -n 20 "$folder/differences"
  echo "If that is not of the same sources, build it again; else compare what both print with --trace --seed N."
  exit 1
fi
echo "$lines seeds, the same digests"
