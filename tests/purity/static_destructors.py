#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The exit gate: nothing of the library is destroyed when the program ends.

exit() runs the destructors of static objects, and dlclose() does, while engine threads go on: what these use would be
gone under their feet. A thread's own objects with destructors are no better: they go before its last callback has
ended. So no static or thread_local object of ours, nor of a library that is built into ours, may have a destructor:
it is made trivially destructible, or never destroyed.

Registering a destructor needs a function (REGISTRARS) or a section (SECTIONS); both are looked for in the objects of
libknet.a, which holds everything of libknet.so.1. No exceptions have been needed so far: there is no list of any.

    static_destructors.py NM OBJDUMP ARCHIVE                   check the archive
    static_destructors.py NM OBJDUMP --instrumented ARCHIVE    skip, and say why
    static_destructors.py NM OBJDUMP --self-test CXX AR        prove that planted objects are refused
"""

import pathlib
import re
import subprocess
import sys
import tempfile

SKIPPED = 77
REGISTRARS = {"__cxa_atexit", "__cxa_thread_atexit", "__cxa_thread_atexit_impl", "atexit", "at_quick_exit", "on_exit"}
SECTIONS = re.compile(r"\.(?:fini_array|fini|dtors)(?:\.\d+)?")

# Each of these has to be refused, by what it needs.
CLASS = "struct Thing { int* p = nullptr; ~Thing() { delete p; } };\n"
PLANTED = {
    "namespace": CLASS + "Thing thing;",
    "function": CLASS + "int* f() { static Thing thing; return thing.p; }",
    "inline": CLASS + "struct A { static inline Thing thing; };\nint* f() { return A::thing.p; }",
    "thread": CLASS + "int* f() { thread_local Thing thing; return thing.p; }",
    "unique_ptr": "#include <memory>\nint& f() { static const auto p = std::make_unique<int>(1); return *p; }",
    "string": "#include <string>\nint f(const char* t) { static std::string s(t); return s.size(); }",
    "iostream": "#include <iostream>\nvoid f() { std::cout << 1; }",
    "atexit": "#include <cstdlib>\nvoid g() {}\nvoid f() { std::atexit(g); }",
    "attribute": "__attribute__((destructor)) void f() {}",
}
CLEAN = {
    "released": "#include <memory>\nint* f() { static int* const p = std::make_unique<int>(1).release(); return p; }",
    "constinit": "#include <atomic>\nstruct A { std::atomic<int> n{0}; };\nA& f() { static constinit A a; return a; }",
    "thread": "int& f() { static thread_local int n = 0; return n; }",
    "local": "#include <string>\nint f(const char* t) { std::string s(t); return s.size(); }",
}


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def found(nm, objdump, archive):
    """{(object, what it has)}"""
    problems = set()
    for line in run(nm, "--undefined-only", "--print-file-name", "--format=posix", archive).splitlines():
        where, _, rest = line.rpartition(": ")
        name = rest.split()[0].partition("@")[0] if rest.split() else ""
        if name in REGISTRARS:
            problems.add((re.sub(r".*\[(.*)\]", r"\1", where), name))
    member = archive
    for line in run(objdump, "--section-headers", archive).splitlines():
        if "file format" in line:
            # GNU's objdump writes "member.o: file format", LLVM's "archive.a(member.o): file format".
            member = re.sub(r".*\((.*)\)$", r"\1", line.split(":")[0])
        words = line.split()
        if len(words) > 2 and words[0].isdigit() and SECTIONS.fullmatch(words[1]):
            problems.add((member, words[1]))
    return problems


def build_archive(folder, sources, cxx, ar):
    objects = []
    for name, source in sources.items():
        path = folder / f"{name}.cc"
        path.write_text(source, encoding="utf-8")
        objects.append(str(path.with_suffix(".o")))
        subprocess.run([cxx, "-std=c++20", "-fPIC", "-c", str(path), "-o", objects[-1]], check=True)
    archive = folder / "planted.a"
    archive.unlink(missing_ok=True)
    subprocess.run([ar, "rc", str(archive), *objects], check=True)
    return str(archive)


def self_test(nm, objdump, cxx, ar):
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for member, what in sorted(found(nm, objdump, build_archive(folder, CLEAN, cxx, ar))):
            wrong.append(f"{member} was refused for {what} and has nothing to be destroyed")
        refused = {member for member, _ in found(nm, objdump, build_archive(folder, PLANTED, cxx, ar))}
        wrong += [f"{name} was planted and not refused" for name in PLANTED if f"{name}.o" not in refused]
    print(*wrong, f"exit gate: {len(PLANTED)} planted objects, {len(wrong)} problems", sep="\n")
    return 1 if wrong else 0


def check(nm, objdump, archive):
    problems = sorted(found(nm, objdump, archive))
    for member, what in problems:
        print(f"{member}: has {what}: an object that is destroyed when the program or a thread ends")
    print(f"exit gate: {len(problems)} problems")
    return 1 if problems else 0


def main(arguments):
    if len(arguments) == 5 and arguments[2] == "--self-test":
        return self_test(arguments[0], arguments[1], *arguments[3:])
    if len(arguments) == 4 and arguments[2] == "--instrumented":
        print("SKIPPED: instrumented objects register what their sanitizer's or profiler's runtime wants; "
              "the debug build checks this")
        return SKIPPED
    if len(arguments) != 3:
        sys.exit(__doc__)
    return check(*arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
