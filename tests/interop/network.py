# SPDX-License-Identifier: LGPL-2.1-or-later
"""The network of one interop test: a namespace per node and one more for the switch between them.

Every link of the nodes is a bridge of its own in the switch, so a packet passes the switch as a
real frame, and nftables rules there make the faults: cut links, random loss, silently dropped long
packets, rules on the length of what a node sends or receives. It knows nothing about libknet.

The namespaces have no names: each is held by a process that ends when its standard input closes,
so the kernel removes everything with this process, whatever ends it. Nothing here touches the
namespace that the test was started in.
"""

import json
import os
import shutil
import subprocess
import sys


# Switches a feature of an interface on or off, by the number of its command: SIOCETHTOOL.
SET_FEATURE = """
import array, fcntl, socket, struct, sys
value = array.array("B", struct.pack("II", int(sys.argv[2], 0), int(sys.argv[3])))
request = struct.pack("16sP16x", sys.argv[1].encode(), value.buffer_info()[0])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    fcntl.ioctl(any_socket, 0x8946, request)
"""


class Unavailable(Exception):
    """The machine cannot host such a network; the test is skipped with this reason."""


class Namespace:
    """A network namespace that lives as long as its holder."""

    def __init__(self):
        self._holder = subprocess.Popen(
            # The line that the holder prints tells that the namespace is there.
            ["unshare", "--net", "--", "sh", "-c", "ip link set lo up && echo ready && exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self._holder.stdout.readline() != "ready\n":
            reason = self._holder.stderr.read().strip()
            self.close()
            raise Unavailable(f"no network namespace can be made here: {reason}")
        self.pid = self._holder.pid

    def enter(self, *command):
        """The command line that runs `command` in this namespace, in the process that starts it."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *command]

    def run(self, *command, text=None):
        done = subprocess.run(
            self.enter(*command), input=text, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}\n{text or ''}")
        return done.stdout

    def write_setting(self, path, value):
        """Sets /proc/sys/<path> here, where this kernel has it."""
        self.run("sh", "-c", f"if [ -e /proc/sys/{path} ]; then echo {value} >/proc/sys/{path}; fi")

    def close(self):
        for pipe in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            pipe.close()
        self._holder.wait()


def require_tools():
    if os.geteuid() != 0:
        raise Unavailable("network namespaces need root")
    for tool in ("unshare", "nsenter", "ip", "nft"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is not installed")


def address(node, link):
    return f"10.77.{link}.{node}"


def _port(node, link):
    """The switch's end of a node's device."""
    return f"n{node}l{link}"


def _hardware_address(node, link):
    return f"02:00:00:00:{link:02x}:{node:02x}"


class Network:
    """`nodes` namespaces (numbered from 1) that share `links` switched networks (from 0)."""

    def __init__(self, nodes, links, mtu=1500, whole_runs=False):
        require_tools()
        self._links = links
        self._whole_runs = whole_runs
        self._spaces = []
        self._rules = {}
        try:
            self._switch = self._add_space()
            self._node_spaces = {node: self._add_space() for node in range(1, nodes + 1)}
            self._build_switch(links, mtu)
            for node in self._node_spaces:
                self._build_node(node, links, mtu)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        for space in self._spaces:
            space.close()
        self._spaces = []

    def node_space(self, node):
        return self._node_spaces[node]

    def _add_space(self):
        space = Namespace()
        self._spaces.append(space)
        space.write_setting("net/ipv6/conf/all/disable_ipv6", 1)
        space.write_setting("net/ipv6/conf/default/disable_ipv6", 1)
        return space

    def _build_switch(self, links, mtu):
        # Whole frames are to pass here, not what an IP firewall would put together of them.
        self._switch.write_setting("net/bridge/bridge-nf-call-iptables", 0)
        lines = []
        for link in range(links):
            lines += [
                f"link add net{link} type bridge stp_state 0 mcast_snooping 0",
                f"link set net{link} mtu {mtu} up",
            ]
        self._switch.run("ip", "-batch", "-", text="\n".join(lines) + "\n")
        try:
            self._apply_rules()
        except RuntimeError as error:
            raise Unavailable(f"nftables cannot filter bridges here: {error}") from error

    def _build_node(self, node, links, mtu):
        self._mtu = mtu
        for link in range(links):
            self.add_device(node, link)

    def add_device(self, node, link):
        """A node's device on one of the networks, as new."""
        port = _port(node, link)
        hardware = _hardware_address(node, link)
        # Usually one frame a packet: the switch is to see what a real wire would carry. With
        # `whole_runs` it sees what the kernel has not split yet.
        frames = [] if self._whole_runs else ["gso_max_segs", "1"]
        inside = [
            f"link add l{link} address {hardware} mtu {self._mtu} type veth "
            f"peer name {port} mtu {self._mtu} netns {self._switch.pid}",
            " ".join(["link", "set", f"l{link}", *frames, "up"]),
            *self._address_lines(node, link),
        ]
        self._node_spaces[node].run("ip", "-batch", "-", text="\n".join(inside) + "\n")
        self._switch.run("ip", "link", "set", port, *frames, "master", f"net{link}", "up")

    def _address_lines(self, node, link):
        lines = [f"addr add {address(node, link)}/24 dev l{link}"]
        for other in self._node_spaces:
            if other != node:
                # Fixed neighbours: a cut link is silent, it does not become unresolvable.
                lines.append(
                    f"neigh replace {address(other, link)} dev l{link} nud permanent "
                    f"lladdr {_hardware_address(other, link)}"
                )
        return lines

    # --- devices and addresses that come and go

    def remove_device(self, node, link):
        """Deletes a node's device, and with it everything that hangs on it."""
        self._node_spaces[node].run("ip", "link", "del", f"l{link}")

    def set_device(self, node, link, up):
        """Takes a device down, or up again with what the kernel forgot meanwhile."""
        self._node_spaces[node].run("ip", "link", "set", f"l{link}", "up" if up else "down")
        if up:
            lines = self._address_lines(node, link)[1:]
            self._node_spaces[node].run("ip", "-batch", "-", text="\n".join(lines) + "\n")

    def remove_address(self, node, link):
        self._node_spaces[node].run("ip", "addr", "del", f"{address(node, link)}/24", "dev",
                                    f"l{link}")

    def restore_address(self, node, link):
        lines = self._address_lines(node, link)
        self._node_spaces[node].run("ip", "-batch", "-", text="\n".join(lines) + "\n")

    def add_address(self, node, number):
        """One more address for a node on its first network, as if it were node `number`."""
        self._node_spaces[node].run("ip", "addr", "add", f"{address(number, 0)}/24", "dev", "l0")
        for other, space in self._node_spaces.items():
            if other != node:
                space.run("ip", "neigh", "add", address(number, 0), "dev", "l0", "nud",
                          "permanent", "lladdr", _hardware_address(node, 0))

    # --- watching

    def watch(self, port, pattern):
        """From now on counts the packets to that UDP port, and those that fit nft's `pattern`."""
        self._switch.run(
            "nft",
            "-f",
            "-",
            text="table bridge watch\ndelete table bridge watch\n"
            "table bridge watch {\n counter all_packets { }\n counter fitting { }\n"
            " chain forward {\n  type filter hook forward priority -1; policy accept;\n"
            f"  udp dport {port} counter name all_packets\n"
            f"  udp dport {port} {pattern} counter name fitting\n }}\n}}\n",
        )

    def watched(self):
        """How many packets passed since watch(), and how many of them fitted."""
        listing = self._switch.run("nft", "-j", "list", "counters", "table", "bridge", "watch")
        entries = (entry.get("counter") for entry in json.loads(listing)["nftables"])
        counts = {entry["name"]: entry["packets"] for entry in entries if entry}
        return counts["all_packets"], counts["fitting"]

    # --- faults

    def _apply_rules(self):
        rules = "\n".join(rule for group in self._rules.values() for rule in group)
        self._switch.run(
            "nft",
            "-f",
            "-",
            text="table bridge faults\ndelete table bridge faults\n"
            "table bridge faults {\n chain forward {\n"
            f"  type filter hook forward priority 0; policy accept;\n{rules}\n }}\n}}\n",
        )

    def _set_fault(self, name, rules):
        if rules:
            self._rules[name] = rules
        else:
            self._rules.pop(name, None)
        self._apply_rules()

    def cut(self, node, link):
        """Drops, without a word, everything between a node and one of its networks."""
        port = f"n{node}l{link}"
        self._set_fault(f"cut {port}", [f'iifname "{port}" drop', f'oifname "{port}" drop'])

    def restore(self, node, link):
        self._set_fault(f"cut n{node}l{link}", [])

    def drop_random(self, percent, link=None):
        """Loses that share of all packets, or of those of one network; 0 ends it."""
        where = [""]
        if link is not None:
            where = [f'iifname "n{node}l{link}" ' for node in self._node_spaces]
        rules = [f"{ports}numgen random mod 100 < {percent} drop" for ports in where]
        self._set_fault(f"random {link}", rules if percent else [])

    def drop_icmp(self, dropped):
        """Nobody is told of a port that is closed."""
        self._set_fault("icmp", ["ip protocol icmp drop"] if dropped else [])

    def limit_length(self, where, size):
        """Drops what is longer in every node's `where`, its "input" or "output", or on the way
        ("bridge"); 0 ends it. Runs of packets that the kernel has not split yet count as one."""
        if where == "bridge":
            self._set_fault("length", [f"meta length > {size} drop"] if size else [])
            return
        rule = f"meta length > {size} drop" if size else ""
        for space in self._node_spaces.values():
            space.run("nft", "-f", "-", text="table ip faults\ndelete table ip faults\n"
                      f"table ip faults {{\n chain {where} {{\n"
                      f"  type filter hook {where} priority 0; policy accept;\n{rule}\n }}\n}}\n")

    def join_received(self):
        """Nodes' interfaces hand over datagrams of one sender as one (generic receive offload), to
        sockets that want that."""
        try:
            for node in self._node_spaces:
                for link in range(self._links):
                    self._join_received(node, link)
        except RuntimeError as error:
            raise Unavailable(f"no receive offload can be had here: {error}") from error

    def _join_received(self, node, link):
        receive_offload, segmentation_offload = "0x2c", "0x1f"  # ETHTOOL_SGRO, ETHTOOL_STSO
        feature = [sys.executable, "-c", SET_FEATURE]
        space = self._node_spaces[node]
        space.run(*feature, f"l{link}", receive_offload, "1")
        # A pair of interfaces joins nothing that comes from one that splits.
        self._switch.run(*feature, _port(node, link), segmentation_offload, "0")
        # What comes within this many nanoseconds, as with the interrupts of real ones.
        space.run("unshare", "--mount", "sh", "-c", "mount -t sysfs sysfs /sys && "
                  f"echo 500000 >/sys/class/net/l{link}/gro_flush_timeout")

    def drop_longer_than(self, size):
        """A black hole for IP packets of more than `size` bytes."""
        self._set_fault("length", [f"meta length > {size} drop"])
