# SPDX-License-Identifier: LGPL-2.1-or-later
"""One running corosync and one running cpg_node on a machine of namespaces: how they are started,
which libknet they run on, what they say. What a test expects of them is not decided here.
"""

import collections
import glob
import os
import re
import subprocess
import threading
import time

import hosts  # pylint: disable=unused-import  # it finds the modules of the interop tests
from node import Failure


def clock():
    return time.monotonic()


def _child_of(parent):
    """The process that nsenter started in the PID namespace, by its outer number."""
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="ascii", errors="replace") as stat:
                    if int(stat.read().rpartition(")")[2].split()[1]) == parent:
                        return int(entry)
            except (OSError, IndexError):
                continue
    return None


class Program:
    """A process on a machine whose output lines are read as they come and can be awaited."""

    def __init__(self, name, machine):
        self.name = name
        self._machine = machine
        self._process = None
        self._condition = threading.Condition()
        self._readers = []
        self._ended = True
        self.pid = None
        self.lines = collections.deque(maxlen=5000)  # (clock, line), never forgotten by a restart

    def start_process(self, command, environment):
        """Starts it, and returns when it is itself: no longer what enters the namespaces."""
        self._ended = False
        self._process = subprocess.Popen(
            self._machine.enter_all(*command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            text=True,
            errors="replace",
        )
        reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._readers = [reader]
        reader.start()
        end = clock() + 10
        while True:
            self.pid = _child_of(self._process.pid)
            if self.pid is not None and self._runs(command):
                return
            if clock() > end or self._process.poll() is not None:
                raise Failure(f"{self.name} did not start:\n{self.report()}")
            time.sleep(0.005)

    def _runs(self, command):
        """Whether the process is past nsenter, chrt and the like, which have no path there."""
        try:
            return os.readlink(f"/proc/{self.pid}/exe") in command
        except OSError:
            return False

    def _read(self, pipe):
        with pipe:
            for line in pipe:
                with self._condition:
                    self.lines.append((clock(), line.rstrip("\n")))
                    self.take_line(line.rstrip("\n"))
                    self._condition.notify_all()
        with self._condition:
            self._ended = True
            self._condition.notify_all()

    def take_line(self, line):
        """Called for each line, with the condition held."""

    def running(self):
        return not self._ended

    def send_line(self, line):
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise Failure(f"{self.name} has ended before: {line}") from error

    def wait(self, condition, timeout, what):
        end = clock() + timeout
        with self._condition:
            while not condition():
                left = end - clock()
                if left <= 0 or self._ended:
                    state = "it ended" if self._ended else f"not within {timeout} s"
                    raise Failure(f"{self.name}: no {what} ({state})")
                self._condition.wait(left)

    def end(self, number, timeout=20):
        """Sends a signal and awaits the end; nothing to do when it has ended."""
        if self._process is None:
            return
        if self._process.poll() is None:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{self.name} did not end within {timeout} s of signal {number}") \
                from error
        for reader in self._readers:
            reader.join()
        self._process.stdin.close()
        self._process = None

    def report(self):
        lines = "\n".join(f"{when:.3f} {line}" for when, line in self.lines)
        return f"--- {self.name}\n{lines}"


_MEMBERS = re.compile(r"Members\[\d+\]:((?: \d+)+)")


class Daemon(Program):
    """corosync of one node, on the libknet of the folder it is given."""

    def __init__(self, number, machine, corosync):
        super().__init__(f"corosync {number}", machine)
        self._corosync = corosync
        self._environment = None
        self._forget()

    def _forget(self):
        self.library = None
        self.ready = False  # to serve programs like cpg_node
        self.memberships = []  # (clock, members) of each configuration formed

    def start(self, library_folder):
        self._forget()
        self._environment = self._corosync.environment(library_folder)
        self.start_process([*self._corosync.loader(library_folder),
                            self._corosync.program("corosync"), "-f", "-c", CONFIGURATION],
                           self._environment)
        self.wait(lambda: self.ready, 15, "service")
        self.library = self._mapped_library()
        if os.path.dirname(self.library) != os.path.realpath(library_folder):
            raise Failure(f"{self.name} runs on {self.library}, not on {library_folder}")

    def take_line(self, line):
        if "ready to provide service" in line:
            self.ready = True
        members = _MEMBERS.search(line)
        if members:
            self.memberships.append((clock(), sorted(int(word) for word in members[1].split())))

    def wait_membership(self, wanted, timeout=30):
        self.wait(lambda: self.memberships and self.memberships[-1][1] == wanted, timeout,
                  f"membership {wanted}")

    def _mapped_library(self):
        """The libknet that this process has mapped: the kernel knows, whatever was asked for."""
        with open(f"/proc/{self.pid}/maps", encoding="utf-8") as maps:
            paths = {line.split()[-1] for line in maps if "/libknet.so" in line}
        if len(paths) != 1:
            raise Failure(f"{self.name} has mapped {paths or 'no libknet'}")
        return paths.pop()

    def run_tool(self, name, *arguments, check=True):
        done = subprocess.run(
            self._machine.enter_all(self._corosync.program(name), *arguments),
            env=self._environment, capture_output=True, text=True, check=False, timeout=30)
        if check and done.returncode != 0:
            raise Failure(f"{self.name}: {name} {' '.join(arguments)}: "
                          f"{done.returncode} {done.stdout}{done.stderr}")
        return done.stdout

    def value(self, name):
        """That value of the configuration map; None when there is none."""
        lines = self.run_tool("corosync-cmapctl", name, check=False).splitlines()
        pairs = (line.split(" = ") for line in lines)  # also of all names that begin so
        return next((value for key, value in pairs if key.split()[0] == name), None)

    def counters(self):
        """CPU seconds, context switches, resident bytes and threads of the process so far. Threads
        that have ended count no more: none do while corosync runs."""
        cpu, switches = 0.0, 0
        threads = os.listdir(f"/proc/{self.pid}/task")
        for thread in threads:
            with open(f"/proc/{self.pid}/task/{thread}/schedstat", encoding="ascii") as times:
                cpu += int(times.read().split()[0]) / 1e9
            with open(f"/proc/{self.pid}/task/{thread}/status", encoding="ascii") as status:
                switches += sum(int(line.split()[1]) for line in status
                                if "ctxt_switches" in line)
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as statm:
            resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        return {"cpu": cpu, "switches": switches, "resident": resident, "threads": len(threads)}


CONFIGURATION = "/run/corosync.conf"
KEY = "/run/authkey"


class Corosync:
    """The unpacked corosync: where its programs and libraries are."""

    def __init__(self, folder):
        self._folder = os.path.realpath(folder)
        self._libraries = sorted({
            path for path, _, files in os.walk(self._folder)
            if any(".so." in name for name in files)
        })

    def program(self, name):
        for place in ("usr/sbin", "usr/bin", "."):
            path = os.path.normpath(os.path.join(self._folder, place, name))
            if os.access(path, os.X_OK):
                return path
        raise FileNotFoundError(f"{name} is not in {self._folder}")

    def loader(self, library_folder):
        """How to start a program on a libknet that has the C library of another Debian beside it:
        with the loader that is there too. No words where the system's own will do."""
        found = glob.glob(os.path.join(library_folder, "ld-linux-*.so.?"))
        path = ":".join([library_folder, *self._libraries])
        return [os.path.realpath(found[0]), "--library-path", path] if found else []

    def environment(self, library_folder):
        folders = list(self._libraries)
        if not self.loader(library_folder):  # else no other program could start
            folders.insert(0, os.path.realpath(library_folder))
        environment = dict(os.environ, LD_LIBRARY_PATH=":".join(folders))
        environment.pop("LD_PRELOAD", None)
        return environment


class Member(Program):
    """cpg_node of one node: what it was told so far, and its commands."""

    def __init__(self, number, machine, corosync):
        super().__init__(f"member {number}", machine)
        self._corosync = corosync
        self._forget()

    def _forget(self):
        self.atomic_max = None
        self.group = []
        self.rings = []  # (ring id, members) of each configuration seen
        self.books = {}  # mark -> its book
        self.sent = {}  # stream -> (count, seconds)
        self.errors = []

    def start(self, library_folder, before_others=False):
        self._forget()
        # Still behind corosync: this is for measuring beside what else the machine has to do.
        priority = ["chrt", "--rr", "1"] if before_others else []
        self.start_process([*priority, self._corosync.program("cpg_node")],
                           self._corosync.environment(library_folder))
        self.wait(lambda: self.atomic_max is not None, 10, "joined group")

    def take_line(self, line):
        words = line.split()
        if words[:1] != ["event"]:
            return  # libcpg itself prints about messages that it has to divide
        if words[1] == "ready":
            self.atomic_max = int(words[3])
        elif words[1] == "group":
            self.group = sorted(int(word) for word in words[2:])
        elif words[1] == "ring":
            self.rings.append((words[2], sorted(int(word) for word in words[3:])))
        elif words[1] == "mark":
            pairs = (word.split("=", 1) for word in words[3:])
            self.books[int(words[2])] = {
                key: value if key == "digest" else float(value) if "." in value else int(value)
                for key, value in pairs
            }
        elif words[1] == "sent":
            self.sent[int(words[2])] = (int(words[3]), float(words[5].split("=")[1]))
        else:
            self.errors.append(line)
