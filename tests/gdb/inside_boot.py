# SPDX-License-Identifier: Apache-2.0
"""A guest that waits before its first instruction."""
import os
import sys

import gdb

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from inside import expect, function, guest_output, run, steps, stopped_on, value  # noqa: E402


def stands_at_the_entry():
    expect(guest_output() == "", f"the guest said {guest_output()}")
    expect(value("system_state") == 0, "the kernel has run")
    entry = int(run("info files").split("Entry point: ")[1].split()[0], 16)
    expect(value("$pc") == entry, f"pc is {value('$pc'):#x}, entry {entry:#x}")


def stops_in_start_kernel():
    gdb.Breakpoint("start_kernel", temporary=True)
    run("continue")
    expect(function() == "start_kernel" and stopped_on() == (0, "a"), run("backtrace"))


def sees_the_first_cpu_of_node_b():
    point = gdb.Breakpoint("cpu_startup_entry")
    while True:
        run("continue")
        if stopped_on() == (2, "b"):
            break
    point.delete()
    run("detach")


steps(stands_at_the_entry, stops_in_start_kernel, sees_the_first_cpu_of_node_b)
