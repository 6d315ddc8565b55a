# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scenarios of the interop matrix with faults: black holes, cut links, loss, crashed nodes.

Each is a function of a Lab; a failure is an exception. What the protocol does not promise (what is
on a link when it is cut, under PASSIVE) is not expected.
"""

from cluster import FLOOR_MTU, Setup, data_mtu, expect
from scenarios import all_sizes

BLACK_HOLE = 1200
FOREVER = 1_000_000


def sizes_black_hole(lab):
    """Every class of size, both ways, while packets above 1200 bytes vanish on the path."""
    # The peer waits for a lost probe as long as for a PONG: 20 s in the first second of a link,
    # then nine times the timeout, and less each second. So the links come up after the first.
    with lab.cluster(Setup(timeout=400, pong_count=6)) as cluster:
        cluster.network.drop_longer_than(BLACK_HOLE)
        cluster.start()
        cluster.wait_up()
        # Discovery may stop a little below the limit, never above, and never at the floor.
        good = range(data_mtu(BLACK_HOLE) - 64, data_mtu(BLACK_HOLE) + 1)
        for node in cluster.nodes.values():
            node.wait(lambda n=node: n.data_mtu in good, 40, f"data MTU close to {good[-1]}")
        left, right = cluster.nodes.values()
        cluster.send_sizes(left, right, all_sizes(seed=1200))
        cluster.send_sizes(right, left, all_sizes(seed=1201))
        for node, other in ((left, right), (right, left)):
            expect(not node.link_downs, f"{node.name} lost its link: {node.link_downs}")
            expect(node.links[(other.number, 0)][0], f"{node.name} has no link")
            expect(min(node.data_mtus) >= FLOOR_MTU, f"data MTUs: {node.data_mtus}")


def _await_link(cluster, link, connected, timeout):
    left, right = cluster.nodes.values()
    left.wait_link(right.number, link, connected, timeout)
    right.wait_link(left.number, link, connected, timeout)


def cut_active(lab):
    """Each of two links is cut and restored in turn under ACTIVE: no message is lost."""
    with lab.cluster(Setup(links=2, policy="active", timeout=400)) as cluster:
        cluster.bring_up()
        streams = cluster.start_streams(FOREVER, 3000, rate=500)
        for link in (0, 1):
            cluster.network.cut(1, link)
            _await_link(cluster, link, False, 10)
            cluster.network.restore(1, link)
            _await_link(cluster, link, True, 10)
        for node in cluster.nodes.values():
            expect(all(count == 1 for count in node.host_changes.values()), "a host went away")
        cluster.finish_streams(streams, {})


def cut_passive(lab):
    """The preferred link is cut and restored under PASSIVE: only what the cut swallowed is lost."""
    with lab.cluster(Setup(links=2, priorities=(2, 1), timeout=400)) as cluster:
        cluster.bring_up()
        streams = cluster.start_streams(FOREVER, 3000, rate=500)
        before = {s.number: s.fields("progress")["next"] for s, _, _ in streams}
        cluster.network.cut(1, 0)
        _await_link(cluster, 0, False, 10)
        after = {s.number: s.fields("progress")["next"] + 1 for s, _, _ in streams}
        # On the other link everything arrives, and nothing is lost by going back either.
        for sender, receiver, stream in streams:
            first = after[sender.number]
            cluster.await_indices(receiver, sender.number, stream, first, first + 500)
        cluster.network.restore(1, 0)
        _await_link(cluster, 0, True, 10)
        for sender, receiver, stream in streams:
            now = sender.fields("progress")["next"]
            cluster.await_indices(receiver, sender.number, stream, now, now + 500)
        lost = {number: (before[number], after[number]) for number in before}
        cluster.finish_streams(streams, lost)


def loss(lab):
    """Two percent of all packets are lost: messages are missing, none is damaged or comes twice."""
    count = 2000
    for policy, share in (("passive", 0.80), ("active", 0.98)):
        with lab.cluster(Setup(links=2, policy=policy, timeout=2000)) as cluster:
            cluster.bring_up()
            cluster.network.drop_random(2)
            streams = cluster.start_streams(count, 6000, rate=1000)
            for sender, _, stream in streams:
                sender.wait(lambda s=sender, k=stream: k in s.streamed, 20, "end of the stream")
            cluster.network.drop_random(0)
            for sender, receiver, stream in streams:
                # What is sent now arrives, and (no link overtakes here) after all that was before.
                cluster.transfer(sender, [receiver], 1, 6000)
                seen = cluster.seen(receiver, sender.number, stream, 0, count)
                good = seen["duplicates"] == 0 and seen["corrupt"] == 0
                good = good and share * count <= seen["present"] <= count
                # Five fragments each: without redundancy some cannot have arrived whole.
                good = good and (policy == "active" or seen["present"] < count)
                expect(good, f"{policy}, {sender.name} -> {receiver.name}: {seen} of {count}")
            cluster.check_no_oddities()


def _exchange(cluster, count, size):
    left, right = cluster.nodes.values()
    for sender, receiver in ((left, right), (right, left)):
        stream = cluster.transfer(sender, [receiver], count, size)
        cluster.check_all(receiver, sender, stream, count)


def _restart_fast(cluster, node, other):
    """A crash and a new start that the other side cannot notice, but by the sequence numbers.

    A restart shows as a PING with sequence number 0 after one with another number, so one with
    another number has to come before: two, as the first may have been on its way already.
    """
    other.await_pings(node.number, 0, 2)
    cluster.network.drop_icmp(True)
    changes = other.host_changes[node.number]
    node.kill()
    cluster.start(node.number)
    node.wait_host(other.number, True)
    expect(other.host_changes[node.number] == changes, f"{other.name} has noticed the restart")
    cluster.network.drop_icmp(False)


def _restart_slow(cluster, node, other):
    """A crash, and a new start when the other side has given the node up."""
    node.kill()
    other.wait_host(node.number, False, 25)
    cluster.start(node.number)
    cluster.wait_up(25)


def restart(lab):
    """Either side crashes and comes back, at once or late: afterwards every message arrives."""
    with lab.cluster(Setup(timeout=2000)) as cluster:
        cluster.bring_up()
        left, right = cluster.nodes.values()
        _exchange(cluster, 300, 4000)
        for again in (_restart_fast, _restart_slow):
            for node, other in ((right, left), (left, right)):
                again(cluster, node, other)
                cluster.wait_mtu(data_mtu(1500))
                _exchange(cluster, 300, 4000)


def restart_late(lab):
    """Either side crashes and comes back at once after more messages than sequence numbers."""
    with lab.cluster(Setup(timeout=2000)) as cluster:
        cluster.bring_up()
        left, right = cluster.nodes.values()
        _exchange(cluster, 66_000, 24)
        for node, other in ((right, left), (left, right)):
            _restart_fast(cluster, node, other)
            _exchange(cluster, 5000, 24)
