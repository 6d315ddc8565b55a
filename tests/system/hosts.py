# SPDX-License-Identifier: LGPL-2.1-or-later
"""The machines of one system test: a network, mount and PID namespace per node, and the faults that
their networks can have. It builds on the network of the interop tests and knows nothing about
corosync.

In a node, /run, /dev/shm, /etc/corosync (where the machine has that folder) and /var/lib are empty
and its own. As everything a node runs is in its PID namespace, the kernel ends it all with the
namespace's first process, which ends when this one does, whatever ends it.
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "interop"))
# pylint: disable=wrong-import-position
from network import Namespace, Network, Unavailable

_SET_UP = """set -e
mount -t tmpfs -o mode=755 none /run
mount -t tmpfs -o mode=1777 none /dev/shm
mount -t tmpfs -o mode=755 none /var/lib
[ ! -d /etc/corosync ] || mount -t tmpfs -o mode=755 none /etc/corosync
mkdir -p /var/lib/corosync /run/lock
ip link set lo up
echo ready
exec cat
"""


class Machine(Namespace):
    """A namespace of each kind. Commands of Namespace see the outer file systems and processes, as
    building the network needs; those of `enter_all` are inside."""

    def __init__(self):  # pylint: disable=super-init-not-called
        self._holder = subprocess.Popen(
            ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
             "--", "sh", "-c", _SET_UP],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if self._holder.stdout.readline() != "ready\n":
            self._holder.stdin.close()
            reason = self._holder.stderr.read().strip()
            self.close()
            raise Unavailable(f"no machine of namespaces can be made here: {reason}")
        self.pid = self._holder.pid

    def enter_all(self, *command):
        """The command line that runs `command` in all namespaces of this machine."""
        own = f"/proc/{self.pid}/ns"
        return ["nsenter", f"--net={own}/net", f"--mount={own}/mnt",
                f"--pid={own}/pid_for_children", "--", *command]

    def offer_plugins(self, library_folder):
        """Shows the plug-ins beside Debian's libknet at the place where it looks for them, which is
        a fixed one; nothing else of that folder."""
        place = library_folder[library_folder.index("/usr/lib/"):]
        script = (f"mkdir /run/layer && cp -a {library_folder}/kronosnet /run/layer/ && "
                  f"mount -t overlay -o lowerdir=/run/layer:{place} none {place}")
        done = subprocess.run(self.enter_all("sh", "-c", script), capture_output=True, text=True,
                              check=False)
        if done.returncode != 0:
            raise Unavailable(f"the peer's plug-ins cannot be shown to it: {done.stderr.strip()}")

    def write_file(self, path, text, mode=0o600):
        subprocess.run(
            self.enter_all("sh", "-c", f"cat >{path} && chmod {mode:o} {path}"),
            input=text if isinstance(text, bytes) else text.encode(),
            check=True,
        )


class MachineNetwork(Network):
    """`nodes` machines that share `links` switched networks."""

    def _add_space(self):
        if not self._spaces:
            return super()._add_space()  # the switch, which runs nothing
        space = Machine()
        self._spaces.append(space)
        space.write_setting("net/ipv6/conf/all/disable_ipv6", 1)
        space.write_setting("net/ipv6/conf/default/disable_ipv6", 1)
        return space

    def black_hole(self, link, size):
        """Nothing longer than `size` bytes passes that network any more, and nobody is told."""
        ports = ", ".join(f'"n{node}l{link}"' for node in self._node_spaces)
        rules = [f"iifname {{ {ports} }} meta length > {size} drop"] if size else []
        self._set_fault(f"black hole {link}", rules)

    def set_far_mtu(self, link, mtu):
        """The MTU of the switch's ports: the kernel refuses longer frames of nodes (ENOBUFS)."""
        for node in self._node_spaces:
            self._switch.run("ip", "link", "set", f"n{node}l{link}", "mtu", str(mtu))

    def pull_cable(self, node, link):
        """The node's device loses its carrier."""
        self._switch.run("ip", "link", "set", f"n{node}l{link}", "down")

    def plug_cable(self, node, link):
        self._switch.run("ip", "link", "set", f"n{node}l{link}", "up")

    def interface_down(self, node, link):
        self._node_spaces[node].run("ip", "link", "set", f"l{link}", "down")

    def interface_up(self, node, link):
        """Up again; what the kernel forgot with it (neighbours) is set again."""
        self._node_spaces[node].run("ip", "link", "set", f"l{link}", "up")
        self._set_neighbours(node, link)

    def _set_neighbours(self, node, link):
        for other in self._node_spaces:
            if other != node:
                self._node_spaces[node].run(
                    "ip", "neigh", "replace", f"10.77.{link}.{other}", "dev", f"l{link}", "nud",
                    "permanent", "lladdr", f"02:00:00:00:{link:02x}:{other:02x}")
