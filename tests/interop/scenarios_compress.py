# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scenarios of the interop matrix with compression, on encrypted links.

Each is a function of a Lab; a failure is an exception. Which node compressed what is told by the
statistics of both; how well, beyond shorter, is not asked.
"""

from cluster import REPEATING, Setup, expect
from network import Unavailable
from scenarios_crypto import Keys, START, run_suites, secured, suites_of

LEVELS = {"zlib": 6, "lz4": 1, "lz4hc": 9, "lzo2": 1, "lzma": 1, "bzip2": 9, "zstd": 3}
THRESHOLD = 2000
AT_MOST_THRESHOLD = [THRESHOLD - 1, THRESHOLD]
SIZES = [THRESHOLD + 1, 4096, 16_384, 60_000, 65_535, 65_536]
COUNTED_HEADER = 8  # what a receiver counts more of each message than its sender


def _transfer(cluster, sender, receiver, sizes, repeating):
    """Sends the sizes; by how much the statistics grew, the sender's tx_ and the receiver's rx_."""

    def counters():
        sent = sender.fields("handle_stats")
        received = receiver.fields("handle_stats")
        values = {key: sent[key] for key in sent if key.startswith("tx_")}
        values.update({key: received[key] for key in received if key.startswith("rx_")})
        values["packets"] = sender.fields(f"status {receiver.number} 0")["tx_data"]
        return values

    before = counters()
    cluster.send_sizes(sender, receiver, sizes, kind=REPEATING if repeating else 0)
    return {key: value - before[key] for key, value in counters().items()}


def _check(sender, model, grown, expected):
    wrong = {key: grown[key] for key, value in expected.items() if grown[key] != value}
    expect(not wrong, f"{sender.name}, {model}: {wrong} instead of the values of {expected}")


def _plain_packets(cluster, sizes):
    mtu = START.mtu(cluster.setup.mtu)
    return sum(-(-size // mtu) for size in sizes)


def _check_compressed(cluster, sender, receiver, model):
    grown = _transfer(cluster, sender, receiver, SIZES, repeating=True)
    expected = {
        "tx_compressed": len(SIZES),
        "tx_uncompressed": 0,
        "tx_compressed_from": sum(SIZES),
        "rx_compressed": len(SIZES),
        "rx_compressed_to": sum(SIZES),
        "rx_compressed_from": grown["tx_compressed_to"] + COUNTED_HEADER * len(SIZES),
        "packets": len(SIZES),  # so it is the short form that went over the wire
        "rx_crypt": len(SIZES),
    }
    _check(sender, model, grown, expected)


def _check_as_is(cluster, sender, receiver, model, sizes, repeating):
    grown = _transfer(cluster, sender, receiver, sizes, repeating)
    packets = _plain_packets(cluster, sizes)
    expected = {"rx_compressed": 0, "packets": packets, "rx_crypt": packets}
    # Without a model nobody counts what goes uncompressed.
    expected["tx_uncompressed"] = 0 if model == "none" else len(sizes)
    if model == "none" or max(sizes) <= THRESHOLD:
        expected["tx_compressed"] = 0
    _check(sender, model, grown, expected)


def _check_model(cluster, sender, receiver, model):
    _check_compressed(cluster, sender, receiver, model)
    _check_as_is(cluster, sender, receiver, model, SIZES, repeating=False)
    _check_as_is(cluster, sender, receiver, model, AT_MOST_THRESHOLD, repeating=True)
    _check_compressed(cluster, sender, receiver, model)  # after failures to make anything shorter


def _common_models(nodes):
    listed = [set(node.call("compress_models").split()[1:]) for node in nodes]
    return [model for model in LEVELS if all(model in names for names in listed)]


def _demand(models):
    missing = set(LEVELS) - set(models)
    if missing:
        raise Unavailable(f"all is well but for what a library was built without: {missing}")


def compression(lab):
    """Each model: what shrinks, what does not, the threshold; two models at once; and none."""
    with lab.cluster(Setup(commands=secured(START))) as cluster:
        cluster.start()
        cluster.wait_up()
        Keys(cluster).wait_settled(START)
        cluster.watch_clear()
        nodes = list(cluster.nodes.values())
        both_ways = (nodes, nodes[::-1])
        models = _common_models(nodes)
        for model in models:
            # On both: the peer opens zstd only when that is its own model.
            for node in nodes:
                node.call(f"compress {model} {THRESHOLD} {LEVELS[model]}")
            for sender, receiver in both_ways:
                _check_model(cluster, sender, receiver, model)
            for node in nodes:
                node.call("forget")
        for node, model in zip(nodes, ("lz4hc", "lz4")):
            node.call(f"compress {model} {THRESHOLD} {LEVELS[model]}")
        for sender, receiver in both_ways:
            _check_compressed(cluster, sender, receiver, "two models")
        # Not the peer: it goes on with the model that it had.
        for sender, receiver in both_ways:
            if not sender.is_peer:
                sender.call("compress none 0 0")
                _check_as_is(cluster, sender, receiver, "none", SIZES, repeating=True)
                if receiver.is_peer:
                    _check_compressed(cluster, receiver, sender, "to one without a model")
        cluster.check_none_clear()
    _demand(models)


def _converse_compressed(cluster, suite):
    """With each model: messages that shrink and that do not, short and long, both ways."""
    nodes = list(cluster.nodes.values())
    for model in _common_models(nodes):
        for node in nodes:
            node.call(f"compress {model} {THRESHOLD} {LEVELS[model]}")
        for sender, receiver in (nodes, nodes[::-1]):
            grown = _transfer(cluster, sender, receiver, SIZES, repeating=True)
            _check(sender, f"{suite}, {model}", grown,
                   {"tx_compressed": len(SIZES), "rx_compressed": len(SIZES)})
            # Long packets that the peer seals without a cipher can be anything.
            if suite.hides_headers() or not sender.is_peer:
                _transfer(cluster, sender, receiver, [100, *SIZES[:3]], repeating=False)
    for node in nodes:
        node.call("forget")


def _run_product(lab, model):
    models = []

    def converse(cluster, suite):
        models[:] = _common_models(cluster.nodes.values())
        _converse_compressed(cluster, suite)

    run_suites(lab, suites_of(model), converse=converse)
    _demand(models)


def product_openssl(lab):
    """Model openssl: each cipher with each hash and each compression."""
    _run_product(lab, "openssl")


def product_nss(lab):
    """Model nss: each cipher with each hash and each compression."""
    _run_product(lab, "nss")
