# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs one scenario of faults around two nodes of ours, in network namespaces of their own: devices
and addresses that come and go, lost packets, stopped processes.

    network_faults.py --program FILE --library FOLDER SCENARIO
    network_faults.py --list

FILE is the node of tests/interop, built for our library, whose folder is the other one. What a
scenario needs is taken from tests/interop, too. Exit code 77 says that this machine cannot run it,
and why. Each scenario is a function of a function that makes a cluster; a failure is an exception.
"""

import argparse
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))

# pylint: disable=wrong-import-position
from cluster import Cluster, Setup, data_mtu, expect
from verdict import end_on_signals, judge

# Shorter than the test runner's own limit, so that the report of what happened gets out.
LIMIT_SECONDS = 80
FOREVER = 1_000_000
PAUSE_SECONDS = 5
RATE = 300
MESSAGE_SIZE = 3000
# One packet also at the smallest MTU, to which heavy loss may lower a link for a moment.
SMALL_SIZE = 400


def await_link(cluster, link, connected, timeout=10):
    left, right = cluster.nodes.values()
    left.wait_link(right.number, link, connected, timeout)
    right.wait_link(left.number, link, connected, timeout)


def next_indices(streams):
    return {sender.number: sender.fields("progress")["next"] for sender, _, _ in streams}


def await_more(cluster, streams, count=RATE):
    """So many messages that were not sent yet arrive, all of them, both ways."""
    first = {number: index + 1 for number, index in next_indices(streams).items()}
    for sender, receiver, stream in streams:
        begin = first[sender.number]
        cluster.await_indices(receiver, sender.number, stream, begin, begin + count)


def link_status(node, other, link):
    return node.fields(f"status {other.number} {link}")


def check_carries(cluster, streams, link):
    """Data goes over that link, both ways."""
    before = {
        sender.number: link_status(sender, receiver, link)["tx_data"]
        for sender, receiver, _ in streams
    }
    await_more(cluster, streams)
    for sender, receiver, _ in streams:
        sent = link_status(sender, receiver, link)["tx_data"] - before[sender.number]
        expect(sent >= RATE, f"{sender.name} sent {sent} data packets over link {link}")


def through_both_links(make_cluster, break_link, mend_link):
    """Breaks and mends one link after the other, under traffic, with each policy.

    ACTIVE: no message is lost. PASSIVE: only what was on its way when the link broke; traffic goes
    on over the other link, and goes over the first one again when that is back.
    """
    with make_cluster(Setup(links=2, policy="active", timeout=400)) as cluster:
        cluster.bring_up()
        streams = cluster.start_streams(FOREVER, MESSAGE_SIZE, rate=RATE)
        # The second one first: when the first breaks, it is the mended one that carries on.
        for link in (1, 0):
            break_link(cluster.network, 1, link)
            await_link(cluster, link, False)
            await_more(cluster, streams)
            mend_link(cluster.network, 1, link)
            await_link(cluster, link, True)
        for node in cluster.nodes.values():
            expect(all(count == 1 for count in node.host_changes.values()), "a host went away")
        cluster.finish_streams(streams, {})
        cluster.wait_mtu(data_mtu(1500))
    with make_cluster(Setup(links=2, priorities=(2, 1), timeout=400)) as cluster:
        cluster.bring_up()
        streams = cluster.start_streams(FOREVER, MESSAGE_SIZE, rate=RATE)
        check_carries(cluster, streams, 0)
        before = next_indices(streams)
        break_link(cluster.network, 1, 0)
        await_link(cluster, 0, False)
        after = {number: index + 1 for number, index in next_indices(streams).items()}
        check_carries(cluster, streams, 1)
        mend_link(cluster.network, 1, 0)
        await_link(cluster, 0, True)
        check_carries(cluster, streams, 0)
        for node in cluster.nodes.values():
            expect(all(count == 1 for count in node.host_changes.values()), "a host went away")
        cluster.finish_streams(streams, {number: (before[number], after[number])
                                         for number in before})


def device_deleted(make_cluster):
    """The device below a link is deleted, and made anew."""
    through_both_links(
        make_cluster,
        lambda network, node, link: network.remove_device(node, link),
        lambda network, node, link: network.add_device(node, link),
    )


def device_down(make_cluster):
    """The device below a link is taken down, and up again."""
    through_both_links(
        make_cluster,
        lambda network, node, link: network.set_device(node, link, False),
        lambda network, node, link: network.set_device(node, link, True),
    )


def address_removed(make_cluster):
    """The address that a link is bound to is removed from its device, and added again."""
    through_both_links(
        make_cluster,
        lambda network, node, link: network.remove_address(node, link),
        lambda network, node, link: network.restore_address(node, link),
    )


def send_through_loss(cluster, count, percent, link=None):
    """A stream each way; answers how many of `count` messages arrived at either side."""
    cluster.network.drop_random(percent, link)
    streams = cluster.start_streams(count, SMALL_SIZE, rate=1000)
    for sender, _, stream in streams:
        sender.wait(lambda s=sender, k=stream: k in s.streamed, 30, "end of the stream")
    cluster.network.drop_random(0, link)
    arrived = []
    for sender, receiver, stream in streams:
        # No link overtakes here: what is sent behind the stream arrives after it.
        cluster.transfer(sender, [receiver], 1, SMALL_SIZE)
        seen = cluster.seen(receiver, sender.number, stream, 0, count)
        expect(seen["duplicates"] == 0 and seen["corrupt"] == 0, f"{receiver.name}: {seen}")
        arrived.append(seen["present"])
    return arrived


def loss(make_cluster):
    """1, 10 and 30 % of all packets are lost at random: ACTIVE makes up for it, and no link, which
    is judged by forty PINGs, goes down for it."""
    count = 1500
    for policy in ("active", "passive"):
        setup = Setup(links=2, policy=policy, priorities=(2, 1), interval=50, timeout=2000)
        with make_cluster(setup) as cluster:
            cluster.bring_up()
            for percent in (1, 10, 30):
                if policy == "active":
                    # One link of two: every message has a copy that cannot be lost.
                    arrived = send_through_loss(cluster, count, percent, 0)
                    expect(arrived == [count] * 2, f"{percent} %: of {count} arrived {arrived}")
                arrived = send_through_loss(cluster, count, percent)
                share = percent / 100
                lost = share * share if policy == "active" else share
                # Five times the deviation of so many throws.
                slack = 5 * (count * lost * (1 - lost)) ** 0.5
                bounds = [count * (1 - lost) - slack, count * (1 - lost) + slack]
                expect(
                    all(bounds[0] <= present <= bounds[1] for present in arrived),
                    f"{policy}, {percent} %: of {count} arrived {arrived}, expected {bounds}",
                )
            for node in cluster.nodes.values():
                expect(not node.link_downs, f"{node.name} lost links: {node.link_downs}")
            cluster.check_no_oddities()


def check_steady(node, other, links):
    for link in range(links):
        down = link_status(node, other, link)["down"]
        expect(down == 0, f"{node.name} declared link {link} down {down} times")
    expect(node.host_changes[other.number] == 1, f"{node.name} declared its peer unreachable")


def paused(make_cluster):
    """A process is stopped for five seconds, and then both are: a node that slept does not blame
    its peer, and one that waited for it does."""
    with make_cluster(Setup(links=2, interval=100, timeout=400)) as cluster:
        cluster.bring_up()
        left, right = cluster.nodes.values()
        streams = cluster.start_streams(FOREVER, MESSAGE_SIZE, rate=RATE)
        await_more(cluster, streams)
        for node in (left, right):
            node.pause()
        time.sleep(PAUSE_SECONDS)
        for node in (left, right):
            node.resume()
        await_more(cluster, streams)
        check_steady(left, right, 2)
        check_steady(right, left, 2)
        cluster.finish_streams(streams, {})

        streams = cluster.start_streams(FOREVER, MESSAGE_SIZE, rate=RATE)
        await_more(cluster, streams)
        before = next_indices(streams)
        left.pause()
        began = time.monotonic()
        for link in range(2):
            right.wait_link(left.number, link, False)
        right.wait_host(left.number, False)
        time.sleep(PAUSE_SECONDS - (time.monotonic() - began))
        left.resume()
        for link in range(2):
            right.wait_link(left.number, link, True)
        right.wait_host(left.number, True)
        after = {number: index + 1 for number, index in next_indices(streams).items()}
        await_more(cluster, streams)
        check_steady(left, right, 2)
        lost = {number: (before[number], after[number]) for number in before}
        cluster.finish_streams(streams, lost)


SCENARIOS = {
    function.__name__: function
    for function in (device_deleted, device_down, address_removed, loss, paused)
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", help="the node program")
    parser.add_argument("--library", help="the folder of our libknet.so.1")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    parser.add_argument("scenario", nargs="?", choices=list(SCENARIOS))
    options = parser.parse_args()
    if options.list:
        for name, function in SCENARIOS.items():
            print(f"{name:18}{function.__doc__.splitlines()[0]}")
        return 0
    if None in (options.program, options.library, options.scenario):
        parser.error("--program, --library and SCENARIO are needed")
    end_on_signals("network_faults")
    name = f"faults.{options.scenario}"
    nodes = [options.library] * 2
    return judge(name, LIMIT_SECONDS, lambda: SCENARIOS[options.scenario](
        lambda setup: Cluster(options.program, nodes, setup)))


if __name__ == "__main__":
    sys.exit(main())
