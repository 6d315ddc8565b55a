# SPDX-License-Identifier: LGPL-2.1-or-later
"""How the run of one scenario ends, whichever test it belongs to: a line that says so, what
happened if it failed, and the exit code. Nothing is left running by a signal or by the limit."""

import signal
import time
import traceback

from network import Unavailable

SKIPPED = 77


def end_on_signals(who):
    """Turns them into an exception, so that everything is taken down."""

    def interrupted(number, _frame):
        raise SystemExit(f"{who}: ended by {signal.Signals(number).name}")

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, interrupted)


def judge(name, limit_seconds, scenario):
    """Runs it, for no longer than that; the exit code."""

    def too_long(_number, _frame):
        raise TimeoutError(f"not finished within {limit_seconds} s")

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(limit_seconds)
    began = time.monotonic()
    try:
        scenario()
    except Unavailable as reason:
        print(f"{name}: SKIPPED: {reason}")
        return SKIPPED
    except Exception:  # pylint: disable=broad-except
        traceback.print_exc()
        print(f"{name}: FAILED after {time.monotonic() - began:.1f} s")
        return 1
    print(f"{name}: passed in {time.monotonic() - began:.1f} s")
    return 0
