# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures corosync on our library beside corosync on Debian's, in one run: figures to read, not
a test. Two nodes and two rings; the sides alternate, a figure is the median of the rounds.

    measure.py --corosync FOLDER --peer FOLDER --ours FOLDER [--rounds N] [--load SECONDS]
               [--idle SECONDS] [--normal-priority] [--faults]

The folders are those of system.py. CPU seconds, context switches and memory are of one corosync
process; CPU per message is of both nodes together. With --faults the pauses of the scenarios with
faults follow, each run once a round on each side.
"""

import argparse
import collections
import os
import re
import statistics
import subprocess
import sys
import time

from corosync_cluster import CorosyncCluster, Setup
from daemon import Corosync
from hosts import Unavailable
from system import library_folder
from verdict import SKIPPED, end_on_signals

SIDES = ("ours", "peer")
SIZES = (100, 1000, 60_000)
# corosync has room for 1 MiB of deliveries to a program and tries what does not fit 50 ms later,
# which is not what is to be measured. There is always room for what two nodes have on the way.
WINDOW = 400_000
FAULTS = ("cut_one", "cut_new", "cable", "interface", "shrunk_path", "refused")


class Figures:
    """name -> side -> the values of the rounds."""

    def __init__(self):
        self._values = collections.defaultdict(lambda: collections.defaultdict(list))

    def add(self, side, name, value):
        self._values[name][side].append(value)
        print(f"  {side}: {name}: {value:.3g}", file=sys.stderr, flush=True)

    def table(self):
        lines = [f"{'':46}{'ours':>12}{'peer':>12}{'ours/peer':>11}"]
        for name, sides in self._values.items():
            ours, peer = (statistics.median(sides[side]) if side in sides else None
                          for side in SIDES)
            words = ["-" if value is None else f"{value:.0f}" if value >= 1000 else f"{value:.3g}"
                     for value in (ours, peer)]
            ratio = f"{ours / peer:.2f}" if ours is not None and peer else "-"
            lines.append(f"{name:46}{words[0]:>12}{words[1]:>12}{ratio:>11}")
        return "\n".join(lines)


def _counters(cluster):
    return [daemon.counters() for daemon in cluster.daemons.values()]


def _spent(before, after, name):
    return [now[name] - then[name] for then, now in zip(before, after)]


def measure_idle(cluster, seconds, note):
    before = _counters(cluster)
    time.sleep(seconds)
    after = _counters(cluster)
    note(f"idle {seconds} s, CPU seconds a node", statistics.mean(_spent(before, after, "cpu")))
    note(f"idle {seconds} s, context switches a node",
         statistics.mean(_spent(before, after, "switches")))
    note("resident MB a node", statistics.mean(one["resident"] for one in after) / 1e6)
    note("threads a node", statistics.mean(one["threads"] for one in after))


def measure_load(cluster, size, seconds, note):
    cluster.mark()
    before = _counters(cluster)
    loads = cluster.begin_load(sizes=(size, size), rate=0, window=WINDOW)
    time.sleep(seconds)
    books = cluster.end_load(loads)
    after = _counters(cluster)
    cluster.check_books(books)
    book = books[1]
    note(f"messages/s of {size} bytes", book["messages"] / book["span"])
    note(f"MB/s of {size} bytes", book["bytes"] / book["span"] / 1e6)
    note(f"CPU us a message of {size} bytes",
         sum(_spent(before, after, "cpu")) / book["messages"] * 1e6)
    note(f"context switches a message of {size} bytes",
         sum(_spent(before, after, "switches")) / book["messages"])
    note(f"longest pause, ms, at {size} bytes", max(one["pause"] for one in books.values()) * 1e3)


def measure_side(options, corosync, folders, side, crypto, figures):
    setup = Setup(crypto=crypto, real_time=not options.normal_priority, members_first=True)
    kind = "encrypted" if crypto else "clear"

    def note(name, value):
        figures.add(side, f"{kind}: {name}", value)

    with CorosyncCluster(corosync, [folders[side]] * 2, setup, folders["peer"]) as cluster:
        note("seconds to form", cluster.form())
        cluster.check_exchange()
        cluster.wait_mtu(0)
        # The peer searches for its MTU for as long as its links are new.
        cluster.settle()
        if options.idle and not crypto:
            measure_idle(cluster, options.idle, note)
        for size in SIZES:
            measure_load(cluster, size, options.load, note)


def measure_fault(options, side, crypto, name, figures):
    command = [sys.executable, "-B", os.path.join(os.path.dirname(__file__), "system.py"),
               "--corosync", options.corosync, "--peer", options.peer, "--ours", options.ours,
               *(["--crypto"] if crypto else []), name, side, side]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    kind = "encrypted" if crypto else "clear"
    for what, value in re.findall(r"^figure (.*) = ([\d.]+)$", text, re.MULTILINE):
        figures.add(side, f"{kind}: {name}: {what}", float(value))
    figures.add(side, f"{kind}: {name}: failed", float("passed in" not in text))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("corosync", "peer", "ours"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", type=float, default=4, help="seconds of load of each size")
    parser.add_argument("--idle", type=float, default=30, help="seconds of doing nothing")
    parser.add_argument("--normal-priority", action="store_true",
                        help="corosync without its real-time priority")
    parser.add_argument("--faults", action="store_true", help="also the pauses at faults")
    return parser.parse_args()


def main():
    options = arguments()
    end_on_signals("measure")
    figures = Figures()
    try:
        corosync = Corosync(options.corosync)
        folders = {side: library_folder(options, side) for side in SIDES}
        for number in range(options.rounds):
            for crypto in (False, True):
                for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                    measure_side(options, corosync, folders, side, crypto, figures)
        for number in range(options.rounds if options.faults else 0):
            for name in FAULTS:
                for crypto in (False, True):
                    for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                        measure_fault(options, side, crypto, name, figures)
    except Unavailable as reason:
        print(f"measure: SKIPPED: {reason}")
        return SKIPPED
    print(figures.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
