#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every reason for which a packet is dropped is reached by a test that says so.

For each enumerator of Drop (engine/base/drop.h) there has to be a TEST_CASE with an assertion about
its counter: one that names the enumerator, or the counter's text as drop_text() prints it. A new
reason without a test fails here. That the assertion holds is for the test itself to show.

    drop_tests.py ROOT          check the tree at ROOT, list which test it is for each reason
    drop_tests.py --self-test   prove that a reason without a test is found
"""

import pathlib
import re
import sys
import tempfile

REASONS = "engine/base/drop.h"
NAMES = "engine/base/drop.cc"
# The test of the counters themselves; it drops nothing.
OWN_TEST = "base_drop_test.cc"
# An enumerator a line, at the beginning of the line; kCount is none.
ENUMERATOR = re.compile(r"^  (k[A-Z]\w*),?(?:\s*//.*)?$", re.MULTILINE)
NAME = re.compile(r'^      "([^"]+)",$', re.MULTILINE)
CASE = re.compile(r'^TEST_CASE\("([^"]+)"\)(.*?)^\}', re.MULTILINE | re.DOTALL)
ASSERTION = re.compile(r"\b(?:CHECK|REQUIRE)(?:_FALSE)?\s*\((.*?)\);", re.DOTALL)


def reasons(root):
    """(enumerator, name) of each reason."""
    text = (root / REASONS).read_text(encoding="utf-8")
    body = text[text.index("enum class Drop") : text.index("};", text.index("enum class Drop"))]
    enumerators = [name for name in ENUMERATOR.findall(body) if name != "kCount"]
    names = NAME.findall((root / NAMES).read_text(encoding="utf-8"))
    if len(enumerators) != len(names):
        raise ValueError(f"{len(enumerators)} reasons in {REASONS}, {len(names)} names in {NAMES}")
    return list(zip(enumerators, names))


def assertions(root):
    """(file, title of the test, text of the assertion) of every assertion."""
    for path in sorted((root / "tests").rglob("*_test.cc")):
        if path.name == OWN_TEST:
            continue
        text = path.read_text(encoding="utf-8")
        for title, body in CASE.findall(text):
            for assertion in ASSERTION.findall(body):
                yield path.relative_to(root), title, assertion


def is_about(assertion, enumerator, name):
    # A count of nothing reaches nothing.
    if re.search(rf"Drop::{enumerator}\b(?!.*== 0\b)", assertion, re.DOTALL):
        return True
    return re.search(rf'"(?:[^"]* )?{re.escape(name)}:[1-9]', assertion) is not None


def check(root):
    """(lines of the table, problems)."""
    every = list(assertions(root))
    table, problems = [], []
    for enumerator, name in reasons(root):
        where = [
            (path, title) for path, title, text in every if is_about(text, enumerator, name)
        ]
        if where:
            table.append(f"{enumerator:22}{where[0][0]}: {where[0][1]}")
        else:
            problems.append(f"{enumerator} ({name}): no test asserts that it is counted")
    return table, problems


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        (root / "engine/base").mkdir(parents=True)
        (root / "tests").mkdir()
        (root / REASONS).write_text(
            "enum class Drop : std::uint8_t {\n  kOne,\n  kTwo,  // text\n  kThree,\n  kFour,\n"
            "  kCount\n};\n"
        )
        (root / NAMES).write_text(
            '      "one",\n      "number two",\n      "three",\n      "four",\n'
        )
        (root / "tests/a_test.cc").write_text(
            'TEST_CASE("a") {\n  CHECK(drops[Drop::kOne] == 1);\n  CHECK(f() ==\n'
            '        "number two:3");\n  count(Drop::kThree);\n  CHECK(d[Drop::kFour] == 0);\n}\n'
        )
        _, problems = check(root)
        found = [problem.split()[0] for problem in problems]
        return [] if found == ["kThree", "kFour"] else [f"found {found}, not kThree and kFour"]


def main(arguments):
    if len(arguments) != 1:
        sys.exit(__doc__)
    if arguments[0] == "--self-test":
        table, problems = [], self_test()
    else:
        table, problems = check(pathlib.Path(arguments[0]))
    for line in table + problems:
        print(line)
    print(f"drop tests: {len(table)} reasons with a test, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
