# SPDX-License-Identifier: Apache-2.0
"""The VMM of node b is killed while the guest runs under the debugger."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from inside import expect, expect_error, go, run, steps, value  # noqa: E402


def stops_when_the_vmm_is_gone():
    print("@@kill", flush=True)
    how = go("continue")
    expect(how == "SIGKILL", f"stopped by {how}")
    expect("its VMM is dead: read-only" in run("monitor nodes"), run("monitor nodes"))


def memory_can_be_read():
    run("maintenance flush dcache")
    expect(bytes(gdb_memory("&linux_banner", 13)) == b"Linux version", "the banner is not there")
    expect("Linux" in run("x/s &init_uts_ns"), run("x/s &init_uts_ns"))
    expect("Linux version" in run(f"monitor phys {value('&linux_banner') - 0x60000000:#x} 20"), "monitor phys")


def gdb_memory(expression, count):
    return [value(f"((unsigned char *){expression})[{index}]") for index in range(count)]


def changes_are_refused():
    expect_error("set var *(long *)&init_uts_ns = 0", "Cannot access memory")
    go("continue")  # says why it is refused
    expect("Linux" in run("x/s &init_uts_ns"), "memory after the refusals")
    run("detach")


steps(stops_when_the_vmm_is_gone, memory_can_be_read, changes_are_refused)
