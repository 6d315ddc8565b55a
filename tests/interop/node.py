# SPDX-License-Identifier: LGPL-2.1-or-later
"""One running peer_node: its commands, its answers, and the state that its events tell.

Everything that takes time is awaited as a condition on that state, with a bound; nothing sleeps.
What a scenario expects of a node is not decided here.
"""

import collections
import os
import signal
import subprocess
import threading
import time

from network import Unavailable

PLUGIN_FOLDER = "kronosnet"
SYSTEM_LIBRARIES = "/usr/lib/"
# Shows the folders $1 over the system's folder $2 to the command that follows, and to nobody else.
WITH_OVERLAY = """
mount -t overlay -o "ro,lowerdir=$1" overlay "$2" || exit 77
shift 2
exec "$@"
"""
# Makes $1 the root of the command that follows, with the program $2 in it as /program/peer_node.
WITH_ROOT = """
touch "$1/program/peer_node" && mount --bind "$2" "$1/program/peer_node" &&
  mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" || exit 77
shift 2
exec "$@"
"""
NO_OVERLAY = 77


class Failure(Exception):
    """Something that a scenario expects did not come true."""


def with_plugins(library_folder, command):
    """The command, where need be in a mount namespace of its own with the library's plug-ins.

    Debian's libknet1 looks for its plug-ins in the folder of the system that it was built for, and
    nowhere else; its unpacked package has that folder somewhere below another one.
    """
    top, found, below = library_folder.rpartition(SYSTEM_LIBRARIES)
    if not top or not found or not os.path.isdir(os.path.join(library_folder, PLUGIN_FOLDER)):
        return command
    system_folder = found + below
    # Some of what the plug-ins need, Debian 12 packages in /lib, which is the same folder.
    layers = [library_folder, f"{top}/lib/{below}", system_folder]
    layers = ":".join(layer for layer in layers if os.path.isdir(layer))
    return ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", WITH_OVERLAY, "sh",
            layers, system_folder, *command]


def own_root(library_folder):
    """The root that a library brings along with a C library of its own, else None."""
    top = library_folder.rpartition(SYSTEM_LIBRARIES)[0]
    return top if top and os.path.isdir(os.path.join(top, "program")) else None


class Node:
    """A node process in its namespace. `number` is its id and the last byte of its addresses."""

    def __init__(self, space, number, program, library_folder):
        self.number = number
        self.name = f"node {number}"
        self._space = space
        self._program = program
        self._library_folder = os.path.realpath(library_folder)
        # Of the two, only Debian's libknet1 has plug-ins.
        self.is_peer = os.path.isdir(os.path.join(self._library_folder, PLUGIN_FOLDER))
        self._process = None
        self._readers = []
        self._log_lines = collections.deque(maxlen=400)
        self._condition = threading.Condition()  # it has a lock that its owner may take again
        self._forget()

    def _forget(self):
        self._answers = collections.deque()
        self._ended = False
        self.library = None
        self.hosts = {}  # id -> reachable, as the callback last told
        self.host_changes = collections.Counter()  # id -> number of callbacks
        self.links = {}  # (host, link) -> (connected, mtu)
        self.link_downs = collections.Counter()  # (host, link) -> number of losses seen
        self.data_mtu = None
        self.data_mtus = []
        self.goals = set()  # (sender, stream, channel) of each goal reached
        self.pinged = set()  # (host, link) of the awaited PINGs that came
        self.streamed = set()  # the paced streams that are sent to their end
        self.oddities = []  # sock events, refused sends, corrupt messages, filter mismatches

    # --- the process

    def start(self):
        self._forget()
        environment = dict(os.environ, LD_LIBRARY_PATH=self._library_folder)
        environment.pop("LD_PRELOAD", None)
        # It dies with this process, also when this one is killed outright.
        command = ["setpriv", "--pdeathsig", "KILL"]
        root = own_root(self._library_folder)
        if root:
            del environment["LD_LIBRARY_PATH"]
            command += ["chroot", root, "/program/peer_node"]
            command = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c",
                       WITH_ROOT, "sh", root, self._program, *command]
        else:
            command = with_plugins(self._library_folder, [*command, self._program])
        self._process = subprocess.Popen(
            self._space.enter(*command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
        )
        self._readers = [
            threading.Thread(target=read, args=(pipe,), daemon=True)
            for read, pipe in (
                (self._read_lines, self._process.stdout),
                (self._read_log, self._process.stderr),
            )
        ]
        for reader in self._readers:
            reader.start()
        try:
            self.wait(lambda: self.library is not None, 10, "its first line")
        except Failure as failure:
            if self._ended and self._process.wait() == NO_OVERLAY:
                raise Unavailable(f"no mounts for the peer: {failure}") from failure
            raise
        if os.path.dirname(os.path.realpath((root or "") + self.library)) != self._library_folder:
            raise Failure(f"{self.name} runs on {self.library}, not on {self._library_folder}")

    def kill(self):
        """Ends the process as a crash would, and reaps it."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        self._process.stdin.close()
        self._process = None
        self._note("killed", "")

    def pause(self):
        """Stops the process as the kernel does it: it notices nothing but the time."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self):
        os.kill(self._process.pid, signal.SIGCONT)

    @property
    def pid(self):
        return self._process.pid

    def _read_lines(self, pipe):
        with pipe:
            for line in pipe:
                with self._condition:
                    self._take_line(line.rstrip("\n"))
                    self._condition.notify_all()
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def _read_log(self, pipe):
        with pipe:
            for line in pipe:
                with self._condition:
                    self._note("log", line.rstrip("\n"))
                    self._condition.notify_all()

    def _note(self, kind, line):
        self._log_lines.append(f"{time.monotonic():.3f} {kind} {line}")

    # --- lines in

    def _take_line(self, line):
        self._note("<", line)
        words = line.split()
        if words and words[0] == "event":
            self._take_event(words[1], words[2:])
        else:
            self._answers.append(line)

    def _take_event(self, kind, words):
        if kind == "ready":
            self.library = words[0]
        elif kind == "host":
            self.hosts[int(words[0])] = words[1] == "up"
            self.host_changes[int(words[0])] += 1
            if len(words) > 2:
                self.oddities.append(" ".join([kind, *words]))
        elif kind == "mtu":
            self.data_mtu = int(words[0])
            self.data_mtus.append(self.data_mtu)
        elif kind == "link":
            key = (int(words[0]), int(words[1]))
            connected = words[2] == "1"
            if self.links.get(key, (False, 0))[0] and not connected:
                self.link_downs[key] += 1
            self.links[key] = (connected, int(words[3]))
        elif kind == "goal":
            self.goals.add(tuple(int(word) for word in words))
        elif kind == "pinged":
            self.pinged.add((int(words[0]), int(words[1])))
        elif kind == "streamed":
            self.streamed.add(int(words[0]))
        else:
            self.oddities.append(" ".join([kind, *words]))

    # --- commands out

    def send_line(self, line):
        self._note(">", line)
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise Failure(f"{self.name} has ended before: {line}") from error

    def answer(self, timeout=30):
        """The next answer; an error answer is a failure."""
        self.wait(lambda: bool(self._answers), timeout, "an answer")
        with self._condition:
            line = self._answers.popleft()
        if not line.startswith("ok"):
            raise Failure(f"{self.name}: {line}")
        return line

    def call(self, line, timeout=30):
        self.send_line(line)
        return self.answer(timeout)

    def call_all(self, lines):
        """Many commands at once, to spare their round trips."""
        self.send_line("\n".join(lines))
        for _ in lines:
            self.answer()

    def fields(self, line):
        """The key=value words of an answer, numbers as numbers."""
        pairs = (word.split("=", 1) for word in self.call(line).split()[1:])
        return {key: int(value) if value.isdigit() else value for key, value in pairs}

    def wait(self, condition, timeout, what):
        end = time.monotonic() + timeout
        with self._condition:
            while not condition():
                left = end - time.monotonic()
                if left <= 0 or self._ended:
                    state = "it ended" if self._ended else f"not within {timeout} s"
                    raise Failure(f"{self.name}: no {what} ({state})")
                self._condition.wait(left)

    # --- what scenarios wait for

    def wait_host(self, host, reachable, timeout=10):
        what = f"host {host} {'up' if reachable else 'down'}"
        self.wait(lambda: self.hosts.get(host, False) == reachable, timeout, what)

    def wait_link(self, host, link, connected, timeout=10):
        what = f"link {link} to {host} {'up' if connected else 'down'}"
        self.wait(
            lambda: self.links.get((host, link), (False, 0))[0] == connected, timeout, what
        )

    def wait_link_mtu(self, host, link, mtu, timeout=10):
        what = f"MTU {mtu} on link {link} to {host} (it is {self.links.get((host, link))})"
        self.wait(lambda: self.links.get((host, link)) == (True, mtu), timeout, what)

    def wait_data_mtu(self, mtu, timeout=10):
        self.wait(lambda: self.data_mtu == mtu, timeout, f"data MTU {mtu} (it is {self.data_mtu})")

    def said(self, text):
        """How many of the library's log records, of the last few hundred lines, have that text."""
        with self._condition:
            return sum(" log " in line and text in line for line in self._log_lines)

    def await_pings(self, host, link, count):
        """So many more PINGs come in on the link, by when the other side's numbers are known."""
        self.pinged.discard((host, link))
        self.call(f"await_pings {host} {link} {count}")
        self.wait(lambda: (host, link) in self.pinged, 10, f"PING of {host} on link {link}")

    def report(self):
        return f"--- {self.name} ({self.library})\n" + "\n".join(self._log_lines)
