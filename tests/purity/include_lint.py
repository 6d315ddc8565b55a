#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The include lint: who may include what.

base <- wire <- core <- ring <- api is a rule of the project, and so is a core that knows no clock, socket, thread or
errno. This gate reads every #include of the tree and refuses those that break the table below. It looks at direct
includes only, which is enough: each included file is checked by its own row. What slips past includes (a function
declared by hand, say) is the business of core_symbols.py.

    include_lint.py ROOT          check the tree at ROOT
    include_lint.py --self-test   prove that each rule refuses a planted violation
"""

import pathlib
import re
import sys
import tempfile

# What pure code may take from the system: values, containers and algorithms. Absent on purpose: everything that
# knows time of day, threads, files, randomness, locale, errno or the operating system. <chrono> is here for its
# duration arithmetic; its clocks are refused by name below.
PURE = set(
    """algorithm any array bit bitset cassert cctype charconv chrono cinttypes climits compare concepts coroutine
    cstdarg cstddef cstdint cstdio cstdlib cstring deque exception expected forward_list functional initializer_list
    iterator limits list map memory memory_resource new numbers numeric optional queue ranges ratio set source_location
    span stack stdexcept string string_view tuple type_traits typeindex typeinfo unordered_map unordered_set utility
    valarray variant vector version""".split()
)
ANY = None  # no limit on system headers

CORE_INTERFACES = [
    "engine/crypto/sealer.h",
    "engine/crypto/keyring.h",
    "engine/compress/codec.h",
]
PUBLIC = ["api/libknet.h", "api/libknet_ext.h", "api/knet.hpp", "libknet.h", "libknet_ext.h", "knet.hpp"]

# folder: (project files or folders it may include, system headers it may include). The longest matching folder rules.
RULES = {
    "engine/base": (["engine/base/"], PURE),
    "engine/wire": (["engine/base/", "engine/wire/"], PURE),
    "engine/core": (["engine/base/", "engine/wire/", "engine/core/"] + CORE_INTERFACES, PURE),
    "engine/crypto": (["engine/base/", "engine/crypto/"], PURE),
    "engine/crypto/wolfssl": (["engine/base/", "engine/crypto/"], PURE | {"wolfssl/"}),
    "engine/crypto/multibuffer": (["engine/base/", "engine/crypto/"], PURE | {"wolfssl/", "intel-ipsec-mb.h"}),
    "engine/compress": (["engine/base/", "engine/compress/"], PURE),
    "engine/compress/codecs": (
        ["engine/base/", "engine/compress/"],
        PURE | {"bzlib.h", "lz4.h", "lz4hc.h", "lzma.h", "lzo/", "zlib.h", "zstd.h"},
    ),
    "engine/ring": (
        ["engine/base/", "engine/wire/", "engine/core/", "engine/crypto/", "engine/compress/", "engine/ring/"],
        ANY,
    ),
    "api": (
        ["engine/base/", "engine/core/", "engine/crypto/", "engine/compress/", "engine/ring/", "api/"] + PUBLIC,
        ANY,
    ),
    "tools": (["tools/"] + PUBLIC, ANY),
    "tools/sim": (["engine/base/", "engine/wire/", "engine/core/", "tests/sim/", "tools/"], ANY),
    "tools/dump": (["engine/base/", "engine/wire/", "engine/core/", "tools/"], ANY),
    "tests": (["engine/", "api/", "tests/"] + PUBLIC, ANY),
    "tests/api": (["tests/"] + PUBLIC, ANY),
    "fuzz": (["engine/base/", "engine/wire/", "engine/core/", "engine/crypto/", "engine/compress/", "fuzz/"], ANY),
    "fuzz/api": (["fuzz/", "tests/conformance/"] + PUBLIC, ANY),
}
# Programs of their own, compiled without the tree's include path (with the peer's header, say), name their siblings
# bare; everywhere else includes are written from the repository root.
STANDALONE = ["tests/interop"]
SUFFIXES = {".cc", ".h", ".hpp", ".c"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CLOCK = re.compile(r"\b(?:system|steady|high_resolution|utc|file)_clock\b")
LICENSE = "SPDX-License-Identifier: LGPL-2.1-or-later"
LICENSE_LINES = {f"// {LICENSE}", f"/* {LICENSE} */"}


def rule_for(path):
    """The row of the table for a file, given relative to the root; None where the tree has no row for it."""
    folders = [str(parent) for parent in pathlib.PurePosixPath(path).parents]
    return next((RULES[folder] for folder in folders if folder in RULES), None)


def permitted(name, entries):
    return any(name == entry or (entry.endswith("/") and name.startswith(entry)) for entry in entries)


def check_line(line, folder, projects, systems):
    """What is wrong with one line of a file in the given folder, or None."""
    include = INCLUDE.match(line)
    if include is None:
        if systems is not ANY and CLOCK.search(line.split("//")[0]):
            return "names a clock; time is passed in"
        return None
    quote, name = include.groups()
    if folder in STANDALONE and quote == '"' and "/" not in name:
        name = f"{folder}/{name}"
    if quote == '"' or name in PUBLIC:
        if not permitted(name, projects):
            return f'may not include "{name}" (includes are written from the repository root)'
    elif systems is not ANY and not permitted(name, systems):
        return f"may not include <{name}>"
    return None


def check_file(root, path):
    projects, systems = rule_for(path)
    folder = str(pathlib.PurePosixPath(path).parent)
    lines = (root / path).read_text(encoding="utf-8").splitlines()
    if not lines or lines[0] not in LICENSE_LINES:
        yield f"{path}:1: does not begin with: // {LICENSE}"
    for number, line in enumerate(lines, start=1):
        problem = check_line(line, folder, projects, systems)
        if problem is not None:
            yield f"{path}:{number}: {problem}"


def check_tree(root):
    """(number of files checked, list of problems)."""
    paths = sorted(
        str(path.relative_to(root))
        for top in {folder.split("/")[0] for folder in RULES}
        for path in (root / top).rglob("*")
        if path.suffix in SUFFIXES and path.is_file()
    )
    problems = []
    for path in paths:
        if rule_for(path) is None:
            problems.append(f"{path}:1: this folder has no row in the table of include_lint.py")
        else:
            problems.extend(check_file(root, path))
    return len(paths), problems


# (file, line, whether it must be refused)
PLANTED = [
    ("engine/base/a.h", "#include <cstdint>", False),
    ("engine/base/a.h", '#include "engine/base/b.h"', False),
    ("engine/base/a.h", '#include "engine/wire/b.h"', True),
    ("engine/base/a.h", "#include <sys/socket.h>", True),
    ("engine/base/a.h", "#include <netinet/in.h>", True),
    ("engine/base/a.h", "#include <arpa/inet.h>", True),
    ("engine/base/a.h", "#include <unistd.h>", True),
    ("engine/base/a.h", "#include <ctime>", True),
    ("engine/wire/a.cc", '#include "engine/base/b.h"', False),
    ("engine/wire/a.cc", '#include "engine/core/b.h"', True),
    ("engine/wire/a.cc", '#include "engine/crypto/sealer.h"', True),
    ("engine/core/a.cc", '#include "engine/wire/b.h"', False),
    ("engine/core/a.cc", '#include "engine/crypto/sealer.h"', False),
    ("engine/core/a.cc", '#include "engine/crypto/wolfssl/sealer.h"', True),
    ("engine/core/a.cc", '#include "engine/compress/codecs/codecs.h"', True),
    ("engine/core/a.cc", '#include "engine/ring/b.h"', True),
    ("engine/core/a.cc", '  #  include "engine/ring/b.h"', True),
    ("engine/core/a.cc", '#include "fabric.h"', True),
    ("engine/core/a.cc", '#include "api/libknet.h"', True),
    ("engine/core/a.cc", "#include <libknet.h>", True),
    ("engine/core/a.cc", "#include <chrono>", False),
    ("engine/core/a.cc", "auto now = std::chrono::steady_clock::now();", True),
    ("engine/core/a.cc", "// not a steady_clock: time is passed in", False),
    ("engine/core/a.cc", "#include <thread>", True),
    ("engine/core/a.cc", "#include <mutex>", True),
    ("engine/core/a.cc", "#include <atomic>", True),
    ("engine/core/a.cc", "#include <random>", True),
    ("engine/core/a.cc", "#include <errno.h>", True),
    ("engine/core/a.cc", "#include <cerrno>", True),
    ("engine/core/a.cc", "#include <time.h>", True),
    ("engine/core/a.cc", "#include <liburing.h>", True),
    ("engine/core/a.cc", "#include <fmt/core.h>", True),
    ("engine/core/a.cc", "#include <lz4.h>", True),
    ("engine/core/a.cc", "#include <wolfssl/options.h>", True),
    ("engine/core/deeper/a.cc", "#include <thread>", True),
    ("engine/crypto/a.cc", "#include <wolfssl/options.h>", True),
    ("engine/crypto/wolfssl/a.cc", "#include <wolfssl/options.h>", False),
    ("engine/crypto/wolfssl/a.cc", '#include "engine/core/b.h"', True),
    ("engine/crypto/wolfssl/a.cc", "#include <intel-ipsec-mb.h>", True),
    ("engine/crypto/multibuffer/a.cc", "#include <intel-ipsec-mb.h>", False),
    ("engine/crypto/a.cc", '#include "engine/core/b.h"', True),
    ("engine/compress/a.cc", "#include <lz4.h>", True),
    ("engine/compress/codecs/a.cc", "#include <lz4.h>", False),
    ("engine/compress/codecs/a.cc", '#include "engine/core/b.h"', True),
    ("engine/compress/a.cc", '#include "engine/ring/b.h"', True),
    ("engine/ring/a.cc", "#include <liburing.h>", False),
    ("engine/ring/a.cc", '#include "engine/core/b.h"', False),
    ("engine/ring/a.cc", '#include "api/libknet.h"', True),
    ("engine/unknown/a.cc", "#include <cstdint>", True),
    ("api/a.cc", '#include "engine/ring/b.h"', False),
    ("api/a.cc", '#include "engine/wire/b.h"', True),
    ("tools/bench/a.cc", "#include <libknet.h>", False),
    ("tools/bench/a.cc", '#include "engine/base/b.h"', True),
    ("tools/sim/a.cc", '#include "engine/core/b.h"', False),
    ("tools/sim/a.cc", '#include "engine/ring/b.h"', True),
    ("tests/unit/a.cc", '#include "engine/ring/b.h"', False),
    ("tests/api/a.cc", '#include "api/libknet.h"', False),
    ("tests/api/a.cc", '#include "engine/core/b.h"', True),
    ("tests/interop/a.c", '#include "b.h"', False),
    ("tests/unit/a.cc", '#include "b.h"', True),
    ("fuzz/a.cc", '#include "engine/wire/b.h"', False),
    ("fuzz/a.cc", '#include "engine/ring/b.h"', True),
    ("fuzz/api/a.cc", '#include "api/libknet.h"', False),
    ("fuzz/api/a.cc", '#include "engine/ring/b.h"', True),
]


def self_test():
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (path, line, refused) in enumerate(PLANTED):
            root = pathlib.Path(folder) / str(number)
            (root / path).parent.mkdir(parents=True)
            (root / path).write_text(f"// {LICENSE}\n{line}\n", encoding="utf-8")
            if bool(check_tree(root)[1]) != refused:
                wrong.append(f"{path}: {line}: should {'' if refused else 'not '}have been refused")
        root = pathlib.Path(folder) / "unlicensed"
        (root / "engine/base").mkdir(parents=True)
        (root / "engine/base/a.h").write_text("#pragma once\n", encoding="utf-8")
        if not check_tree(root)[1]:
            wrong.append("a file without its licence line should have been refused")
    return len(PLANTED) + 1, wrong


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    if arguments[0] == "--self-test":
        count, problems = self_test()
        what = "planted cases"
    else:
        count, problems = check_tree(pathlib.Path(arguments[0]))
        what = "files"
        if count == 0:
            problems.append("no file was found to check")
    for problem in problems:
        print(problem)
    print(f"include lint: {count} {what}, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
