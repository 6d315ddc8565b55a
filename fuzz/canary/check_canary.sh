#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# check_canary.sh COMMAND...: succeeds if the command ends with an error and with the canary's message. A test that is
# only expected to fail would also pass if the program could not be started.
output=$("$@" 2>&1)
status=$?
echo "$output" | tail -n 20
if [ "$status" -eq 0 ]; then
  echo "the canary lives: a planted bug was not found"
  exit 1
fi
echo "$output" | grep -q "invariant broken: the canary is dead" && echo "found, with status $status"
