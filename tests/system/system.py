# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs scenarios of unmodified corosync in network namespaces of their own, on a chosen libknet.

    system.py FOLDERS [--crypto] SCENARIO SIDE SIDE [SIDE]      one; SIDE: ours, peer or newer
    system.py FOLDERS --all [--only WORD]                       every scenario on every mixture
    system.py --list
    FOLDERS: --corosync FOLDER --peer FOLDER [--ours FOLDER] [--newer FOLDER]

FOLDER of --corosync is what fetch_corosync.sh made, of --peer what fetch_peer.sh of the interop
tests made, of --ours the one with our libknet.so.1, of --newer what fetch_newer_peer.sh made: the
libknet of a later Debian, with its C library. There is a node per SIDE. Exit code 77 says that this
machine cannot run it, and why. Only right and wrong come out, and figures to read: measure.py
compares the libraries.
"""

import argparse
import os
import subprocess
import sys

import system_faults
import system_scenarios
from corosync_cluster import CorosyncCluster
from daemon import Corosync
from hosts import Unavailable
from verdict import SKIPPED, end_on_signals, judge

# Shorter than the test runner's own limit, so that the report of what happened gets out.
LIMIT_SECONDS = 110

SCENARIOS = {
    function.__name__: function
    for function in (
        system_scenarios.form,
        system_scenarios.order,
        system_scenarios.crash,
        system_scenarios.restart,
        system_scenarios.reload,
        system_scenarios.relink,
        system_scenarios.compressed,
        system_scenarios.rekey,
        system_scenarios.rolling,
        system_faults.cut_one,
        system_faults.cut_new,
        system_faults.cable,
        system_faults.interface,
        system_faults.cut_both,
        system_faults.shrunk_path,
        system_faults.firewall,
        system_faults.refused,
    )
}

# In these the classic library is known to fail: they are for nodes that are all on ours.
OURS_ONLY = ("cut_new", "shrunk_path", "refused")
MIXTURES = ("ours ours", "ours ours ours", "ours peer", "ours peer ours", "peer ours peer",
            "peer peer", "ours newer", "newer ours peer")
SIDES = ("ours", "peer", "newer")


class Lab:
    """Gives scenarios their clusters: which corosync, and which library on which node."""

    def __init__(self, corosync, folders, sides, crypto):
        self._corosync = corosync
        self._folders = folders
        self._sides = sides
        self.crypto = crypto

    def cluster(self, setup):
        libraries = [self._folders[side] for side in self._sides]
        return CorosyncCluster(self._corosync, libraries, setup, self._folders["peer"])

    def other_library(self, folder):
        """What replaces a node's library: the other one, or the same where there is no other."""
        others = [other for other in self._folders.values() if other != folder]
        return (others or [folder])[0]


def library_folder(options, side):
    """Where libknet.so.1 of that side is: ours in just this folder, another somewhere below."""
    top = getattr(options, side)
    for path, _, files in os.walk(top):
        if "libknet.so.1" in files and (side != "ours" or path == top):
            return os.path.realpath(path)
    raise FileNotFoundError(f"{side}: there is no libknet.so.1 in {top}")


def run(options):
    for top, name, test in ((options.corosync, "cpg_node", "corosync"),
                            (options.peer, "version", "the peer"),
                            (options.newer or options.peer, "version", "the newer peer")):
        if not os.path.exists(os.path.join(top or ".", name)):
            raise Unavailable(f"{top}/{name} is missing: {test} was not fetched (see its test)")
    folders = {side: library_folder(options, side) for side in SIDES if getattr(options, side)}
    lab = Lab(Corosync(options.corosync), folders, options.sides, options.crypto)
    SCENARIOS[options.scenario](lab)


def run_all(options):
    """Each run is a process of its own, as a failed one must not colour the next."""
    results = []
    for name in SCENARIOS:
        for mixture in MIXTURES:
            for crypto in ((), ("--crypto",)):
                sides = mixture.split()
                if (crypto and name == "rekey") or (name in OURS_ONLY and set(sides) != {"ours"}):
                    continue
                if "newer" in sides and not options.newer:
                    continue
                title = " ".join((name, mixture, *crypto))
                if options.only and options.only not in title:
                    continue
                command = [sys.executable, "-B", __file__, "--corosync", options.corosync,
                           "--peer", options.peer, "--ours", options.ours,
                           *(["--newer", options.newer] if options.newer else []),
                           *crypto, name, *sides]
                code = subprocess.run(command, check=False).returncode
                results.append((code, title))
    print("\n".join(f"{ {0: 'passed', SKIPPED: 'skipped'}.get(code, 'FAILED'):8}{title}"
                    for code, title in results))
    return 1 if any(code not in (0, SKIPPED) for code, _ in results) else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corosync", help="the folder that fetch_corosync.sh made")
    parser.add_argument("--peer", help="the folder that fetch_peer.sh made")
    parser.add_argument("--ours", help="the folder of our libknet.so.1")
    parser.add_argument("--newer", help="the folder that fetch_newer_peer.sh made")
    parser.add_argument("--crypto", action="store_true", help="encrypt with aes256 and sha256")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("--all", action="store_true", help="run the whole matrix")
    parser.add_argument("--only", help="of --all, those whose title has this in it")
    parser.add_argument("scenario", nargs="?", choices=list(SCENARIOS))
    parser.add_argument("sides", nargs="*", metavar="SIDE", help="ours, peer or newer, a node each")
    options = parser.parse_args()
    if not (options.list or options.all) and not (
            len(options.sides) >= 2 and set(options.sides) <= set(SIDES)):
        parser.error("SCENARIO and two or more of ours, peer, newer are needed")
    if options.all and options.ours is None:
        parser.error("--ours is needed")
    for side in set(options.sides):
        if getattr(options, side) is None:
            parser.error(f"--{side} is needed")
    return options


def main():
    options = arguments()
    if options.list:
        for name, function in SCENARIOS.items():
            print(f"{name:14}{function.__doc__.splitlines()[0]}")
        return 0
    end_on_signals("system")
    if options.all:
        return run_all(options)
    name = f"system.{options.scenario}.{'-'.join(options.sides)}"
    name += ".crypto" if options.crypto else ""
    return judge(name, LIMIT_SECONDS, lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
