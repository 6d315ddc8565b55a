# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scenarios of the interop matrix that need a working network only: links, sizes, policies,
sequence numbers, destinations, and the special kinds of link. Those with faults are in
scenarios_faults.py. Each is a function of a Lab; a failure is an exception.
"""

import errno
import random

from cluster import PORT, Setup, data_mtu, expect
from network import address
from node import Failure

# The boundaries of one, two and many fragments at MTU 1500 and 9000, and the limits of the API.
SIZES = [1, 2, 99, 100, 101, 576, 1000, 1445, 1446, 1447, 2892, 2893, 8946, 8947, 16384]
SIZES += [60000, 65535, 65536]


def all_sizes(seed):
    chance = random.Random(seed)
    return SIZES + sorted(set(chance.sample(range(16, 65537), 20)) - set(SIZES))


def check_link_status(node, other, link, mtu):
    status = node.fields(f"status {other.number} {link}")
    expected = {
        "size": 1064,
        "enabled": 1,
        "connected": 1,
        "dynconnected": 0,
        "mtu": mtu,
        "overhead": 54,
        "src": address(node.number, link),
        "src_port": PORT,
        "dst": address(other.number, link),
        "dst_port": PORT,
        "tx_errors": 0,
    }
    wrong = {key: status[key] for key, value in expected.items() if status[key] != value}
    expect(not wrong, f"{node.name}, link {link}: {wrong} instead of the values of {expected}")
    for counter in ("tx_ping", "rx_ping", "tx_pong", "rx_pong", "up", "pong_last"):
        expect(status[counter] > 0, f"{node.name}, link {link}: {counter} is 0 in {status}")
    expect(status["latency"] < 200_000, f"{node.name}, link {link}: latency in {status}")


def links(lab):
    """Two links come up on both sides and say so; at MTU 1500 and 9000; and a clean end."""
    for mtu in (1500, 9000):
        with lab.cluster(Setup(links=2, mtu=mtu)) as cluster:
            cluster.bring_up()
            left, right = cluster.nodes.values()
            for node, other in ((left, right), (right, left)):
                for link in range(2):
                    check_link_status(node, other, link, data_mtu(mtu))
                status = node.fields(f"host_status {other.number}")
                expect(status == {"reachable": 1, "remote": 0, "external": 0}, f"host: {status}")
                expect(node.fields("data_mtu") == {"mtu": data_mtu(mtu)}, "the data MTU")
                expect(node.host_changes == {other.number: 1}, f"{node.host_changes}")
            cluster.check_no_oddities()
            left.call("free")
            right.wait_host(left.number, False, 25)
            right.call("free")


def _sizes(lab, mtu):
    with lab.cluster(Setup(mtu=mtu)) as cluster:
        cluster.bring_up()
        left, right = cluster.nodes.values()
        cluster.send_sizes(left, right, all_sizes(seed=mtu))
        cluster.send_sizes(right, left, all_sizes(seed=mtu + 1))


def sizes_1500(lab):
    """Every class of message size, both ways, at MTU 1500."""
    _sizes(lab, 1500)


def sizes_9000(lab):
    """Every class of message size, both ways, at MTU 9000."""
    _sizes(lab, 9000)


def _data_packets(node, other):
    return [node.fields(f"status {other.number} {link}")["tx_data"] for link in range(2)]


def _run_policy(cluster, policy, in_order):
    left, right = cluster.nodes.values()
    count = 3000
    for node, other in ((left, right), (right, left)):
        node.call(f"policy {other.number} {policy}")
    for sender, receiver in ((left, right), (right, left)):
        before = _data_packets(sender, receiver)
        stream = cluster.transfer(sender, [receiver], count, 100)
        cluster.check_all(receiver, sender, stream, count, in_order)
        large = cluster.transfer(sender, [receiver], 40, 40_000)
        cluster.check_all(receiver, sender, large, 40, in_order)
        sent = [now - then for now, then in zip(_data_packets(sender, receiver), before)]
        all_packets = count + 40 * -(-40_000 // data_mtu(1500))
        share = {
            "passive": sent == [0, all_packets],
            "active": sent == [all_packets, all_packets],
            "rr": sum(sent) == all_packets and abs(sent[0] - sent[1]) <= all_packets // 10,
        }
        expect(share[policy], f"{policy}: {sent} of {all_packets} packets went over the links")


def policies(lab):
    """PASSIVE, ACTIVE and RR: exactly once, on the right links, in order unless RR."""
    with lab.cluster(Setup(links=2, priorities=(1, 2))) as cluster:
        cluster.bring_up()
        _run_policy(cluster, "passive", in_order=True)
        _run_policy(cluster, "active", in_order=True)
        _run_policy(cluster, "rr", in_order=False)


def wrap(lab):
    """More messages than there are sequence numbers, both ways: none lost, none twice, in order."""
    with lab.cluster(Setup()) as cluster:
        cluster.bring_up()
        left, right = cluster.nodes.values()
        for sender, receiver in ((left, right), (right, left)):
            stream = cluster.transfer(sender, [receiver], 70_500, 24)
            cluster.check_all(receiver, sender, stream, 70_500)


def forced_pings(lab):
    """A node that sees none of 65335 messages accepts the next, whose numbers it has seen before.

    There are 65535 sequence numbers. The first 200 messages go to all; the next 65335 to the third
    node only; the last 200 then carry the numbers of the first. Only the forced pings tell the
    second node that these are new.
    """
    with lab.cluster(Setup(filter="addressed"), nodes=3) as cluster:
        cluster.bring_up()
        sender, left_out, other = cluster.nodes.values()
        first = cluster.transfer(sender, [left_out, other], 200, 24)
        only = cluster.transfer(sender, [other], 65_535 - 200, 24, destination=other.number)
        last = cluster.transfer(sender, [left_out, other], 200, 24)
        for receiver in (left_out, other):
            cluster.check_all(receiver, sender, first, 200)
            cluster.check_all(receiver, sender, last, 200)
        cluster.check_all(other, sender, only, 65_535 - 200)
        expect(cluster.seen(left_out, 1, only, 0, 65_535)["present"] == 0, "a unicast went astray")


def _expect_sync_error(node, destination, number):
    try:
        node.call(f"send_sync 0 999 0 64 {destination}")
    except Failure as failure:
        expect(f"error {number} send_sync" in str(failure), f"send_sync {destination}: {failure}")
    else:
        raise Failure(f"send_sync {destination} succeeded")


def destinations(lab):
    """Three nodes: broadcasts reach all, what the filter addresses to one reaches that one only."""
    setup = Setup(filter="addressed", channels=(0, 7))
    with lab.cluster(setup, nodes=3) as cluster:
        cluster.bring_up()
        for sender in cluster.nodes.values():
            others = [node for node in cluster.nodes.values() if node is not sender]
            for channel in setup.channels:
                stream = cluster.transfer(sender, others, 500, 1000, channel=channel)
                for receiver in others:
                    cluster.check_all(receiver, sender, stream, 500, channel=channel)
            for receiver, bystander in (others, others[::-1]):
                stream = cluster.transfer(sender, [receiver], 300, 3000, receiver.number)
                sender.call(f"send_sync 0 {stream} 300 20000 {receiver.number}")
                cluster.await_indices(receiver, sender.number, stream, 300, 301)
                cluster.check_all(receiver, sender, stream, 301)
                astray = cluster.seen(bystander, sender.number, stream, 0, 301)
                expect(astray["unique"] == 0, f"{bystander.name} got a unicast: {astray}")
            _expect_sync_error(sender, "broadcast", errno.E2BIG)
            _expect_sync_error(sender, 4, errno.EHOSTDOWN)


def loopback(lab):
    """A loopback link on each node: what goes to the node itself or to all comes back, once."""
    with lab.cluster(Setup(filter="addressed", loopback=True)) as cluster:
        cluster.bring_up()
        left, right = cluster.nodes.values()
        for node, other in ((left, right), (right, left)):
            status = node.fields(f"status {node.number} 0")
            expect((status["connected"], status["mtu"]) == (1, 65535), f"loopback link: {status}")
            expect(node.fields(f"host_status {node.number}")["reachable"] == 1, "reachable")
            cluster.send_sizes(node, node, all_sizes(seed=3)[2:], node.number)
            own = cluster.transfer(node, [node], 300, 4000, destination=node.number)
            cluster.check_all(node, node, own, 300)
            expect(cluster.seen(other, node.number, own, 0, 300)["unique"] == 0, "own went out")
            both = cluster.transfer(node, [node, other], 300, 4000)
            for receiver in (node, other):
                cluster.check_all(receiver, node, both, 300)
            away = cluster.transfer(node, [other], 300, 4000, destination=other.number)
            cluster.check_all(other, node, away, 300)
            expect(cluster.seen(node, node.number, away, 0, 300)["unique"] == 0, "it came back")
            expect(node.number not in node.hosts, "a host callback for the node itself")


def dynamic(lab):
    """The right side learns where the left is, and learns it again when the left has moved."""
    with lab.cluster(Setup(dynamic_nodes=(2,))) as cluster:
        left, right = cluster.nodes.values()
        cluster.start(right.number)
        status = right.fields("status 1 0")
        quiet = (status["dynconnected"], status["tx_ping"], status["dst"])
        expect(quiet == (0, 0, "-"), f"a dynamic link before it knows its peer: {status}")
        cluster.start(left.number)
        for address_number in (left.number, 101):
            if address_number != left.number:
                left.kill()
                right.wait_host(left.number, False, 25)
                cluster.network.add_address(left.number, address_number)
                cluster.aliases[left.number] = address(address_number, 0)
                cluster.start(left.number)
            cluster.wait_up(25)
            cluster.wait_mtu(data_mtu(1500))
            status = right.fields("status 1 0")
            learned = (status["dynconnected"], status["dst"], status["dst_port"])
            expect(learned == (1, address(address_number, 0), PORT), f"learned: {status}")
            for sender, receiver in ((left, right), (right, left)):
                stream = cluster.transfer(sender, [receiver], 300, 4000)
                cluster.check_all(receiver, sender, stream, 300)
