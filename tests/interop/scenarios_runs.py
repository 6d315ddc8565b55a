# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scenarios of the interop matrix with firewalls that take a run of packets for one long packet,
as they do where the kernel has not split it yet. Each is a function of a Lab; a failure is an
exception.
"""

import time

from cluster import Setup, data_mtu, expect

FOREVER = 1_000_000
RATE = 400
# No packet of a path with an MTU of 1500 is longer.
LIMIT = 1500
# Shorter than packets, too: the MTU has to follow.
LOW_LIMIT = 1000
# After so many seconds of traffic everything arrives, and it was said why.
FOUND_OUT = 1.0
OFF = "segmentation offload is off"
RECEIVE_OFF = "receive offload is off"


def _await_said(node, text=OFF, seconds=5):
    node.wait(lambda: node.said(text) > 0, seconds, f"log record: {text}")
    expect(node.said(text) == 1, f"{node.name} said {node.said(text)} times: {text}")


def _start(cluster, where, size):
    cluster.network.limit_length(where, size)
    cluster.start()
    cluster.wait_up()
    cluster.wait_mtu(data_mtu(1500))


def _from_the_start(lab, where):
    """The rule is there when links come up: every message arrives, of any size."""
    with lab.cluster(Setup(whole_runs=True)) as cluster:
        _start(cluster, where, LIMIT)
        left, right = cluster.nodes.values()
        for sender, receiver in ((left, right), (right, left)):
            for count, size in ((2000, 100), (100, 3000), (100, 9000), (100, 60_000)):
                stream = cluster.transfer(sender, [receiver], count, size)
                cluster.check_all(receiver, sender, stream, count)
        streams = cluster.start_streams(FOREVER, 9000, rate=RATE)
        for node in cluster.nodes.values():
            if not node.is_peer:
                _await_said(node)
        cluster.finish_streams(streams, {})


def _under_traffic(lab, where, limit):
    """The rule appears under traffic: within a second of it everything arrives again."""
    with lab.cluster(Setup(whole_runs=True)) as cluster:
        if limit < LIMIT and any(node.is_peer for node in cluster.nodes.values()):
            return  # the peer needs longer than a second to find a smaller MTU
        _start(cluster, where, 0)
        streams = cluster.start_streams(FOREVER, 9000, rate=RATE)
        # Runs are in use.
        for sender, receiver, stream in streams:
            cluster.await_indices(receiver, sender.number, stream, 0, 2 * RATE)
        before = {s.number: s.fields("progress")["next"] for s, _, _ in streams}
        cluster.network.limit_length(where, limit)
        time.sleep(FOUND_OUT)
        after = {s.number: s.fields("progress")["next"] + 1 for s, _, _ in streams}
        for sender, receiver, stream in streams:
            first = after[sender.number]
            cluster.await_indices(receiver, sender.number, stream, first, first + RATE)
            if not sender.is_peer:
                _await_said(sender)
            expect(not sender.link_downs, f"{sender.name} lost its link: {sender.link_downs}")
        if limit < LIMIT:
            for node in (node for node in cluster.nodes.values() if not node.is_peer):
                node.wait_data_mtu(data_mtu(limit))
        lost = {s.number: (before[s.number], after[s.number]) for s, _, _ in streams}
        cluster.finish_streams(streams, lost)


def runs_output(lab):
    """Rules on the length of what nodes send, from the start and under traffic."""
    _from_the_start(lab, "output")
    _under_traffic(lab, "output", LIMIT)
    _under_traffic(lab, "output", LOW_LIMIT)


def runs_input(lab):
    """Rules on the length of what nodes receive, from the start and under traffic."""
    _from_the_start(lab, "input")
    _under_traffic(lab, "input", LIMIT)


def runs_bridge(lab):
    """Rules on the length of what passes the bridge, from the start and under traffic."""
    _from_the_start(lab, "bridge")
    _under_traffic(lab, "bridge", LIMIT)


def runs_joined(lab):
    """Packets travel one by one, receivers join them, and a rule there takes away what is joined."""
    with lab.cluster(Setup()) as cluster:
        cluster.network.join_received()
        _start(cluster, "input", 0)
        streams = cluster.start_streams(FOREVER, 9000, rate=RATE)
        for sender, receiver, stream in streams:
            cluster.await_indices(receiver, sender.number, stream, 0, RATE)
        for node in cluster.nodes.values():
            expect(node.said(RECEIVE_OFF) == 0, f"{node.name} said: {RECEIVE_OFF}")
        before = {s.number: s.fields("progress")["next"] for s, _, _ in streams}
        cluster.network.limit_length("input", LIMIT)
        # A receiver has to try, which takes a second or two; longer on a busy machine.
        for node in cluster.nodes.values():
            if not node.is_peer:
                _await_said(node, RECEIVE_OFF, 15)
        after = {s.number: s.fields("progress")["next"] + 1 for s, _, _ in streams}
        for sender, receiver, stream in streams:
            first = after[sender.number]
            cluster.await_indices(receiver, sender.number, stream, first, first + RATE)
            expect(not sender.link_downs, f"{sender.name} lost its link: {sender.link_downs}")
        lost = {s.number: (before[s.number], after[s.number]) for s, _, _ in streams}
        cluster.finish_streams(streams, lost)
