# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs one scenario of the interop matrix on real processes in network namespaces of its own.

    interop.py --peer FOLDER --ours FOLDER [--newer FOLDER] SCENARIO LEFT RIGHT
                                                            LEFT, RIGHT: ours, peer or newer
    interop.py --list

FOLDER of --peer is what fetch_peer.sh made; that of --ours holds our libknet.so.1; that of --newer,
the peer of a later Debian, is what fetch_newer_peer.sh made. The left library
runs node 1 (and 3, where a scenario has three), the right one node 2. Exit code 77 says that this
machine cannot run it, and why. It is not a benchmark: only right and wrong come out.
"""

import argparse
import os
import sys

import scenarios
import scenarios_compress
import scenarios_crypto
import scenarios_faults
import scenarios_runs
from cluster import Cluster
from network import Unavailable
from verdict import end_on_signals, judge

# Shorter than the test runner's own limit, so that the report of what happened gets out.
LIMIT_SECONDS = 100

SCENARIOS = {
    function.__name__: function
    for function in (
        scenarios.links,
        scenarios.sizes_1500,
        scenarios.sizes_9000,
        scenarios_faults.sizes_black_hole,
        scenarios.policies,
        scenarios_faults.cut_active,
        scenarios_faults.cut_passive,
        scenarios_faults.loss,
        scenarios_faults.restart,
        scenarios_faults.restart_late,
        scenarios_runs.runs_output,
        scenarios_runs.runs_input,
        scenarios_runs.runs_bridge,
        scenarios_runs.runs_joined,
        scenarios.wrap,
        scenarios.forced_pings,
        scenarios.destinations,
        scenarios.loopback,
        scenarios.dynamic,
        scenarios_crypto.ciphers_openssl,
        scenarios_crypto.ciphers_nss,
        scenarios_crypto.ciphers_9000,
        scenarios_crypto.ciphers_native,
        scenarios_crypto.rekey,
        scenarios_crypto.rekey_native,
        scenarios_crypto.links_native,
        scenarios_crypto.clear_traffic,
        scenarios_crypto.wrong_key,
        scenarios_compress.compression,
        scenarios_compress.product_openssl,
        scenarios_compress.product_nss,
    )
}


class Lab:
    """Gives scenarios their clusters: which program, and which library on which side."""

    def __init__(self, program, left, right):
        self._program = program
        self._libraries = [left, right, left]

    def cluster(self, setup, nodes=2):
        return Cluster(self._program, self._libraries[:nodes], setup)


def library_folder(options, side):
    """Where libknet.so.1 of that side is: ours in just this folder, the peer's somewhere below."""
    top = getattr(options, side)
    for path, _, files in os.walk(top):
        if "libknet.so.1" in files and (side != "ours" or path == top):
            return path
    raise FileNotFoundError(f"{side}: there is no libknet.so.1 in {top}")


def run(options):
    program = os.path.join(options.peer or ".", "peer_node")
    if not os.access(program, os.X_OK):
        raise Unavailable(f"{program} is missing: the peer was not fetched (see its test)")
    sides = {options.left, options.right}
    folders = {side: library_folder(options, side) for side in sides}
    SCENARIOS[options.scenario](Lab(program, folders[options.left], folders[options.right]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="the folder that fetch_peer.sh made")
    parser.add_argument("--ours", help="the folder of our libknet.so.1")
    parser.add_argument("--newer", help="the folder that fetch_newer_peer.sh made")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("scenario", nargs="?", choices=list(SCENARIOS))
    for side in ("left", "right"):
        parser.add_argument(side, nargs="?", choices=("ours", "peer", "newer"))
    options = parser.parse_args()
    if "ours" in (options.left, options.right) and options.ours is None:
        parser.error("--ours is needed")
    if "newer" in (options.left, options.right) and options.newer is None:
        parser.error("--newer is needed")
    if options.list:
        for name, function in SCENARIOS.items():
            print(f"{name:18}{function.__doc__.splitlines()[0]}")
        return 0
    if options.right is None:
        parser.error("SCENARIO LEFT RIGHT are needed")
    end_on_signals("interop")
    name = f"interop.{options.scenario}.{options.left}-{options.right}"
    return judge(name, LIMIT_SECONDS, lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
