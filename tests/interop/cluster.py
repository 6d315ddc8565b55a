# SPDX-License-Identifier: LGPL-2.1-or-later
"""A few nodes on one network, and what every scenario does with them: configure, bring up, exchange
messages in windows, and check the books. The scenarios themselves are elsewhere.

The classic library has no flow control, so a sender never has more than a window of messages on the
way: each window is awaited at every receiver before the next is sent. A message that does not
arrive is then a defect, not an overload.
"""

import dataclasses

from network import Network, address
from node import Failure, Node

PORT = 5405
WINDOW_BYTES = 400_000
WINDOW_MESSAGES = 512
HEADER_SIZE = 16
# How a packet in clear begins: version 1, one of the five types, a node below 256, two zeros. An
# encrypted one begins with random bytes, or with a node's number.
CLEAR_START = "@th,64,8 1 @th,72,8 { 0x00, 0x81, 0x82, 0x83, 0x84 } @th,80,8 0 @th,96,16 0"
FLOOR_MTU = 482
REPEATING = 0x8000  # added to a stream's number: messages that a compressor makes shorter


def data_mtu(ip_size):
    """The data MTU of a clear IPv4/UDP link whose path carries packets of that size."""
    return ip_size - 20 - 8 - 26


@dataclasses.dataclass
class Setup:
    """How the nodes of a cluster are configured. Timers in milliseconds."""

    links: int = 1
    mtu: int = 1500
    policy: str = "passive"
    filter: str = "broadcast"
    interval: int = 200
    timeout: int = 600
    pong_count: int = 1
    priorities: tuple = (0, 0)
    dynamic_nodes: tuple = ()  # these do not know where the others are
    whole_runs: bool = False  # the network sees runs that the kernel has not split yet
    loopback: bool = False  # each node has itself as a host, by a loopback link
    channels: tuple = (0,)
    commands: dict = dataclasses.field(default_factory=dict)  # node -> more of its configuration
    log_level: int = 1  # warnings and worse


def expect(condition, what):
    if not condition:
        raise Failure(what)


class Cluster:
    """Node processes numbered from 1, one per library folder of `libraries`."""

    def __init__(self, program, libraries, setup):
        self.setup = setup
        self._stream = 0
        self.network = Network(len(libraries), max(setup.links, 1), setup.mtu, setup.whole_runs)
        self.nodes = {
            number: Node(self.network.node_space(number), number, program, folder)
            for number, folder in enumerate(libraries, start=1)
        }
        self.aliases = {}  # node -> the address it uses in place of its first one

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        report = kind is not None and issubclass(kind, Exception)
        for node in self.nodes.values():
            node.kill()
        self.network.close()
        if report:
            print("\n".join(node.report() for node in self.nodes.values()), flush=True)

    # --- bringing nodes up

    def _address(self, number, link):
        return self.aliases.get(number) or address(number, link)

    def _configuration(self, number):
        setup = self.setup
        lines = [f"new {number} {setup.log_level}", f"filter {setup.filter}"]
        lines += setup.commands.get(number, [])
        lines += [f"channel {channel}" for channel in setup.channels]
        lines += ["forward 1"]
        enables = []
        if setup.loopback:
            here = f"{self._address(number, 0)} {PORT + 1}"
            lines += [f"host {number}", f"link {number} 0 loopback {here} {here}"]
            enables += [f"enable {number} 0 1"]
        for other in self.nodes:
            if other == number:
                continue
            lines += [f"host {other}", f"policy {other} {setup.policy}"]
            for link in range(setup.links):
                there = f"{self._address(other, link)} {PORT}"
                if number in setup.dynamic_nodes:
                    there = "dynamic"
                lines += [
                    f"link {other} {link} udp {self._address(number, link)} {PORT} {there}",
                    f"timers {other} {link} {setup.interval} {setup.timeout} 2048 "
                    f"{setup.pong_count}",
                    f"prio {other} {link} {setup.priorities[link]}",
                ]
                enables += [f"enable {other} {link} 1"]
        return lines + enables

    def start(self, *numbers):
        """Starts and configures these nodes, or all; their links come up by themselves."""
        for number in numbers or self.nodes:
            self.nodes[number].start()
            self.nodes[number].call_all(self._configuration(number))

    def wait_up(self, timeout=15):
        """Every node has every link to every other connected, and the host reachable."""
        for node in self.nodes.values():
            for other in self.nodes:
                if other != node.number:
                    for link in range(self.setup.links):
                        node.wait_link(other, link, True, timeout)
                    node.wait_host(other, True, timeout)

    def wait_mtu(self, mtu, timeout=15):
        """Discovery has settled at `mtu` on every link of every node."""
        for node in self.nodes.values():
            for other in self.nodes:
                if other != node.number:
                    for link in range(self.setup.links):
                        node.wait_link_mtu(other, link, mtu, timeout)
            node.wait_data_mtu(mtu, timeout)

    def bring_up(self):
        self.start()
        self.wait_up()
        self.wait_mtu(data_mtu(self.setup.mtu))

    # --- messages

    def new_stream(self):
        self._stream += 1
        return self._stream

    def aim(self, receiver, sender, stream, first, end, channel=0):
        receiver.call(f"goal {sender} {stream} {channel} {first} {end}")

    def await_aim(self, receiver, sender, stream, first, end, channel=0, timeout=10):
        key = (sender, stream, channel)
        try:
            receiver.wait(lambda: key in receiver.goals, timeout, f"{first}..{end} of {key}")
        except Failure as failure:
            seen = self.seen(receiver, sender, stream, first, end, channel)
            raise Failure(f"{failure}; of {end - first} there are {seen}") from failure
        receiver.goals.discard(key)

    def await_indices(self, receiver, sender, stream, first, end, channel=0, timeout=10):
        """All messages first .. end - 1 of the stream have arrived, or arrive in time."""
        self.aim(receiver, sender, stream, first, end, channel)
        self.await_aim(receiver, sender, stream, first, end, channel, timeout)

    def transfer(self, sender, receivers, count, size, destination="broadcast", channel=0,
                 timeout=10):
        """Sends `count` messages in windows; all must reach all receivers, once. The stream."""
        stream = self.new_stream()
        window = max(1, min(WINDOW_MESSAGES, WINDOW_BYTES // size))
        for first in range(0, count, window):
            step = min(window, count - first)
            goal = (sender.number, stream, first, first + step, channel)
            for receiver in receivers:
                self.aim(receiver, *goal)
            sender.call(f"send {channel} {stream} {first} {step} {size} {destination}")
            for receiver in receivers:
                self.await_aim(receiver, *goal, timeout)
        return stream

    def send_sizes(self, sender, receiver, sizes, destination="broadcast", kind=0):
        """One message of each size (different ones), in windows of bytes; checks their arrival."""
        stream = kind + self.new_stream()
        index, first, group, group_bytes = 0, 0, [], 0
        for size in [size for size in sizes if size >= HEADER_SIZE] + [None]:
            if group and (size is None or group_bytes + size > WINDOW_BYTES):
                sender.call_all(group)
                self.await_indices(receiver, sender.number, stream, first, index)
                first, group, group_bytes = index, [], 0
            if size is not None:
                group.append(f"send 0 {stream} {index} 1 {size} {destination}")
                index, group_bytes = index + 1, group_bytes + size
        self.check_all(receiver, sender, stream, index)
        # Tiny messages have no room for a header: the node's book has their size as the index.
        for size in [size for size in sizes if size < HEADER_SIZE]:
            sender.call(f"send 0 {stream} 0 1 {size} broadcast")
            self.await_indices(receiver, 0, 0, size, size + 1)

    def start_streams(self, count, size, rate):
        """One paced stream each way: (sender, receiver, stream)."""
        left, right = self.nodes.values()
        streams = []
        for sender, receiver in ((left, right), (right, left)):
            stream = self.new_stream()
            sender.call(f"stream 0 {stream} 0 {count} {size} broadcast {rate}")
            streams.append((sender, receiver, stream))
        return streams

    def finish_streams(self, streams, lost):
        """Ends the streams. All but one range of indices per sender is there, nothing twice."""
        for sender, receiver, stream in streams:
            end = int(sender.fields("stop")["next"])
            low, high = lost.get(sender.number, (end, end))
            self.await_indices(receiver, sender.number, stream, 0, low)
            self.await_indices(receiver, sender.number, stream, high, end)
            seen = self.seen(receiver, sender.number, stream, 0, end)
            good = seen["duplicates"] == 0 and seen["corrupt"] == 0
            expect(good, f"{sender.name} -> {receiver.name}: of {end} messages: {seen}")
        self.check_no_oddities()

    # --- what is on the wire

    def watch_clear(self):
        self.network.watch(PORT, CLEAR_START)

    def check_none_clear(self):
        """Since watch_clear() packets have passed, and all were encrypted."""
        packets, clear = self.network.watched()
        expect(packets > 0 and clear == 0, f"{clear} of {packets} packets in clear")

    # --- the books

    def seen(self, receiver, sender, stream, first, end, channel=0):
        return receiver.fields(f"seen {sender} {stream} {channel} {first} {end}")

    def check_all(self, receiver, sender, stream, count, in_order=True, channel=0):
        """Exactly the messages 0 .. count - 1 are there, each once, each as it was sent."""
        seen = self.seen(receiver, sender.number, stream, 0, count, channel)
        good = seen["present"] == seen["unique"] == count
        good = good and seen["duplicates"] == 0 and seen["corrupt"] == 0
        good = good and (not in_order or seen["reordered"] == 0)
        expect(good, f"{sender.name} -> {receiver.name}: of {count} messages: {seen}")
        self.check_no_oddities()

    def check_no_oddities(self):
        for node in self.nodes.values():
            expect(not node.oddities, f"{node.name} reported {node.oddities[:5]}")
