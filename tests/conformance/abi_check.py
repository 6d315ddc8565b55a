# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares our libknet.so.1 and libknet.h with the classic library's: exported symbols with their
versions, soname, and (compiling abi_layout.c against either header) structures, constants, types
and prototypes. Ends with 1 at any difference but those listed in NEWER, with 77 where a compiler,
readelf or the classic library is missing. It does not look at behaviour.

usage: abi_check.py --ours FOLDER --our-headers FOLDER --peer FOLDER --compiler CC --work FOLDER
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys

# What later 1.x versions have added, and ours has.
NEWER = {"knet_get_crypto_cipher_list", "knet_get_crypto_hash_list", "knet_handle_setprio_dscp"}
HERE = pathlib.Path(__file__).resolve().parent


def skip(reason):
    print(f"SKIPPED: {reason}")
    sys.exit(77)


def run(*command, **keywords):
    words = [str(part) for part in command]
    done = subprocess.run(words, capture_output=True, text=True, **keywords)
    if done.returncode != 0:
        print(done.stdout, done.stderr, sep="\n")
        sys.exit(f"failed: {' '.join(map(str, command))}")
    return done.stdout


def symbols(library):
    """Exported symbols as {name: "TYPE name@@VERSION"}."""
    found = {}
    for line in run("readelf", "-W", "--dyn-syms", library).splitlines():
        fields = line.split()
        if len(fields) < 8 or not fields[0].rstrip(":").isdigit() or fields[6] == "UND":
            continue
        kind, binding, name = fields[3], fields[4], fields[7]
        place = "ABS" if fields[6] == "ABS" else "defined"
        if not name.endswith("RINGKNET_1"):  # the extension, which is not compared
            found[name.split("@")[0]] = f"{binding} {kind} {place} {name}"
    return found


def soname(library):
    names = re.findall(r"\(SONAME\).*\[(.*)\]", run("readelf", "-d", library))
    return names[0] if len(names) == 1 else f"{names}"


def compare_symbols(ours, peer):
    mine, theirs = symbols(ours), symbols(peer)
    trouble = [f"missing: {theirs[name]}" for name in sorted(theirs.keys() - mine.keys())]
    trouble += [f"not in the classic library: {mine[name]}"
                for name in sorted(mine.keys() - theirs.keys() - NEWER)]
    trouble += [f"{name} of later versions is missing" for name in sorted(NEWER - mine.keys())]
    trouble += [f"differs: {mine[name]} is {theirs[name]} there"
                for name in sorted(mine.keys() & theirs.keys()) if mine[name] != theirs[name]]
    versions = {mine[name].partition("@")[2] for name in NEWER & mine.keys()}
    trouble += [f"later functions have version {versions}"] if versions - {"@LIBKNET"} else []
    if soname(ours) != soname(peer):
        trouble.append(f"soname {soname(ours)}, there {soname(peer)}")
    print(f"symbols: {len(mine)} of ours, {len(theirs)} of the classic library")
    return trouble


def layout(arguments, headers, library, name, *flags):
    """What abi_layout.c prints, compiled against one header and linked with its library."""
    program = arguments.work / name
    run(arguments.compiler, "-std=gnu11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *flags,
        "-I", headers, HERE / "abi_layout.c", library, "-o", program)
    return run(program, env={"LD_LIBRARY_PATH": str(library.parent)}).splitlines()


def compare_layouts(arguments, ours, peer):
    mine = layout(arguments, arguments.our_headers, ours, "layout_ours", "-DNEWER")
    theirs = layout(arguments, arguments.peer / "usr/include", peer, "layout_peer")
    # A program built with the classic header must find everything as it knew it.
    trouble = [f"differs, there: {line}" for line in theirs if line not in mine]
    expected = layout(arguments, arguments.our_headers, ours, "layout_both")
    trouble += [f"differs, ours: {line}" for line in expected if line not in theirs]
    print(f"layout: {len(theirs)} lines compared, {len(mine) - len(expected)} of later versions")
    return trouble


def main():
    parser = argparse.ArgumentParser()
    for name in ("--ours", "--our-headers", "--peer", "--work"):
        parser.add_argument(name, type=pathlib.Path, required=True)
    parser.add_argument("--compiler", required=True)
    arguments = parser.parse_args()
    for tool in ("readelf", arguments.compiler):
        if not shutil.which(tool):
            skip(f"{tool} is missing")
    peers = sorted((arguments.peer / "usr/lib").glob("*/libknet.so.1"))
    if not peers:
        skip(f"no libknet.so.1 in {arguments.peer}")
    arguments.work.mkdir(parents=True, exist_ok=True)
    ours = arguments.ours / "libknet.so.1"
    trouble = compare_symbols(ours, peers[0]) + compare_layouts(arguments, ours, peers[0])
    for line in trouble:
        print(line)
    print(f"{len(trouble)} differences")
    sys.exit(1 if trouble else 0)


main()
