# SPDX-License-Identifier: Apache-2.0
"""One visit of a debugger: attach, break, continue, step, detach."""
import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from inside import expect, function, guest, run, steps, stopped_on  # noqa: E402


def visit():
    cpu = int(os.environ["PANDO_TEST_CPU"])
    gdb.Breakpoint("ksys_sync")
    guest(f"taskset -c {cpu} sync")
    run("continue")
    expect(stopped_on()[0] == cpu and function() == "ksys_sync", run("info threads"))
    for _ in range(3):
        run("stepi")
        expect(stopped_on()[0] == cpu, run("info threads"))
    # The breakpoint is left in: the agents have to take it out.
    run("disconnect" if cpu == 0 else "detach")


steps(visit)
