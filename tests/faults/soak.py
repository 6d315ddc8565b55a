# SPDX-License-Identifier: LGPL-2.1-or-later
"""A soak: two nodes of ours and mixed traffic for as long as is wanted, while faults come and go at
random: links cut, devices deleted, taken down, without their address, lost packets, stopped
processes.

    soak.py --program FILE --library FOLDER --minutes N [--seed N]

It ends with a verdict, and with a failure when a message was altered or came twice, when a link did
not come back, when something got lost while nothing was wrong, when memory, descriptors or threads
of a node grew, or when a node that has nothing to do uses the processor.
"""

import argparse
import os
import random
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

# pylint: disable=wrong-import-position
from cluster import Cluster, Setup, expect
from network import Unavailable
from verdict import SKIPPED, end_on_signals

LINKS = 2
FOREVER = 1_000_000
# (size, messages a second): as much as the node's paced stream carries without hurry.
TRAFFIC = [(100, 2000), (1000, 1500), (3000, 800), (20_000, 150), (65_536, 50)]
HEALED_SECONDS = 15
# What the allocator may still take after the first minute, in KiB: far less than a leaked message
# a second would be.
MEMORY_ALLOWANCE = 2048
# Of one processor, with links up and nothing to send. Most of it is the program, which looks around
# a hundred times a second; an engine that does not sleep takes all of it.
IDLE_CPU_MAX = 0.10
IDLE_SECONDS = 3


class Usage:
    """What the kernel says about a process."""

    def __init__(self, pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as status:
            fields = dict(line.split(":", 1) for line in status)
        self.memory = int(fields["RssAnon"].split()[0])  # KiB
        self.threads = int(fields["Threads"])
        self.descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            words = stat.read().rpartition(")")[2].split()
        self.cpu = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Soak:
    def __init__(self, cluster, seed):
        self.cluster = cluster
        self.nodes = list(cluster.nodes.values())
        self.random = random.Random(seed)
        self.sent = self.arrived = self.checked = self.faults = 0
        self.kinds = {}

    # --- faults: each is made, lasts a while, and is mended

    def _fault(self):
        network = self.cluster.network
        node = self.random.choice(self.nodes)
        link = self.random.randrange(LINKS)
        percent = self.random.randint(1, 30)
        place = (node.number, link)
        faults = {
            "cut": (lambda: network.cut(*place), lambda: network.restore(*place)),
            "device": (
                lambda: network.remove_device(*place),
                lambda: network.add_device(*place),
            ),
            "down": (
                lambda: network.set_device(*place, False),
                lambda: network.set_device(*place, True),
            ),
            "address": (
                lambda: network.remove_address(*place),
                lambda: network.restore_address(*place),
            ),
            "loss": (lambda: network.drop_random(percent), lambda: network.drop_random(0)),
            "pause": (node.pause, node.resume),
        }
        name = self.random.choice(list(faults))
        self.kinds[name] = self.kinds.get(name, 0) + 1
        return faults[name]

    def _one_round(self):
        """Traffic both ways, through a few faults, then without."""
        policy = self.random.choice(("passive", "active", "rr"))
        for node in self.nodes:
            for other in self.nodes:
                if other is not node:
                    node.call(f"policy {other.number} {policy}")
            node.call("forget")
        size, rate = self.random.choice(TRAFFIC)
        streams = self.cluster.start_streams(FOREVER, size, rate)
        for _ in range(self.random.randint(1, 3)):
            break_it, mend_it = self._fault()
            self.faults += 1
            break_it()
            time.sleep(self.random.uniform(0.1, 1.5))
            mend_it()
            time.sleep(self.random.uniform(0, 0.5))
        for sender, _, stream in streams:
            self.sent += int(sender.fields("stop")["next"])
        self._heal()
        for sender, receiver, stream in streams:
            # Everything that is sent now arrives; what was sent before has by then.
            checked = self.cluster.transfer(sender, [receiver], 50, size)
            self.cluster.check_all(receiver, sender, checked, 50, in_order=policy == "passive")
            self.checked += 50
            seen = self.cluster.seen(receiver, sender.number, stream, 0, FOREVER)
            expect(seen["corrupt"] == 0, f"{receiver.name}: {seen}")
            expect(seen["duplicates"] == 0, f"{receiver.name}: {seen}")
            self.arrived += seen["unique"]

    def _heal(self):
        self.cluster.wait_up(HEALED_SECONDS)

    # --- minutes

    def minute(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._one_round()

    def usage(self):
        return [Usage(node.pid) for node in self.nodes]

    def check_idle(self):
        """With nothing to send, the nodes sleep."""
        before = self.usage()
        time.sleep(IDLE_SECONDS)
        shares = [
            (now.cpu - then.cpu) / IDLE_SECONDS for then, now in zip(before, self.usage())
        ]
        expect(max(shares) <= IDLE_CPU_MAX, f"idle nodes use {shares} of a processor")
        return shares


def check_constant(first, now):
    for number, (then, usage) in enumerate(zip(first, now), start=1):
        grown = usage.memory - then.memory
        expect(grown <= MEMORY_ALLOWANCE, f"node {number} has {grown} KiB more")
        expect(usage.descriptors == then.descriptors, f"node {number} has other descriptors")
        expect(usage.threads == then.threads, f"node {number} has other threads")


def run(options):
    # The policies that send over all links need what each of them can lose.
    setup = Setup(links=LINKS, interval=50, timeout=400, filter="off", log_level=0)
    with Cluster(options.program, [options.library] * 2, setup) as cluster:
        cluster.bring_up()
        soak = Soak(cluster, options.seed)
        began = time.monotonic()
        first = None
        for number in range(1, options.minutes + 1):
            before = soak.usage()
            soak.minute(max(1, began + 60 * number - time.monotonic() - IDLE_SECONDS))
            busy = soak.usage()
            shares = soak.check_idle()
            now = soak.usage()
            first = first or now
            print(
                f"minute {number}: {soak.faults} faults, {soak.sent} messages sent under them, "
                f"{soak.arrived} arrived, {soak.checked} of {soak.checked} after; "
                f"memory {'/'.join(str(usage.memory) for usage in now)} KiB, "
                f"descriptors {'/'.join(str(usage.descriptors) for usage in now)}, "
                f"CPU {'/'.join(f'{b.cpu - a.cpu:.1f}' for a, b in zip(before, busy))} s, "
                f"idle {'/'.join(f'{share:.2%}' for share in shares)}",
                flush=True,
            )
            check_constant(first, now)
        cluster.check_no_oddities()
        print("faults by kind: " + ", ".join(f"{k} {n}" for k, n in sorted(soak.kinds.items())))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", required=True, help="the node program")
    parser.add_argument("--library", required=True, help="the folder of our libknet.so.1")
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(1 << 32)
    end_on_signals("soak")
    print(f"soak: {options.minutes} minutes, --seed {options.seed}", flush=True)
    try:
        run(options)
    except Unavailable as reason:
        print(f"soak: SKIPPED: {reason}")
        return SKIPPED
    except Exception as failure:  # pylint: disable=broad-except
        print(f"soak: FAILED: {type(failure).__name__}: {failure}")
        return 1
    print("soak: passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
