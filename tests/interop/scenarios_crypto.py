# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scenarios of the interop matrix with encryption: suites, change of keys, clear traffic, wrong
keys, and the native suites that only our side has. Compression is in scenarios_compress.py.

Each is a function of a Lab; a failure is an exception. Nodes are given new keys while they run,
as an application would do it: the new key to all, then used by all, then the old one taken away.
"""

import dataclasses

from cluster import Setup, expect

HASHES = {"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}
CBC = ("aes128", "aes192", "aes256")
CTR = ("aes-128-ctr", "aes-192-ctr", "aes-256-ctr")
NATIVE = ("aes128gcm", "aes256gcm", "chachapoly1305")
KEY_SIZES = (128, 2003, 4096)
BLOCK = SALT = 16
NATIVE_OVERHEAD = 32
FULL_HEADER = 26
# The floor reckons with the smallest packet of IPv4, the longer header of IPv6, and this one's too.
FLOOR_IP_SIZE = 576 - 40
FOREVER = 1_000_000
NO_KEY = "none none none 0"


@dataclasses.dataclass(frozen=True)
class Suite:
    """A model with its cipher and hash, and which key."""

    model: str
    cipher: str
    hash: str
    key: int = 1

    def words(self):
        key_size = KEY_SIZES[self.key % len(KEY_SIZES)]
        return f"{self.model} {self.cipher} {self.hash} {self.key} {key_size}"

    def mtu(self, ip_size):
        """The data MTU with this suite of an IPv4/UDP link."""
        room = ip_size - 20 - 8
        if self.cipher in NATIVE:
            return room - NATIVE_OVERHEAD - FULL_HEADER
        room -= HASHES[self.hash]
        if self.cipher == "none":
            return room - FULL_HEADER
        room -= SALT
        # Padding takes a byte at least; for stream modes it is set aside, though there is none.
        block = BLOCK if self.cipher in CBC else 1
        return room - room % block - 1 - FULL_HEADER

    def hides_headers(self):
        return self.cipher != "none"

    def is_settled(self, node):
        """Whether the node computes its MTU from known values only.

        The peer does not without a cipher; and for stream modes it may try one byte too much.
        """
        return not node.is_peer or self.cipher in CBC


START = Suite("openssl", "aes256", "sha256", 7)


def secured(suite, *numbers):
    """Configuration of these nodes to begin with a suite, in slot 1, and nothing but that."""
    lines = [f"crypto 1 {suite.words()}", "use 1", "clear_traffic 0"]
    return {number: lines for number in numbers or (1, 2)}


class Keys:
    """The keys of a cluster that was configured by secured()."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._slot = 1
        self._told = {number: 0 for number in cluster.nodes}  # how many data MTUs, before `use`

    def fill_and_use(self, suite, reverse=False, between=lambda: None):
        nodes = list(self._cluster.nodes.values())[:: -1 if reverse else 1]
        self._slot = 3 - self._slot
        for node in nodes:
            node.call(f"crypto {self._slot} {suite.words()}")
        between()
        for node in nodes:
            self._told[node.number] = len(node.data_mtus)
            node.call(f"use {self._slot}")

    def wait_settled(self, suite):
        """The MTU was set back for the suite that is used now, and is found again, as it must."""
        floor, mtu = (suite.mtu(ip_size) for ip_size in (FLOOR_IP_SIZE, self._cluster.setup.mtu))
        for node in self._cluster.nodes.values():
            if not suite.is_settled(node):
                continue
            told = self._told[node.number]
            node.wait(lambda n=node, t=told: floor in n.data_mtus[t:], 10, f"data MTU {floor}")
            node.wait_data_mtu(mtu)
            (other,) = (other for other in self._cluster.nodes if other != node.number)
            link = node.fields(f"status {other} 0")["mtu"]
            expect(link == mtu, f"{node.name}, {suite}: link MTU {link}, not {mtu}")

    def erase_old(self, reverse=False):
        for node in list(self._cluster.nodes.values())[:: -1 if reverse else 1]:
            node.call(f"crypto {3 - self._slot} {NO_KEY}")


def sizes_for(mtu):
    """Every remainder of a block, the boundaries of one to three fragments, and the largest."""
    sizes = [*range(16, 33), 576, 1000]
    sizes += [edge + more for edge in (mtu, mtu + 12, 2 * mtu, 3 * mtu) for more in (-1, 0, 1)]
    return sizes + [16_384, 65_535, 65_536]


def exchange(cluster, suite):
    """Messages of all classes of size, both ways."""
    left, right = cluster.nodes.values()
    sizes = sizes_for(suite.mtu(cluster.setup.mtu))
    for sender, receiver in ((left, right), (right, left)):
        # What the peer takes to fit into a packet without a cipher can be anything.
        largest = 65_536 if suite.hides_headers() or not sender.is_peer else 1000
        cluster.send_sizes(sender, receiver, [size for size in sizes if size <= largest])
    for node in cluster.nodes.values():
        node.call("forget")


def _tell_mtu(cluster):
    """Without a cipher the peer's discovery may end with no MTU at all, and so with no link."""
    for node in cluster.nodes.values():
        if node.is_peer:
            node.call(f"mtu {cluster.setup.mtu}")


def run_suites(lab, suites, mtu=1500, converse=exchange):
    """Has the nodes use one suite after the other and `converse` with each."""
    with lab.cluster(Setup(mtu=mtu, commands=secured(START))) as cluster:
        cluster.start()
        cluster.wait_up()
        keys = Keys(cluster)
        keys.wait_settled(START)
        cluster.watch_clear()
        before = cluster.network.watched()
        for suite in suites:
            if not suite.hides_headers():
                _tell_mtu(cluster)
            keys.fill_and_use(suite)
            # No answer may be under way any more that was sealed with the old key: the peer waits
            # for a lost answer to a probe for many seconds.
            keys.wait_settled(suite)
            keys.erase_old()
            converse(cluster, suite)
            after = cluster.network.watched()
            packets, clear = (now - then for now, then in zip(after, before))
            # Without a cipher the headers are as plain as they look: that shows who counts right.
            good = packets > 0 and (clear == 0) == suite.hides_headers()
            expect(good, f"{suite}: {clear} of {packets} packets in clear")
            before = after
        for node in cluster.nodes.values():
            expect(not node.link_downs, f"{node.name} lost its link: {node.link_downs}")


def suites_of(model):
    """Each cipher of a classic model with each hash."""
    ciphers = (*CBC, *CTR, "none") if model == "openssl" else (*CBC, "none")
    pairs = [(cipher, hashed) for cipher in ciphers for hashed in HASHES]
    return [Suite(model, *pair, key) for key, pair in enumerate(pairs, start=20)]


def ciphers_openssl(lab):
    """Model openssl: each cipher, CBC and CTR, with each hash: sizes, MTU, nothing in clear."""
    run_suites(lab, suites_of("openssl"))


def ciphers_nss(lab):
    """Model nss: each cipher with each hash: sizes, MTU, nothing in clear."""
    run_suites(lab, suites_of("nss"))


def ciphers_9000(lab):
    """Some ciphers and hashes at MTU 9000, where other lengths fill the last block."""
    suites = [("openssl", "aes256", "sha256"), ("nss", "aes128", "sha512"),
              ("openssl", "aes-256-ctr", "sha1"), ("openssl", "aes192", "sha384")]
    run_suites(lab, [Suite(*suite, key) for key, suite in enumerate(suites, start=10)], 9000)


def ciphers_native(lab):
    """Model wolfssl, which only our library has: each cipher: sizes, MTU, nothing in clear."""
    run_suites(lab, [Suite("wolfssl", cipher, "none", key) for key, cipher in enumerate(NATIVE)])


def await_flow(cluster, streams):
    """What is sent from now on arrives, and (on one link) after all that was sent before."""
    for sender, receiver, stream in streams:
        now = sender.fields("progress")["next"]
        cluster.await_indices(receiver, sender.number, stream, now, now + 20)


def _run_rekey(lab, suites):
    with lab.cluster(Setup(commands=secured(START))) as cluster:
        cluster.start()
        cluster.wait_up()
        keys = Keys(cluster)
        keys.wait_settled(START)
        cluster.watch_clear()
        streams = cluster.start_streams(FOREVER, 1500, rate=1000)
        for turn, suite in enumerate(suites):
            await_flow(cluster, streams)
            # As corosync does, a message goes round before the key is used that all nodes have.
            keys.fill_and_use(suite, reverse=turn % 2 == 1,
                              between=lambda: await_flow(cluster, streams))
            # A key may go when nothing sealed with it is under way any more.
            await_flow(cluster, streams)
            keys.wait_settled(suite)
            keys.erase_old(reverse=turn % 2 == 1)
        cluster.finish_streams(streams, {})
        cluster.check_none_clear()
        for node in cluster.nodes.values():
            expect(not node.link_downs, f"{node.name} lost its link: {node.link_downs}")


def rekey(lab):
    """New keys and suites while messages run both ways: none lost, none twice, none in clear."""
    suites = [("openssl", "aes256", "sha256"), ("nss", "aes128", "sha1"),
              ("openssl", "aes-256-ctr", "sha512"), ("nss", "aes256", "sha512"),
              ("openssl", "aes192", "md5"), ("nss", "aes256", "sha256")]
    _run_rekey(lab, [Suite(*suite, key) for key, suite in enumerate(suites * 2, start=40)])


def rekey_native(lab):
    """From classic suites to native ones, among these, and back, while messages run both ways."""
    suites = [("wolfssl", "aes256gcm", "none"), ("wolfssl", "aes256gcm", "none"),
              ("wolfssl", "chachapoly1305", "none"), ("nss", "aes256", "sha256"),
              ("wolfssl", "aes128gcm", "none"), ("openssl", "aes-128-ctr", "sha1")]
    _run_rekey(lab, [Suite(*suite, key) for key, suite in enumerate(suites * 2, start=60)])


def links_native(lab):
    """Two ACTIVE links with a native suite: once each, also over cut links and after a restart."""
    suite = Suite("wolfssl", "aes256gcm", "none", 80)
    setup = Setup(links=2, policy="active", timeout=400, commands=secured(suite))
    with lab.cluster(setup) as cluster:
        cluster.start()
        cluster.wait_up()
        cluster.wait_mtu(suite.mtu(setup.mtu))
        cluster.watch_clear()
        left, right = cluster.nodes.values()
        streams = cluster.start_streams(FOREVER, 1500, rate=1000)
        for link in (0, 1):
            await_flow(cluster, streams)
            cluster.network.cut(1, link)
            _wait_links(cluster, False, link)
            cluster.network.restore(1, link)
            _wait_links(cluster, True, link)
        await_flow(cluster, streams)
        cluster.finish_streams(streams, {})
        # Its next boot begins with another epoch, in which it has yet to prove itself.
        for node, other in ((left, right), (right, left)):
            node.kill()
            other.wait_host(node.number, False)
            cluster.start(node.number)
            cluster.wait_up()
            _converse(cluster)
        cluster.check_none_clear()


def _wait_links(cluster, connected, link=0):
    left, right = cluster.nodes.values()
    left.wait_link(right.number, link, connected, 25)
    right.wait_link(left.number, link, connected, 25)


def _converse(cluster):
    left, right = cluster.nodes.values()
    for sender, receiver in ((left, right), (right, left)):
        receiver.wait_host(sender.number, True, 25)
    for sender, receiver in ((left, right), (right, left)):
        stream = cluster.transfer(sender, [receiver], 100, 3000)
        cluster.check_all(receiver, sender, stream, 100)


def clear_traffic(lab):
    """A node without a key, then with one, and one with a key: clear traffic allowed, forbidden."""
    suite = Suite("openssl", "aes128", "sha256", 3)
    # The peer takes a link for lost after several times the timeout.
    with lab.cluster(Setup(interval=100, timeout=300)) as cluster:
        cluster.bring_up()
        plain, keyed = cluster.nodes.values()
        keyed.call(f"crypto 1 {suite.words()}")
        _converse(cluster)  # with a key that is there to open only
        keyed.call("clear_traffic 0")
        _wait_links(cluster, False)
        keyed.call("clear_traffic 1")
        _wait_links(cluster, True)
        _converse(cluster)
        keyed.call("use 1")
        _wait_links(cluster, False)  # the plain node cannot read a word
        keyed.call("use 0")
        _wait_links(cluster, True)
        plain.call(f"crypto 1 {suite.words()}")
        plain.call("use 1")
        keyed.call("clear_traffic 0")
        _converse(cluster)  # sealed to the one, in clear to the other
        plain.call("clear_traffic 0")
        _wait_links(cluster, False)
        keyed.call("use 1")
        cluster.watch_clear()
        _wait_links(cluster, True)
        _converse(cluster)
        cluster.check_none_clear()


def wrong_key(lab):
    """A node with another key stays outside, and is let in when it has the key of the others."""
    suite = Suite("nss", "aes256", "sha256", 4)
    other_key = dataclasses.replace(suite, key=suite.key + 3)
    setup = Setup(commands={**secured(suite, 1, 3), **secured(other_key, 2)})
    with lab.cluster(setup, nodes=3) as cluster:
        cluster.watch_clear()
        cluster.start()
        first, outsider, second = cluster.nodes.values()
        insiders = (first, second)
        for node, other in (insiders, insiders[::-1]):
            node.wait_link(other.number, 0, True)
            # As long as this takes, the others have tried too.
            node.await_pings(other.number, 0, 5)
        for node in insiders:
            for one, other in ((node, outsider), (outsider, node)):
                status = one.fields(f"status {other.number} 0")
                names = ("connected", "rx_ping", "rx_pong", "rx_data", "up")
                expect(not any(status[name] for name in names), f"{one.name}: {status}")
                expect(status["tx_ping"] > 0, f"{one.name}: {status}")
        stream = cluster.transfer(first, [second], 100, 3000)
        cluster.check_all(second, first, stream, 100)
        expect(cluster.seen(outsider, first.number, stream, 0, 100)["unique"] == 0, "it leaked")
        outsider.call(f"crypto 2 {suite.words()}")
        outsider.call("use 2")
        cluster.wait_up()
        stream = cluster.transfer(outsider, insiders, 100, 3000)
        for node in insiders:
            cluster.check_all(node, outsider, stream, 100)
        cluster.check_none_clear()
