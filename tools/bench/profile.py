#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a packet costs, direction by direction: instructions of this process per packet, counted by callgrind and so the
same whenever and wherever it runs, and CPU time per packet, the kernel's included, which is not. Prints tables for
engine/PERFORMANCE.md. It measures knet-profile; knet-bench is what compares libraries.

    profile.py PROGRAM [--case WORD]... [--symbols N] [--time]

    --case WORD   only rows whose path, size, envelope or direction is WORD; several must all fit
    --symbols N   how many functions are named per row (default 4)
    --time        samples of the processor's clock by function, the kernel's included (needs perf), instead
"""

import argparse
import collections
import itertools
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

ENVELOPES = {"clear": None, "classic": "openssl,aes256,sha256", "native": "wolfssl,aes256gcm,none"}
SIZES = [100, 1024, 65536]
DIRECTIONS = {"send": "profiled_send", "receive": "profiled_receive"}
# Packets enough that what happens once does not show, few enough that callgrind takes a second.
PACKETS_COUNTED = 10000
PACKETS_TIMED = 100000
PACKETS_SAMPLED = 3000000
TIMED_RUNS = 5
Case = collections.namedtuple("Case", "path size envelope direction")

ENTRY = re.compile(r"^\s*([\d,]+) \(\s*[\d.]+%\)\s+(\S.*)$")
REPORT = re.compile(r"packets (\d+) send_ns ([\d.]+) receive_ns ([\d.]+)")


def command(program, case, packets):
    per_message = max(1, -(-case.size // 1446))
    words = [str(program), "--path", case.path, "--size", str(case.size)]
    words += ["--messages", str(max(20, packets // per_message))]
    if ENVELOPES[case.envelope]:
        words += ["--crypto", ENVELOPES[case.envelope]]
    return words


def run(words):
    result = subprocess.run(words, capture_output=True, text=True, check=False)
    found = REPORT.search(result.stdout)
    if result.returncode != 0 or not found:
        sys.exit(f"profile.py: {' '.join(words)}\n{result.stdout}{result.stderr}")
    return int(found[1]), {"send": float(found[2]), "receive": float(found[3])}


def function_name(place):
    """The bare name of 'file:function(arguments) [object]', the same for all pieces that were inlined into it."""
    name, _, program = place.partition(" [")
    if re.search(r":0x[0-9a-f]+$", name):  # assembler without names
        return pathlib.Path(program.rstrip("]")).name.partition(".")[0] or "?"
    name = re.sub(r"^.*?\.(?:cc|h|hpp|c|S|cpp|asm):|^[^:()]*:(?!:)", "", name)
    name = name.replace("(anonymous namespace)", "").replace("operator()", "lambda").replace("ringknet::", "")
    name = re.sub(r"\(.*|<.*|'\d+$", "", name).strip(":").split(" ")[-1]
    return re.sub(r"^__(mem\w+?)_(?:avx|sse|evex|unaligned|erms).*", r"\1", name) or "?"


def count(program, case):
    """Instructions per packet, and the functions that most of them are in."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "callgrind.out"
        toggle = f"--toggle-collect=*{DIRECTIONS[case.direction]}*"
        tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--collect-atstart=no", toggle]
        packets, _ = run(tool + command(program, case, PACKETS_COUNTED))
        text = subprocess.run(
            ["callgrind_annotate", "--threshold=100", "--auto=no", out], capture_output=True, text=True, check=True
        ).stdout
    total = 0
    shares = collections.Counter()
    for line in text.splitlines():
        entry = ENTRY.match(line)
        if not entry:
            continue
        instructions = int(entry[1].replace(",", ""))
        if entry[2].strip() == "PROGRAM TOTALS":
            total = instructions
        else:
            shares[function_name(entry[2])] += instructions
    if total == 0:
        sys.exit("profile.py: callgrind counted nothing")
    return total / packets, {name: part / total for name, part in shares.most_common()}


def timed(program, case):
    return statistics.median(run(command(program, case, PACKETS_TIMED))[1][case.direction] for _ in range(TIMED_RUNS))


def instructions_table(program, cases, symbols):
    print("| path | message | envelope | direction | instructions | CPU ns | of the instructions |")
    print("|---|---|---|---|---|---|---|")
    for case in cases:
        instructions, shares = count(program, case)
        names = ", ".join(f"{name} {share:.0%}" for name, share in itertools.islice(shares.items(), symbols))
        print(
            f"| {case.path} | {case.size} B | {case.envelope} | {case.direction} | {instructions:,.0f} "
            f"| {timed(program, case):,.0f} | {names} |",
            flush=True,
        )


def time_table(program, cases, symbols):
    """Both directions together: samples are too few to keep them apart."""
    print("| path | message | envelope | code | copies | kernel's copies | rest of the kernel | most of it |")
    print("|---|---|---|---|---|---|---|---|")
    for case in cases:
        if case.direction != "send":
            continue
        with tempfile.TemporaryDirectory() as folder:
            data = str(pathlib.Path(folder) / "perf.data")
            record = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "4999", "-o", data, "--"]
            run(record + command(program, case, PACKETS_SAMPLED))
            report = ["perf", "report", "-i", data, "--stdio", "-q", "--no-children", "-g", "none", "--sort", "symbol"]
            text = subprocess.run(report, capture_output=True, text=True, check=True).stdout
        kinds = collections.Counter()
        shares = collections.Counter()
        for line in text.splitlines():
            entry = re.match(r"^\s*([\d.]+)%\s+\[([k.])\]\s+(.*?)(?:\s+-)*\s*$", line)
            if entry:
                name = function_name(entry[3])
                copies = "cop" in name or "memmove" in name
                kinds[entry[2], copies] += float(entry[1])
                shares[name] += float(entry[1])
        names = ", ".join(f"{name} {share:.0f}%" for name, share in shares.most_common(symbols))
        columns = (kinds[kind, copies] for kind in ".k" for copies in ((False, True) if kind == "." else (True, False)))
        print(
            f"| {case.path} | {case.size} B | {case.envelope} | "
            + " | ".join(f"{share:.0f}%" for share in columns)
            + f" | {names} |",
            flush=True,
        )


def main():
    parser = argparse.ArgumentParser(description="Instructions and CPU time per packet.")
    parser.add_argument("program", type=pathlib.Path)
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--symbols", type=int, default=0)
    parser.add_argument("--time", action="store_true")
    arguments = parser.parse_args()
    cases = [
        case
        for case in map(Case._make, itertools.product(["direct", "datafd"], SIZES, ENVELOPES, DIRECTIONS))
        # What descriptors add does not depend on the envelope.
        if (case.path == "direct" or case.envelope == "clear" or "datafd" in arguments.case)
        and all(word in map(str, case) for word in arguments.case)
    ]
    if not cases:
        sys.exit("profile.py: no row is like that")
    if arguments.time:
        time_table(arguments.program, cases, arguments.symbols or 6)
    else:
        instructions_table(arguments.program, cases, arguments.symbols or 4)


main()
