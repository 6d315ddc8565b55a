#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The symbol gate: what libknet_core.a may ask of the outside.

The core is a pure function of its inputs, so the archive may need memory, string handling and the C++ runtime, and
nothing that tells time, does I/O, starts threads, reads the environment or draws randomness. Every undefined symbol
that no member of the archive defines has to be in core_symbols.allow; that file says how it is written.

    core_symbols.py [--nm NM] ARCHIVE                   check the archive
    core_symbols.py [--nm NM] --instrumented ARCHIVE    skip, and say why
    core_symbols.py [--nm NM] --self-test CXX AR        prove that planted calls are refused
"""

import pathlib
import re
import subprocess
import sys
import tempfile

ALLOW_FILE = pathlib.Path(__file__).with_name("core_symbols.allow")
SKIPPED = 77

# Each of these, called from an archive's member, must be refused by name.
PLANTED = {
    "clock_gettime": "#include <time.h>\nvoid f() { timespec t; clock_gettime(CLOCK_MONOTONIC, &t); }",
    "_ZNSt6chrono3_V212steady_clock3nowEv": "#include <chrono>\nauto f() { return std::chrono::steady_clock::now(); }",
    "socket": "#include <sys/socket.h>\nint f() { return socket(AF_INET, SOCK_DGRAM, 0); }",
    "sendmsg": "#include <sys/socket.h>\nlong f(const msghdr* m) { return sendmsg(0, m, 0); }",
    "read": "#include <unistd.h>\nlong f(char* p) { return read(0, p, 1); }",
    "write": "#include <unistd.h>\nlong f() { return write(1, nullptr, 0); }",
    "getenv": "#include <cstdlib>\nchar* f() { return std::getenv(\"HOME\"); }",
    "rand": "#include <cstdlib>\nint f() { return std::rand(); }",
    "pthread_create":
        "#include <pthread.h>\nint f(pthread_t* t, void* (*r)(void*)) { return pthread_create(t, nullptr, r, nullptr); }",
    "pthread_mutex_lock": "#include <pthread.h>\nint f(pthread_mutex_t* m) { return pthread_mutex_lock(m); }",
    "io_uring_queue_init": "extern \"C\" int io_uring_queue_init(unsigned, void*, unsigned);\n"
        "int f() { return io_uring_queue_init(8, nullptr, 0); }",
    "__errno_location": "#include <cerrno>\nint f() { return errno; }",
    "fopen": "#include <cstdio>\nvoid* f() { return std::fopen(\"x\", \"r\"); }",
}
CLEAN = """#include <cstring>
#include <string>
#include <vector>
int g();
int f(const char* p) { std::vector<std::string> v; v.emplace_back(p); return v.back().size() + g(); }
"""


def allow_pattern():
    lines = ALLOW_FILE.read_text(encoding="utf-8").splitlines()
    entries = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return re.compile("|".join(f"(?:{entry})" for entry in entries))


def names(nm, option, archive):
    output = subprocess.run([nm, option, "--format=posix", archive], check=True, capture_output=True, text=True).stdout
    return {line.split()[0] for line in output.splitlines() if line.strip() and not line.endswith(":")}


def refused(nm, archive):
    """(number of outside symbols, those that are not allowed)."""
    outside = names(nm, "--undefined-only", archive) - names(nm, "--defined-only", archive)
    pattern = allow_pattern()
    return len(outside), sorted(name for name in outside if not pattern.fullmatch(name))


def build_archive(folder, sources, cxx, ar):
    objects = []
    for number, source in enumerate(sources):
        path = folder / f"{number}.cc"
        path.write_text(source, encoding="utf-8")
        objects.append(str(path.with_suffix(".o")))
        subprocess.run([cxx, "-std=c++20", "-fPIC", "-c", str(path), "-o", objects[-1]], check=True)
    archive = folder / "planted.a"
    archive.unlink(missing_ok=True)
    subprocess.run([ar, "rc", str(archive), *objects], check=True)
    return str(archive)


def self_test(nm, cxx, ar):
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        _, clean = refused(nm, build_archive(folder, [CLEAN, "int g() { return 1; }"], cxx, ar))
        if clean:
            wrong.append(f"a pure archive was refused for {clean}")
        archive = build_archive(folder, [CLEAN, "int g() { return 1; }", *PLANTED.values()], cxx, ar)
        found = refused(nm, archive)[1]
        wrong += [f"{symbol} was planted and not refused" for symbol in PLANTED if symbol not in found]
        wrong += [f"{symbol} was refused and not planted" for symbol in found if symbol not in PLANTED]
    print(*wrong, f"symbol gate: {len(PLANTED)} planted symbols, {len(wrong)} problems", sep="\n")
    return 1 if wrong else 0


def check(nm, archive):
    count, bad = refused(nm, archive)
    for name in bad:
        print(f"{archive}: needs {name}, which {ALLOW_FILE.name} does not allow")
    print(f"symbol gate: {count} symbols from outside, {len(bad)} problems")
    return 1 if bad else 0


def main(arguments):
    nm = "nm"
    if arguments[:1] == ["--nm"]:
        nm, arguments = arguments[1], arguments[2:]
    if arguments[:1] == ["--self-test"] and len(arguments) == 3:
        return self_test(nm, *arguments[1:])
    if arguments[:1] == ["--instrumented"]:
        print("SKIPPED: instrumented objects call their sanitizer's or profiler's runtime; the debug build checks this")
        return SKIPPED
    if len(arguments) != 1:
        sys.exit(__doc__)
    return check(nm, arguments[0])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
