# SPDX-License-Identifier: Apache-2.0
"""A guest panics under the debugger's eyes."""
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from inside import expect, go, guest, run, steps, stopped_on, value  # noqa: E402


def stops_at_the_panic():
    guest("sleep 1; taskset -c 3 sh -c 'echo c >/proc/sysrq-trigger'")
    how = go("continue")
    expect(how == "SIGABRT", f"stopped by {how}")
    expect(stopped_on() == (3, "b"), run("info threads"))


def backtrace_of_the_panic():
    said = run("backtrace")
    for name in ("panic", "sysrq_handle_crash", "write_sysrq_trigger"):
        expect(name in said, said)
    expect(re.search(r"sysrq_handle_crash \(.*\) at .*/drivers/tty/sysrq\.c:\d+", said), said)
    expect(value("$rsp") > 0x60000000, "rsp")


def memory_and_messages():
    expect("sysrq triggered crash" in run("lx-dmesg"), "lx-dmesg")
    for thread in range(1, 5):
        run(f"thread {thread}")
        run("x/4gx $rsp")


def stops_anew():
    for command in ("continue", "stepi"):
        how = go(command)
        expect(how == "SIGABRT", f"{command}: stopped by {how}")
    run("detach")


steps(stops_at_the_panic, backtrace_of_the_panic, memory_and_messages, stops_anew)
