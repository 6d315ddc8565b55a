# SPDX-License-Identifier: LGPL-2.1-or-later
"""A corosync cluster on machines of namespaces, and what every scenario does with it: configure,
form, load with messages, compare the books of the members, look at the tools' output. The scenarios
themselves are elsewhere.
"""

import dataclasses
import os
import random
import signal
import time

from daemon import CONFIGURATION, KEY, Daemon, Member, clock
from hosts import MachineNetwork
from network import address
from node import Failure

TOKEN_EXTRA = 650  # corosync lengthens its token timeout by this for each node beyond the second
# What a member sends before it has seen its own messages again, in bytes. corosync spins while its
# queue is full, and two such nodes at real-time priority keep two cores from everything else, also
# from the threads of libknet, for 100 ms at a time: a machine of its own has another core.
WINDOW = 200_000
# The classic library judges a new link by ten times its timeout, one time less each second.
SETTLING = 11


@dataclasses.dataclass
class Setup:
    """How the nodes of a cluster are configured. Times in milliseconds."""

    crypto: bool = False
    compression: str = ""
    links: int = 2
    link_mode: str = "passive"
    token: int = 1000
    mtu: int = 1500
    whole_runs: bool = False  # the network sees runs of packets that the kernel has not split yet
    real_time: bool = True  # corosync at its usual priority: before everything else
    members_first: bool = False  # the members of the group before everything but corosync


def expect(condition, what):
    if not condition:
        raise Failure(what)


def has_plugins(folder):
    """As the classic library's folder has, and ours has not."""
    return os.path.isdir(os.path.join(folder, "kronosnet"))


class CorosyncCluster:
    """Nodes numbered from 1; `libraries` has the folder of each one's libknet."""

    def __init__(self, corosync, libraries, setup, peer_folder):
        self.setup = setup
        self.libraries = dict(enumerate(libraries, start=1))
        self._peer_folder = peer_folder
        self._marks = 0
        self._streams = 0
        self.network = MachineNetwork(len(libraries), setup.links, setup.mtu,
                                      setup.whole_runs)
        self.daemons, self.members = {}, {}
        for number in self.libraries:
            machine = self.network.node_space(number)
            self.daemons[number] = Daemon(number, machine, corosync)
            self.members[number] = Member(number, machine, corosync)

    def __enter__(self):
        try:
            key = random.Random(5405).randbytes(256)
            for number in self.libraries:
                machine = self.network.node_space(number)
                machine.write_file(KEY, key)
                for folder in (self.libraries[number], self._peer_folder):
                    if has_plugins(folder):
                        machine.offer_plugins(folder)
                        break
            self.write_configuration()
        except BaseException:
            self.network.close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        report = kind is not None and issubclass(kind, Exception)
        try:
            if report:
                self._report_state()
            for program in (*self.members.values(), *self.daemons.values()):
                program.end(signal.SIGKILL)
        finally:
            self.network.close()
        if report:
            for program in (*self.daemons.values(), *self.members.values()):
                print(program.report(), flush=True)

    def _report_state(self):
        for number, daemon in self.daemons.items():
            if daemon.running() and daemon.ready:
                print(f"--- state of node {number} ({daemon.library})")
                print(daemon.run_tool("corosync-cfgtool", "-s", check=False))
            print(f"--- datagrams of node {number}, as its kernel counts them")
            print(self.network.node_space(number).run("grep", "^Udp:", "/proc/net/snmp"))

    def notice_time(self):
        """Seconds in which a silent link must be noticed: its timeout and one PING interval, as
        corosync derives them from its token timeout."""
        token = self.setup.token + TOKEN_EXTRA * max(len(self.libraries) - 2, 0)
        return token / 1000 * (1 / 2 + 1 / 4)

    def has_peer(self):
        return any(has_plugins(folder) for folder in self.libraries.values())

    # --- configuration

    def configuration(self, logging=""):
        crypto = ("aes256", "sha256") if self.setup.crypto else ("none", "none")
        compression = ""
        if self.setup.compression:  # at a level that every method has
            compression = (f"knet_compression_model: {self.setup.compression}\n"
                           "  knet_compression_level: 5")
        nodes = "\n".join(
            f"  node {{\n    name: node{number}\n    nodeid: {number}\n"
            + "".join(f"    ring{link}_addr: {address(number, link)}\n"
                      for link in range(self.setup.links))
            + "  }"
            for number in self.libraries
        )
        return f"""totem {{
  version: 2
  cluster_name: ringknet
  transport: knet
  token: {self.setup.token}
  link_mode: {self.setup.link_mode}
  {compression}
  crypto_cipher: {crypto[0]}
  crypto_hash: {crypto[1]}
  keyfile: {KEY}
}}
nodelist {{
{nodes}
}}
quorum {{
  provider: corosync_votequorum
}}
system {{
  sched_rr: {"yes" if self.setup.real_time else "no"}
}}
logging {{
  to_stderr: yes
  to_syslog: no
  timestamp: hires
  {logging}
}}
"""

    def write_configuration(self, **changes):
        text = self.configuration(**changes)
        for number in self.libraries:
            self.network.node_space(number).write_file(CONFIGURATION, text)

    # --- nodes

    def start(self, *numbers):
        """Starts corosync on these nodes, or on all."""
        for number in numbers or self.libraries:
            self.daemons[number].start(self.libraries[number])

    def form(self):
        """All nodes started, one membership, a member of the group on each, all links connected.
        How many seconds the membership took."""
        began = clock()
        self.start()
        self.wait_membership()
        seconds = clock() - began
        self.join(*self.members)
        self.wait_group()
        self.wait_links()
        return seconds

    def settle(self):
        """The peer's links judge slowly while they are new; ours need no such time."""
        if self.has_peer():
            time.sleep(SETTLING)

    def wait_membership(self, numbers=None, timeout=30):
        wanted = sorted(numbers or self.libraries)
        for number in wanted:
            self.daemons[number].wait_membership(wanted, timeout)

    def join(self, *numbers):
        for number in numbers:
            self.members[number].start(self.libraries[number], self.setup.members_first)

    def wait_group(self, numbers=None, timeout=20):
        wanted = sorted(numbers or self.libraries)
        for number in wanted:
            member = self.members[number]
            member.wait(lambda m=member: m.group == wanted, timeout,
                        f"group {wanted} (it is {member.group})")

    def stop(self, number, how=signal.SIGTERM):
        """Ends a node: asked to leave (SIGTERM) or as a crash (SIGKILL)."""
        self.daemons[number].end(how)
        self.members[number].end(signal.SIGKILL)
        self.members[number].errors.clear()  # that its corosync is gone is no defect

    # --- what the tools tell

    def link_values(self, number):
        """stats.knet of a node: (other node, link) -> name -> value."""
        values = {}
        text = self.daemons[number].run_tool("corosync-cmapctl", "-m", "stats", "stats.knet.node")
        for line in text.splitlines():
            path, _, value = line.partition(" = ")
            words = path.split()[0].split(".")
            if len(words) == 5:
                key = (int(words[2][4:]), int(words[3][4:]))
                values.setdefault(key, {})[words[4]] = int(value)
        return values

    def handle_values(self, number):
        """stats.knet.handle of a node: name -> value."""
        text = self.daemons[number].run_tool("corosync-cmapctl", "-m", "stats", "stats.knet.handle")
        pairs = (line.split(" = ") for line in text.splitlines())
        return {path.split()[0].split(".")[-1]: int(value) for path, value in pairs}

    def wait_link(self, number, other, link, connected, timeout=20):
        end = clock() + timeout
        while self.link_values(number)[other, link]["connected"] != connected:
            expect(clock() < end, f"node {number}: link {link} to {other} is not "
                                  f"{'up' if connected else 'down'} within {timeout} s")
            time.sleep(0.05)

    def await_link_downs(self, number):
        """All links between that node and the others are down at both ends."""
        for other in self.libraries:
            if other != number:
                for link in range(self.setup.links):
                    self.wait_link(number, other, link, 0)
                    self.wait_link(other, number, link, 0)

    def wait_mtu(self, link, timeout=20):
        """Discovery has found on that link what the network carries, within its padding."""
        end = clock() + timeout
        for number in self.libraries:
            while any(values["mtu"] < self.setup.mtu - 150
                      for (other, its_link), values in self.link_values(number).items()
                      if its_link == link and other != number):
                expect(clock() < end, f"node {number} has not found the MTU of link {link}")
                time.sleep(0.05)

    def wait_links(self, numbers=None):
        numbers = numbers or self.libraries
        for number in numbers:
            for other in numbers:
                if other != number:
                    for link in range(self.setup.links):
                        self.wait_link(number, other, link, 1)

    # --- messages

    def begin_load(self, numbers=None, count=0, sizes=(100, 8000), rate=600, window=WINDOW):
        """Every member floods. Returns the loads to give to `end_load`."""
        loads = {}
        for number in numbers or self.libraries:
            self._streams += 1
            loads[number] = self._streams
            self.members[number].send_line(
                f"send {self._streams} {count} {sizes[0]} {sizes[1]} {rate} {window}")
        return loads

    def end_load(self, loads, stop=True, timeout=60):
        """Ends the loads (or awaits their end), then closes the books: number -> book, with the
        count that all members sent under `sent`."""
        for number in loads:
            if stop:
                self.members[number].send_line("stop")
        sent = 0
        for number, stream in loads.items():
            member = self.members[number]
            member.wait(lambda m=member, s=stream: s in m.sent, timeout, f"end of stream {stream}")
            sent += member.sent[stream][0]
        books = self.mark()
        for book in books.values():
            book["sent"] = sent
        return books

    def mark(self, timeout=30):
        """Closes the books of all running members at one place of the order."""
        self._marks += 1
        running = [member for member in self.members.values() if member.running()]
        # One of each: all that a member sent comes before its own.
        for member in running:
            member.send_line(f"mark {self._marks} {len(running)}")
        for member in running:
            member.wait(lambda m=member: self._marks in m.books, timeout, f"mark {self._marks}")
        return {number: member.books[self._marks]
                for number, member in self.members.items() if member.running()}

    def check_books(self, books):
        """All members have seen all messages in the same order, once, each as it was sent."""
        first = next(iter(books.values()))
        for number, book in books.items():
            expect(book["corrupt"] == 0, f"node {number}: damaged messages: {books}")
            expect(book["digest"] == first["digest"], f"the order differs: {books}")
            expect(book["messages"] == first["messages"], f"the counts differ: {books}")
            good = book["gaps"] == 0 and book["messages"] == book["sent"]
            expect(good, f"node {number}: messages are missing: {books}")
        expect(first["messages"] > 0, f"no messages: {books}")
        for member in self.members.values():
            expect(not member.errors, f"{member.name}: {member.errors}")

    def figure(self, name, value):
        """A measured value, for the reader: the tests judge only those that they compare."""
        print(f"figure {name} = {value}", flush=True)

    def check_exchange(self):
        """Messages of all sizes from all nodes arrive at all, in one order."""
        self.mark()
        self.check_books(self.end_load(self.begin_load(count=200, sizes=(100, 30000), rate=0),
                                       stop=False))

    def check_no_change(self, before):
        """No membership was formed since `before` (of `memberships`)."""
        now = self.memberships()
        expect(now == before, f"the membership has changed: {before} -> {now}")

    def memberships(self):
        return {number: len(daemon.memberships) for number, daemon in self.daemons.items()}

    def await_pings(self, number, other, link, count=2, timeout=10):
        """So many more PONGs come in on that link: a clock that runs at the links' own pace."""
        start = self.link_values(number)[other, link]["rx_pong_packets"]
        end = clock() + timeout
        while self.link_values(number)[other, link]["rx_pong_packets"] < start + count:
            expect(clock() < end, f"no PONGs on link {link} of node {number}")
            time.sleep(0.05)
