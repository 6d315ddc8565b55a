# SPDX-License-Identifier: LGPL-2.1-or-later
"""The system scenarios with faults of the network: cut rings, lost carriers, shrinking paths.

Each is a function of a Lab; a failure is an exception. How long deliveries may pause is judged only
where all nodes are on ours: the peer's pauses are figures to compare with.
"""

import time

from corosync_cluster import Setup, clock, expect

# What a busy machine may add to a pause: token and messages pass several processes.
SCHEDULING = 0.25
STALL_MAX = 1.0


def _judge_pause(cluster, books, limit):
    pause = max(book["pause"] for book in books.values())
    cluster.figure("longest pause in seconds", f"{pause:.3f}")
    good = cluster.has_peer() or pause <= limit
    expect(good, f"a pause of {pause:.3f} s, limit {limit}: {books}")


def _ring_fault(lab, break_ring, mend_ring, settle=True):
    """The first ring breaks at node 1 under load, and is mended: nothing but a pause is seen."""
    with lab.cluster(Setup(crypto=lab.crypto)) as cluster:
        cluster.form()
        if settle:
            cluster.settle()
        before = cluster.memberships()
        cluster.mark()
        loads = cluster.begin_load()
        cluster.await_pings(1, 2, 0)
        began = clock()
        break_ring(cluster.network)
        for other in cluster.libraries:
            if other != 1:
                cluster.wait_link(other, 1, 0, 0)
                cluster.wait_link(1, other, 0, 0)
        cluster.figure("seconds until all have noticed", f"{clock() - began:.2f}")
        cluster.await_pings(1, 2, 1, count=4)
        cluster.check_no_change(before)
        mend_ring(cluster.network)
        for other in cluster.libraries:
            if other != 1:
                cluster.wait_link(other, 1, 0, 1)
                cluster.wait_link(1, other, 0, 1)
        cluster.await_pings(1, 2, 0, count=4)
        books = cluster.end_load(loads)
        cluster.check_no_change(before)
        cluster.check_books(books)
        _judge_pause(cluster, books, cluster.notice_time() + SCHEDULING)


def cut_one(lab):
    """The ring in use goes silent under load and comes back: no membership change, none lost."""
    _ring_fault(lab, lambda net: net.cut(1, 0), lambda net: net.restore(1, 0))


def cut_new(lab):
    """As cut_one, right after the links came up, when the classic library is slow to notice."""
    _ring_fault(lab, lambda net: net.cut(1, 0), lambda net: net.restore(1, 0), settle=False)


def cable(lab):
    """The device of the ring in use loses its carrier under load, and gets it back."""
    _ring_fault(lab, lambda net: net.pull_cable(1, 0), lambda net: net.plug_cable(1, 0))


def interface(lab):
    """The device of the ring in use is set down under load, and up again."""
    _ring_fault(lab, lambda net: net.interface_down(1, 0), lambda net: net.interface_up(1, 0))


def cut_both(lab):
    """Both rings of a node are cut: two memberships; restored: one again, and messages pass."""
    with lab.cluster(Setup(crypto=lab.crypto)) as cluster:
        cluster.form()
        cluster.settle()
        others = [number for number in cluster.libraries if number != 1]
        loads = cluster.begin_load()
        began = clock()
        for link in range(cluster.setup.links):
            cluster.network.cut(1, link)
        cluster.wait_membership([1])
        cluster.wait_membership(others)
        cluster.figure("seconds to part", f"{clock() - began:.2f}")
        cluster.await_link_downs(1)
        began = clock()
        for link in range(cluster.setup.links):
            cluster.network.restore(1, link)
        cluster.wait_membership()
        cluster.figure("seconds to be one again", f"{clock() - began:.2f}")
        cluster.wait_group()
        cluster.end_load(loads)
        cluster.wait_links()
        cluster.check_exchange()


def _lose_long(lab, seconds, begin, end):
    """Long packets are lost on the first ring for a time: deliveries go on, one way or another."""
    with lab.cluster(Setup(crypto=lab.crypto)) as cluster:
        cluster.form()
        cluster.settle()
        cluster.wait_mtu(0)
        before = cluster.memberships()
        cluster.mark()
        loads = cluster.begin_load()
        cluster.await_pings(1, 2, 0)
        begin(cluster.network)
        time.sleep(seconds)
        end(cluster.network)
        cluster.await_pings(1, 2, 0, count=4)
        books = cluster.end_load(loads)
        _judge_pause(cluster, books, STALL_MAX)
        cluster.check_no_change(before)
        cluster.check_books(books)


def shrunk_path(lab):
    """The path in use silently carries 1400 bytes in place of 1500: no stall of a second."""
    _lose_long(lab, 5, lambda net: net.black_hole(0, 1400), lambda net: net.black_hole(0, 0))


def firewall(lab):
    """Firewalls that take a run of packets for one long packet, on the bridge from the start and
    later, under load, at every node's output and input: no membership change, none lost."""
    with lab.cluster(Setup(crypto=lab.crypto, whole_runs=True)) as cluster:
        cluster.network.limit_length("bridge", cluster.setup.mtu)
        cluster.form()
        cluster.settle()
        cluster.wait_mtu(0)
        before = cluster.memberships()
        cluster.check_exchange()
        cluster.mark()
        loads = cluster.begin_load(sizes=(100, 30_000))
        for where in ("output", "input"):
            cluster.await_pings(1, 2, 0)
            cluster.network.limit_length(where, cluster.setup.mtu)
        cluster.await_pings(1, 2, 0, count=4)
        books = cluster.end_load(loads)
        cluster.check_no_change(before)
        cluster.check_books(books)
        _judge_pause(cluster, books, STALL_MAX)
        cluster.check_exchange()


def refused(lab):
    """The kernel refuses long packets (ENOBUFS) on the ring in use for 8 s: no stall of 1 s."""
    _lose_long(lab, 8, lambda net: net.set_far_mtu(0, 1300), lambda net: net.set_far_mtu(0, 1500))
